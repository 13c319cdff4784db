"""Single-label classification on your own table.

tasks:
  - task: classification
    data: labels.csv             # columns id, image, answer
    columns: {image: file, answer: finding}
    labels: [normal, abnormal]
    positive: abnormal           # the class that F1, sensitivity and specificity are about
    cluster: patient_id
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from pydantic import Field

from raybench.errors import DataError, nearest
from raybench.interfaces import Task
from raybench.parsing.vqa import read_classification
from raybench.schema import Answer, Row, Sample
from raybench.tasks._table import TableOptions, table_samples

__all__ = ["PLUGIN", "Classification", "ClassificationOptions"]


class ClassificationOptions(TableOptions):
    """A table plus its classes.

    Attributes:
        labels: the classes, in the order a prompt lists them.
        positive: the class of interest; default the last of two labels, none for more.
        synonyms: other words for a label, e.g. {abnormal: [unhealthy, pathological]}.
        question: what is asked where the table has no question column.
    """

    labels: tuple[str, ...] = Field(min_length=2)
    positive: str | None = None
    synonyms: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    question: str = "Which of these describes the image?"


class Classification(Task):
    """One label per image, from any CSV, JSONL, JSON or Parquet file."""

    Options = ClassificationOptions
    prompts: ClassVar = {
        "choices": "{question}\nChoose from: {choices}. Answer with one of them.",
        "plain": "{question}",
    }
    profiles: ClassVar = ("classification",)
    headline: ClassVar = ("classification", "accuracy")
    judge_protocol: ClassVar = ""
    group: ClassVar = "classification"

    def samples(self) -> Iterator[Sample]:
        """Yield the table's rows in order.

        Raises:
            DataError: a label outside `labels`, and whatever `table_samples` raises.
        """
        options = self.options
        folded = {label.casefold(): label for label in options.labels}
        if len(folded) < len(options.labels):
            raise DataError(f"labels stand twice (case does not count): {', '.join(options.labels)}")
        if "" in map(str.strip, options.labels):
            raise DataError(f"labels: label {[label.strip() for label in options.labels].index('') + 1} is blank")
        for what, names in (
            ("positive", [options.positive] if options.positive else []),
            ("synonyms of", options.synonyms),
        ):
            for name in names:
                if name not in options.labels:
                    close = nearest(name, options.labels)
                    raise DataError(f"{what} {name!r} is none of labels{close}: {', '.join(options.labels)}")
        said = [phrase.casefold() for phrases in options.synonyms.values() for phrase in phrases]
        for phrase in said:
            if said.count(phrase) > 1:
                raise DataError(f"synonyms: {phrase!r} stands for more than one label, or twice")
        roles = {"id": False, "question": False, "answer": True, "image": False}
        for sample in table_samples(options, roles):
            target = folded.get(sample.targets[0].casefold())
            if target is None:
                close = nearest(sample.targets[0], options.labels)
                raise DataError(
                    f"{options.data}, id {sample.id}: label {sample.targets[0]!r} is none of labels{close}: "
                    + ", ".join(options.labels)
                )
            question = sample.questions[0] or options.question
            context = {**sample.context, **self._positive()}
            yield replace(
                sample, targets=(target,), questions=(question,), choices=tuple(options.labels), context=context
            )

    def _positive(self) -> dict[str, str]:
        labels = self.options.labels
        positive = self.options.positive or (labels[1] if len(labels) == 2 else None)
        return {} if positive is None else {"positive": positive}

    def parse(self, sample: Row, text: str) -> Answer:
        """Read one of the labels; a negated or ambiguous mention is unparsed."""
        return read_classification(text, self.options.labels, self.options.synonyms)


PLUGIN = Classification
