"""Visual question answering on your own table.

    tasks:
      - task: vqa
        data: questions.csv          # columns id, image, question, answer
        columns: {question: q, answer: gold}
        cluster: patient_id
        slices: [modality]

Rows whose `answer_type` is "closed" (or, without that column, whose answer is
yes or no, or that carry choices) count as closed, all others as open.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from raybench.interfaces import Task
from raybench.parsing.vqa import read_vqa
from raybench.schema import Answer, Row, Sample
from raybench.tasks._table import TableOptions, table_samples

__all__ = ["PLUGIN", "Vqa"]


class Vqa(Task):
    """Questions about images, from any CSV, JSONL, JSON or Parquet file."""

    Options = TableOptions
    prompts: ClassVar = {
        "short": "{question}\nAnswer with a single word or phrase.",
        "plain": "{question}",
        "choices": "{question}\nChoose from: {choices}. Answer with one of them.",
    }
    profiles: ClassVar = ("raybench-strict", "vqa-v2-exact")
    headline: ClassVar = ("raybench-strict", "overall_accuracy")
    group: ClassVar = "vqa"
    _roles: ClassVar = {
        "id": False, "question": True, "answer": True, "image": False, "choices": False, "answer_type": False,
    }  # fmt: skip

    def samples(self) -> Iterator[Sample]:
        """Yield the table's rows in order; see `table_samples` for what is an error."""
        for sample in table_samples(self.options, self._roles):
            kind = sample.slices.get("answer_type")
            if kind is None:
                closed = bool(sample.choices) or sample.targets[0].lower() in ("yes", "no")
                kind = "closed" if closed else "open"
            yield replace(sample, slices={**sample.slices, "answer_type": kind})

    def messages(self, sample: Row, variant: str) -> list[Row]:
        """Ask as the variant says; a row without choices is asked plainly where the variant would list them."""
        without = "{choices}" in self.prompts[variant] and not sample["choices"]
        return super().messages(sample, "plain" if without and "plain" in self.prompts else variant)

    def parse(self, sample: Row, text: str) -> Answer:
        """Read yes/no, a choice or free text, whichever the question asks for."""
        return read_vqa(text, sample["questions"][0], sample["choices"])


PLUGIN = Vqa
