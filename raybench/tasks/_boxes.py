"""What tasks that ask for boxes share: prompts, pixels to fractions, and the reading of an answer.

A model writes boxes the way it was trained to; the convention stands in its
catalogue entry and decides how the numbers are read. So the default prompt names
no coordinates. The variant `fractions` prescribes them, which only suits models
without a convention of their own.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from raybench.data.images import read_bytes, size_px
from raybench.data.tables import column
from raybench.errors import DataError
from raybench.parsing.boxes import read_boxes
from raybench.schema import Answer, Box, ImageRef, Row
from raybench.tasks._layout import entries

#: Annotators overshoot an edge by a little; half a side beyond it is another unit.
_SLACK = 0.5

__all__ = [
    "PROMPTS",
    "box",
    "coco_entries",
    "coco_id",
    "corners_of",
    "image_px",
    "listed",
    "read_answer",
    "size_of",
]

PROMPTS: dict[str, str] = {
    "native": '{question}\nGive a bounding box for each, with its label. Answer "none" if there is none.',
    "plain": "{question}\nOutput the bounding boxes.",
    "labels": "{question}\nPossible labels: {choices}.\nGive a bounding box and one of these labels for each. "
    'Answer "none" if there is none.',
    "json": '{question}\nReply with a JSON list of objects with the keys "bbox" and "label", '
    "and with [] if there is none.",
    "fractions": "{question}\nReply with a JSON list with one object for each: "
    '{"bbox": [x0, y0, x1, y1], "label": "..."}, where x0, y0 is the upper left and x1, y1 the lower right corner '
    "as fractions of the width and height of the image, from 0 to 1. Reply with [] if there is none.",
}


def corners_of(values: Sequence[Any], form: str, where: str) -> tuple[float, float, float, float]:
    """Return the corners (x0, y0, x1, y1) of four numbers written as "xyxy" or "xywh".

    Raises:
        DataError: no four finite numbers.
    """
    shown = list(values) if isinstance(values, list | tuple) else values
    try:
        if isinstance(values, str):
            raise TypeError
        a, b, c, d = (float(value) for value in values)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{where}: a box needs four numbers, not {shown!r}") from None
    if not all(math.isfinite(number) for number in (a, b, c, d)):
        raise DataError(f"{where}: a box needs four finite numbers, not {shown!r}")
    return (a, b, a + c, b + d) if form == "xywh" else (a, b, c, d)


def box(corners: tuple[float, float, float, float], size: tuple[int, int], label: str, where: str) -> Box:
    """Return a true box as fractions of an image of `size` (width_px, height_px), cut at its edges.

    Raises:
        DataError: nothing of the box lies inside the image, or numbers that look like another unit:
            more than half a side beyond the edge, or within the first of many pixels.
    """
    width, height = size
    x0, x1 = (min(max(x / width, 0.0), 1.0) for x in (corners[0], corners[2]))
    y0, y1 = (min(max(y / height, 0.0), 1.0) for y in (corners[1], corners[3]))
    if x1 <= x0 or y1 <= y0:
        raise DataError(f"{where}: box {list(corners)} has no area inside an image of {width} x {height} px")
    unit = "fractions" if size == (1, 1) else f"pixels of an image of {width} x {height}"
    if min(corners[0] / width, corners[1] / height, 1 - corners[2] / width, 1 - corners[3] / height) < -_SLACK:
        raise DataError(f"{where}: box {list(corners)} reaches far beyond its image; are its numbers {unit}?")
    if min(size) > 2 and max(corners) <= 1:
        raise DataError(f"{where}: box {list(corners)} lies within one pixel; are its numbers fractions?")
    return Box(x0, y0, x1, y1, label)


def image_px(image: ImageRef, where: str) -> tuple[int, int]:
    """Return an image's (width_px, height_px) from its header.

    Raises:
        DataError: missing or unreadable, so that boxes in its pixels mean nothing.
    """
    try:
        size = size_px(read_bytes(image.uri), asdict(image))
    except DataError as error:
        raise DataError(f"{where}: its boxes are in pixels of an image that is not there: {error}") from error
    if size is None:
        raise DataError(f"{where}: its boxes are in pixels and the size of {image.uri} cannot be read")
    return size[0], size[1]


def size_of(cells: Sequence[Any], where: str) -> tuple[int, int]:
    """Return (width_px, height_px) of two cells.

    Raises:
        DataError: no two positive numbers.
    """
    try:
        width, height = (int(float(cell)) for cell in cells)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{where}: width and height must be numbers, not {cells[0]!r} and {cells[1]!r}") from None
    if width < 1 or height < 1:
        raise DataError(f"{where}: width and height must be positive, not {width} and {height}")
    return width, height


def coco_entries(document: Mapping[str, Any], name: str, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield one of a COCO document's lists of objects with the place of each, e.g. "coco.json, image 3".

    Raises:
        DataError: no list of objects.
    """
    items = document.get(name) or []
    if not isinstance(items, list):
        raise DataError(f"{path}: {name} must be a list, not a {type(items).__name__}")
    yield from entries(items, path, {"categories": "category"}.get(name, name.removesuffix("s")))


def coco_id(entry: Mapping[str, Any], name: str, where: str) -> str | int:
    """Return an id of a COCO entry.

    Raises:
        DataError: missing, or neither a number nor text.
    """
    value = column(entry, name, where)
    if not isinstance(value, str | int):
        raise DataError(f"{where}: {name} must be a number or text, not {value!r}")
    return value


def read_answer(sample: Row, text: str) -> Answer:
    """Read boxes under the convention of the model that wrote them; labels are the sample's choices."""
    sizes = sample.get("image_sizes") or []
    sizes = json.loads(sizes) if isinstance(sizes, str) else sizes
    size = (int(sizes[0][0]), int(sizes[0][1])) if sizes and sizes[0] else None
    return read_boxes(text, sample.get("box_convention") or "", size, list(sample["choices"]))


def listed(cell: Any, where: str) -> list[Any]:
    """Return a cell that holds a list, or the JSON text of one; blank is [].

    Raises:
        DataError: anything else.
    """
    if cell is None or cell == "":
        return []
    if isinstance(cell, str):
        try:
            cell = json.loads(cell)
        except json.JSONDecodeError:
            raise DataError(f"{where}: no valid JSON list: {cell[:60]!r}") from None
        except RecursionError:
            raise DataError(f"{where}: its JSON is nested too deeply") from None
    if isinstance(cell, Mapping):
        return [cell]
    if not isinstance(cell, list | tuple):
        raise DataError(f"{where}: must be a list, not {type(cell).__name__}")
    return list(cell)
