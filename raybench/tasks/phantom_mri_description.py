"""One-sentence descriptions of drawn brain MRI slices: a self-check of the pipeline, never a medical claim.

tasks:
  - {task: phantom_mri_description, count: 60}
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from raybench.interfaces import Task
from raybench.parsing.vqa import read_free_text
from raybench.schema import Answer, Row, Sample
from raybench.tasks._phantom import PROMPTS, PhantomOptions, phantom_cases, phantom_sample

__all__ = ["PLUGIN", "PhantomMriDescription"]


class PhantomMriDescription(Task):
    """Contrast and findings of a drawn MRI slice in words. A self-check of the pipeline, never a medical claim."""

    Options = PhantomOptions
    prompts: ClassVar = PROMPTS["phantom_mri_description"]
    profiles: ClassVar = ("text-overlap",)
    headline: ClassVar = ("text-overlap", "bleu_1")
    generation: ClassVar = {"max_tokens": 40}
    group: ClassVar = "description"
    self_check: ClassVar = True

    def samples(self) -> Iterator[Sample]:
        """Yield one sample an image."""
        for phantom in phantom_cases(("mri",), self.options):
            yield phantom_sample("phantom_mri_description", phantom, self.options.size)

    def parse(self, sample: Row, text: str) -> Answer:
        """Read whatever is no refusal as the description."""
        return read_free_text(text)


PLUGIN = PhantomMriDescription
