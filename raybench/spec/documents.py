"""Documents: what a YAML file, a flag or a bare name says, before it is validated."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from raybench import registry
from raybench.errors import SpecError, nearest
from raybench.spec.entries import ModelSpec

__all__ = [
    "apply_settings",
    "as_yaml",
    "expand_path",
    "expanded",
    "model_entry",
    "read",
    "redacted",
    "with_entries",
    "with_settings",
]


def expand_path(path: str) -> str:
    """Return a path with ~ and $VARIABLES expanded; URLs stay as they are."""
    return path if "://" in path else os.path.expandvars(os.path.expanduser(path))


#: Plugin options that are paths, and those that are a path or an id of the hub.
_PATHS, _PATHS_OR_IDS = ("data", "images_dir", "answers"), ("model", "adapter", "hub")


def expanded(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with ~ and $VARIABLES expanded in paths, and relative paths made absolute.

    Workers on other nodes have another working directory, so this happens where the spec is read.
    """
    out = dict(options)
    for key in (*_PATHS, *_PATHS_OR_IDS):
        value = out.get(key)
        if isinstance(value, str) and "://" not in value:
            path = expand_path(value)
            is_path = key in _PATHS or (os.sep in path and os.path.isdir(path))
            out[key] = os.path.abspath(path) if is_path else path
    prompts = out.get("prompts")
    if isinstance(prompts, str) and "://" not in prompts and os.path.isfile(expand_path(prompts)):
        out["prompts"] = os.path.abspath(expand_path(prompts))
    return out


def model_entry(entry: str | Mapping[str, Any], role: str) -> dict[str, Any]:
    """Return a full model entry: a catalogue name, a local folder, a hub id, or a mapping.

    A mapping whose name is in the catalogue and that names no backend starts from that entry.
    """
    known = registry.catalogue()
    if isinstance(entry, str):
        entry = {"name": entry}
    name = str(entry.get("name", ""))
    if "backend" in entry or not name:
        return dict(entry)
    misspelt = next(
        (key for key in entry if key not in ModelSpec.model_fields and nearest(str(key), ["backend"])), None
    )
    if misspelt is not None:
        raise SpecError(f"{role} {name!r}: unknown key {misspelt!r} (did you mean 'backend'?)")
    if name in known:
        return {**deepcopy(known[name]), **entry}
    folder = Path(expand_path(name))
    if folder.is_dir():
        return {"backend": "hf", "model": str(folder.resolve()), **entry, "name": folder.resolve().name}
    if name.count("/") == 1 and not name.startswith((".", "~", "/")):
        return {"backend": "hf", "model": name, **entry, "name": name.split("/")[1]}
    if "/" in name:
        raise SpecError(
            f"{role} {name!r}: no such folder; give a local checkpoint folder, a hub id or a catalogue name"
        )
    raise SpecError(
        f"unknown {role} {name!r}{nearest(name, known)}: give a catalogue name ({', '.join(known) or 'none'}), "
        "a local checkpoint folder, a hub id 'owner/name', or an entry with a backend"
    )


def with_entries(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document with tasks, models and judges as full mappings, catalogue entries filled in."""
    document = dict(document)
    for field, role in (("models", "model"), ("judges", "judge")):
        entries = document.get(field) or []
        if isinstance(entries, str | Mapping):
            entries = [entries]
        if isinstance(entries, Sequence):
            document[field] = [model_entry(e, role) if isinstance(e, str | Mapping) else e for e in entries]
    if isinstance(document.get("tasks"), str | Mapping):
        document["tasks"] = [document["tasks"]]
    if isinstance(document.get("tasks"), Sequence):
        document["tasks"] = [{"task": t} if isinstance(t, str) else t for t in document["tasks"]]
    return {key: value for key, value in document.items() if value != [] or key not in ("models", "judges")}


def with_settings(document: Mapping[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """Return the document with entries filled in and `key=value` settings applied over them.

    A name that stands for nothing yet may become a whole entry by settings
    (`--judge referee --set judges.0.backend=openai ...`).
    """
    document = dict(document)
    for field, role in (("models", "model"), ("judges", "judge")):
        if isinstance(entries := document.get(field), list):
            document[field] = [_entry_or_name(entry, role) for entry in entries]
    return with_entries(apply_settings(document, settings))


def _entry_or_name(entry: Any, role: str) -> Any:
    try:
        return model_entry(entry, role) if isinstance(entry, str) else entry
    except SpecError:
        return {"name": entry}


_SECRET_KEY = re.compile(r"(^|_)(key|token|secret|password|authorization)$", re.IGNORECASE)


def redacted(value: Any) -> Any:
    """Return a document without secrets: values of secret-like keys, and credentials and queries inside URLs."""
    if isinstance(value, Mapping):
        return {k: "***" if v and _SECRET_KEY.search(str(k)) else redacted(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(item) for item in value]
    if isinstance(value, str) and "://" in value:
        value = re.sub(r"(://)[^/@\s]+@", r"\1***@", value)
        return re.sub(r"(://[^?\s]*\?)\S+", r"\1***", value) if not value.startswith("hub://") else value
    return value


def as_yaml(document: Mapping[str, Any]) -> str:
    """Return a document as YAML without secrets, for people."""
    return yaml.safe_dump(redacted(dict(document)), sort_keys=False, allow_unicode=True).rstrip()


class _Loader(yaml.SafeLoader):
    """Safe YAML in which a key that stands twice is an error, not silently the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(None, None, f"key {twice!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def read(path: str | Path) -> dict[str, Any]:
    """Return the document of a YAML spec file.

    Raises:
        SpecError: the file is missing, is no YAML, or holds no mapping.
    """
    try:
        document = yaml.load(Path(path).read_text("utf-8"), _Loader)
    except FileNotFoundError:
        raise SpecError(f"no spec file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"cannot read spec {path}: {error}") from None
    except yaml.YAMLError as error:
        raise SpecError(f"{path} is no valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict):
        raise SpecError(f"{path} holds no mapping; a spec has keys such as tasks, models, output")
    return _beside(document, Path(path).parent)


def _beside(document: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The document with relative paths of what lies beside the spec file made absolute.

    What does not lie there is looked for from the working directory; results always go there.
    """
    found = dict(document)
    for field in ("tasks", "models", "judges"):
        if isinstance(entries := found.get(field), list):
            found[field] = [_entry_beside(entry, folder) for entry in entries]
    return found


def _entry_beside(entry: Any, folder: Path) -> Any:
    if isinstance(entry, str):
        return _path_beside(entry, folder) if os.sep in entry else entry
    if not isinstance(entry, dict):
        return entry
    keys = (*_PATHS, *_PATHS_OR_IDS, "prompts")
    return {key: _path_beside(value, folder) if key in keys else value for key, value in entry.items()}


def _path_beside(value: Any, folder: Path) -> Any:
    if not isinstance(value, str) or "://" in value or not value:
        return value
    path = folder / expand_path(value)
    return os.path.abspath(path) if path.exists() and (os.sep in value or path.is_file()) else value


def apply_settings(document: dict[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """Return the document with `key=value` settings applied; keys are dotted, values YAML.

    >>> apply_settings({"models": [{"name": "a"}]}, ["models.0.gpus=1"])
    {'models': [{'name': 'a', 'gpus': 1}]}
    """
    document = deepcopy(document)
    for setting in settings:
        key, found, text = setting.partition("=")
        if not found or not key:
            raise SpecError(f"--set {setting!r}: give key=value, e.g. --set generation.max_tokens=64")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            problem = " ".join(str(getattr(error, "problem", None) or error).split())
            raise SpecError(f"--set {setting!r}: {text!r} is no valid YAML value ({problem}); quote it?") from None
        try:
            _assign(document, key.split("."), value)
        except (LookupError, TypeError, ValueError):
            raise SpecError(f"--set {setting!r}: the spec has no place {key!r}") from None
    return document


def _assign(place: Any, keys: list[str], value: Any) -> None:
    for depth, key in enumerate(keys[:-1]):
        if isinstance(place, list):
            place = place[int(key)]
        else:
            place = place.setdefault(key, [] if keys[depth + 1].isdigit() else {})
        if not isinstance(place, list | dict):
            raise TypeError("a bare value has no keys")
    if isinstance(place, list):
        place[int(keys[-1])] = value
    else:
        place[keys[-1]] = value
