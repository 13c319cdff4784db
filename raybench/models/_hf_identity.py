"""What decides a Hugging Face model's answers, found without loading it.

A local folder is named by a hash over the files that decide answers; a hub id by
the commit that its revision points to. Hashing 15 GB takes a minute, so file
hashes are remembered by path, size and mtime in `hashes.json` of the folder
`RAYBENCH_CACHE` (default `~/.cache/raybench`).

    >>> local_revision(Path("weights/tiny-llava-a"))  # doctest: +SKIP
    '3f1c...'
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from raybench.errors import ModelError, nearest, one_line
from raybench.interfaces import Options
from raybench.schema import Row, digest

__all__ = [
    "HuggingFaceOptions",
    "check_folder",
    "describe",
    "file_hash",
    "hub_revision",
    "is_local",
    "local_folder",
    "local_revision",
    "local_template",
]

#: Before the name of weights that come with this package: `raybench://tiny-judge`.
PACKAGED = "raybench://"

#: Named in the key when a checkpoint has no chat template and ours is used.
PLAIN_TEMPLATE = "plain-v1"

#: Files of a checkpoint folder that decide its answers (readme, licence, optimiser states do not).
DECIDING = (
    "*.safetensors", "*.safetensors.index.json", "*config*.json", "tokenizer*", "special_tokens_map.json",
    "added_tokens.json", "vocab*", "merges.txt", "*.model", "chat_template*", "*.jinja", "*.py",
)  # fmt: skip

_INSTALL = "the hf backend needs transformers and torch: pip install 'raybench[hf]'"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
#: A file written less than this many seconds ago may change again within one mtime tick.
_FRESH_SECONDS = 2.0


class HuggingFaceOptions(Options):
    """Settings of the `hf` backend.

    Attributes:
        model: hub id, local folder, or `raybench://NAME` for weights that come with this package.
        revision: branch, tag or commit of a hub id; None for its default branch.
        dtype: "auto" is the checkpoint's own.
        quantization: bitsandbytes "4bit" (nf4) or "8bit"; needs a GPU.
        adapter: PEFT folder or hub id, `name@revision` to pin the latter.
        min_pixels, max_pixels: limits of image processors that have them (Qwen-VL and kin).
        system_prompt: put first where a conversation has no system turn.
        attn_implementation: "eager", "sdpa", "flash_attention_2"; None is the model's default.
        batch_size: rows per micro-batch; halved by itself when memory runs out.
        gguf_file: name of a GGUF file in the folder or repository.
        modality: "image-text", "text", or "auto" by the checkpoint's architecture.
        trust_remote_code: run Python that comes with the checkpoint.
        device: "auto", "cpu", "cuda", "cuda:1", ...
        date_string: the date that Llama 3.1+ templates write into the prompt; never today's.
    """

    model: str
    revision: str | None = None
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    quantization: Literal["4bit", "8bit"] | None = None
    adapter: str | None = None
    min_pixels: int | None = Field(default=None, ge=1)
    max_pixels: int | None = Field(default=None, ge=1)
    system_prompt: str | None = None
    attn_implementation: str | None = None
    batch_size: int = Field(default=8, ge=1)
    gguf_file: str | None = None
    modality: Literal["auto", "image-text", "text"] = "auto"
    trust_remote_code: bool = False
    device: str = "auto"
    date_string: str = "26 Jul 2024"


def describe(options: HuggingFaceOptions) -> Row:
    """Return the identity row of a model (see `Backend.identity`).

    A folder is named by its last part: moving it changes no key, as its hash stands beside.

    Raises:
        ModelError: the model does not exist, is incomplete, gated or out of reach.
    """
    if is_local(options.model):
        folder = local_folder(options.model)
        name, revision = folder.resolve().name, local_revision(folder, options.gguf_file)
        template = "in-gguf" if options.gguf_file else local_template(folder)
    else:
        name = options.model
        revision = hub_revision(name, options.revision, options.gguf_file or "config.json")
        template = "at-revision"
    return {
        "model": name,
        "revision": revision,
        "pinned": True,
        "dtype": options.dtype,
        "quantization": options.quantization,
        "adapter": _adapter(options.adapter),
        "template": template,
        "min_pixels": options.min_pixels,
        "max_pixels": options.max_pixels,
        "system_prompt": options.system_prompt,
        "attn_implementation": options.attn_implementation,
        "modality": options.modality,
        "gguf_file": options.gguf_file,
        "date_string": options.date_string,
    }


def is_local(model: str) -> bool:
    """Say whether a model name is a folder (existing, or written like a path) rather than a hub id."""
    written_like_path = model.startswith(("/", ".", "~")) or not _HUB_ID.fullmatch(model)
    return written_like_path or Path(model).expanduser().is_dir()


def local_folder(model: str) -> Path:
    """Return the folder that a local model name stands for; it may not exist.

    Raises:
        ModelError: `raybench://` and a name of no packaged weights.
    """
    if not model.startswith(PACKAGED):
        return Path(model).expanduser()
    name, weights = model.removeprefix(PACKAGED), Path(__file__).with_name("weights")
    known = sorted(path.name for path in weights.iterdir() if path.is_dir()) if weights.is_dir() else []
    if name not in known:
        packaged = ", ".join(f"{PACKAGED}{each}" for each in known) or "none"
        raise ModelError(f"no packaged weights {model!r}{nearest(name, known)}; packaged: {packaged}")
    return weights / name


def check_folder(folder: Path, gguf_file: str | None = None) -> None:
    """Check that a folder holds a model that can be loaded without pickles.

    Raises:
        ModelError: no folder, or no config.json, or no weights as safetensors or GGUF.
    """
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise ModelError(f"model folder {folder} {what}; give a hub id (owner/name) or an existing folder")
    names = sorted(path.name for path in folder.iterdir())
    holds = f"it holds {', '.join(names[:8])}{' ...' if len(names) > 8 else ''}" if names else "it is empty"
    ggufs = [name for name in names if name.endswith(".gguf")]
    if gguf_file is not None:
        if not (folder / gguf_file).is_file():
            raise ModelError(f"model folder {folder} has no {gguf_file}; {holds}")
        return
    if "config.json" not in names:
        hint = f"; set gguf_file: {ggufs[0]}" if ggufs else ""
        raise ModelError(f"model folder {folder} has no config.json; {holds}{hint}")
    if not any(name.endswith(".safetensors") for name in names):
        raise ModelError(f"model folder {folder} has no *.safetensors weights (pickles are not loaded); {holds}")


def local_revision(folder: Path, gguf_file: str | None = None) -> str:
    """Return the SHA-256 over the names and hashes of the files that decide a folder's answers.

    Raises:
        ModelError: the folder is no loadable model (see `check_folder`).
    """
    check_folder(folder, gguf_file)
    wanted = (gguf_file,) if gguf_file else DECIDING
    return _folder_hash(folder, wanted)


def local_template(folder: Path) -> str:
    """Return the hash of a folder's chat template, or "plain-v1" where it has none."""
    for name in ("chat_template.jinja", "chat_template.json", "processor_config.json", "tokenizer_config.json"):
        path = folder / name
        if not path.is_file():
            continue
        if path.suffix == ".jinja":
            return digest(path.read_text(encoding="utf-8"), 16)
        try:
            template = json.loads(path.read_text(encoding="utf-8")).get("chat_template")
        except ValueError as error:
            raise ModelError(f"{path} is no JSON: {one_line(error, 120)}") from error
        if template:
            return digest(template, 16)
    return PLAIN_TEMPLATE


def _folder_hash(folder: Path, patterns: Iterable[str]) -> str:
    patterns = tuple(patterns)
    chosen = [p for p in sorted(folder.iterdir()) if p.is_file() and any(fnmatch(p.name, one) for one in patterns)]
    hashes = _remembered_hashes(chosen)
    return digest([[path.name, hashes[path]] for path in chosen])


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _memory() -> Path:
    folder = os.environ.get("RAYBENCH_CACHE")
    return (Path(folder).expanduser() if folder else Path.home() / ".cache" / "raybench") / "hashes.json"


def _recall() -> dict[str, list[Any]]:
    """Return path -> [size in bytes, mtime in ns, sha256]; empty where there is no readable memory."""
    try:
        known = json.loads(_memory().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _remembered_hashes(paths: list[Path]) -> dict[Path, str]:
    known, new, hashes = _recall(), {}, {}
    for path in paths:
        name, stat = str(path.resolve()), path.stat()
        stamp = [stat.st_size, stat.st_mtime_ns]
        entry = known.get(name)
        if isinstance(entry, list) and entry[:2] == stamp and len(entry) == 3:
            hashes[path] = str(entry[2])
            continue
        hashes[path] = file_hash(path)
        if time.time() - stat.st_mtime > _FRESH_SECONDS:
            new[name] = [*stamp, hashes[path]]
    if new:
        _remember(new)
    return hashes


def _remember(new: dict[str, list[Any]]) -> None:
    """Merge entries into the memory; two writers at once may lose an entry, never a file."""
    memory = _memory()
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=memory.parent, prefix="hashes-", suffix=".tmp")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({**_recall(), **new}, file)
        os.replace(name, memory)
    except OSError:
        return  # a read-only home only costs the next hashing


def _adapter(adapter: str | None) -> str | None:
    """Return the adapter's hash or resolved commit."""
    if adapter is None:
        return None
    name, _, revision = adapter.partition("@")
    if not is_local(name):
        return f"{name}@{hub_revision(name, revision or None, 'adapter_config.json')}"
    folder = Path(name).expanduser()
    for file in ("adapter_config.json", "adapter_model.safetensors"):
        if not (folder / file).is_file():
            raise ModelError(f"adapter folder {folder} has no {file}")
    return _folder_hash(folder, DECIDING)


def hub_revision(repo: str, revision: str | None = None, file: str = "config.json") -> str:
    """Return the commit that a hub id and revision stand for: asked of the hub, else of the local cache.

    Args:
        file: a file that a usable cached snapshot must hold.

    Raises:
        ModelError: unknown, gated, or neither reachable nor cached.
    """
    try:
        from huggingface_hub import constants
    except ImportError as error:
        raise ModelError(_INSTALL) from error

    cached = _cached_commit(repo, revision, file)
    if cached and _COMMIT.fullmatch(revision or ""):
        return cached
    if constants.HF_HUB_OFFLINE:
        if cached:
            return cached
        raise ModelError(f"model {repo!r} is not in the local hub cache and HF_HUB_OFFLINE forbids asking the hub")
    return _ask_hub(repo, revision, cached)


def _cached_commit(repo: str, revision: str | None, file: str) -> str | None:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        path = try_to_load_from_cache(repo, file, revision=revision)
    except HFValidationError as error:
        raise ModelError(f"{repo!r} is neither a folder nor a hub id (owner/name)") from error
    # .../snapshots/<commit>/<file>
    return Path(path).parts[-2 - file.count("/")] if isinstance(path, str) else None


def _ask_hub(repo: str, revision: str | None, cached: str | None) -> str:
    from huggingface_hub import HfApi, constants
    from huggingface_hub import errors as hub

    at = f" at revision {revision!r}" if revision else ""
    try:
        info = HfApi().model_info(repo, revision=revision, timeout=10)
        if info.gated and info.sha != cached:
            HfApi().auth_check(repo)
        return str(info.sha)
    except hub.GatedRepoError as error:
        page = f"{constants.ENDPOINT}/{repo}"
        raise ModelError(f"model {repo!r} is gated: request access on {page} and set HF_TOKEN") from error
    except hub.RevisionNotFoundError as error:
        raise ModelError(f"the hub has {repo!r}, but not{at}") from error
    except hub.RepositoryNotFoundError as error:
        raise ModelError(
            f"the hub knows no model {repo!r} (or it is private: set HF_TOKEN), and there is no such folder"
        ) from error
    except (hub.HTTPError, OSError) as error:  # type: ignore[attr-defined]
        if cached:
            return cached
        raise ModelError(
            f"the hub cannot be reached for {repo!r}{at} and the local cache lacks it ({one_line(error, 120)})"
        ) from error
