"""PathVQA: questions about pathology images out of two textbooks and PEIR (He et al. 2020, arXiv 2003.10286).

Local layout, as the authors publish it: `pvqa/qas/<split>/<split>_qa.pkl` (or
`qas/...`; splits train, val, test) beside `pvqa/images/<split>/<name>.jpg`, named
`path_vqa-original` in scores: 19,755 / 6,279 / 6,761 questions on 2,599 / 832 / 858
images; the test questions are 3,391 closed (yes or no) and 3,370 open. The pickles
are read with nothing but plain lists, dicts and text allowed; JSON files of the
same rows (`test_qa.json`) are read too. Without `data` the hub copy
`flaviagiammarino/path-vqa` is read (19,654 / 6,259 / 6,719 after removing
duplicates), named `path_vqa-hf`; the two are never pooled. The hub card says MIT,
but the images are copyright of the books' publishers and PEIR.

    tasks:
      - {task: path_vqa, data: ~/data/pvqa}
"""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Iterator
from itertools import chain
from typing import Any, ClassVar, Literal

import fsspec
from pydantic import field_validator

from raybench.data.tables import column
from raybench.errors import DataError
from raybench.interfaces import Task
from raybench.parsing.vqa import read_vqa
from raybench.schema import Answer, ImageRef, Row, Sample
from raybench.tasks._hub import question_samples
from raybench.tasks._layout import FolderOptions, find, image_path, json_document, pick, split_name, text_of
from raybench.tasks._prompts import SHORT_ANSWERS

__all__ = ["PLUGIN", "PathVqa", "PathVqaOptions"]

_RECIPE = (
    "download pvqa.zip as UCSD-AI4H/PathVQA says so that DIR holds qas/ and images/ and give `data: DIR` "
    "(--data DIR), or leave `data` out where the hub can be reached"
)
_FOLDERS = {"train": "train", "validation": "val", "test": "test"}
_COUNTS = {
    "original": {"train": 19755, "validation": 6279, "test": 6761},
    "hf": {"train": 19654, "validation": 6259, "test": 6719},
}


class PathVqaOptions(FolderOptions):
    """Where PathVQA is.

    Attributes:
        data: folder with qas/ and images/, or one file of rows; None reads the hub copy.
        hub: hub id or local folder of the hub layout.
        revision: hub revision.
        split: train, validation or test.
    """

    hub: str = "flaviagiammarino/path-vqa"
    revision: str | None = None
    split: Literal["train", "validation", "test"] = "test"

    @field_validator("split", mode="before")
    @classmethod
    def _usual(cls, value: Any) -> Any:
        return split_name(value) if isinstance(value, str) else value


class PathVqa(Task):
    """PathVQA test split: 6,761 questions on 858 pathology images, closed and open."""

    Options = PathVqaOptions
    prompts: ClassVar = {
        **SHORT_ANSWERS,
        "pathologist": "You are looking at a pathology image.\nQuestion: {question}\n"
        "Reply with yes or no where that answers it, otherwise with the shortest exact phrase.",
    }
    profiles: ClassVar = (
        "raybench-strict", "llava-med-v1-batch", "llava-med-v1-gate", "medevalkit-9b12e3b", "vqa-v2-exact",
        "lmms-slake",
    )  # fmt: skip
    headline: ClassVar = ("raybench-strict", "overall_accuracy")
    group: ClassVar = "vqa"

    def samples(self) -> Iterator[Sample]:
        """Yield the split's questions in file order.

        Raises:
            DataError: no data here and no hub, or a malformed file; says how to get the data.
        """
        return self._read(self.options.split)

    def expected_count(self) -> int:
        """Return the published number of questions of the split, of the original or of the hub copy."""
        return _COUNTS["original" if self.options.data else "hf"][self.options.split]

    def examples(self, n: int) -> list[Sample]:
        """Return n questions of the training split, or of the validation split where training is asked."""
        return pick(self._read("train" if self.options.split != "train" else "validation"), n)

    def _read(self, split: str) -> Iterator[Sample]:
        return self._original(self.options.data, split) if self.options.data else self._hub(split)

    def _original(self, data: str, split: str) -> Iterator[Sample]:
        folder = _FOLDERS[split]
        stems = (f"qas/{folder}/{folder}_qa", f"qas/{folder}_qa", f"{folder}_qa")
        names = [f"{root}{stem}{end}" for end in (".pkl", ".json") for root in ("", "pvqa/") for stem in stems]
        path = find(data, names, "PathVQA", _RECIPE)
        root = self.options.images_dir or path.split("/qas/")[0].rstrip("/")
        folders = ("", folder) if self.options.images_dir else (f"images/{folder}", "images", f"images/{split}", "")
        for number, row in enumerate(_rows(path)):
            where = f"{path}, entry {number + 1}"
            name = text_of(column(row, "image", where))
            answer = text_of(column(row, "answer", where))
            yield Sample(
                id=f"{split}-{number}",
                dataset="path_vqa-original",
                split=split,
                questions=(text_of(column(row, "question", where)),),
                targets=(answer,),
                images=(ImageRef(image_path(root, name, folders, (".jpg", "", ".png", ".jpeg"))),),
                cluster=name,
                slices={"answer_type": "closed" if answer.lower() in ("yes", "no") else "open"},
            )

    def _hub(self, split: str) -> Iterator[Sample]:
        rows = question_samples(self.options.hub, split, self.options.revision, "path_vqa-hf")
        try:
            first = next(rows, None)
        except DataError as error:
            raise DataError(f"no PathVQA: no `data` folder given and {error}; {_RECIPE}") from error
        return chain(() if first is None else (first,), rows)

    def parse(self, sample: Row, text: str) -> Answer:
        """Read yes/no or free text, whichever the question asks for."""
        return read_vqa(text, sample["questions"][0], sample["choices"])


class _PlainUnpickler(pickle.Unpickler):
    """Builds lists, dicts, text and numbers; a pickle that names any class or function is refused."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it names {module}.{name}")


def _rows(path: str) -> list[Row]:
    if os.path.splitext(path)[1].lower() == ".json":
        rows = json_document(path)
    else:
        try:
            with fsspec.open(path, "rb") as file:
                rows = _PlainUnpickler(io.BytesIO(file.read())).load()
        except (OSError, EOFError, pickle.UnpicklingError, ValueError, KeyError, IndexError) as error:
            raise DataError(f"cannot read {path} as a pickle of plain rows: {error}") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{path} must hold a list of rows with image, question and answer")
    return rows


PLUGIN = PathVqa
