"""Chest X-ray reports: findings, impression or both, written from the images.

Open-i / IU X-ray (Demner-Fushman et al. 2016, doi 10.1093/jamia/ocv080; CC BY-NC-ND):
`indiana_reports.csv` (uid, MeSH, Problems, image, indication, comparison, findings,
impression) and `indiana_projections.csv` (uid, filename, projection) beside
`images/images_normalized/`, as on Kaggle; 3,955 reports and 7,470 images were
published, the Kaggle copy has 3,851 reports. Named `openi`.

MIMIC-CXR (Johnson et al. 2019, arXiv 1901.07042; PhysioNet credentialed): the
reports `files/pNN/pSUBJECT/sSTUDY.txt`, `mimic-cxr-2.0.0-split.csv(.gz)` and, for the
views, `mimic-cxr-2.0.0-metadata.csv(.gz)`, with the JPG images in
`files/pNN/pSUBJECT/sSTUDY/DICOM.jpg`; 227,835 studies and 377,110 images. Named
`mimic-cxr`, and restricted: text and images go to local hosts only.

A report without the section that is asked for is left out. What is asked beside
findings from all views stands in the name (`openi-impression-frontal`).

    tasks:
      - {task: cxr_report, data: ~/data/openi, section: findings}
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import fsspec
from pydantic import model_validator

from raybench.data.tables import column
from raybench.errors import DataError
from raybench.interfaces import Task
from raybench.parsing.vqa import read_free_text
from raybench.schema import Answer, ImageRef, Row, Sample
from raybench.tasks._layout import FolderOptions, csv_rows, exists, expand, find, image_path, pick, split_name, text_of
from raybench.tasks._prompts import LONGEST

__all__ = ["PLUGIN", "CxrReport", "CxrReportOptions", "sections"]

_MIMIC = ("mimic-cxr-2.0.0-split.csv", "mimic-cxr-2.0.0-split.csv.gz")
_VIEWS = ("mimic-cxr-2.0.0-metadata.csv", "mimic-cxr-2.0.0-metadata.csv.gz")
_OPENI = ("indiana_reports.csv",)
_RECIPE = (
    "get Open-i's reports (Kaggle raddar/chest-xrays-indiana-university) so that DIR holds indiana_reports.csv, "
    "indiana_projections.csv and images/, or MIMIC-CXR with mimic-cxr-2.0.0-split.csv and files/, and give `data: DIR` "
    "(--data DIR)"
)
_HEADING = re.compile(r"^[ \t]*([A-Z][A-Z /&()-]{3,}?)[ \t]*:", re.MULTILINE)
_FRONTAL = ("frontal", "pa", "ap")


class CxrReportOptions(FolderOptions):
    """Where the reports are and what is written.

    Attributes:
        data: folder in Open-i's (Kaggle) or MIMIC-CXR's layout.
        section: findings, impression, or both.
        views: "frontal" shows frontal images only, "all" every image of the study.
        split: of MIMIC-CXR: train, validation or test.
        restricted: text and images must stay on local hosts; always so for MIMIC-CXR.
    """

    section: Literal["findings", "impression", "both"] = "findings"
    views: Literal["frontal", "all"] = "all"
    split: str = "test"
    restricted: bool = False

    @model_validator(mode="before")
    @classmethod
    def _held(cls, values: Any) -> Any:
        data = values.get("data") if isinstance(values, dict) else None
        if isinstance(data, str) and (
            os.path.basename(data) in _MIMIC or any(exists(f"{expand(data)}/{name}") for name in _MIMIC)
        ):
            return {**values, "restricted": True}
        return values


class CxrReport(Task):
    """Findings or impression of a chest X-ray study: Open-i, or MIMIC-CXR (restricted)."""

    Options = CxrReportOptions
    prompts: ClassVar = {
        "plain": "{question}",
        "radiologist": "You are an experienced chest radiologist.\n{question}\nWrite as in a report, without headings.",
        "indication": "Indication: {indication}\n{question}\nWrite as in a report, without headings.",
        "brief": "{question}\nUse at most three sentences.",
        "systematic": "{question}\nGo through heart, mediastinum, lungs, pleura, bones and devices in turn.",
    }
    profiles: ClassVar = ("text-overlap", "llava-med-nltk")
    headline: ClassVar = ("text-overlap", "rouge_l")
    group: ClassVar = "report"
    generation: ClassVar = {"max_tokens": LONGEST}
    baselines: ClassVar = ("majority",)

    def samples(self) -> Iterator[Sample]:
        """Yield the studies whose report has the section, in file order.

        Raises:
            DataError: no data here, or a malformed file; says how to get the data.
        """
        return self._read(split_name(self.options.split))

    def examples(self, n: int) -> list[Sample]:
        """Return n reports of MIMIC-CXR's training split; Open-i has none.

        Raises:
            SpecError: Open-i, or training is what is asked.
        """
        path = find(self.options.data, (*_MIMIC, *_OPENI), "chest X-ray reports", _RECIPE)
        if os.path.basename(path) not in _MIMIC or split_name(self.options.split) == "train":
            return super().examples(n)
        return pick(self._read("train"), n)

    def _read(self, split: str) -> Iterator[Sample]:
        path = find(self.options.data, (*_MIMIC, *_OPENI), "chest X-ray reports", _RECIPE)
        rows = self._mimic(path, split) if os.path.basename(path) in _MIMIC else self._openi(path)
        found = False
        for sample in rows:
            found = True
            yield sample
        if not found:
            raise DataError(f"{path}: no report of split {split!r} has the section {self.options.section!r}")

    def _openi(self, path: str) -> Iterator[Sample]:
        folder = path.rsplit("/", 1)[0]
        root = expand(self.options.images_dir or folder)
        shown: dict[str, list[tuple[str, str]]] = {}
        projections = find(folder, ("indiana_projections.csv",), "Open-i's list of images", _RECIPE)
        for number, row in enumerate(csv_rows(projections), 1):
            where = f"{projections}, row {number}"
            image = image_path(
                root, text_of(column(row, "filename", where)), ("images/images_normalized", "images", "")
            )
            shown.setdefault(text_of(column(row, "uid", where)), []).append((text_of(row.get("projection")), image))
        for number, row in enumerate(csv_rows(path), 1):
            where = f"{path}, row {number}"
            uid = text_of(column(row, "uid", where))
            parts = {name: text_of(column(row, name, where)) for name in ("findings", "impression")}
            problems = text_of(row.get("Problems")).casefold()
            sample = self._sample(uid, "openi", "all", parts, shown.get(uid, []), text_of(row.get("indication")))
            if sample is not None:
                normal = {"report": "normal" if problems == "normal" else "abnormal"} if problems else {}
                yield _with(sample, uid, normal)

    def _mimic(self, path: str, split: str) -> Iterator[Sample]:
        folder = path.rsplit("/", 1)[0]
        root = expand(self.options.images_dir or folder)
        views = next((place for name in _VIEWS if exists(place := f"{folder}/{name}")), None)
        rows = csv_rows(views) if views else ()
        view = {column(row, "dicom_id", str(views)): row.get("ViewPosition", "") for row in rows}
        studies: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for number, row in enumerate(csv_rows(path), 1):
            where = f"{path}, row {number}"
            if split_name(text_of(column(row, "split", where))) != split:
                continue
            subject, study, dicom = (text_of(column(row, key, where)) for key in ("subject_id", "study_id", "dicom_id"))
            inner = f"files/p{subject[:2]}/p{subject}/s{study}"
            image = image_path(root, f"{inner}/{dicom}", ("",), (".jpg", ".dcm", ".png"))
            studies.setdefault((subject, study), []).append((view.get(dicom, ""), image))
        for (subject, study), images in studies.items():
            report = _text(folder, f"p{subject[:2]}/p{subject}/s{study}.txt")
            told = sections(report) if report else {}
            sample = self._sample(study, "mimic-cxr", split, told, images, told.get("indication", ""))
            if sample is not None:
                yield _with(sample, subject, {})

    def _sample(
        self, study: str, dataset: str, split: str, told: dict[str, str], images: list[tuple[str, str]], indication: str
    ) -> Sample | None:
        """One study; None where its report lacks the section, or no image has the wanted view."""
        wanted = ("findings", "impression") if self.options.section == "both" else (self.options.section,)
        parts = [told.get(name, "") for name in wanted]
        frontal = self.options.views == "frontal"
        kept = [uri for view, uri in images if not frontal or view.casefold() in _FRONTAL]
        if not all(parts) or not kept:
            return None
        what = "findings and the impression" if len(wanted) == 2 else wanted[0]
        section = "" if self.options.section == "findings" else f"-{self.options.section}"
        return Sample(
            id=study,
            dataset=f"{dataset}{section}{'-frontal' if frontal else ''}",
            split=split,
            questions=(f"Write the {what} of the report on this chest X-ray study.",),
            targets=("\n".join(parts),),
            images=tuple(ImageRef(uri) for uri in kept),
            cluster=study,
            slices={"images": "one" if len(kept) == 1 else "several"},
            context={"indication": indication or "not given"},
        )

    def parse(self, sample: Row, text: str) -> Answer:
        """Read free text."""
        return read_free_text(text)


def _with(sample: Sample, cluster: str, slices: dict[str, str]) -> Sample:
    from dataclasses import replace

    return replace(sample, cluster=cluster, slices={**sample.slices, **slices})


def _text(folder: str, name: str) -> str:
    for place in (f"{folder}/files/{name}", f"{folder}/mimic-cxr-reports/files/{name}", f"{folder}/{name}"):
        if exists(place):
            with fsspec.open(place, "r", encoding="utf-8", errors="replace") as file:
                return str(file.read())
    return ""


def sections(report: str) -> dict[str, str]:
    """Return a free-text report's sections, heading (lower case) -> text on one line.

    >>> sections("INDICATION: Cough.\\n\\nFINDINGS: Lungs\\nclear.\\n\\nIMPRESSION: Normal.")["findings"]
    'Lungs clear.'
    """
    marks = list(_HEADING.finditer(report))
    ends = [mark.start() for mark in marks[1:]] + [len(report)]
    found: dict[str, str] = {}
    for mark, end in zip(marks, ends, strict=True):
        found.setdefault(mark[1].strip().lower(), " ".join(report[mark.end() : end].split()))
    return found


PLUGIN = CxrReport
