"""Multiple choice on your own table.

    tasks:
      - task: multiple_choice
        data: questions.jsonl        # columns id, image, question, choices (a list), answer
        choice_columns: [option_A, option_B, option_C, option_D]   # instead of choices
        columns: {answer: gt_answer}
        cluster: patient_id
        slices: [modality]

The answer is the text of a choice or its letter. A blank choice column is left
out of that row's options. Files in the layout of OmniMedVQA (127,995 questions in
published counts) read with the options above and `columns: {id: question_id,
image: image_path, answer: gt_answer}`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from raybench.data.tables import read_rows
from raybench.errors import DataError, nearest
from raybench.interfaces import Task
from raybench.parsing.choice import read_choice
from raybench.schema import Answer, Row, Sample
from raybench.tasks._choices import PROMPTS, chosen, letters, unlettered, with_options
from raybench.tasks._layout import text_of
from raybench.tasks._table import TableOptions, table_samples

__all__ = ["PLUGIN", "MultipleChoice", "MultipleChoiceOptions"]


class MultipleChoiceOptions(TableOptions):
    """A table plus where its choices stand.

    Attributes:
        choice_columns: columns that hold one choice each, in the order of their letters.
        probabilities: force a letter on backends that can, so that the letters' probabilities are known.
    """

    choice_columns: tuple[str, ...] = ()
    probabilities: bool = False


class MultipleChoice(Task):
    """One right answer out of a few, from any CSV, JSONL, JSON or Parquet file."""

    Options = MultipleChoiceOptions
    prompts: ClassVar = PROMPTS
    profiles: ClassVar = ("raybench-strict", "medevalkit-9b12e3b")
    headline: ClassVar = ("raybench-strict", "overall_accuracy")
    group: ClassVar = "choice"

    def samples(self) -> Iterator[Sample]:
        """Yield the table's rows in order.

        Raises:
            DataError: no choices, an answer that is none of them, and whatever `table_samples` raises.
        """
        options = self.options
        listed = not options.choice_columns
        roles = {"id": False, "question": True, "answer": True, "image": False, "choices": listed}
        rows = read_rows(options.data)
        for sample, row in zip(table_samples(options, roles), rows, strict=True):
            where = f"{options.data}, id {sample.id}"
            choices = sample.choices if listed else self._columns(row, where)
            plain = tuple(unlettered(choice, letter) for choice, letter in zip(choices, letters(choices), strict=False))
            target = chosen(sample.targets[0], plain or choices, where)
            slices = {**sample.slices, "answer_type": "closed"}
            yield replace(sample, choices=plain, targets=(target,), slices=slices)

    def _columns(self, row: Row, where: str) -> tuple[str, ...]:
        names = self.options.choice_columns
        if names[0] not in row:
            close = nearest(names[0], row)
            raise DataError(f"{where}: no column {names[0]!r}{close} (choice_columns); columns: {', '.join(row)}")
        return tuple(cell for name in names if (cell := text_of(row.get(name))))

    def messages(self, sample: Row, variant: str) -> list[Row]:
        """Ask with the options lettered, one a line."""
        return super().messages(with_options(sample), variant)

    def labels(self, sample: Row) -> list[str] | None:
        """Return the letters where `probabilities` is set."""
        return letters(sample["choices"]) if self.options.probabilities else None

    def parse(self, sample: Row, text: str) -> Answer:
        """Read a letter or the text of a choice."""
        return read_choice(text, sample["choices"])


PLUGIN = MultipleChoice
