"""Chest X-ray box files, each in its published layout, read into one kind of row.

| source | files | boxes |
|---|---|---|
| vindr | train.csv (Kaggle), annotations/annotations_{train,test}.csv (PhysioNet) | x_min ... y_max, DICOM pixels |
| nih | BBox_List_2017.csv | x, y, w, h in 1024 px; the header is broken |
| chestx-det10 | test.json, train.json: {file_name, syms, boxes} | x0, y0, x1, y1 in 1024 px |
| rsna | stage_2_train_labels.csv | x, y, width, height in 1024 px |
| coco | any JSON with images, annotations, categories (MS-CXR too) | x, y, width, height |
| seminar | annotations_len_50.json, the first study's | x0, y0, x1, y1, label, pixels of the image |

NIH, ChestX-Det10 and RSNA publish boxes in a frame of 1024 x 1024 px, whatever
size the images at hand were reduced to, so their fractions come from that frame.
For VinDr the columns width and height decide where the file has them, else the
image's header; for COCO the file's own width and height, else the header.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raybench.data.tables import column
from raybench.errors import DataError
from raybench.schema import Box, ImageRef, Row
from raybench.tasks._boxes import box, coco_entries, coco_id, corners_of, image_px, listed, size_of
from raybench.tasks._cxr import NO_FINDING, SUFFIXES
from raybench.tasks._layout import csv_rows, entries, image_path, json_document, objects, text_of

__all__ = ["BoxedImage", "box_images", "json_source"]

Corners = tuple[float, float, float, float]
_FRAME_PX = (1024, 1024)
#: NIH's box list and its label file spell one finding in two ways.
_SPELT = {"infiltrate": "Infiltration"}


@dataclass
class BoxedImage:
    """One image and each reader's boxes in pixels: reader -> [(label, corners)]; one who saw nothing has none."""

    id: str
    image: ImageRef
    where: str
    readings: dict[str, list[tuple[str, Corners]]]
    size: tuple[int, int] | None = None
    patient: str = ""

    def boxes(self) -> dict[str, list[Box]]:
        """Return each reader's boxes as fractions of the image.

        Raises:
            DataError: a box outside the image, or an image whose size cannot be read.
        """
        if not any(self.readings.values()):
            return {reader: [] for reader in self.readings}
        size = self.size or image_px(self.image, self.where)
        return {
            reader: [box(corners, size, label, self.where) for label, corners in drawn]
            for reader, drawn in self.readings.items()
        }


def box_images(source: str, path: str, root: str) -> Iterator[BoxedImage]:
    """Yield the images of a box file, in the order of their first rows.

    Raises:
        DataError: a malformed file.
    """
    readers = {
        "vindr": _vindr, "nih": _nih, "chestx-det10": _chestx_det, "rsna": _rsna, "coco": _coco, "seminar": _study,
    }  # fmt: skip
    return readers[source](path, root)


def json_source(path: str) -> str:
    """Return which JSON layout a file has: "coco", "chestx-det10" or "seminar".

    Raises:
        DataError: none of them.
    """
    document = json_document(path)
    if isinstance(document, Mapping) and {"images", "annotations"} <= set(document):
        return "coco"
    if isinstance(document, list) and document and isinstance(document[0], Mapping) and "syms" in document[0]:
        return "chestx-det10"
    entries = list(document.values())[:1] if isinstance(document, Mapping) else []
    if entries and isinstance(entries[0], Mapping) and "bbox_2d" in entries[0]:
        return "seminar"
    raise DataError(
        f"{path} is no box file: neither COCO (images, annotations) nor ChestX-Det10 (file_name, syms, boxes)"
    )


def _vindr(path: str, root: str) -> Iterator[BoxedImage]:
    images: dict[str, BoxedImage] = {}
    split = "test" if "test" in os.path.basename(path) else "train"
    for number, row in enumerate(csv_rows(path), 1):
        where = f"{path}, row {number}"
        name = text_of(column(row, "image_id", where))
        if name not in images:
            uri = image_path(root, name, (split, f"images/{split}", "images", ""), SUFFIXES)
            images[name] = BoxedImage(name, ImageRef(uri), where, {}, _size(row, where), name)
        drawn = images[name].readings.setdefault(text_of(row.get("rad_id")) or "consensus", [])
        label = text_of(column(row, "class_name", where))
        if label.casefold() == NO_FINDING or row.get("class_id") == "14":
            continue
        sides = [column(row, side, where) for side in ("x_min", "y_min", "x_max", "y_max")]
        drawn.append((label, corners_of(sides, "xyxy", where)))
    yield from images.values()


def _size(row: Row, where: str) -> tuple[int, int] | None:
    cells = [text_of(row.get(name)) for name in ("width", "height")]
    return size_of(cells, where) if all(cells) else None


def _nih(path: str, root: str) -> Iterator[BoxedImage]:
    """The header says "Bbox [x,y,w,h]" (four columns when split at commas), so columns go by place."""
    images: dict[str, BoxedImage] = {}
    for number, row in enumerate(csv_rows(path), 1):
        where = f"{path}, row {number}"
        if len(row) < 6:
            raise DataError(f"{where}: {len(row)} columns; image, label, x, y, width and height are needed")
        name, label, *sides = list(row.values())[:6]
        if name not in images:
            uri = image_path(root, name, ("images", "images_*/images", ""))
            images[name] = BoxedImage(name, ImageRef(uri), where, {"": []}, _FRAME_PX, name.split("_")[0])
        label = _SPELT.get(label.casefold(), label)
        images[name].readings[""].append((label, corners_of(sides, "xywh", where)))
    yield from images.values()


def _rsna(path: str, root: str) -> Iterator[BoxedImage]:
    images: dict[str, BoxedImage] = {}
    for number, row in enumerate(csv_rows(path), 1):
        where = f"{path}, row {number}"
        name = text_of(column(row, "patientId", where))
        if name not in images:
            uri = image_path(root, name, ("stage_2_train_images", "images", ""), (".dcm", ".png", ".jpg", ""))
            images[name] = BoxedImage(name, ImageRef(uri), where, {"": []}, _FRAME_PX, name)
        if text_of(column(row, "Target", where)) in ("1", "1.0"):
            sides = [column(row, side, where) for side in ("x", "y", "width", "height")]
            images[name].readings[""].append(("Pneumonia", corners_of(sides, "xywh", where)))
    yield from images.values()


def _chestx_det(path: str, root: str) -> Iterator[BoxedImage]:
    split = "test" if "test" in os.path.basename(path) else "train"
    folders = (f"{split}_data", split, "images", f"images/{split}", "")
    for where, row in entries(json_document(path), path, "entry"):
        name = text_of(column(row, "file_name", where))
        labels, boxes = (listed(column(row, key, where), f"{where}, {key}") for key in ("syms", "boxes"))
        if len(labels) != len(boxes):
            raise DataError(f"{where}: {len(labels)} syms and {len(boxes)} boxes; every box needs its label")
        drawn = [(str(label), corners_of(sides, "xyxy", where)) for label, sides in zip(labels, boxes, strict=True)]
        uri = image_path(root, name, folders)
        yield BoxedImage(name, ImageRef(uri), where, {"": drawn}, _FRAME_PX, name)


def _coco(path: str, root: str) -> Iterator[BoxedImage]:
    document = json_document(path)
    if not isinstance(document, Mapping) or "images" not in document or "annotations" not in document:
        raise DataError(f"{path} is no COCO file: it must be an object with images and annotations")
    labels = {
        coco_id(entry, "id", where): text_of(entry.get("name"))
        for where, entry in coco_entries(document, "categories", path)
    }
    drawn: dict[Any, list[tuple[str, Corners]]] = {}
    for where, entry in coco_entries(document, "annotations", path):
        category = coco_id(entry, "category_id", where) if "category_id" in entry else ""
        corners = corners_of(column(entry, "bbox", where), "xywh", where)
        drawn.setdefault(coco_id(entry, "image_id", where), []).append((labels.get(category, str(category)), corners))
    seen: set[str | int] = set()
    for where, entry in coco_entries(document, "images", path):
        key = coco_id(entry, "id", where)
        if key in seen:
            raise DataError(f"{where}: id {key!r} stands twice; ids must be unique")
        seen.add(key)
        name = text_of(entry.get("path")) or text_of(column(entry, "file_name", where))
        uri = image_path(root, name, ("", "images", "files", "train", "val", "test"))
        size = _size({side: entry.get(side) for side in ("width", "height")}, where)
        patient = text_of(entry.get("patient_id")) or name
        yield BoxedImage(str(key), ImageRef(uri), where, {"": drawn.get(key, [])}, size, patient)


def _study(path: str, root: str) -> Iterator[BoxedImage]:
    for name, where, entry in objects(json_document(path), path):
        boxes = [listed(sides, where) for sides in listed(entry.get("bbox_2d"), where)]
        drawn = [(_label(sides, where), corners_of(sides[:4], "xyxy", where)) for sides in boxes]
        uri = image_path(root, name, ("images", ""), (".png", ".jpg", ""))
        yield BoxedImage(name, ImageRef(uri), where, {"": drawn}, None, name)


def _label(sides: Sequence[Any], where: str) -> str:
    if len(sides) != 5:
        raise DataError(f"{where}: a box needs four numbers and a label, not {list(sides)!r}")
    return text_of(sides[4])
