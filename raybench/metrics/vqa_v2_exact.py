"""Profile `vqa-v2-exact`: equality after the VQA-v2 normaliser, as MUMC scores medical VQA.

Target and raw response text are compared, whatever our own parser made of them:
the original knows no refusal and no blank.
Source: longle0702/med-v2qa@727f26a vqaTools/vqaEval.py, reimplemented from its
description. MUMC's own answers to VQA-RAD score closed 84.56 (272), open 58.10
(179) and overall 74.06 (451), as published.
"""

from __future__ import annotations

from collections.abc import Mapping

from raybench.interfaces import Profile
from raybench.metrics._vqa import METRICS, vqa_statistics
from raybench.parsing.normalise import vqa_v2
from raybench.schema import Row

__all__ = ["PLUGIN", "VqaV2Exact"]


class VqaV2Exact(Profile):
    """VQA-v2 style exact match of the raw response."""

    name = "vqa-v2-exact"
    metrics = METRICS

    def statistics(self, record: Row) -> Mapping[str, float]:
        return vqa_statistics(record, vqa_v2(str(record["text"] or "")) == vqa_v2(str(record["target"])))


PLUGIN = VqaV2Exact
