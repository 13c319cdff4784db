"""Where a published data set's files lie: folders, annotation files, images, and CSV with broken headers.

Every benchmark task takes `data`, a folder in the layout its authors published
(or the one annotation file), and says how to get it where it is missing.
"""

from __future__ import annotations

import csv
import io
import json
import os
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import fsspec

from raybench.data.tables import storable
from raybench.errors import DataError
from raybench.interfaces import Options
from raybench.schema import Row, Sample

__all__ = [
    "FolderOptions",
    "age_group",
    "csv_rows",
    "entries",
    "exists",
    "expand",
    "find",
    "image_path",
    "json_document",
    "lines_of",
    "objects",
    "pick",
    "split_name",
    "text_of",
]


class FolderOptions(Options):
    """Where a data set lies on disk.

    Attributes:
        data: folder in the published layout, or its annotation file.
        images_dir: folder of the images, where they lie elsewhere.
    """

    data: str | None = None
    images_dir: str | None = None


def expand(path: str) -> str:
    """Return a path with ~ expanded and no trailing slash; URLs keep their scheme."""
    return path.rstrip("/") if "://" in path else os.path.normpath(os.path.expanduser(path))


def exists(path: str) -> bool:
    """Return whether a file or folder is there, locally or behind fsspec."""
    if "://" not in path:
        return os.path.exists(path)
    filesystem, inner = fsspec.core.url_to_fs(path)
    return bool(filesystem.exists(inner))


def find(data: str | None, names: Sequence[str], what: str, recipe: str) -> str:
    """Return the first of `names` that lies in a folder, or the file itself if `data` is one.

    Raises:
        DataError: no `data`, or none of the files is there; says how to get them.
    """
    if data is None:
        raise DataError(f"no {what}: no `data` folder given; {recipe}")
    data = expand(data)
    if os.path.splitext(data)[1].lower() in (".csv", ".json", ".jsonl", ".parquet", ".gz", ".pkl", ".tsv"):
        if exists(data):
            return data
        raise DataError(f"no {what} at {data} (no such file): {recipe}")
    found = next((path for name in names if exists(path := f"{data}/{name}")), None)
    if found is None:
        missing = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
        raise DataError(f"no {what} at {data} (no {missing}): {recipe}")
    return found


@lru_cache(maxsize=64)
def _folders(root: str, patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Existing folders under a root that match glob patterns, pattern by pattern; "" is the root itself."""
    if "://" in root:
        return tuple(f"{root}/{pattern}".rstrip("/") for pattern in patterns if "*" not in pattern)
    import glob

    found = [sorted(glob.glob(os.path.join(glob.escape(root), pattern))) for pattern in patterns]
    return tuple(path.rstrip(os.sep) for paths in found for path in paths if os.path.isdir(path))


def image_path(root: str, name: str, folders: tuple[str, ...], suffixes: tuple[str, ...] = ("",)) -> str:
    """Return where an image lies: the first of the folders that holds it, under one of the suffixes.

    A picture inside a ZIP archive that was left packed is named `zip://MEMBER::ARCHIVE`.
    One that lies nowhere gets its expected place, so that its row fails when it is read.

    Args:
        root: the data set's folder.
        folders: glob patterns under it; a name that ends in .zip is an archive.
        suffixes: what the annotation leaves out of a name, e.g. (".png", ".dicom").
    """
    if "://" in name or os.path.isabs(name):
        return name
    places = _folders(root, folders)
    for place in places if "://" not in root else ():
        for suffix in suffixes:
            if os.path.isfile(path := os.path.join(place, name + suffix)):
                return path
    for archive in (pattern for pattern in folders if pattern.endswith(".zip")):
        member = _member(os.path.join(root, archive), name, suffixes)
        if member:
            return f"zip://{member}::{os.path.join(root, archive)}"
    return f"{_expected(root, folders, places)}/{name}{suffixes[0]}"


def _expected(root: str, folders: tuple[str, ...], places: tuple[str, ...]) -> str:
    """Where a missing image would lie: the first folder that is there, else the first that is named."""
    if folders[0] == "":
        return root
    plain = (f"{root}/{folder}" for folder in folders if "*" not in folder and not folder.endswith(".zip"))
    return next((place for place in places if place != root), next(plain))


@lru_cache(maxsize=8)
def _members(archive: str) -> dict[str, str]:
    import zipfile

    if not os.path.isfile(archive):
        return {}
    with zipfile.ZipFile(archive) as opened:
        return {name.split("/", 1)[-1]: name for name in opened.namelist()} | {n: n for n in opened.namelist()}


def _member(archive: str, name: str, suffixes: tuple[str, ...]) -> str | None:
    members = _members(archive)
    return next((members[name + suffix] for suffix in suffixes if name + suffix in members), None)


def csv_rows(path: str) -> Iterator[Row]:
    """Yield a CSV file's rows, also where its header is broken or it is gzipped.

    A header name that is blank or stands twice becomes "column N" (1-based);
    a short row is filled with "", a long one cut. NIH's box list needs this: its
    header ends in ",,," and splits "Bbox [x,y,w,h]" into four names.

    Raises:
        DataError: missing, unreadable, or without rows.
    """
    found = False
    try:
        with fsspec.open(path, "rb", compression="gzip" if path.endswith(".gz") else None) as file:
            reader = csv.reader(io.TextIOWrapper(file, encoding="utf-8-sig", newline=""))
            header = _header(next(reader, []))
            for values in reader:
                if any(values):
                    found = True
                    yield {name: values[i].strip() if i < len(values) else "" for i, name in enumerate(header)}
    except FileNotFoundError:
        raise DataError(f"no file {path}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is malformed: {' '.join(str(error).split())}") from None
    except (OSError, ImportError, ValueError) as error:
        raise DataError(f"cannot read {path}: {error}") from None
    if not found:
        raise DataError(f"{path} holds no rows")


def _header(names: Sequence[str]) -> list[str]:
    clean = [name.strip() for name in names]
    return [
        name if name and clean.index(name) == number else f"column {number + 1}" for number, name in enumerate(clean)
    ]


def json_document(path: str) -> Any:
    """Return a JSON file's document.

    Raises:
        DataError: missing, unreadable, or no JSON.
    """
    try:
        with fsspec.open(path, "r", encoding="utf-8-sig") as file:
            return storable(json.load(file))
    except FileNotFoundError:
        raise DataError(f"no file {path}") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is no valid JSON: {error}") from None
    except RecursionError:
        raise DataError(f"{path} is no valid JSON: nested too deeply") from None
    except (OSError, ImportError, ValueError) as error:
        raise DataError(f"cannot read {path}: {error}") from None


def objects(document: Any, path: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield (name, where it stands, entry) of a JSON document that is an object of objects.

    Raises:
        DataError: anything else.
    """
    if not isinstance(document, Mapping):
        raise DataError(f"{path} must hold a JSON object, not {_kind(document)}")
    for name, entry in document.items():
        if not isinstance(entry, Mapping):
            raise DataError(f"{path}, {name}: must be an object, not {_kind(entry)}")
        yield name, f"{path}, {name}", entry


def entries(items: Any, where: str, one: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (where it stands, entry) of a JSON list of objects; `one` names an entry ("image").

    Raises:
        DataError: anything else.
    """
    if not isinstance(items, list):
        raise DataError(f"{where}: must be a list, not {_kind(items)}")
    for number, entry in enumerate(items, 1):
        if not isinstance(entry, Mapping):
            raise DataError(f"{where}, {one} {number}: must be an object, not {entry!r:.60}")
        yield f"{where}, {one} {number}", entry


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"


def lines_of(path: str) -> list[str]:
    """Return a text file's lines without the blank ones.

    Raises:
        DataError: unreadable, or no UTF-8 text.
    """
    try:
        with fsspec.open(path, "r", encoding="utf-8-sig") as file:
            return [line.strip() for line in file if line.strip()]
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text: {error}") from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error}") from None


def text_of(value: Any) -> str:
    """Return a cell as tidy text; None and NaN are ""."""
    return "" if value is None or value != value else str(value).strip()


def age_group(age: str) -> str:
    """Return the band an age falls in ("58", "058Y", "57.0"); "" where it is not given.

    >>> age_group("058Y"), age_group("6M"), age_group("")
    ('40-59', '0-17', '')
    """
    match = re.match(r"\s*(\d+)(?:\.\d+)?\s*([YMWD]?)", age or "", re.IGNORECASE)
    if match is None:
        return ""
    years = int(match[1]) if match[2].upper() in ("", "Y") else 0
    if years > 120:  # typing errors of the source (NIH has patients of 148 and 414 years)
        return ""
    bands = ((17, "0-17"), (39, "18-39"), (59, "40-59"), (79, "60-79"))
    return next((name for top, name in bands if years <= top), "80+")


def split_name(name: str) -> str:
    """Return a split's usual name: "valid", "validate", "val", "dev" are all "validation"."""
    folded = name.strip().lower()
    return "validation" if folded in ("valid", "validate", "val", "dev", "validation") else folded


def pick(samples: Iterable[Sample], n: int) -> list[Sample]:
    """Return n samples drawn at random under a fixed seed, in source order: examples that never change."""
    kept = list(samples)
    chosen = sorted(random.Random(0).sample(range(len(kept)), min(n, len(kept))))
    return [kept[i] for i in chosen]
