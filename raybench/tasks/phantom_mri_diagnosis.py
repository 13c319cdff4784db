"""A diagnosis from history and image, on drawn brain MRI slices: a self-check of the pipeline, never a medical claim.

The same spots mean one disease in a young patient with optic neuritis and
another in an old one with high blood pressure, and normal images come with
every history: neither history nor image is enough.

    tasks:
      - {task: phantom_mri_diagnosis, count: 60}
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from raybench.interfaces import Task
from raybench.parsing.vqa import read_classification
from raybench.schema import Answer, Row, Sample
from raybench.tasks._phantom import PROMPTS, PhantomOptions, phantom_cases, phantom_sample

__all__ = ["PLUGIN", "PhantomMriDiagnosis"]


class PhantomMriDiagnosis(Task):
    """One of eight diagnoses from history and drawn MRI slice. A self-check of the pipeline, never a medical claim."""

    Options = PhantomOptions
    prompts: ClassVar = PROMPTS["phantom_mri_diagnosis"]
    profiles: ClassVar = ("classification", "raybench-strict")
    headline: ClassVar = ("classification", "accuracy")
    judge_protocol: ClassVar = ""
    generation: ClassVar = {"max_tokens": 24}
    group: ClassVar = "diagnosis"
    self_check: ClassVar = True

    def samples(self) -> Iterator[Sample]:
        """Yield one sample an image."""
        for phantom in phantom_cases(("mri",), self.options):
            yield phantom_sample("phantom_mri_diagnosis", phantom, self.options.size)

    def parse(self, sample: Row, text: str) -> Answer:
        """Read one of the listed diagnoses; a negated or ambiguous mention is unparsed."""
        return read_classification(text, sample["choices"])


PLUGIN = PhantomMriDiagnosis
