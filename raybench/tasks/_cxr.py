"""Chest X-ray label files, each in its published layout, read into one kind of row.

| source | files | images |
|---|---|---|
| nih | Data_Entry_2017(_v2020).csv or labels.csv, test_list.txt, train_val_list.txt | images/, images_0*/images/ |
| rsna | stage_2_train_labels.csv, stage_2_detailed_class_info.csv | stage_2_train_images/*.dcm |
| vindr | train.csv (Kaggle), annotations/image_labels_{train,test}.csv (PhysioNet) | train/, test/ |
| chexpert | valid.csv, train.csv, test_labels.csv | paths in the file |
| csv | any CSV | beside it |

Source, licence and counts stand in `cxr_classification` and `cxr_grounding`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from raybench.data.tables import column
from raybench.errors import DataError
from raybench.schema import Row
from raybench.tasks._layout import age_group, csv_rows, exists, expand, image_path, lines_of, text_of

__all__ = ["CHEXPERT_FINDINGS", "NO_FINDING", "SUFFIXES", "CxrImage", "cxr_images", "names_in"]

NO_FINDING = "no finding"
SUFFIXES = (".png", ".jpg", ".dicom", ".dcm", ".jpeg", "")

CHEXPERT_FINDINGS = (
    "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema", "Consolidation",
    "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other", "Fracture", "Support Devices",
)  # fmt: skip
#: Not a disease: devices alone leave an image without finding (CheXpert's own rule).
_DEVICES = "Support Devices"
_NOT_FINDINGS = ("image_id", "rad_id", "No finding", "No Finding")
_NORMAL = ("no finding", "no findings", "normal", "healthy", "negative", "none", "0", "no", "")


@dataclass(frozen=True)
class CxrImage:
    """One image and what its readers say.

    Attributes:
        findings: positive ones; empty for a normal image.
        uncertain: findings marked uncertain.
        normal: no finding at all; None where uncertain findings decide.
        named: what any reader could have said of it, or did.
        extra: slices: sex, age, view and what else the source has.
    """

    id: str
    uri: str
    patient: str
    findings: tuple[str, ...]
    uncertain: tuple[str, ...] = ()
    normal: bool | None = True
    named: tuple[str, ...] = ()
    extra: Mapping[str, str] = field(default_factory=dict)


def cxr_images(source: str, path: str, root: str, split: str, columns: Mapping[str, str]) -> Iterator[CxrImage]:
    """Yield the images of an annotation file in file order.

    Args:
        source: of the table above.
        path: the annotation file.
        root: the folder that images lie under.
        split: for nih "test", "train_val" or "all"; for csv the value of its split column, or "all".
        columns: for csv, role -> column name.

    Raises:
        DataError: a malformed file.
    """
    if source == "nih":
        return _nih(path, root, split)
    if source == "rsna":
        return _rsna(path, root)
    if source == "vindr":
        return _vindr(path, root)
    if source == "chexpert":
        return _chexpert(path, root)
    return _table(path, root, split, columns)


def names_in(cell: str) -> tuple[str, ...]:
    """Return the findings of a cell such as "Cardiomegaly|Effusion"; those that mean normal are left out.

    >>> names_in("Cardiomegaly|Effusion"), names_in("No Finding")
    (('Cardiomegaly', 'Effusion'), ())
    """
    names = (name.strip().strip("[]'\"") for name in re.split(r"[|;]", cell))
    return tuple(dict.fromkeys(name for name in names if name.casefold() not in _NORMAL))


def _slices(**values: str) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}


def _sex(cell: str) -> str:
    return {"m": "male", "f": "female"}.get(cell.strip().lower()[:1], "")


def _nih(path: str, root: str, split: str) -> Iterator[CxrImage]:
    wanted = _listed_names(path, split)
    for number, row in enumerate(csv_rows(path), 1):
        where = f"{path}, row {number}"
        name = text_of(column(row, "Image Index", where))
        if wanted is not None and name not in wanted:
            continue
        findings = names_in(text_of(column(row, "Finding Labels", where)))
        yield CxrImage(
            id=name,
            uri=image_path(root, name, ("images", "images_*/images", "")),
            patient=text_of(row.get("Patient ID")) or name.split("_")[0],
            findings=findings,
            normal=not findings,
            extra=_slices(
                sex=_sex(row.get("Patient Gender", "")),
                age=age_group(row.get("Patient Age", "")),
                view=text_of(row.get("View Position")),
            ),
        )


def _listed_names(path: str, split: str) -> set[str] | None:
    """The names in test_list.txt or train_val_list.txt; None for all."""
    if split == "all":
        return None
    name = f"{path.rsplit('/', 1)[0]}/{split}_list.txt"
    if not exists(name):
        raise DataError(f"no {name}: split {split!r} needs NIH's list of it; `split: all` takes every image")
    return set(lines_of(name))


def _rsna(path: str, root: str) -> Iterator[CxrImage]:
    positive: dict[str, bool] = {}
    for number, row in enumerate(csv_rows(path), 1):
        where = f"{path}, row {number}"
        patient = text_of(column(row, "patientId", where))
        target = text_of(column(row, "Target", where)) in ("1", "1.0")
        positive[patient] = positive.get(patient, False) or target
    details = f"{path.rsplit('/', 1)[0]}/stage_2_detailed_class_info.csv"
    rows = csv_rows(details) if exists(details) else ()
    classes = {column(row, "patientId", details): column(row, "class", details) for row in rows}
    for patient, opaque in positive.items():
        kind = classes.get(patient, "")
        yield CxrImage(
            id=patient,
            uri=image_path(root, patient, ("stage_2_train_images", "images", ""), (".dcm", ".png", ".jpg", "")),
            patient=patient,
            findings=("Pneumonia",) if opaque else (),
            # An image without pneumonia may be abnormal otherwise; only the detailed classes tell.
            normal=False if opaque else (kind == "Normal" if kind else None),
            extra=_slices(class_info=kind),
        )


def _vindr(path: str, root: str) -> Iterator[CxrImage]:
    """Majority of an image's readers, finding by finding; the test set's one consensus is a majority of one."""
    votes: dict[str, dict[str, set[str]]] = {}
    asked: list[str] = []
    for number, row in enumerate(csv_rows(path), 1):
        where = f"{path}, row {number}"
        image, reader = text_of(column(row, "image_id", where)), text_of(row.get("rad_id")) or "consensus"
        seen = votes.setdefault(image, {}).setdefault(reader, set())
        seen.update(_vindr_findings(row))
        asked = asked or [name for name in row if "class_name" not in row and name not in _NOT_FINDINGS]
    split = "test" if "test" in os.path.basename(path) else "train"
    for image, readings in votes.items():
        needed = len(readings) // 2 + 1
        named = sorted({name for findings in readings.values() for name in findings})
        findings = tuple(name for name in named if sum(name in seen for seen in readings.values()) >= needed)
        abnormal = sum(bool(seen) for seen in readings.values()) >= needed
        yield CxrImage(
            id=image,
            uri=image_path(root, image, (split, f"images/{split}", "images", ""), SUFFIXES),
            patient=image,
            findings=findings,
            normal=not abnormal,
            named=tuple(asked or named),
        )


def _vindr_findings(row: Row) -> Iterable[str]:
    """The findings of one row: its class (Kaggle, PhysioNet boxes) or the columns marked 1 (PhysioNet image labels)."""
    if "class_name" in row:
        name = text_of(row["class_name"])
        return () if name.casefold() == NO_FINDING or row.get("class_id") == "14" else (name,)
    return (name for name, value in row.items() if name not in _NOT_FINDINGS and value in ("1", "1.0"))


def _chexpert(path: str, root: str) -> Iterator[CxrImage]:
    for number, row in enumerate(csv_rows(path), 1):
        where = f"{path}, row {number}"
        name = text_of(column(row, "Path", where))
        marks = {finding: text_of(column(row, finding, where)) for finding in CHEXPERT_FINDINGS}
        positive = tuple(finding for finding, mark in marks.items() if mark in ("1", "1.0"))
        uncertain = tuple(finding for finding, mark in marks.items() if mark in ("-1", "-1.0"))
        patient = re.search(r"patient\d+", name)
        diseases, open_ones = set(positive) - {_DEVICES}, set(uncertain) - {_DEVICES}
        yield CxrImage(
            id=name,
            uri=_chexpert_image(root, name),
            patient=patient[0] if patient else name,
            findings=positive,
            uncertain=uncertain,
            normal=False if diseases else None if open_ones else True,
            extra=_slices(
                sex=_sex(row.get("Sex", "")),
                age=age_group(row.get("Age", "")),
                view=text_of(row.get("AP/PA")) or text_of(row.get("Frontal/Lateral")),
            ),
        )


def _chexpert_image(root: str, name: str) -> str:
    """Paths start with the release's folder (CheXpert-v1.0-small/...), which may or may not be `root` itself."""
    inner = name.split("/", 1)[1] if name.startswith("CheXpert") and "/" in name else name
    places = [f"{root}/{name}", f"{root}/{inner}", f"{os.path.dirname(root)}/{name}"]
    return next((place for place in places if exists(place)), places[0])


def _table(path: str, root: str, split: str, columns: Mapping[str, str]) -> Iterator[CxrImage]:
    def cell(row: Row, role: str, *usual: str) -> str:
        if role in columns:
            return text_of(column(row, columns[role], f"{path} (role {role})"))
        return next((text_of(row[name]) for name in usual if name in row), "")

    for number, row in enumerate(csv_rows(path), 1):
        where = f"{path}, row {number}"
        if split != "all" and cell(row, "split", "split") != split:
            continue
        name = cell(row, "image", "image", "Image Index", "path", "Path", "file", "filename", "image_id")
        if not name:
            raise DataError(f"{where}: no image; name its column with `columns: {{image: ...}}`")
        label = columns.get("label") or next(
            (n for n in ("label", "labels", "finding", "Finding Labels") if n in row), ""
        )
        findings = names_in(text_of(column(row, label or "label", where)))
        yield CxrImage(
            id=cell(row, "id", "id") or name,
            uri=image_path(expand(root), name, ("", "images"), ("", *SUFFIXES)),
            patient=cell(row, "patient", "patient", "patient_id", "Patient ID") or name,
            findings=findings,
            normal=not findings,
            extra=_slices(
                sex=_sex(cell(row, "sex", "sex", "Patient Gender")),
                age=age_group(cell(row, "age", "age", "Patient Age")),
                view=cell(row, "view", "view", "View Position"),
                site=cell(row, "site", "site"),
            ),
        )
