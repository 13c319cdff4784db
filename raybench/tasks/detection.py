"""Finding things in images on your own data: a table of boxes, or a COCO JSON file.

    tasks:
      - task: detection
        data: boxes.csv              # columns id, image, label, x0, y0, x1, y1
        format: xyxy-pixel           # or xywh-pixel, xyxy-norm, xywh-norm
        labels: [nodule, effusion]   # default: those of the table
        cluster: patient_id

A table has one row a box, or one row an image with the column `boxes`: a list, or
its JSON text, of [a, b, c, d, label] or {"bbox": [a, b, c, d], "label": ...}. Rows of one
id (or of one image, where there is no id) belong together; a row without a box keeps its image as
a healthy one. The columns of xywh formats are x, y, w, h. Pixels need the image's
size: the columns width and height, or else its file. In COCO JSON boxes are
xywh pixels, crowds are left out, and images without annotations are healthy.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, ClassVar, Literal

from raybench.data.tables import column, read_rows
from raybench.errors import DataError, nearest
from raybench.interfaces import Task
from raybench.parsing.boxes import says_none
from raybench.schema import Answer, ImageRef, Row, Sample
from raybench.tasks._boxes import (
    PROMPTS,
    box,
    coco_entries,
    coco_id,
    corners_of,
    image_px,
    listed,
    read_answer,
    size_of,
)
from raybench.tasks._layout import expand, json_document, text_of
from raybench.tasks._table import TableOptions

__all__ = ["PLUGIN", "Detection", "DetectionOptions"]

_ROLES = ("id", "image", "label", "boxes", "x0", "y0", "x1", "y1", "x", "y", "w", "h", "width", "height")
_SIDES = {"xyxy": ("x0", "y0", "x1", "y1"), "xywh": ("x", "y", "w", "h")}


class DetectionOptions(TableOptions):
    """A table of boxes, or a COCO JSON file.

    Attributes:
        data: CSV, TSV, JSONL, JSON or Parquet table, or a COCO JSON document.
        format: what a table's four numbers mean; COCO has its own.
        labels: the labels that a prompt lists, in its order; default those of the data, by name.
        question: what is asked about each image.
    """

    format: Literal["xyxy-pixel", "xywh-pixel", "xyxy-norm", "xywh-norm"] = "xyxy-pixel"
    labels: tuple[str, ...] = ()
    question: str = "Where in this image are abnormal findings?"


@dataclass
class _Entry:
    """One image: its first row, its boxes as (four numbers, label), and its size where the data say it."""

    id: str
    image: str
    row: Row
    where: str
    size: tuple[int, int] | None = None
    boxes: list[tuple[tuple[float, float, float, float], str]] = field(default_factory=list)


class Detection(Task):
    """Labelled boxes in images, from any table or a COCO JSON file."""

    Options = DetectionOptions
    prompts: ClassVar = {
        **PROMPTS,
        "lines": "{question}\nPossible labels: {choices}.\nWrite one line for each, and nothing else: "
        "label [x0, y0, x1, y1], with the upper left and the lower right corner as fractions of the width and height "
        'of the image, from 0 to 1. Write "none" if there is none.',
    }
    profiles: ClassVar = ("detection",)
    headline: ClassVar = ("detection", "f1_50")
    judge_protocol: ClassVar = ""
    group: ClassVar = "detection"
    baselines: ClassVar = ("random_box", "no_box")

    def samples(self) -> Iterator[Sample]:
        """Yield the images in file order, those without a box included.

        Raises:
            DataError: unknown roles or labels, missing columns, a box outside its image, pixels without a size.
        """
        unknown = sorted(set(self.options.columns) - set(_ROLES))
        if unknown:
            raise DataError(f"columns: unknown role {unknown[0]!r}; allowed: {', '.join(_ROLES)}")
        document = _coco_document(self.options.data)
        entries = list(self._table() if document is None else _coco(document, self.options.data))
        labels = self._labels(entries)
        in_pixels = document is not None or self.options.format.endswith("pixel")
        for entry in entries:
            yield self._sample(entry, tuple(labels.values()), in_pixels)

    def _labels(self, entries: list[_Entry]) -> dict[str, str]:
        """Folded label -> label, in the order that prompts list them."""
        found = {label.casefold(): label for entry in entries for _, label in entry.boxes}
        if not self.options.labels:
            return dict(sorted(found.items()))
        known = {label.casefold(): label for label in self.options.labels}
        for folded, label in found.items():
            if folded not in known:
                close = nearest(label, self.options.labels)
                listed_labels = ", ".join(self.options.labels)
                raise DataError(f"{self.options.data}: label {label!r} is none of labels{close}: {listed_labels}")
        return known

    def _sample(self, entry: _Entry, labels: tuple[str, ...], in_pixels: bool) -> Sample:
        options, where = self.options, entry.where
        image = ImageRef(self._path(entry))
        size = (1, 1)
        if in_pixels and entry.boxes:
            size = entry.size or image_px(image, where)
        names = {label.casefold(): label for label in labels}
        none = next((label for _, label in entry.boxes if says_none(label)), None)
        if none is not None:
            raise DataError(f"{where}: a box labelled {none!r}; leave the box of an image without findings blank")
        boxes = tuple(box(corners, size, names[label.casefold()], where) for corners, label in entry.boxes)
        cluster = text_of(column(entry.row, options.cluster, f"{where} (cluster)")) if options.cluster else ""
        return Sample(
            id=entry.id,
            dataset=options.dataset or PurePath(options.data).stem,
            split=options.split,
            questions=(options.question,),
            targets=("1 box" if len(boxes) == 1 else f"{len(boxes)} boxes",),
            images=(image,),
            choices=labels,
            boxes=boxes,
            cluster=cluster or entry.image,
            slices={
                "boxes": "none" if not boxes else "one" if len(boxes) == 1 else "several",
                **{name: text_of(column(entry.row, name, f"{where} (slices)")) for name in options.slices},
            },
            context={name: text_of(column(entry.row, name, f"{where} (context)")) for name in options.context},
        )

    def _path(self, entry: _Entry) -> str:
        folder = self.options.images_dir if self.options.images_dir is not None else os.path.dirname(self.options.data)
        absolute = "://" in entry.image or os.path.isabs(entry.image)
        return entry.image if absolute else os.path.join(folder, entry.image)

    def _table(self) -> Iterator[_Entry]:
        """Gather a table's rows by id, in the order in which each id comes first."""
        entries: dict[str, _Entry] = {}
        for number, row in enumerate(read_rows(self.options.data), 1):
            where = f"{self.options.data}, row {number}"
            image = column(row, self._name("image"), f"{where} (role image)")
            if isinstance(image, Mapping | list):
                raise DataError(f"{where}: an image must be a path or a URL, not {type(image).__name__}")
            image = text_of(image)
            key = text_of(row[self._name("id")]) if self._has(row, "id", where) else image
            if not key or not image:
                raise DataError(f"{where}: blank {'image' if not image else 'id'}")
            size = self._size(row, where)
            entry = entries.setdefault(key, _Entry(key, image, row, where, size))
            if entry.image != image:
                raise DataError(f"{where}: id {key!r} has the image {image!r} here and {entry.image!r} above")
            if size and entry.size and size != entry.size:
                raise DataError(
                    f"{where}: id {key!r} is {size[0]} x {size[1]} here, {entry.size[0]} x {entry.size[1]} above"
                )
            entry.size = entry.size or size
            entry.boxes += self._boxes(row, where)
        return iter(entries.values())

    def _name(self, role: str) -> str:
        return str(self.options.columns.get(role, role))

    def _has(self, row: Mapping[str, Any], role: str, where: str) -> bool:
        if role in self.options.columns:
            column(row, self._name(role), f"{where} (role {role})")
        return self._name(role) in row

    def _size(self, row: Row, where: str) -> tuple[int, int] | None:
        if not (self._has(row, "width", where) and self._has(row, "height", where)):
            return None
        cells = [text_of(row[self._name(role)]) for role in ("width", "height")]
        if not any(cells):
            return None
        return size_of(cells, where)

    def _boxes(self, row: Row, where: str) -> list[tuple[tuple[float, float, float, float], str]]:
        form = self.options.format.split("-")[0]
        if self._has(row, "boxes", where):
            return [_written(item, form, where) for item in listed(row[self._name("boxes")], where)]
        sides = [column(row, self._name(role), f"{where} (role {role})") for role in _SIDES[form]]
        if all(text_of(side) == "" for side in sides):
            return []
        label = text_of(row[self._name("label")]) if self._has(row, "label", where) else ""
        return [(corners_of(sides, form, where), label or "finding")]

    def parse(self, sample: Row, text: str) -> Answer:
        """Read boxes under the model's convention; "none" is an answer."""
        return read_answer(sample, text)


def _written(item: Any, form: str, where: str) -> tuple[tuple[float, float, float, float], str]:
    """Read one entry of a `boxes` column."""
    if isinstance(item, Mapping):
        numbers = item.get("bbox", item.get("box"))
        if numbers is None:
            numbers = [item.get(side) for side in _SIDES[form]]
        return corners_of(numbers, form, where), text_of(item.get("label", item.get("category"))) or "finding"
    if not isinstance(item, list | tuple) or len(item) not in (4, 5):
        raise DataError(f"{where}: a box is [a, b, c, d, label] or {{bbox, label}}, not {item!r}")
    return corners_of(item[:4], form, where), text_of(item[4]) if len(item) == 5 else "finding"


def _coco_document(path: str) -> Mapping[str, Any] | None:
    """Return a COCO document; None where the file is a table."""
    if not path.lower().endswith(".json"):
        return None
    document = json_document(expand(path))
    return document if isinstance(document, Mapping) and "images" in document else None


def _coco(document: Mapping[str, Any], path: str) -> Iterator[_Entry]:
    """Yield the images of a COCO document in its order.

    Raises:
        DataError: missing fields, two images of one id, an annotation of no image or category.
    """
    categories = {
        coco_id(entry, "id", where): text_of(entry.get("name"))
        for where, entry in coco_entries(document, "categories", path)
    }
    entries: dict[Any, _Entry] = {}
    for where, image in coco_entries(document, "images", path):
        key = coco_id(image, "id", where)
        if key in entries:
            raise DataError(f"{where}: id {key!r} stands twice; ids must be unique")
        name = text_of(column(image, "file_name", where))
        size = size_of([image["width"], image["height"]], where) if {"width", "height"} <= image.keys() else None
        entries[key] = _Entry(str(key), name, dict(image), where, size)
    for where, annotation in coco_entries(document, "annotations", path):
        key, category = (coco_id(annotation, name, where) for name in ("image_id", "category_id"))
        if key not in entries or category not in categories:
            what = f"image_id {key!r}" if key not in entries else f"category_id {category!r}"
            raise DataError(f"{where}: no such {what}")
        if not annotation.get("iscrowd"):
            corners = corners_of(column(annotation, "bbox", where), "xywh", where)
            entries[key].boxes.append((corners, categories[category]))
    yield from entries.values()


PLUGIN = Detection
