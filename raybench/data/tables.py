"""Rows out of CSV, TSV, JSONL, JSON and Parquet files, local or behind fsspec, one at a time.

>>> import tempfile, pathlib
>>> path = pathlib.Path(tempfile.mkdtemp()) / "a.csv"
>>> _ = path.write_text("id,label\\n007,yes\\n")
>>> list(read_rows(str(path)))
[{'id': '007', 'label': 'yes'}]
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from typing import IO, Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from raybench.errors import DataError, nearest
from raybench.schema import Row

__all__ = ["column", "read_rows", "storable"]

#: How JSON escapes half of a surrogate pair: text that was cut inside an emoji.
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def read_rows(path: str) -> Iterator[Row]:
    """Yield a file's rows as dicts, in file order; CSV values stay strings.

    Raises:
        DataError: the file is missing, empty, of an unknown type, or malformed (names the line).
    """
    suffix = PurePath(path).suffix.removeprefix(".").lower()
    if suffix not in _READERS:
        kind = f".{suffix} files" if suffix else "a file without a suffix"
        raise DataError(f"{path}: cannot read {kind}; allowed: {', '.join(sorted(_READERS))}")
    mode = "rb" if suffix == "parquet" else "r"
    options = {} if mode == "rb" else {"encoding": "utf-8-sig", "newline": ""}
    found = False
    try:
        with fsspec.open(path, mode, **options) as file:
            for row in _READERS[suffix](file, path):
                found = True
                yield row
    except FileNotFoundError:
        raise DataError(f"no file {path}") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder; give the file") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text: {error}") from None
    except (csv.Error, pa.ArrowException) as error:
        raise DataError(f"{path} is malformed: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise DataError(f"{path} is malformed: its JSON is nested too deeply") from None
    except (OSError, ImportError, ValueError) as error:  # no permission, or no filesystem for this kind of URL
        raise DataError(f"cannot read {path}: {error}") from None
    if not found:
        raise DataError(f"{path} holds no rows")


def column(row: Mapping[str, Any], name: str, where: str) -> Any:
    """Return a row's value in a column.

    Raises:
        DataError: no such column; names the nearest and lists the columns.
    """
    if name not in row:
        raise DataError(f"{where}: no column {name!r}{nearest(name, row)}; columns: {', '.join(map(str, row))}")
    return row[name]


def _csv(file: IO[str], path: str, delimiter: str = ",") -> Iterator[Row]:
    csv.field_size_limit(2**30)  # reports and JSON in one cell pass the default of 128 KiB
    reader = csv.DictReader(file, delimiter=delimiter)
    reader.fieldnames = header = [name.strip() for name in reader.fieldnames or ()]
    _check_header(header, path, delimiter)
    for row in reader:
        if None in row or None in row.values():
            raise DataError(f"{path}, line {reader.line_num}: not as many fields as the header has")
        yield {name: cell for name, cell in row.items() if name}


def _check_header(header: list[str], path: str, delimiter: str) -> None:
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise DataError(f"{path}: column {twice[0]!r} stands twice in the header")
    other = next((mark for mark in ";\t|," if mark in header[0]), None) if len(header) == 1 else None
    if other is not None:
        words = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "vertical bars"}
        ending = {",": ".csv", "\t": ".tsv"}
        advice = f"name it {ending[other]}" if other in ending else f"write it with {words[delimiter]}"
        raise DataError(
            f"{path}: {words[delimiter]} should part its fields, but its header has {words[other]}; {advice}"
        )


def _tsv(file: IO[str], path: str) -> Iterator[Row]:
    return _csv(file, path, delimiter="\t")


def _jsonl(file: IO[str], path: str) -> Iterator[Row]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{path}, line {number}: no valid JSON ({error.msg})") from None
        except RecursionError:
            raise DataError(f"{path}, line {number}: its JSON is nested too deeply") from None
        if not isinstance(row, dict):
            raise DataError(f"{path}, line {number}: a row must be a JSON object")
        yield storable(row) if _SURROGATE.search(line) else row


def _json(file: IO[str], path: str) -> Iterator[Row]:
    try:
        document = json.load(file)
    except json.JSONDecodeError as error:
        raise DataError(f"{path} is no valid JSON: {error}") from None
    if not isinstance(document, list) or not all(isinstance(row, dict) for row in document):
        raise DataError(f"{path} must hold a JSON list of objects")
    yield from map(storable, document)


def storable(value: Any) -> Any:
    """Return a JSON value with "?" for halves of surrogate pairs, which no table can hold."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    return [storable(item) for item in value] if isinstance(value, list) else value


def _parquet(file: IO[bytes], _path: str) -> Iterator[Row]:
    for batch in pq.ParquetFile(file).iter_batches(batch_size=1024):
        yield from batch.to_pylist()


_READERS: dict[str, Callable[[Any, str], Iterator[Row]]] = {
    "csv": _csv, "tsv": _tsv, "jsonl": _jsonl, "ndjson": _jsonl, "json": _json, "parquet": _parquet,
}  # fmt: skip
