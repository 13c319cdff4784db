"""What the VQA profiles share: one hit a row, averaged over closed, open and all rows; unigram BLEU."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from raybench.interfaces import MetricDef
from raybench.schema import Row

__all__ = ["METRICS", "is_closed", "unigram_bleu", "vqa_statistics"]

METRICS = (
    MetricDef("closed_accuracy", over="closed", hit="hit"),
    MetricDef("open_accuracy", over="open", hit="hit"),
    MetricDef("overall_accuracy", over="all", hit="hit"),
)


def is_closed(record: Row) -> bool:
    """Say whether a row's slice "answer_type" is closed; any other row is open."""
    return str(record["slices"].get("answer_type", "")).strip().lower() == "closed"


def vqa_statistics(record: Row, hit: bool) -> Mapping[str, float]:
    """Return the columns of METRICS."""
    closed = is_closed(record)
    return {"all": 1.0, "closed": float(closed), "open": float(not closed), "hit": float(hit)}


def unigram_bleu(said: Sequence[str], reference: Sequence[str]) -> float:
    """Return BLEU of unigrams alone, 0-1: clipped precision times the brevity penalty, without smoothing.

    Equal to nltk's `sentence_bleu` with one reference and weights (1,) or (1, 0, 0, 0).
    """
    shared = (Counter(said) & Counter(reference)).total()
    if not shared:
        return 0.0
    penalty = 1.0 if len(said) > len(reference) else math.exp(1 - len(reference) / len(said))
    return penalty * shared / len(said)
