"""Diagnosis from clinical history and image findings: NOVA's cases, or your own (layouts and licence in `_mri`).

One sample a case, with all its slices; the prompt gives the history and what a
radiologist saw in each slice, as both studies of this kind do, so that the task
tests reasoning more than sight. The variants `history-only` and `images-only`
leave the one or the other out. The final diagnosis is the reference (NOVA:
281 pathologies, arXiv 2505.14064); a judge decides whether an answer names it.

    tasks:
      - {task: mri_diagnosis, data: ~/data/nova}
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from raybench.errors import DataError
from raybench.interfaces import Task
from raybench.parsing.vqa import read_free_text
from raybench.schema import Answer, Row, Sample
from raybench.tasks._mri import MriOptions, Slice, mri_slices

__all__ = ["PLUGIN", "MriDiagnosis"]

_TOLD = re.compile(r"^\W*(?:final |most likely |primary )?diagnosis\W*[:：]\W*(\S.*)$", re.IGNORECASE | re.MULTILINE)
_HISTORY, _FINDINGS = "Clinical history: {history}", "Image findings: {findings}"


class MriDiagnosis(Task):
    """The diagnosis of a brain MRI case from its history and image findings (NOVA's cases, or own)."""

    Options = MriOptions
    prompts: ClassVar = {
        "short": f"{_HISTORY}\n{_FINDINGS}\n{{question}}\nName the one most likely disease and nothing else.",
        "plain": f"{_HISTORY}\n{_FINDINGS}\n{{question}}",
        "reasoned": f"{_HISTORY}\n{_FINDINGS}\n{{question}}\n"
        "Weigh what speaks for and against each possibility, then end with a line: Diagnosis: <disease>",
        "history-only": f"{_HISTORY}\n{{question}}\nName the one most likely disease and nothing else.",
        "images-only": "{question}\nName the one most likely disease and nothing else.",
    }
    profiles: ClassVar = ("raybench-strict", "text-overlap")
    headline: ClassVar = ("raybench-strict", "overall_accuracy")
    group: ClassVar = "diagnosis"
    baselines: ClassVar = ("majority",)

    def samples(self) -> Iterator[Sample]:
        """Yield the cases that have a diagnosis, in the order of their first slices.

        Raises:
            DataError: no data here and no hub, or no case with a diagnosis.
        """
        cases: dict[str, list[Slice]] = {}
        for item in mri_slices(self.options):
            cases.setdefault(item.case, []).append(item)
        told = {case: items for case, items in cases.items() if any(item.diagnosis for item in items)}
        if not told:
            raise DataError("mri_diagnosis: no case has a diagnosis (final_diagnosis or diagnosis)")
        for case, items in told.items():
            findings = _findings(items)
            yield Sample(
                id=case,
                dataset=items[0].dataset,
                split="test",
                questions=("What is the diagnosis?",),
                targets=(next(item.diagnosis for item in items if item.diagnosis),),
                images=tuple(item.image for item in items),
                cluster=case,
                slices={"images": "one" if len(items) == 1 else "several", "answer_type": "open"},
                context={
                    "history": next((item.history for item in items if item.history), "not given"),
                    "findings": findings or "not given",
                    **({"caption": findings} if findings else {}),
                },
            )

    def parse(self, sample: Row, text: str) -> Answer:
        """Read free text; of a text with a line "Diagnosis: ..." the last such line counts."""
        read = read_free_text(text)
        told = _TOLD.findall(text)
        if read.outcome != "answered" or not told:
            return read
        return Answer("answered", told[-1].strip(" .*"), "diagnosis:announced", "recovered:announced")


def _findings(items: list[Slice]) -> str:
    """The case's findings, or else the captions of its slices, numbered where there are several."""
    whole = next((item.findings for item in items if item.findings), "")
    captions = [item.caption for item in items if item.caption]
    if whole or len(captions) <= 1:
        return whole or "".join(captions)
    return "\n".join(f"Image {number}: {caption}" for number, caption in enumerate(captions, 1))


PLUGIN = MriDiagnosis
