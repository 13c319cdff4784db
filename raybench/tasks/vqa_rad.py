"""VQA-RAD: clinicians' questions about radiology images (Lau et al. 2018, doi 10.1038/sdata.2018.251).

Two local layouts, both from osf.io/89kps, CC0-1.0, 451 test questions (272
closed, 179 open) on 203 images, named `vqa_rad-osf` in scores: `testset.json`
(and `trainset.json`, 3,064 questions) beside `images/`, or the original
`VQA_RAD Dataset Public.json` (2,248 questions, the test ones marked by
`phrase_type` test_*) beside `VQA_RAD Image Folder/`. Without `data` the hub copy
`flaviagiammarino/vqa-rad` is read (1,793 train and 451 test rows, no ids and no
types), named `vqa_rad-hf`; the two are never pooled. The closed vocabulary of
profile `llava-med-v1-gate` is `open_answer_candidates.json` in the folder
({"0": [answers]}), else the open answers of `trainset.json`, sorted; without
either that profile has no open accuracy.

    tasks:
      - {task: vqa_rad, data: ~/data/vqa-rad}
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from itertools import chain
from typing import ClassVar

from raybench.data.tables import column, read_rows
from raybench.errors import DataError, SpecError
from raybench.interfaces import Task
from raybench.parsing.closed_vocabulary import NEAREST, nearest_answer
from raybench.parsing.vqa import read_vqa
from raybench.schema import Answer, ImageRef, Row, Sample
from raybench.tasks._hub import question_samples
from raybench.tasks._layout import FolderOptions, exists, expand, image_path, json_document, pick, text_of
from raybench.tasks._prompts import SHORT_ANSWERS

__all__ = ["PLUGIN", "VqaRad", "VqaRadOptions"]

_PUBLIC = "VQA_RAD Dataset Public.json"
_CANDIDATES = "open_answer_candidates.json"
_IMAGES = ("images", "VQA_RAD Image Folder")
_RECIPE = (
    "download osf.io/89kps so that DIR holds testset.json and images/ and give `data: DIR` (--data DIR), "
    "or leave `data` out where the hub can be reached"
)


class VqaRadOptions(FolderOptions):
    """Where VQA-RAD is.

    Attributes:
        data: folder with testset.json and images/, or with the original file; None reads the hub copy.
        hub: hub id or local folder of the hub layout.
        revision: hub revision.
    """

    hub: str = "flaviagiammarino/vqa-rad"
    revision: str | None = None


class VqaRad(Task):
    """VQA-RAD test split: 451 questions on 203 radiology images, closed and open. CC0-1.0."""

    Options = VqaRadOptions
    prompts: ClassVar = {
        "short": "{question}\nAnswer with a single word or phrase.",
        "plain": "{question}",
        "radiologist": "You are reading a radiology image.\nQuestion: {question}\n"
        "Reply with yes or no where that answers it, otherwise with the shortest exact phrase.",
        "tagged": SHORT_ANSWERS["tagged"],
    }
    profiles: ClassVar = (
        "raybench-strict", "llava-med-v1-batch", "llava-med-v1-gate", "medevalkit-9b12e3b", "vqa-v2-exact",
        "lmms-slake",
    )  # fmt: skip
    headline: ClassVar = ("raybench-strict", "overall_accuracy")
    group: ClassVar = "vqa"
    leaks: ClassVar = (
        "289 of the 451 test questions have a reworded twin with the same image and answer in the 3,064-item training "
        "split, so models fine-tuned on it (MEVF, MUMC, M2I2, LLaVA-Med and others) have seen them."
    )

    def samples(self) -> Iterator[Sample]:
        """Yield the test questions in file order.

        Raises:
            DataError: no data here and no hub, or a malformed file; says how to get the data.
        """
        _ = self._candidates  # a malformed list stops a run before it begins
        return self._read("test")

    def expected_count(self) -> int:
        """Return 451, in the original and in the hub copy."""
        return 451

    def examples(self, n: int) -> list[Sample]:
        """Return n training questions: of trainset.json, the original file or the hub copy, as `data` says.

        Note `leaks`: the original training split holds rewordings of test questions.

        Raises:
            SpecError: the folder holds no training split.
        """
        return pick(self._read("train"), n)

    def _read(self, split: str) -> Iterator[Sample]:
        if not self.options.data:
            return self._hub(split)
        folder = expand(self.options.data)
        if exists(path := f"{folder}/{split}set.json"):
            return self._original(folder, path, split)
        if exists(path := f"{folder}/{_PUBLIC}"):
            return self._original(folder, path, split)
        if split == "train":
            raise SpecError(f"shots: {folder} holds no trainset.json to take examples from")
        raise DataError(f"no VQA-RAD at {folder} (no testset.json): {_RECIPE}")

    def _original(self, folder: str, path: str, split: str) -> Iterator[Sample]:
        public = os.path.basename(path) == _PUBLIC
        for number, row in enumerate(read_rows(path), 1):
            phrase = text_of(row.get("phrase_type"))
            if public and phrase.startswith("test_") != (split == "test"):
                continue
            where = f"{path}, entry {number}"
            name = text_of(column(row, "image_name", where))
            yield Sample(
                id=text_of(column(row, "qid", where)),
                dataset="vqa_rad-osf",
                split=split,
                questions=(text_of(column(row, "question", where)),),
                targets=(text_of(column(row, "answer", where)),),  # some answers are JSON numbers
                images=(ImageRef(image_path(self.options.images_dir or folder, name, self._folders)),),
                cluster=name,
                slices={
                    "answer_type": text_of(column(row, "answer_type", where)).lower(),
                    "organ": text_of(row.get("image_organ")),
                    "question_type": text_of(row.get("question_type")),
                    "phrase_type": phrase.removeprefix("test_"),
                },
            )

    @property
    def _folders(self) -> tuple[str, ...]:
        return ("",) if self.options.images_dir else _IMAGES

    def _hub(self, split: str) -> Iterator[Sample]:
        rows = question_samples(self.options.hub, split, self.options.revision, "vqa_rad-hf")
        try:
            first = next(rows, None)
        except DataError as error:
            raise DataError(f"no VQA-RAD: no `data` folder given and {error}; {_RECIPE}") from error
        return chain(() if first is None else (first,), rows)

    def parse(self, sample: Row, text: str) -> Answer:
        """Read yes/no or free text, whichever the question asks for; note the nearest training answer where known."""
        answer = read_vqa(text, sample["questions"][0], sample["choices"])
        try:
            candidates = self._candidates
        except (DataError, OSError):  # scored again where the folder is not: one metric less, the same answers
            return answer
        return replace(answer, notes={NEAREST: nearest_answer(text, candidates)}) if candidates else answer

    @cached_property
    def _candidates(self) -> tuple[str, ...]:
        """The distinct answers to the training split's open questions, sorted; none where the folder lacks them."""
        folder = expand(self.options.data) if self.options.data else ""
        if folder and exists(path := f"{folder}/{_CANDIDATES}"):
            document = json_document(path)
            answers = document.get("0") if isinstance(document, dict) else None
            if not isinstance(answers, list) or not answers:
                raise DataError(f'{path} must hold {{"0": [...]}}: the answers to the open training questions')
            return tuple(text_of(answer) for answer in answers)
        if folder and exists(path := f"{folder}/trainset.json"):
            train = self._original(folder, path, "train")
            return tuple(sorted({sample.targets[0] for sample in train if sample.slices["answer_type"] == "open"}))
        return ()


PLUGIN = VqaRad
