"""Normal or abnormal, on drawn chest X-rays: a self-check of the pipeline, never a medical claim.

tasks:
  - {task: phantom_cxr_classification, count: 60}
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from raybench.interfaces import Task
from raybench.parsing.vqa import read_classification
from raybench.schema import Answer, Row, Sample
from raybench.tasks._phantom import PROMPTS, PhantomOptions, phantom_cases, phantom_sample

__all__ = ["PLUGIN", "PhantomCxrClassification"]


class PhantomCxrClassification(Task):
    """Normal or abnormal, on drawn chest X-rays. A self-check of the pipeline, never a medical claim."""

    Options = PhantomOptions
    prompts: ClassVar = PROMPTS["phantom_cxr_classification"]
    profiles: ClassVar = ("classification",)
    headline: ClassVar = ("classification", "accuracy")
    judge_protocol: ClassVar = ""
    generation: ClassVar = {"max_tokens": 16}
    group: ClassVar = "classification"
    self_check: ClassVar = True

    def samples(self) -> Iterator[Sample]:
        """Yield one sample an image."""
        for phantom in phantom_cases(("cxr",), self.options):
            yield phantom_sample("phantom_cxr_classification", phantom, self.options.size)

    def parse(self, sample: Row, text: str) -> Answer:
        """Read "normal" or "abnormal"; a negated or ambiguous mention is unparsed."""
        return read_classification(text, sample["choices"])


PLUGIN = PhantomCxrClassification
