"""YAML or flags to one frozen, validated spec; the only reader of settings.

Unknown keys are errors that name the nearest allowed one. A plugin's own
options stand flat beside the common keys (`{task: vqa_rad, data: DIR}`) and are
checked by the plugin's `Options`. Settings override one another in the order
catalogue entry < task < spec < flags.

>>> spec = build({"tasks": [{"task": "vqa_rad"}], "models": []}, validate_plugins=False)
>>> spec.generation.max_tokens
256
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from raybench import registry
from raybench.errors import SpecError, nearest
from raybench.schema import digest

__all__ = [
    "Generation",
    "JudgeSpec",
    "ModelSpec",
    "RunSpec",
    "TaskSpec",
    "apply_settings",
    "as_yaml",
    "build",
    "expand_path",
    "expanded",
    "model_entry",
    "open_plugin",
    "plugin_options",
    "read",
    "with_entries",
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Generation(_Strict):
    """Sampling: temperature >= 0 (0 is greedy), top_p in (0, 1], max_tokens, seed, stop strings."""

    temperature: float = Field(0.0, ge=0)
    top_p: float = Field(1.0, gt=0, le=1)
    max_tokens: int = Field(256, ge=1)
    seed: int = 0
    stop: tuple[str, ...] = ()


class _Plugin(BaseModel):
    """Common keys plus the plugin's own, kept in `options`."""

    model_config = ConfigDict(extra="allow", frozen=True)

    @property
    def options(self) -> dict[str, Any]:
        """The keys that belong to the plugin."""
        return dict(self.model_extra or {})


class TaskSpec(_Plugin):
    """One task: its name, prompt variants, row selection and the task's own options."""

    task: str
    prompts: str | tuple[str, ...] = "default"
    limit: int | None = Field(None, ge=1)
    sample: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _one_selection(self) -> TaskSpec:
        if self.limit is not None and self.sample is not None:
            raise ValueError("limit and sample exclude each other")
        return self


class ModelSpec(_Plugin):
    """One model: name in scores, backend, pool size, resources of a replica, the backend's own options."""

    name: str
    backend: str
    replicas: tuple[int, int] = (1, 1)
    gpus: float = Field(0, ge=0)
    cpus: float = Field(1, ge=0)
    generation: dict[str, Any] = Field(default_factory=dict)
    kind: Literal["subject", "judge"] = "subject"
    boxes: str | None = None
    licence: str = ""
    notes: str = ""

    @field_validator("replicas", mode="before")
    @classmethod
    def _bounds(cls, value: Any) -> Any:
        return (value, value) if isinstance(value, int) else value

    @model_validator(mode="after")
    def _ordered(self) -> ModelSpec:
        low, high = self.replicas
        if not 1 <= low <= high:
            raise ValueError(f"replicas must be [min, max] with 1 <= min <= max, not [{low}, {high}]")
        return self


class JudgeSpec(ModelSpec):
    """A model that judges: the same keys and a protocol."""

    protocol: str | None = None
    schedule: Literal["after"] = "after"


class RunSpec(_Strict):
    """One run. `output` is a local path or an fsspec URL (s3://, gs://)."""

    name: str = "run"
    output: str = "results"
    tasks: tuple[TaskSpec, ...] = ()
    models: tuple[ModelSpec, ...] = ()
    judges: tuple[JudgeSpec, ...] = ()
    generation: Generation = Generation()
    images: Literal["with", "none"] = "with"
    repeats: int = Field(1, ge=1)
    min_coverage: float = Field(1.0, ge=0, le=1)
    max_null_verdicts: float = Field(0.01, ge=0, le=1)
    reuse: tuple[str, ...] = ()
    fresh: bool = False
    local_hosts: tuple[str, ...] = ()
    allow_remote: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Digest of everything the spec says."""
        return digest(self.model_dump(mode="json"), 16)

    def sampling(self, model: ModelSpec, task_defaults: Mapping[str, Any]) -> dict[str, Any]:
        """Return the sampling of one model on one task: catalogue < task < spec."""
        chosen = self.generation.model_dump(exclude_unset=True)
        merged = Generation.model_validate({**model.generation, **task_defaults, **chosen})
        return merged.model_dump(mode="json")


def expand_path(path: str) -> str:
    """Return a path with ~ and $VARIABLES expanded; URLs stay as they are."""
    return path if "://" in path else os.path.expandvars(os.path.expanduser(path))


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


def as_yaml(document: Mapping[str, Any]) -> str:
    """Return a document as YAML, for people and for saving."""
    return yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True).rstrip()


def build(document: Mapping[str, Any], where: str = "spec", validate_plugins: bool = True) -> RunSpec:
    """Return the frozen spec of a YAML document.

    Raises:
        SpecError: a key or value that is not allowed; one sentence.
        UnknownNameError: a task, backend, judge or protocol that does not exist.
    """
    document = with_entries(document)
    for field in ("tasks", "models", "judges"):
        if isinstance(entries := document.get(field), list):
            document[field] = [expanded(entry) if isinstance(entry, Mapping) else entry for entry in entries]
    if isinstance(output := document.get("output", "results"), str) and "://" not in output:
        document["output"] = os.path.abspath(expand_path(output))
    try:
        spec = RunSpec.model_validate(document)
    except ValidationError as error:
        raise SpecError(f"{where}: {_sentence(error, RunSpec)}") from None
    if validate_plugins:
        _validate_plugins(spec, where)
    return spec


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
    return document


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
            _assign(document, key.split("."), yaml.safe_load(text))
        except (LookupError, TypeError, ValueError, yaml.YAMLError):
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


def plugin_options(plugin: Any, options: Mapping[str, Any], where: str, common: type[BaseModel]) -> Any:
    """Return a plugin's validated options.

    Raises:
        SpecError: an unknown key or a bad value; one sentence.
    """
    try:
        return plugin.Options.model_validate(dict(options))
    except ValidationError as error:
        raise SpecError(f"{where}: {_sentence(error, plugin.Options, common)}") from None


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
    return out


def open_plugin(kind: str, name: str, entry: _Plugin) -> tuple[Any, Any]:
    """Return the plugin class of an entry and its validated options."""
    plugin = registry.load(kind, name)
    return plugin, plugin_options(plugin, entry.options, name, type(entry))


def _validate_plugins(spec: RunSpec, where: str) -> None:
    for i, task in enumerate(spec.tasks):
        plugin = registry.load("tasks", task.task)
        plugin_options(plugin, task.options, f"{where}: tasks[{i}] ({task.task})", TaskSpec)
    for field, entries in (("models", spec.models), ("judges", spec.judges)):
        for i, entry in enumerate(entries):
            plugin = registry.load("models", entry.backend)
            place = f"{where}: {field}[{i}] ({entry.name})"
            plugin_options(plugin, entry.options, place, type(entry))
            _check_generation(entry, place)
        _check_names(entries, f"{where}: {field}")
    for judge in spec.judges:
        if judge.protocol:
            registry.load("judges", judge.protocol)


def _check_generation(entry: ModelSpec, where: str) -> None:
    try:
        Generation.model_validate(entry.generation)
    except ValidationError as error:
        raise SpecError(f"{where} generation: {_sentence(error, Generation)}") from None


def _check_names(entries: Sequence[ModelSpec], where: str) -> None:
    names = [entry.name for entry in entries]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SpecError(f"{where}: name {twice[0]!r} stands twice; names identify rows of the leaderboard")


def _fields(model: type[BaseModel], location: Sequence[Any]) -> list[str]:
    """The allowed keys at a location inside a model."""
    nested: dict[str, type[BaseModel]] = {
        "tasks": TaskSpec, "models": ModelSpec, "judges": JudgeSpec, "generation": Generation,
    }  # fmt: skip
    if location and location[0] in nested:
        model = nested[location[0]]
    return list(model.model_fields)


def _sentence(error: ValidationError, *models: type[BaseModel]) -> str:
    """The first problem of a validation error, with place, allowed keys and nearest match."""
    # A misspelt key also leaves the right one missing: name the misspelling.
    problem = min(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
    *place, key = problem["loc"] or ("",)
    at = _path(place)
    if problem["type"] == "extra_forbidden":
        allowed = [field for model in models for field in _fields(model, place)]
        inside = f" in {at}" if at else ""
        return f"unknown key {key!r}{inside}{nearest(str(key), allowed)}; allowed: {', '.join(allowed)}"
    at = _path([*place, key])
    if problem["type"] == "missing":
        return f"{at} is missing{_misspelt(problem, str(key))}"
    message = problem["msg"].removeprefix("Value error, ")
    given = problem.get("input")
    shown = f", not {given!r}" if isinstance(given, str | int | float | bool) else ""
    return f"{at}: {message}{shown}" if at else f"{message}{shown}"


def _path(location: Sequence[Any]) -> str:
    """A place as it would be written: models[0].replicas (without the type names that pydantic adds for unions)."""
    kept = [part for part in location if isinstance(part, int) or (str(part).isidentifier() and part != "str")]
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in kept).lstrip(".")


def _misspelt(problem: Any, key: str) -> str:
    given = problem.get("input")
    close = nearest(key, [str(k) for k in given]) if isinstance(given, Mapping) else ""
    return close.replace("did you mean", "found").replace("?)", ")") if close else ""
