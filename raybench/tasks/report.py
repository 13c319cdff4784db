"""Free text about an image against a reference, on your own table: reports, captions, descriptions.

    tasks:
      - task: report
        data: reports.csv            # columns id, image, answer (the reference text)
        columns: {answer: findings}
        question: Write the findings section of the report on this chest X-ray.
        cluster: patient_id
        restricted: true             # credentialed reports never leave local hosts

A cell may hold several images as a JSON list. Headline is ROUGE-L: it is a mean over
samples, so that its interval and paired tests are exact in the sample, it does
not hang on the length of the corpus as BLEU does, and order of words counts. It
is lexical all the same: a judge's verdict stands beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from raybench.interfaces import Task
from raybench.parsing.vqa import read_free_text
from raybench.schema import Answer, Row, Sample
from raybench.tasks._prompts import LONGEST
from raybench.tasks._table import TableOptions, table_samples

__all__ = ["PLUGIN", "Report", "ReportOptions"]


class ReportOptions(TableOptions):
    """A table plus what is asked where it has no question column.

    Attributes:
        question: the request, in the references' language.
    """

    question: str = "Write a report on this image."


class Report(Task):
    """Free text against a reference text, from any CSV, JSONL, JSON or Parquet file."""

    Options = ReportOptions
    prompts: ClassVar = {
        "plain": "{question}",
        "brief": "{question}\nUse at most two sentences.",
        "sentence": "{question}\nOne sentence will do.",
        "essentials": "{question}\nName only what matters.",
        "detailed": "{question}\nGive all particulars: location, size, shape and appearance of everything of note.",
        "systematic": "{question}\nGo through the image region by region, normal structures too.",
        "radiologist": "You are an experienced radiologist.\n{question}\nWrite as in a report, without headings.",
    }
    profiles: ClassVar = ("text-overlap", "llava-med-nltk")
    headline: ClassVar = ("text-overlap", "rouge_l")
    group: ClassVar = "report"
    generation: ClassVar = {"max_tokens": LONGEST}
    baselines: ClassVar = ("majority",)

    def samples(self) -> Iterator[Sample]:
        """Yield the table's rows in order; see `table_samples` for what is an error."""
        roles = {"id": False, "question": False, "answer": True, "image": False}
        for sample in table_samples(self.options, roles):
            yield replace(sample, questions=(sample.questions[0] or self.options.question,))

    def parse(self, sample: Row, text: str) -> Answer:
        """Read free text."""
        return read_free_text(text)


PLUGIN = Report
