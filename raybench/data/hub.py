"""Data sets of the Hugging Face hub (or a local folder in its layout), row by row.

Images stay where the `datasets` cache keeps them; a sample refers to one as
`hub://NAME?revision=R&split=S&row=I&column=C`, which every node resolves through
its own cache. Needs the extra `hf`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from raybench.errors import DataError, one_line
from raybench.schema import Row

__all__ = ["SCHEME", "image_bytes", "image_uri", "read_split"]

SCHEME = "hub://"


@lru_cache(maxsize=4)
def _split(name: str, revision: str | None, split: str) -> Any:
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
        if isinstance(feature, datasets.Image):
            table = table.cast_column(column, datasets.Image(decode=False))
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

    Raises:
        DataError: the row holds no image.
    """
    parts = urlsplit(uri)
    query = {key: values[0] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
    table = _split(unquote(parts.netloc), query["revision"] or None, query["split"])
    image = table[int(query["row"])][query["column"]]
    if image and image.get("bytes"):
        return bytes(image["bytes"])
    if image and image.get("path"):
        try:
            return Path(image["path"]).read_bytes()
        except OSError as error:
            raise DataError(f"cannot read the image of {uri}: {type(error).__name__}") from error
    raise DataError(f"no image at {uri}")
