"""Finding abnormal areas in a brain MRI slice: NOVA's boxes, or your own rows (layouts and licence in `_mri`).

Truth is the gold boxes, or one reader's (`boxes: NAME`), so that a reader can be
set against the gold standard. Slices without a box are healthy images, on which
every box is a false positive. NOVA has 906 slices (arXiv 2505.14064).

    tasks:
      - {task: mri_detection, data: ~/data/nova}
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from raybench.errors import DataError, nearest
from raybench.interfaces import Task
from raybench.schema import Answer, Row, Sample
from raybench.tasks._boxes import PROMPTS, read_answer
from raybench.tasks._mri import COUNT, MriOptions, boxes_of, mri_slices

__all__ = ["PLUGIN", "MriDetection"]


class MriDetection(Task):
    """Boxes around abnormal areas of a brain MRI slice (NOVA, 906 slices, or own rows)."""

    Options = MriOptions
    prompts: ClassVar = {name: text for name, text in PROMPTS.items() if name != "labels"}
    profiles: ClassVar = ("detection",)
    headline: ClassVar = ("detection", "f1_50")
    judge_protocol: ClassVar = ""
    group: ClassVar = "detection"
    baselines: ClassVar = ("random_box", "no_box")

    def samples(self) -> Iterator[Sample]:
        """Yield the slices in file order.

        Raises:
            DataError: no data here and no hub, a box outside its image, or a reader nobody has heard of.
        """
        readers: set[str] = set()
        wanted = self.options.boxes
        for item in mri_slices(self.options):
            readers |= {reader for reader, _ in item.drawn}
            boxes = boxes_of(item, wanted)
            yield Sample(
                id=item.id,
                dataset=item.dataset if wanted == "gold" else f"{item.dataset}-{wanted}",
                split="test",
                questions=("Where in this brain MRI slice are abnormal areas?",),
                targets=(f"{len(boxes)} boxes" if len(boxes) != 1 else "1 box",),
                images=(item.image,),
                choices=("abnormality",),
                boxes=boxes,
                cluster=item.case,
                slices={"boxes": "none" if not boxes else "one" if len(boxes) == 1 else "several"},
                context={name: text for name, text in (("history", item.history), ("caption", item.caption)) if text},
            )
        if readers and wanted not in readers:
            known = ", ".join(sorted(readers))
            raise DataError(f"boxes: {wanted!r} drew no box{nearest(wanted, readers)}; readers: {known}")

    def expected_count(self) -> int | None:
        """Return 906 for NOVA; None for own rows."""
        return COUNT if self.options.data is None else None

    def parse(self, sample: Row, text: str) -> Answer:
        """Read boxes under the model's convention; "none" is an answer."""
        return read_answer(sample, text)


PLUGIN = MriDetection
