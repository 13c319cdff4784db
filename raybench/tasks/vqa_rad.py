"""VQA-RAD: clinicians' questions about radiology images (Lau et al. 2018, doi 10.1038/sdata.2018.251).

Original layout: `testset.json` (451 questions: 272 closed, 179 open) beside
`images/`, from osf.io/89kps, CC0-1.0; named `vqa_rad-osf` in scores. Without
`data` the hub copy `flaviagiammarino/vqa-rad` is read (451 test rows, no ids
and no types), named `vqa_rad-hf`; the two are never pooled.

    tasks:
      - {task: vqa_rad, data: ~/data/vqa-rad}
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import ClassVar

from raybench.data import hub
from raybench.data.images import sha256
from raybench.data.tables import column, read_rows
from raybench.errors import DataError
from raybench.interfaces import Options, Task
from raybench.parsing.vqa import read_vqa
from raybench.schema import Answer, ImageRef, Row, Sample

__all__ = ["PLUGIN", "VqaRad", "VqaRadOptions"]

_RECIPE = (
    "download osf.io/89kps so that DIR holds testset.json and images/ and give `data: DIR` (--data DIR), "
    "or leave `data` out where the hub can be reached"
)


class VqaRadOptions(Options):
    """Where VQA-RAD is.

    Attributes:
        data: folder with testset.json and images/; None reads the hub copy.
        hub: hub id or local folder of the hub layout.
        revision: hub revision.
    """

    data: str | None = None
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
    }
    profiles: ClassVar = ("raybench-strict", "vqa-v2-exact")
    headline: ClassVar = ("raybench-strict", "overall_accuracy")
    group: ClassVar = "vqa"

    def samples(self) -> Iterator[Sample]:
        """Yield the test questions in file order.

        Raises:
            DataError: no data here and no hub, or a malformed file; says how to get the data.
        """
        return self._original(self.options.data) if self.options.data else self._hub()

    def _original(self, folder: str) -> Iterator[Sample]:
        path = os.path.join(folder, "testset.json")
        if not os.path.isfile(path):
            raise DataError(f"no VQA-RAD at {folder} (no testset.json): {_RECIPE}")
        for number, row in enumerate(read_rows(path), 1):
            where = f"{path}, entry {number}"
            uri = os.path.join(folder, "images", str(column(row, "image_name", where)))
            yield Sample(
                id=str(column(row, "qid", where)),
                dataset="vqa_rad-osf",
                split="test",
                questions=(str(column(row, "question", where)).strip(),),
                targets=(str(column(row, "answer", where)).strip(),),  # some answers are JSON numbers
                images=(ImageRef(uri),),
                cluster=str(row["image_name"]),
                slices={
                    "answer_type": str(column(row, "answer_type", where)).strip().lower(),
                    "organ": str(row.get("image_organ", "")).strip(),
                    "question_type": str(row.get("question_type", "")).strip(),
                    "phrase_type": str(row.get("phrase_type", "")).strip(),
                },
            )

    def _hub(self) -> Iterator[Sample]:
        name, revision = self.options.hub, self.options.revision
        try:
            rows = list(hub.read_split(name, "test", revision))
        except DataError as error:
            raise DataError(f"no VQA-RAD: no `data` folder given and {error}; {_RECIPE}") from error
        for number, row in enumerate(rows):
            where = f"{name}, row {number}"
            answer = str(column(row, "answer", where)).strip()
            column(row, "image", where)
            uri = hub.image_uri(name, "test", number, revision=revision)
            yield Sample(
                id=f"test-{number}",
                dataset="vqa_rad-hf",
                split="test",
                questions=(str(column(row, "question", where)).strip(),),
                targets=(answer,),
                images=(ImageRef(uri),),
                cluster=sha256(hub.image_bytes(uri))[:16],
                slices={"answer_type": "closed" if answer.lower() in ("yes", "no") else "open"},
            )

    def parse(self, sample: Row, text: str) -> Answer:
        """Read yes/no or free text, whichever the question asks for."""
        return read_vqa(text, sample["questions"][0], sample["choices"])


PLUGIN = VqaRad
