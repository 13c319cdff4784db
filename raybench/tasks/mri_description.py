"""Describing a brain MRI slice: NOVA's captions, or your own rows (layouts, licence and counts in `_mri`).

The caption of a radiologist is the reference (906 slices in NOVA, Bercea et al.
2025, arXiv 2505.14064). The default asks briefly; `prompts: all` sweeps 11 brief and
16 detailed wordings.

    tasks:
      - {task: mri_description, data: ~/data/nova, prompts: all}
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from raybench.errors import DataError
from raybench.interfaces import Task
from raybench.parsing.vqa import read_free_text
from raybench.schema import Answer, Row, Sample
from raybench.tasks._mri import COUNT, MriOptions, mri_slices
from raybench.tasks._prompts import LONGEST, described

__all__ = ["PLUGIN", "MriDescription"]


class MriDescription(Task):
    """Free description of a brain MRI slice against a radiologist's caption (NOVA, 906 slices, or own rows)."""

    Options = MriOptions
    prompts: ClassVar = described("brain MRI slice")
    profiles: ClassVar = ("text-overlap", "llava-med-nltk")
    headline: ClassVar = ("text-overlap", "bleu_1")
    group: ClassVar = "description"
    generation: ClassVar = {"max_tokens": LONGEST}
    baselines: ClassVar = ("majority",)

    def samples(self) -> Iterator[Sample]:
        """Yield the slices that have a caption, in file order.

        Raises:
            DataError: no data here and no hub, or no slice with a caption.
        """
        found = False
        for item in mri_slices(self.options):
            if not item.caption:
                continue
            found = True
            yield Sample(
                id=item.id,
                dataset=item.dataset,
                split="test",
                questions=("Describe this brain MRI slice.",),
                targets=(item.caption,),
                images=(item.image,),
                cluster=item.case,
                # The caption is the reference here, so it stays out of the context.
                context={"history": item.history} if item.history else {},
            )
        if not found:
            raise DataError("mri_description: no row has a caption (caption_text, caption or description)")

    def expected_count(self) -> int | None:
        """Return 906 for NOVA; None for own rows."""
        return COUNT if self.options.data is None else None

    def parse(self, sample: Row, text: str) -> Answer:
        """Read free text."""
        return read_free_text(text)


PLUGIN = MriDescription
