"""Profile `lmms-slake`: equality after lmms-eval's SLAKE normaliser, which folds Chinese yes and no words.

One rule for closed and open rows: punctuation, parentheses and case go, and a
whole answer that is a word for yes or no, English or Chinese, counts as such.
Source: EvolvingLMMs-Lab/lmms-eval@75571cf tasks/slake/utils.py, from a
description; it prints more scores, by language, modality and content, which are
slices here. MUMC's answers to VQA-RAD score closed 84.5588, open 55.8659.
"""

from __future__ import annotations

from collections.abc import Mapping

from raybench.interfaces import Profile
from raybench.metrics._vqa import METRICS, vqa_statistics
from raybench.parsing.normalise import lmms_slake
from raybench.schema import Row

__all__ = ["PLUGIN", "LmmsSlake"]


class LmmsSlake(Profile):
    """lmms-eval's exact match for SLAKE; the raw response counts, refused or not."""

    name = "lmms-slake"
    metrics = METRICS

    def statistics(self, record: Row) -> Mapping[str, float]:
        said, reference = str(record["text"] or ""), str(record["target"])
        return vqa_statistics(record, lmms_slake(said) == lmms_slake(reference))


PLUGIN = LmmsSlake
