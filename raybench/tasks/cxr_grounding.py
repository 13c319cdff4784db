"""Chest X-ray grounding: abnormalities found with a labelled box each.

| source | named | licence and access | images |
|---|---|---|---|
| VinDr-CXR (Nguyen et al. 2022, arXiv 2012.15029) | vindr-cxr | PhysioNet credentialed; Kaggle | 15,000; test 3,000 |
| NIH box list (Wang et al. 2017, arXiv 1705.02315) | nih-cxr14 | free, credit to the NIH | 880 (984 boxes) |
| ChestX-Det10 (Liu et al. 2020, arXiv 2006.10550) | chestx-det10 | images of the NIH | train 3,001; test 542 |
| RSNA pneumonia challenge 2018 | rsna-pneumonia | Kaggle, non-commercial | 26,684 |
| the first study's 50 images | vlm-seminar25-cxr | of VinDr-CXR | 50 |
| COCO JSON, MS-CXR too (Boecking et al. 2022) | its file's name | yours; MS-CXR credentialed | |

Local layouts, and the frame that boxes are in, stand in `_cxr_boxes`; the hub has
no copy with the authors' boxes. VinDr's training images have three readers, and
`readers` says how they become one truth: `union`, `weighted_boxes` (the default),
`consensus` (more than half of the readers), or one reader's id; the policy is part
of the name (`vindr-cxr-consensus`). The test set comes as one consensus of five.
Where several readers' boxes are fused, each reader stands in the leaderboard as a
baseline, scored on the images that he or she read. The truth holds that reader's own
boxes, so this is a generous bound on how well people agree.

    tasks:
      - {task: cxr_grounding, data: ~/data/vindr-cxr, readers: consensus}
      - {task: cxr_grounding, data: ~/data/nih-cxr14, per: finding}   # "where is the effusion?"
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from raybench.errors import DataError, nearest
from raybench.interfaces import Task
from raybench.schema import Answer, Box, Row, Sample, canonical_json
from raybench.tasks._boxes import PROMPTS, read_answer
from raybench.tasks._cxr_boxes import BoxedImage, box_images, json_source
from raybench.tasks._layout import FolderOptions, exists, expand, find
from raybench.tasks._readers import POLICIES, fuse

__all__ = ["PLUGIN", "CxrGrounding", "CxrGroundingOptions"]

_FILES = {
    "vindr": ("annotations/annotations_test.csv", "annotations/annotations_train.csv", "train.csv"),
    "nih": ("BBox_List_2017.csv",),
    "rsna": ("stage_2_train_labels.csv",),
    "seminar": ("annotations_len_50.json",),
    "chestx-det10": ("test.json", "train.json"),
    "coco": ("annotations.json", "instances.json"),
}
_OF_SPLIT = {
    ("vindr", "train"): ("annotations/annotations_train.csv", "train.csv"),
    ("vindr", "test"): ("annotations/annotations_test.csv",),
    ("chestx-det10", "train"): ("train.json",), ("chestx-det10", "test"): ("test.json",),
}  # fmt: skip
_NAMES = {
    "nih": "nih-cxr14", "rsna": "rsna-pneumonia", "vindr": "vindr-cxr", "chestx-det10": "chestx-det10",
    "seminar": "vlm-seminar25-cxr",
}  # fmt: skip
_COUNTS = {
    ("vindr", "train"): 15000, ("vindr", "test"): 3000, ("nih", "all"): 880, ("chestx-det10", "train"): 3001,
    ("chestx-det10", "test"): 542, ("rsna", "train"): 26684, ("seminar", "all"): 50,
}  # fmt: skip
_RECIPE = (
    "give `data: DIR` (--data DIR) in the layout of VinDr-CXR (train.csv or annotations/), NIH (BBox_List_2017.csv), "
    "ChestX-Det10 (test.json), RSNA (stage_2_train_labels.csv), or a COCO JSON file"
)
_RESTRICTED = ("vindr", "seminar")


class CxrGroundingOptions(FolderOptions):
    """Which images and whose boxes.

    Attributes:
        data: folder in a published layout, or its annotation file.
        source: vindr, nih, chestx-det10, rsna, coco or seminar; default what the files show.
        split: train or test, where the source has both; default test.
        readers: union, weighted_boxes, consensus or a reader's id, where several read an image.
        fusion_iou: IoU above which two readers' boxes of one label are one.
        per: "image" asks for every abnormality, "finding" for each finding of an image by its name.
        dataset: the data set's name in scores; default the source's.
        restricted: text and images must stay on local hosts; always so for VinDr-CXR.
    """

    source: Literal["vindr", "nih", "chestx-det10", "rsna", "coco", "seminar"] | None = None
    split: Literal["train", "test"] | None = None
    readers: str = "weighted_boxes"
    fusion_iou: float = Field(0.5, ge=0, le=1)
    per: Literal["image", "finding"] = "image"
    dataset: str | None = None
    restricted: bool = False

    @model_validator(mode="before")
    @classmethod
    def _resolved(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        source = values.get("source") or _source(values.get("data"))
        held = {"restricted": True} if source in _RESTRICTED else {}
        return {**values, **({"source": source} if source else {}), **held}


class CxrGrounding(Task):
    """Labelled boxes around the abnormalities of a chest X-ray: VinDr-CXR, NIH, ChestX-Det10, RSNA, any COCO file."""

    Options = CxrGroundingOptions
    prompts: ClassVar = PROMPTS
    profiles: ClassVar = ("detection",)
    headline: ClassVar = ("detection", "f1_50")
    judge_protocol: ClassVar = ""
    group: ClassVar = "detection"
    baselines: ClassVar = ("random_box", "no_box", "readers")

    def samples(self) -> Iterator[Sample]:
        """Yield images (or findings of images) in file order; an image without a box is a healthy one.

        Raises:
            DataError: no data here, a malformed file, a box outside its image, or an unknown reader.
        """
        path, split = self._place()
        options, source = self.options, self.options.source or "coco"
        data = expand(options.data)
        root = expand(options.images_dir or (os.path.dirname(path) if data == path else data))
        images = list(box_images(source, path, root))
        readers = sorted({reader for image in images for reader in image.readings} - {"", "consensus"})
        if readers and options.readers not in (*POLICIES, *readers):
            close = nearest(options.readers, (*POLICIES, *readers))
            raise DataError(f"readers: {options.readers!r}{close}: {', '.join((*POLICIES, *readers))} are allowed")
        drawn = {label for image in images for boxes in image.readings.values() for label, _ in boxes}
        choices = tuple(sorted(drawn))
        name = options.dataset or _NAMES.get(source) or os.path.splitext(os.path.basename(path))[0]
        name = f"{name}-{options.readers}" if readers else name
        name = f"{name}-by-finding" if options.per == "finding" else name
        for image in images:
            readings = image.boxes()
            if options.readers in readers and options.readers not in readings:
                continue  # this reader never saw this image
            fused = readings if len(readings) > 1 and options.readers not in readings else {}
            for sample in self._samples(image, self._truth(readings), choices, name, split):
                yield replace(sample, context=_own_boxes(fused, sample, options.per)) if fused else sample

    def _truth(self, readings: dict[str, list[Box]]) -> tuple[Box, ...]:
        wanted = self.options.readers
        if wanted in readings:
            return tuple(readings[wanted])
        if len(readings) == 1:
            return tuple(next(iter(readings.values())))
        return fuse(readings, wanted, self.options.fusion_iou)

    def _samples(
        self, image: BoxedImage, truth: tuple[Box, ...], choices: tuple[str, ...], dataset: str, split: str
    ) -> Iterator[Sample]:
        count = {0: "none", 1: "one"}.get(len(truth), "several")
        groups: list[tuple[str, str, tuple[str, ...], tuple[Box, ...]]] = [
            (image.id, "Which abnormalities does this chest X-ray show, and where are they?", choices, truth)
        ]
        if self.options.per == "finding":
            groups = [
                (
                    f"{image.id}/{label}",
                    f"Where in this chest X-ray is {_shown(label)}?",
                    (label,),
                    _labelled(truth, label),
                )
                for label in sorted({box.label for box in truth})
            ]
        for sample_id, question, allowed, boxes in groups:
            yield Sample(
                id=sample_id,
                dataset=dataset,
                split=split,
                questions=(question,),
                targets=(", ".join(sorted({box.label for box in boxes})) or "none",),
                images=(image.image,),
                choices=allowed,
                boxes=boxes,
                cluster=image.patient or image.id,
                slices={"finding": allowed[0]} if self.options.per == "finding" else {"boxes": count},
            )

    def expected_count(self) -> int | None:
        """Return the published number of images of the split; None for own files, one reader, or single findings."""
        options = self.options
        if options.source is None or options.per == "finding" or options.readers not in POLICIES:
            return None
        _, split = self._place()
        return _COUNTS.get((options.source, split))

    def _place(self) -> tuple[str, str]:
        """Return (annotation file, the split's name in scores)."""
        options, source = self.options, self.options.source
        if source is None:
            find(options.data, tuple(name for names in _FILES.values() for name in names), "chest X-ray boxes", _RECIPE)
        names = _OF_SPLIT.get((source or "", options.split or ""), _FILES[source or "coco"])
        path = find(options.data, names, "chest X-ray boxes", _RECIPE)
        found = {"nih": "all", "seminar": "all", "rsna": "train", "coco": options.split or "all"}.get(source or "coco")
        return path, found or ("test" if "test" in os.path.basename(path) else "train")

    def parse(self, sample: Row, text: str) -> Answer:
        """Read boxes under the model's convention; "none" is an answer."""
        return read_answer(sample, text)


def _own_boxes(readings: dict[str, list[Box]], sample: Sample, per: str) -> dict[str, str]:
    """Each reader's own boxes, as the context of the sample that is asked about: of its finding, or all."""
    wanted = {
        reader: _labelled(boxes, sample.choices[0]) if per == "finding" else boxes for reader, boxes in readings.items()
    }
    return {"readers": canonical_json({reader: [asdict(box) for box in boxes] for reader, boxes in wanted.items()})}


def _labelled(boxes: Sequence[Box], label: str) -> tuple[Box, ...]:
    return tuple(box for box in boxes if box.label == label)


def _shown(label: str) -> str:
    """A finding as it stands in a sentence: capitals of abbreviations stay ("ILD")."""
    return label if label[1:2].isupper() else label[:1].lower() + label[1:]


def _source(data: Any) -> str | None:
    """The source whose files a folder holds; a file by its name or its inside."""
    if not isinstance(data, str):
        return None
    data = expand(data)
    if not exists(data):
        return None
    if data.lower().endswith(".json"):
        return json_source(data)
    if data.lower().endswith((".csv", ".gz")):
        stem = os.path.basename(data)
        return "nih" if stem.startswith("BBox_List") else "rsna" if stem.startswith("stage_2") else "vindr"
    for source in ("nih", "rsna", "vindr", "seminar", "chestx-det10", "coco"):
        path = next((found for name in _FILES[source] if exists(found := f"{data}/{name}")), None)
        if path is not None:
            return json_source(path) if path.endswith(".json") else source
    return None


PLUGIN = CxrGrounding
