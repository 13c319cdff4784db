"""Brain MRI slices with captions, boxes and case histories: NOVA's layout, the first study's, and plain rows.

NOVA (Bercea et al. 2025, arXiv 2505.14064; hub id c-i-ber/Nova): 906 slices of
281 pathologies out of Eurorad cases, for evaluation only. `data/nova-v1.parquet`
beside the folder of images; columns image_path, filename, case_id, scan_id,
caption_text, `bboxes` (a list of {source, x, y, width, height} in pixels, source
"gold" or a reader) and `meta` (clinical_history, final_diagnosis). Earlier
releases hold the same as JSON text or under shorter names, which are read too.
The card says CC BY-NC-SA 4.0, its croissant.json CC BY 4.0.

The first study's 25 cases: `annotations.json`, case -> {clinical_history,
final_diagnosis, image_findings: {file: {caption, bbox_2d_gold: [[x0, y0, x1, y1]]}}},
beside `images/`.

Plain rows (JSONL, JSON, CSV, Parquet): `image`, and of `id`, `case_id`, `caption`,
`history`, `findings`, `diagnosis`, `boxes` ([x, y, width, height] in pixels),
`boxes_xyxy`, `width`, `height` what there is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from raybench.data.tables import read_rows
from raybench.errors import DataError, nearest
from raybench.schema import Box, ImageRef, Row
from raybench.tasks._boxes import box, corners_of, image_px, listed, size_of
from raybench.tasks._hub import snapshot
from raybench.tasks._layout import FolderOptions, expand, find, image_path, json_document, text_of

__all__ = ["COUNT", "MriOptions", "Slice", "boxes_of", "mri_slices"]

#: Slices of NOVA.
COUNT = 906
_RECIPE = (
    "download c-i-ber/Nova from the hub so that DIR holds data/nova-v1.parquet and images/ and give `data: DIR` "
    "(--data DIR), or give a JSONL file with image, caption, boxes, history and diagnosis"
)
_NAMES = ("data/nova-v1.parquet", "nova-v1.parquet", "annotations.json", "data.jsonl", "nova_test.jsonl")
_FOLDERS = ("", "images", "data/images", "data", "..", "../images")


class MriOptions(FolderOptions):
    """Where the slices are.

    Attributes:
        data: folder in NOVA's layout or the first study's, or a file of rows; None takes NOVA from the hub.
        hub: hub id, or a local folder in its layout.
        revision: hub revision.
        boxes: whose boxes count, "gold" or a reader's name.
        dataset: the data set's name in scores; default "nova" or the file's name.
        restricted: text and images must stay on local hosts.
    """

    hub: str = "c-i-ber/Nova"
    revision: str | None = None
    boxes: str = "gold"
    dataset: str | None = None
    restricted: bool = False


@dataclass(frozen=True)
class Slice:
    """One picture of one case.

    Attributes:
        drawn: (reader, corners in pixels) of each box; readers are "gold" or names.
        size: (width_px, height_px) where the source gives it.
    """

    id: str
    case: str
    dataset: str
    image: ImageRef
    where: str
    caption: str = ""
    history: str = ""
    findings: str = ""
    diagnosis: str = ""
    drawn: tuple[tuple[str, tuple[float, float, float, float]], ...] = ()
    size: tuple[int, int] | None = None


def mri_slices(options: MriOptions) -> Iterator[Slice]:
    """Yield the slices in file order.

    Raises:
        DataError: no data here and no hub, or a malformed row; says how to get the data.
    """
    folder = options.data or snapshot(options.hub, options.revision, ["data/*", "images/*"], "NOVA", _RECIPE)
    path = find(folder, _NAMES, "brain MRI data", _RECIPE)
    document = json_document(path) if path.endswith(".json") else None
    rows = _study_rows(document) if isinstance(document, Mapping) else read_rows(path)
    nova = path.endswith(".parquet") or "nova" in os.path.basename(path)
    default = "nova" if nova else "vlm-seminar25-mri" if isinstance(document, Mapping) else _stem(path)
    root = expand(options.images_dir or _root(folder, path))
    for number, row in enumerate(rows, 1):
        yield _slice(row, options.dataset or default, root, f"{path}, row {number}")


def boxes_of(item: Slice, reader: str) -> tuple[Box, ...]:
    """Return one reader's boxes as fractions of the image.

    Raises:
        DataError: the image's size cannot be read, or a box lies outside.
    """
    drawn = [corners for name, corners in item.drawn if name == reader]
    if not drawn:
        return ()
    size = item.size or image_px(item.image, item.where)
    return tuple(box(corners, size, "abnormality", item.where) for corners in drawn)


def _stem(path: str) -> str:
    stem = os.path.splitext(os.path.basename(path))[0]
    return os.path.basename(os.path.dirname(path)) if stem in ("annotations", "data") else stem


def _root(folder: str, path: str) -> str:
    """The folder that image paths start from: the data set's, or the annotation file's own."""
    return os.path.dirname(path) if expand(folder) == path else folder


def _study_rows(document: Mapping[str, Any]) -> Iterator[Row]:
    for case, entry in document.items():
        found = entry.get("image_findings") if isinstance(entry, Mapping) else None
        if not isinstance(found, Mapping):
            raise DataError(f"case {case}: no image_findings; expected file -> caption and boxes")
        for name, image in found.items():
            if not isinstance(image, Mapping):
                raise DataError(f"case {case}, {name}: must be an object with caption and boxes, not {image!r:.60}")
            yield {
                "id": name, "image": name, "case_id": case, "caption": image.get("caption"),
                "boxes_xyxy": image.get("bbox_2d_gold") or [], "history": entry.get("clinical_history"),
                "diagnosis": entry.get("final_diagnosis"),
            }  # fmt: skip


def _first(row: Mapping[str, Any], *names: str) -> Any:
    return next((row[name] for name in names if row.get(name) not in (None, "")), None)


def _slice(row: Row, dataset: str, root: str, where: str) -> Slice:
    meta = _mapping(_first(row, "meta", "metadata", "case_metadata"), where)
    name = text_of(_first(row, "image_path", "image", "filename", "file_name", "file"))
    if not name:
        close = nearest("image", row)
        raise DataError(f"{where}: no column image_path, image or filename{close}; columns: {', '.join(row)}")
    width, height = _first(row, "width", "width_px"), _first(row, "height", "height_px")
    both = {**row, **{key: value for key, value in meta.items() if row.get(key) in (None, "")}}
    return Slice(
        id=text_of(_first(row, "id", "filename", "file_name", "file")) or os.path.basename(name),
        case=text_of(_first(row, "case_id", "case", "patient_id")) or os.path.basename(name),
        dataset=dataset,
        image=ImageRef(image_path(root, name, _FOLDERS)),
        where=where,
        caption=text_of(_first(both, "caption_text", "caption", "description")),
        history=text_of(_first(both, "clinical_history", "history")),
        findings=text_of(_first(both, "image_findings", "imaging_findings", "findings")),
        diagnosis=text_of(_first(both, "final_diagnosis", "diagnosis")),
        drawn=tuple(_drawn(row, where)),
        size=size_of((width, height), where) if width and height else None,
    )


def _mapping(cell: Any, where: str) -> Mapping[str, Any]:
    if isinstance(cell, str):
        try:
            cell = json.loads(cell)
        except json.JSONDecodeError:
            raise DataError(f"{where}: meta is no valid JSON") from None
    return cell if isinstance(cell, Mapping) else {}


def _drawn(row: Row, where: str) -> Iterator[tuple[str, tuple[float, float, float, float]]]:
    for name, reader in (("bboxes", ""), ("boxes", ""), ("bbox", ""), ("bbox_gold", "gold"), ("bboxes_gold", "gold"),
                         ("bbox_raters", ""), ("bboxes_raters", "")):  # fmt: skip
        for item in _flat(listed(row.get(name), f"{where}, {name}")):
            if isinstance(item, Mapping):
                sides = [item.get(key) for key in ("x", "y", "width", "height")]
                source = text_of(item.get("source"))
                named = text_of(_first(item, "rater", "rater_id", "reader"))
                yield (
                    (named or source if source != "gold" else source) or reader or "gold",
                    corners_of(sides, "xywh", where),
                )
            else:
                yield reader or "gold", corners_of(item, "xywh", where)
    for item in _flat(listed(row.get("boxes_xyxy"), f"{where}, boxes_xyxy")):
        yield "gold", corners_of(item, "xyxy", where)


def _flat(items: list[Any]) -> list[Any]:
    """A single box that is not inside a list of boxes, as a list of one."""
    return [items] if items and all(isinstance(item, int | float) for item in items) else items
