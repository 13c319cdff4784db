"""Visual question answering on your own table.

    tasks:
      - task: vqa
        data: questions.csv          # columns id, image, question, answer
        columns: {question: q, answer: gold}
        cluster: patient_id
        slices: [modality]

Rows whose `answer_type` is "closed" (or, without that column, whose answer is
yes or no, or that carry choices) count as closed, all others as open. A row
whose question and answer are lists of the same length is a conversation: its
questions are asked one after another, each with the model's answers before it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

from raybench.data.tables import read_rows
from raybench.errors import DataError, nearest
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
    profiles: ClassVar = (
        "raybench-strict", "llava-med-v1-batch", "llava-med-v1-gate", "medevalkit-9b12e3b", "vqa-v2-exact",
        "lmms-slake",
    )  # fmt: skip
    headline: ClassVar = ("raybench-strict", "overall_accuracy")
    group: ClassVar = "vqa"
    _roles: ClassVar = {
        "id": False, "question": True, "answer": True, "image": False, "choices": False, "answer_type": False,
    }  # fmt: skip

    def samples(self) -> Iterator[Sample]:
        """Yield the table's rows in order.

        Raises:
            DataError: a conversation with more questions than answers or the reverse, and
                whatever `table_samples` raises.
        """
        rows = read_rows(self.options.data)
        for sample, row in zip(table_samples(self.options, self._roles), rows, strict=True):
            questions, targets = self._turns(sample, row)
            self._check(sample, questions, targets)
            kind = sample.slices.get("answer_type")
            if kind is None:
                closed = bool(sample.choices) or all(target.lower() in ("yes", "no") for target in targets)
                kind = "closed" if closed else "open"
            slices = {**sample.slices, "answer_type": kind}
            yield replace(sample, questions=questions, targets=targets, slices=slices)

    def _turns(self, sample: Sample, row: Row) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The questions and targets of a conversation, or those of a row of one question."""
        found = {role: _listed(row.get(self.options.columns.get(role, role))) for role in ("question", "answer")}
        questions, answers = found["question"], found["answer"]
        if questions is None:
            return sample.questions, sample.targets
        if answers is None or len(answers) != len(questions) or not all(questions) or not all(answers):
            count = "no list of answers" if answers is None else f"{len(answers)} answers"
            raise DataError(
                f"{self.options.data}, id {sample.id}: {len(questions)} questions and {count}; "
                "a conversation needs one answer a question, none blank"
            )
        return tuple(questions), tuple(answers)

    def _check(self, sample: Sample, questions: tuple[str, ...], targets: tuple[str, ...]) -> None:
        """Refuse rows that no answer could be right or wrong about.

        Raises:
            DataError: a blank question, an `answer_type` that is neither closed nor open, an
                answer that is none of the choices.
        """
        where = f"{self.options.data}, id {sample.id}"
        if not all(questions):
            raise DataError(f"{where}: blank question")
        kind = sample.slices.get("answer_type", "open")
        if kind not in ("closed", "open"):
            raise DataError(f"{where}: answer_type {kind!r} is neither closed nor open")
        known = {choice.casefold() for choice in sample.choices}
        stray = next((target for target in targets if target.casefold() not in known), None) if known else None
        if stray is not None:
            close = nearest(stray, sample.choices)
            raise DataError(f"{where}: answer {stray!r} is none of its choices{close}: {', '.join(sample.choices)}")

    def messages(self, sample: Row, variant: str) -> list[Row]:
        """Ask as the variant says; a row without choices is asked plainly where the variant would list them."""
        without = "{choices}" in self.prompts[variant] and not sample["choices"]
        return super().messages(sample, "plain" if without and "plain" in self.prompts else variant)

    def parse(self, sample: Row, text: str) -> Answer:
        """Read yes/no, a choice or free text, whichever the question asks for."""
        return read_vqa(text, sample["questions"][0], sample["choices"])


def _listed(cell: Any) -> list[str] | None:
    """A cell that is a list, or the JSON text of one, as texts; None for anything else."""
    if isinstance(cell, str) and cell.lstrip().startswith("["):
        try:
            cell = json.loads(cell)
        except json.JSONDecodeError:
            return None
    if not isinstance(cell, list | tuple) or not cell:
        return None
    return [str(item).strip() for item in cell]


PLUGIN = Vqa
