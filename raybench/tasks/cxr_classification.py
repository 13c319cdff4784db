"""Chest X-ray classification: normal against abnormal, one finding, or all findings.

| source | named | licence and access | images |
|---|---|---|---|
| NIH ChestX-ray14 (Wang et al. 2017, arXiv 1705.02315) | nih-cxr14 | free, credit to the NIH | 112,120; test 25,596 |
| RSNA pneumonia challenge 2018 (Shih et al. 2019) | rsna-pneumonia | Kaggle, non-commercial | 26,684 |
| VinDr-CXR (Nguyen et al. 2022, arXiv 2012.15029) | vindr-cxr | PhysioNet credentialed; Kaggle | 15,000; test 3,000 |
| CheXpert (Irvin et al. 2019, arXiv 1901.07031) | chexpert | Stanford AIMI, registration | valid 234; test 668 |
| the first study's 50 images | vlm-seminar25-cxr | of VinDr-CXR | 50 |
| any CSV with image and label | its file's name | yours | |

Local layouts are in `_cxr`; the hub has no copy with the authors' labels. VinDr's
training images have three readers: a label is what most of them say. RSNA's labels
tell pneumonia, not normal, so it asks for pneumonia unless told otherwise. In
CheXpert's training labels a finding may be uncertain: `uncertain` counts it as
positive (`ones`), as negative (`zeros`), or leaves the image out where it decides
(`ignore`). The name says what else than normal or abnormal is asked, and by which
policy where that decided a label (`chexpert-pneumothorax-ones`, `nih-cxr14-findings`).

    tasks:
      - {task: cxr_classification, data: ~/data/nih-cxr14}
      - {task: cxr_classification, data: ~/data/chexpert, finding: Pneumothorax, uncertain: ones}
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from raybench.data.tables import column
from raybench.errors import DataError, SpecError, nearest
from raybench.interfaces import Task
from raybench.parsing.vqa import read_classification, read_vqa
from raybench.schema import Answer, ImageRef, Row, Sample
from raybench.tasks._cxr import CHEXPERT_FINDINGS, CxrImage, cxr_images
from raybench.tasks._findings import read_findings
from raybench.tasks._layout import (
    FolderOptions,
    exists,
    expand,
    find,
    image_path,
    json_document,
    objects,
    pick,
    split_name,
    text_of,
)

__all__ = ["PLUGIN", "CxrClassification", "CxrClassificationOptions"]

_FILES = {
    "nih": ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv", "labels.csv"),
    "rsna": ("stage_2_train_labels.csv",),
    "vindr": ("annotations/image_labels_test.csv", "annotations/image_labels_train.csv", "train.csv"),
    "chexpert": ("valid.csv", "test_labels.csv", "train.csv"),
    "seminar": ("annotations_len_50.json",),
    "csv": ("labels.csv", "data.csv"),
}
_OF_SPLIT = {
    ("vindr", "test"): ("annotations/image_labels_test.csv",),
    ("vindr", "train"): ("train.csv", "annotations/image_labels_train.csv"),
    ("chexpert", "validation"): ("valid.csv",), ("chexpert", "test"): ("test_labels.csv", "test.csv"),
    ("chexpert", "train"): ("train.csv",),
}  # fmt: skip
_NAMES = {
    "nih": "nih-cxr14", "rsna": "rsna-pneumonia", "vindr": "vindr-cxr", "chexpert": "chexpert",
    "seminar": "vlm-seminar25-cxr",
}  # fmt: skip
_COUNTS = {
    ("nih", "test"): 25596, ("nih", "train_val"): 86524, ("rsna", "train"): 26684, ("vindr", "train"): 15000,
    ("vindr", "test"): 3000, ("chexpert", "validation"): 234, ("chexpert", "test"): 668, ("seminar", "all"): 50,
}  # fmt: skip
_RESTRICTED = ("vindr", "chexpert", "seminar")
_RECIPE = (
    "give `data: DIR` (--data DIR) in the layout of NIH ChestX-ray14 (Data_Entry_2017.csv, images/), RSNA "
    "(stage_2_train_labels.csv), VinDr-CXR (train.csv or annotations/), CheXpert (valid.csv), or any CSV with the "
    "columns image and label"
)
_BINARY = ("normal", "abnormal")
_SYNONYMS = {
    "normal": ("healthy", "unremarkable", "no finding", "no findings", "no abnormality", "no abnormalities", "正常"),
    "abnormal": ("unhealthy", "pathological", "diseased", "not normal", "not healthy", "异常", "不正常"),
}


class CxrClassificationOptions(FolderOptions):
    """Which images, and what is asked about them.

    Attributes:
        data: folder in a published layout, or a CSV file.
        source: nih, rsna, vindr, chexpert, seminar or csv; default what the files show.
        split: the source's split; default its test or validation split, else all.
        labels: "abnormal" (normal against abnormal) or "findings" (several labels an image).
        finding: ask for this one finding, yes or no.
        uncertain: what CheXpert's uncertain marks count as.
        columns: for csv, role -> column (image, label, id, patient, split, sex, age, view, site).
        dataset: the data set's name in scores; default the source's.
        probabilities: force one of the classes on backends that can, so that their probabilities are known.
        restricted: text and images must stay on local hosts; always so for VinDr-CXR and CheXpert.
    """

    source: Literal["nih", "rsna", "vindr", "chexpert", "seminar", "csv"] | None = None
    split: str | None = None
    labels: Literal["abnormal", "findings"] | None = None
    finding: str | None = None
    uncertain: Literal["ones", "zeros", "ignore"] = "zeros"
    columns: dict[str, str] = Field(default_factory=dict)
    dataset: str | None = None
    probabilities: bool = False
    restricted: bool = False

    @model_validator(mode="before")
    @classmethod
    def _resolved(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        source = values.get("source") or _source(values.get("data"))
        held = {"restricted": True} if source in _RESTRICTED else {}
        return {**values, **({"source": source} if source else {}), **held}

    @model_validator(mode="after")
    def _one_question(self) -> CxrClassificationOptions:
        if self.labels is not None and self.finding is not None:
            raise ValueError("labels and finding exclude each other")
        return self


class CxrClassification(Task):
    """Normal or abnormal, one finding, or all findings of a chest X-ray: NIH, RSNA, VinDr, CheXpert, any CSV."""

    Options = CxrClassificationOptions
    prompts: ClassVar = {
        "choices": "{question}\nChoose from: {choices}. Answer with nothing else.",
        "plain": "{question}",
        "radiologist": "You are a radiologist reading a chest X-ray.\n{question}\nReply only with: {choices}.",
        "reasoned": "{question}\nSay what you see first, then end with a line of the form: Answer: <{choices}>",
        "tagged": "{question}\nChoose from: {choices}. Write your choice, and only that, between <answer> and "
        "</answer>.",
    }
    profiles: ClassVar = ("classification",)
    headline: ClassVar = ("classification", "f1")
    judge_protocol: ClassVar = ""
    group: ClassVar = "classification"

    def __init__(self, options: CxrClassificationOptions) -> None:
        super().__init__(options)
        if self._kind == "findings":
            self.profiles = ("multi-label",)  # type: ignore[misc]
            self.headline = ("multi-label", "macro_f1")  # type: ignore[misc]
            self.baselines = ("majority",)  # type: ignore[misc]

    @property
    def _kind(self) -> str:
        """What is asked: "abnormal", "findings", or the name of one finding."""
        options = self.options
        return options.finding or options.labels or ("Pneumonia" if options.source == "rsna" else "abnormal")

    def samples(self) -> Iterator[Sample]:
        """Yield the images in file order.

        Raises:
            DataError: no data here, a malformed file, or a finding that the source does not have.
        """
        return self._read(*self._place(self.options.split))

    def expected_count(self) -> int | None:
        """Return the published number of images of the split; None for own files and where labels drop images."""
        options = self.options
        if options.source is None or options.uncertain == "ignore" or options.labels == "abnormal":
            return None
        path, split = self._place(options.split)
        if os.path.basename(path) == "labels.csv":  # a selection of NIH, not the release
            return None
        return 112120 if (options.source, split) == ("nih", "all") else _COUNTS.get((options.source, split))

    def examples(self, n: int) -> list[Sample]:
        """Return n images of the training split (train_val of NIH, `train` of a CSV's split column).

        Raises:
            SpecError: training is what is asked, or there is no such split.
        """
        other = {"nih": "train_val", "vindr": "train", "chexpert": "train", "csv": "train"}.get(
            self.options.source or ""
        )
        _, asked = self._place(self.options.split)
        if other is None or asked in (other, "all"):
            raise SpecError(f"shots: {n}: no split beside {asked!r} to take examples from; choose one with `split`")
        return pick(self._read(*self._place(other)), n)

    def _place(self, split: str | None) -> tuple[str, str]:
        """Return (annotation file, the split's name in scores)."""
        options, source = self.options, self.options.source
        if source is None:
            names = tuple(name for each in _FILES.values() for name in each)
            path = find(options.data, names, "chest X-rays", _RECIPE)
            raise DataError(f"{path}: its header has the columns of no known layout; {_RECIPE}")
        wanted = split_name(split) if split else None
        names = _OF_SPLIT.get((source, wanted or ""), _FILES[source])
        if source in ("vindr", "chexpert") and wanted and (source, wanted) not in _OF_SPLIT:
            known = [name for each, name in _OF_SPLIT if each == source]
            raise SpecError(f"split: {split!r}{nearest(wanted, known)}; {source} has {', '.join(known)}")
        path = find(options.data, names, "chest X-rays", _RECIPE)
        if source == "nih":
            listed = exists(f"{path.rsplit('/', 1)[0]}/test_list.txt")
            return path, wanted or ("test" if listed else "all")
        found = {"rsna": "train", "seminar": "all", "csv": split or "all"}.get(source)
        stem = os.path.basename(path)
        return path, found or ("validation" if "valid" in stem else "test" if "test" in stem else "train")

    def _read(self, path: str, split: str) -> Iterator[Sample]:
        options, source = self.options, self.options.source or "csv"
        data = expand(options.data)
        root = expand(options.images_dir or (os.path.dirname(path) if data == path else data))
        images = _study(path, root) if source == "seminar" else cxr_images(source, path, root, split, options.columns)
        kept = images if self._kind == "abnormal" else list(images)
        known = CHEXPERT_FINDINGS if source == "chexpert" else ()
        vocabulary = known or (
            tuple(sorted({name for image in kept for name in (*image.findings, *image.named)}))
            if isinstance(kept, list)
            else ()
        )
        name = options.dataset or _NAMES.get(source) or os.path.splitext(os.path.basename(path))[0]
        policy = f"-{options.uncertain}" if self._policy_matters(path) else ""
        usual = self._kind == "abnormal" or (source == "rsna" and self._kind == "Pneumonia")
        asked = "" if usual else f"-{re.sub(r'[^a-z0-9]+', '-', self._kind.lower()).strip('-')}"
        ask = self._question(vocabulary, path)
        for image in kept:
            target = self._target(image)
            if target is None:
                continue
            question, choices, context = ask
            yield Sample(
                id=image.id,
                dataset=name + asked + policy,
                split=split,
                questions=(question,),
                targets=(target,),
                images=(ImageRef(image.uri),),
                choices=choices,
                cluster=image.patient,
                slices=dict(image.extra),
                context=context,
            )

    def _policy_matters(self, path: str) -> bool:
        """Whether any label of a CheXpert file is uncertain."""
        if self.options.source != "chexpert":
            return False
        return any(image.uncertain for image in cxr_images("chexpert", path, "", "all", {}))

    def _question(self, vocabulary: tuple[str, ...], path: str) -> tuple[str, tuple[str, ...], dict[str, str]]:
        """Return (question, choices, context) of every image."""
        if self._kind == "abnormal":
            return "Is this chest X-ray normal or abnormal?", _BINARY, {"positive": "abnormal"}
        if self._kind == "findings":
            return "Which of these findings does this chest X-ray show? Several may apply, or none.", vocabulary, {}
        named = {name.casefold(): name for name in vocabulary}
        finding = named.get(self._kind.casefold().replace("_", " "))
        if finding is None:
            close = nearest(self._kind, vocabulary)
            raise DataError(f"finding: {self._kind!r} is none of {path}{close}: {', '.join(vocabulary)}")
        shown = finding[:1].lower() + finding[1:]
        return f"Does this chest X-ray show {shown}?", ("yes", "no"), {"positive": "yes", "finding": finding}

    def _target(self, image: CxrImage) -> str | None:
        """The reference of one image; None leaves it out."""
        policy = self.options.uncertain
        positive = {*image.findings, *(image.uncertain if policy == "ones" else ())}
        if self._kind == "abnormal":
            if image.normal is None and (policy == "ignore" or not image.uncertain):
                return None
            normal = image.normal if image.normal is not None else policy == "zeros"
            return _BINARY[0] if normal else _BINARY[1]
        if policy == "ignore" and image.uncertain and self._kind == "findings":
            return None
        if self._kind == "findings":
            return json.dumps(sorted(positive), ensure_ascii=False)
        folded = self._kind.casefold().replace("_", " ")
        if policy == "ignore" and folded in {name.casefold() for name in image.uncertain}:
            return None
        return "yes" if folded in {name.casefold() for name in positive} else "no"

    def labels(self, sample: Row) -> list[str] | None:
        """Return the classes where `probabilities` is set."""
        return list(sample["choices"]) if self.options.probabilities and self._kind != "findings" else None

    def parse(self, sample: Row, text: str) -> Answer:
        """Read normal or abnormal, yes or no, or the findings that are asserted."""
        if self._kind == "findings":
            return read_findings(text, sample["choices"])
        if self._kind == "abnormal":
            return read_classification(text, _BINARY, _SYNONYMS)
        return read_vqa(text, sample["questions"][0], sample["choices"])


def _source(data: Any) -> str | None:
    """The source whose files a folder holds; a file by its name or columns."""
    if not isinstance(data, str):
        return None
    data = expand(data)
    if data.lower().endswith((".csv", ".gz")):
        known = (
            source for source in ("nih", "rsna") if os.path.basename(data).removesuffix(".gz") in _FILES[source][:2]
        )
        return next(known, "csv")
    if data.lower().endswith(".json"):
        return "seminar"
    order = ("nih", "rsna", "seminar", "vindr", "chexpert", "csv")
    found = [source for source in order if any(exists(f"{data}/{name}") for name in _FILES[source])]
    if "vindr" in found and "chexpert" in found:  # both have a train.csv
        found.remove(
            "vindr" if exists(f"{data}/valid.csv") or not _has_column(f"{data}/train.csv", "rad_id") else "chexpert"
        )
    if found[:1] == ["nih"] and not _has_column(_first_of(data, "nih"), "Image Index"):
        found.remove("nih")
    return found[0] if found else None


def _first_of(data: str, source: str) -> str:
    return next(path for name in _FILES[source] if exists(path := f"{data}/{name}"))


def _has_column(path: str, name: str) -> bool:
    import fsspec

    if not exists(path):
        return False
    with fsspec.open(path, "r", encoding="utf-8-sig", errors="replace") as file:
        return name in file.readline()


def _study(path: str, root: str) -> Iterator[CxrImage]:
    """The first study's file: image -> {"status": "healthy" or "unhealthy", "global_disease": [...]}."""
    for name, where, entry in objects(json_document(path), path):
        status = text_of(column(entry, "status", where)).lower()
        if status not in ("healthy", "unhealthy"):
            raise DataError(f"{where}: status must be healthy or unhealthy, not {entry['status']!r:.60}")
        healthy = status == "healthy"
        findings = entry.get("global_disease") or []
        if not isinstance(findings, list):
            raise DataError(f"{where}: global_disease must be a list, not {findings!r:.60}")
        yield CxrImage(
            id=name,
            uri=image_path(root, name, ("images", ""), (".png", ".jpg", "")),
            patient=name,
            findings=tuple(text_of(finding) for finding in findings) if not healthy else (),
            normal=healthy,
        )


PLUGIN = CxrClassification
