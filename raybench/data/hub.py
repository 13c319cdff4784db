"""Data sets of the Hugging Face hub (or a local folder in its layout), row by row.

Images stay where the `datasets` cache keeps them; a sample refers to one as
`hub://NAME?revision=R&split=S&row=I&column=C`, which every node resolves through
its own cache. Needs the extra `hf`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from raybench.errors import DataError, one_line
from raybench.schema import Row

__all__ = ["SCHEME", "image_bytes", "image_uri", "read_split"]

SCHEME = "hub://"


#: Threads that want the same split wait for the one that loads it.
_LOADING = threading.Lock()


def _split(name: str, revision: str | None, split: str) -> Any:
    with _LOADING:
        return _loaded_split(name, revision, split)


@lru_cache(maxsize=4)
def _loaded_split(name: str, revision: str | None, split: str) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise DataError("reading the hub needs the extra: pip install 'raybench[hf]'") from error
    try:
        table = datasets.load_dataset(name, revision=revision, split=split)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise DataError(
            f"cannot load data set {name} (split {split}) from the hub or its cache: {one_line(error)}"
        ) from error
    for column, feature in table.features.items():
        if getattr(feature, "decode", False):  # pictures, NIfTI volumes
            table = table.cast_column(column, type(feature)(decode=False))
    return table


def read_split(name: str, split: str, revision: str | None = None) -> Iterator[Row]:
    """Yield a split's rows in order; an image column holds {"bytes", "path"}, undecoded.

    Raises:
        DataError: not installed, not found, or no network and not cached.
    """
    yield from _split(name, revision, split)


def image_uri(name: str, split: str, row: int, column: str = "image", revision: str | None = None) -> str:
    """Return the reference to one image of a hub data set."""
    query = urlencode({"revision": revision or "", "split": split, "row": row, "column": column})
    return f"{SCHEME}{quote(name, safe='')}?{query}"


def image_bytes(uri: str) -> bytes:
    """Return the stored bytes of an image.

    The column may hold {"bytes", "path"}, bytes, or a path: absolute, below the
    data set's folder, or below its repository (then the file is fetched once, or
    taken from the hub's cache).

    Raises:
        DataError: a malformed reference, no such row or column, no image there, or its file cannot be read.
    """
    parts = urlsplit(uri)
    query = {key: values[0] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
    name, revision = unquote(parts.netloc), query.get("revision") or None
    try:
        split, row, column = query["split"], int(query["row"]), query["column"]
    except (KeyError, ValueError) as error:
        form = f"{SCHEME}NAME?revision=R&split=S&row=I&column=C"
        raise DataError(f"cannot read image {uri}: a hub image is named {form}") from error
    table = _split(name, revision, split)
    if not 0 <= row < len(table) or column not in table.column_names:
        columns = ", ".join(table.column_names)
        raise DataError(f"no image at {uri}: the split has {len(table)} rows and the columns {columns}")
    image = table[row][column]
    if isinstance(image, Mapping):
        image = image.get("bytes") or image.get("path")
    if isinstance(image, bytes) and image:
        return image
    if isinstance(image, str) and image:
        try:
            return _file(name, revision, image).read_bytes()
        except (OSError, ValueError) as error:
            raise DataError(f"cannot read the image of {uri}: {type(error).__name__}") from error
    raise DataError(f"no image at {uri}")


def _file(name: str, revision: str | None, path: str) -> Path:
    """Where a path of an image column lies on this machine."""
    if Path(path).is_absolute() or Path(name).is_dir():
        return Path(name, path)
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(name, path, repo_type="dataset", revision=revision))
