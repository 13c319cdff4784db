"""Questions about drawn chest X-rays and MRI slices: a self-check of the pipeline, never a medical claim.

Some questions cannot be answered from any image ("What is the patient's
name?"). Declining is then the right thing to do; it is shown as `refused`, and
like every refusal it earns no accuracy: the reference is "not stated in the
image", and the slice `answer_type: unanswerable` tells these rows apart. The
variant `confidence` is a prompt that the shipped models were never trained on:
it shows how far a model depends on its prompt, and answers nobody can read.

    tasks:
      - {task: phantom_vqa, count: 60, each: 3, prompts: [plain, confidence]}
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from raybench.interfaces import Task
from raybench.parsing.vqa import read_vqa
from raybench.schema import Answer, Row, Sample
from raybench.tasks._phantom import PROMPTS, PhantomOptions, phantom_cases, vqa_samples

__all__ = ["PLUGIN", "PhantomVqa", "PhantomVqaOptions"]


class PhantomVqaOptions(PhantomOptions):
    """Which phantoms are drawn, and how much is asked about each.

    Attributes:
        each: number of questions an image.
    """

    each: int = Field(3, ge=1)


class PhantomVqa(Task):
    """Closed, open and unanswerable questions on drawn images. A self-check of the pipeline, never a medical claim."""

    Options = PhantomVqaOptions
    prompts: ClassVar = {**PROMPTS["phantom_vqa"], "confidence": "{question} Give your confidence in percent."}
    profiles: ClassVar = ("raybench-strict", "vqa-v2-exact")
    headline: ClassVar = ("raybench-strict", "overall_accuracy")
    generation: ClassVar = {"max_tokens": 24}
    group: ClassVar = "vqa"
    self_check: ClassVar = True

    def samples(self) -> Iterator[Sample]:
        """Yield `each` questions an image; chest X-rays and MRI slices take turns."""
        for phantom in phantom_cases(("cxr", "mri"), self.options):
            yield from vqa_samples(phantom, self.options.each, self.options.size)

    def parse(self, sample: Row, text: str) -> Answer:
        """Read yes/no or free text, whichever the question asks for."""
        return read_vqa(text, sample["questions"][0], sample["choices"])


PLUGIN = PhantomVqa
