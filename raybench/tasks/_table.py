"""What the bring-your-own tasks share: a table's columns read into samples."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import PurePath
from string import ascii_uppercase
from typing import Any

from pydantic import Field

from raybench.data.tables import column, read_rows
from raybench.errors import DataError
from raybench.interfaces import Options
from raybench.schema import ImageRef, Row, Sample

__all__ = ["TableOptions", "table_samples"]


class TableOptions(Options):
    """Where a table is and what its columns mean.

    Attributes:
        data: CSV, TSV, JSONL, JSON or Parquet file.
        images_dir: folder that image paths are relative to; default the file's own.
        columns: role -> column name, for roles whose column is named otherwise.
        cluster: column that rows of one patient or image share; default the image.
        slices: columns that scores are broken down by.
        context: columns a prompt may use as {column}.
        dataset: the data set's name in scores; default the file's name.
        split: the split's name in scores.
        restricted: text and images must stay on local hosts.
    """

    data: str
    images_dir: str | None = None
    columns: dict[str, str] = Field(default_factory=dict)
    cluster: str | None = None
    slices: tuple[str, ...] = ()
    context: tuple[str, ...] = ()
    dataset: str | None = None
    split: str = "test"
    restricted: bool = False


def table_samples(options: TableOptions, roles: Mapping[str, bool]) -> Iterator[Sample]:
    """Yield a table's rows as samples.

    Args:
        options: the table and its columns.
        roles: role -> required; roles are id, question, answer, image, choices, answer_type.

    Raises:
        DataError: unknown roles, missing columns, blank or duplicate ids, no rows.
    """
    unknown = sorted(set(options.columns) - set(roles))
    if unknown:
        raise DataError(f"columns: unknown role {unknown[0]!r}; allowed: {', '.join(roles)}")
    seen: set[str] = set()
    for number, row in enumerate(read_rows(options.data), 1):
        where = f"{options.data}, row {number}"
        given = {role: _value(row, role, required, options, where) for role, required in roles.items()}
        sample = _sample(row, given, options, number, where)
        if sample.id in seen:
            raise DataError(f"{where}: id {sample.id!r} stands twice; ids must be unique")
        seen.add(sample.id)
        yield sample


def _value(row: Row, role: str, required: bool, options: TableOptions, where: str) -> Any:
    name = options.columns.get(role, role)
    if role in options.columns or required:
        return column(row, name, f"{where} (role {role})")
    # "Image" for "image" would silently ask without the image.
    near = [other for other in row if other.strip().casefold() == role and other != role] if role not in row else []
    if near:
        raise DataError(
            f"{where}: column {near[0]!r} is not {role!r}; rename it, or say columns: {{{role}: {near[0]}}}"
        )
    return row.get(name)


def _sample(row: Row, given: Mapping[str, Any], options: TableOptions, number: int, where: str) -> Sample:
    images = _items(given.get("image"))
    has_id = options.columns.get("id", "id") in row
    sample_id = _plain(given["id"], "an id", where) if has_id else str(number - 1)
    if not sample_id:
        raise DataError(f"{where}: blank id")
    talk = all(isinstance(given.get(role), list | tuple) for role in ("question", "answer"))
    question, target = (
        str(given[role]) if talk else _plain(given.get(role), f"the {role}", where) for role in ("question", "answer")
    )
    if not target:
        raise DataError(f"{where}: blank answer; every row needs the answer it is graded against")
    slices = {name: _text(column(row, name, f"{where} (slices)")) for name in options.slices}
    if kind := _text(given.get("answer_type")).lower():
        slices["answer_type"] = kind
    cluster = _text(column(row, options.cluster, f"{where} (cluster)")) if options.cluster else ""
    return Sample(
        id=sample_id,
        dataset=options.dataset or PurePath(options.data).stem,
        split=options.split,
        questions=(question,),
        targets=(target,),
        images=tuple(ImageRef(_image_path(item, options, where)) for item in images),
        choices=_choices(given.get("choices"), where),
        cluster=cluster or (str(images[0]) if images else sample_id),
        slices=slices,
        context={name: _text(column(row, name, f"{where} (context)")) for name in options.context},
    )


def _items(value: Any) -> list[Any]:
    """A cell as a list: a list, JSON list text, or one value; blank is none."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except json.JSONDecodeError:
            return [value]
    if isinstance(value, list | tuple):
        return list(value)
    return [] if value is None or value == "" or value != value else [value]


def _choices(cell: Any, where: str) -> tuple[str, ...]:
    """The choices of a row: a list, or an object whose keys are their letters in order.

    Raises:
        DataError: fewer than two, a blank one, or anything else.
    """
    if isinstance(cell, str) and cell.lstrip().startswith("{"):
        with suppress(json.JSONDecodeError):
            cell = json.loads(cell)
    if isinstance(cell, Mapping):
        if [str(key).strip().upper() for key in cell] != list(ascii_uppercase[: len(cell)]):
            raise DataError(f"{where}: choices must be a list, or an object with the keys A, B, ...; not {list(cell)}")
        cell = list(cell.values())
    choices = tuple(_plain(item, "a choice", where) for item in _items(cell))
    if len(choices) == 1:
        raise DataError(f"{where}: choices must be a list of two or more (JSON text in a CSV), not {choices[0]!r}")
    if not all(choices):
        raise DataError(f"{where}: choice {choices.index('') + 1} of {len(choices)} is blank")
    return choices


def _text(value: Any) -> str:
    """A cell as text; None and NaN, a table's ways to leave a cell out, are ""."""
    return "" if value is None or value != value else str(value).strip()


def _plain(value: Any, what: str, where: str) -> str:
    if isinstance(value, Mapping | list | tuple):
        raise DataError(f"{where}: {what} must be text, not a {type(value).__name__}")
    return _text(value)


def _image_path(path: Any, options: TableOptions, where: str) -> str:
    if not isinstance(path, str):
        raise DataError(f"{where}: an image must be a path or a URL, not {type(path).__name__}")
    path = path.strip()
    folder = options.images_dir if options.images_dir is not None else os.path.dirname(options.data)
    return path if "://" in path or os.path.isabs(path) else os.path.join(folder, path)
