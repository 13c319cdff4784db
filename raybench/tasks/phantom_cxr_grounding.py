"""Boxes around the findings of drawn chest X-rays: a self-check of the pipeline, never a medical claim.

The models trained with raybench write "label [x0, y0, x1, y1]", 0-1, one a line,
or "none"; other models are read under their own convention. Images without a
finding are healthy ones, on which every box is a false positive.

    tasks:
      - {task: phantom_cxr_grounding, count: 60}
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from raybench.interfaces import Task
from raybench.schema import Answer, Row, Sample
from raybench.tasks._boxes import read_answer
from raybench.tasks._phantom import PROMPTS, PhantomOptions, phantom_cases, phantom_sample

__all__ = ["PLUGIN", "PhantomCxrGrounding"]


class PhantomCxrGrounding(Task):
    """Boxes and labels of findings in drawn chest X-rays. A self-check of the pipeline, never a medical claim."""

    Options = PhantomOptions
    prompts: ClassVar = PROMPTS["phantom_cxr_grounding"]
    profiles: ClassVar = ("detection",)
    headline: ClassVar = ("detection", "f1_50")
    judge_protocol: ClassVar = ""
    generation: ClassVar = {"max_tokens": 96}
    group: ClassVar = "detection"
    baselines: ClassVar = ("random_box", "no_box")
    self_check: ClassVar = True

    def samples(self) -> Iterator[Sample]:
        """Yield one sample an image."""
        for phantom in phantom_cases(("cxr",), self.options):
            yield phantom_sample("phantom_cxr_grounding", phantom, self.options.size)

    def parse(self, sample: Row, text: str) -> Answer:
        """Read boxes under the model's convention; "none" is an answer."""
        return read_answer(sample, text)


PLUGIN = PhantomCxrGrounding
