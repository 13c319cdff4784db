"""SLAKE: questions about CT, MRI and X-ray images, in English and Chinese (Liu et al. 2021, arXiv 2102.09542).

Local layout, as published (hub id BoKelvin/SLAKE, CC BY 4.0): `train.json`,
`validation.json` (also `validate.json`) and `test.json` beside
`imgs/xmlab<N>/source.jpg`, or beside `imgs.zip` left packed. Counts: English
4,919 / 1,053 / 1,061 questions on 450 / 96 / 96 images, Chinese 4,916 / 1,046 /
1,033. Named `slake-en`, `slake-zh` or `slake-en+zh` in scores. Without `data` the
files are taken from the hub (imgs.zip has 212 MB).

    tasks:
      - {task: slake, data: ~/data/slake, language: [en, zh]}
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from pydantic import field_validator

from raybench.data.tables import column, read_rows
from raybench.interfaces import Task
from raybench.parsing.vqa import read_vqa
from raybench.schema import Answer, ImageRef, Row, Sample
from raybench.tasks._hub import snapshot
from raybench.tasks._layout import FolderOptions, find, image_path, pick, split_name, text_of
from raybench.tasks._prompts import SHORT_ANSWERS

__all__ = ["PLUGIN", "Slake", "SlakeOptions"]

_RECIPE = (
    "download BoKelvin/SLAKE from the hub so that DIR holds test.json and imgs/ (or imgs.zip) and give "
    "`data: DIR` (--data DIR)"
)
_FILES = {
    "train": ("train.json",),
    "validation": ("validation.json", "validate.json"),
    "test": ("test.json",),
}
_COUNTS = {
    ("en", "train"): 4919, ("en", "validation"): 1053, ("en", "test"): 1061,
    ("zh", "train"): 4916, ("zh", "validation"): 1046, ("zh", "test"): 1033,
}  # fmt: skip
_SHORT = {"en": "Answer with a single word or phrase.", "zh": "请用一个词或短语回答。"}
_SLICES = ("modality", "content_type", "base_type", "location")


class SlakeOptions(FolderOptions):
    """Where SLAKE is and which part of it is asked.

    Attributes:
        data: folder with test.json and imgs/; None takes the files from the hub.
        hub: hub id, or a local folder in its layout.
        revision: hub revision.
        split: train, validation or test.
        language: "en", "zh", "both", or a list of them.
    """

    hub: str = "BoKelvin/SLAKE"
    revision: str | None = None
    split: Literal["train", "validation", "test"] = "test"
    language: tuple[Literal["en", "zh"], ...] = ("en",)

    @field_validator("language", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        if value == "both":
            return ("en", "zh")
        return tuple(re.split(r"[+,\s]+", value)) if isinstance(value, str) else value

    @field_validator("split", mode="before")
    @classmethod
    def _usual(cls, value: Any) -> Any:
        return split_name(value) if isinstance(value, str) else value


class Slake(Task):
    """SLAKE test split: 1,061 English and 1,033 Chinese questions on 96 images. CC BY 4.0."""

    Options = SlakeOptions
    prompts: ClassVar = {
        "short": "{question}\n{short_answer}",
        "plain": "{question}",
        "radiologist": "This is a radiology image.\nQuestion: {question}\n{short_answer}",
        "tagged": SHORT_ANSWERS["tagged"],
    }
    profiles: ClassVar = (
        "raybench-strict", "llava-med-v1-batch", "llava-med-v1-gate", "medevalkit-9b12e3b", "vqa-v2-exact",
        "lmms-slake",
    )  # fmt: skip
    headline: ClassVar = ("raybench-strict", "overall_accuracy")
    group: ClassVar = "vqa"

    def samples(self) -> Iterator[Sample]:
        """Yield the split's questions in the chosen languages, in file order.

        Raises:
            DataError: no data here and no hub, or a malformed file; says how to get the data.
        """
        return self._read(self.options.split)

    def expected_count(self) -> int:
        """Return the published number of questions in the chosen languages and split."""
        return sum(_COUNTS[language, self.options.split] for language in set(self.options.language))

    def examples(self, n: int) -> list[Sample]:
        """Return n questions of the training split, or of the validation split where training is asked."""
        return pick(self._read("train" if self.options.split != "train" else "validation"), n)

    def _read(self, split: str) -> Iterator[Sample]:
        options, languages = self.options, tuple(dict.fromkeys(self.options.language))
        folder = options.data or snapshot(
            options.hub, options.revision, ["*.json", "imgs.zip", "imgs/*"], "SLAKE", _RECIPE
        )
        path = find(folder, _FILES[split], "SLAKE", _RECIPE)
        root = options.images_dir or path.rsplit("/", 1)[0]
        folders = ("", "imgs", "imgs.zip") if options.images_dir else ("imgs", "imgs.zip", "")
        for number, row in enumerate(read_rows(path), 1):
            where = f"{path}, entry {number}"
            language = text_of(column(row, "q_lang", where)).lower()
            if language not in languages:
                continue
            name = text_of(column(row, "img_name", where))
            yield Sample(
                id=text_of(column(row, "qid", where)),
                dataset=f"slake-{'+'.join(sorted(languages))}",
                split=split,
                questions=(text_of(column(row, "question", where)),),
                targets=(text_of(column(row, "answer", where)),),
                images=(ImageRef(image_path(root, name, folders)),),
                cluster=text_of(row.get("img_id")) or name,
                slices={
                    "answer_type": text_of(column(row, "answer_type", where)).lower(),
                    "language": language,
                    **{key: text_of(row.get(key)) for key in _SLICES},
                },
                context={"short_answer": _SHORT[language]},
            )

    def parse(self, sample: Row, text: str) -> Answer:
        """Read yes/no (是/不是 and their like too) or free text, whichever the question asks for."""
        return read_vqa(text, sample["questions"][0], sample["choices"])


PLUGIN = Slake
