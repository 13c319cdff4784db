"""CORRECT, INCORRECT and NOT_ATTEMPTED as numbers: what every protocol with these three labels counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raybench.interfaces import MetricDef
from raybench.schema import Row

__all__ = ["VERDICT_METRICS", "possible_verdicts", "verdict_statistics"]

VERDICT_METRICS = (
    MetricDef("judge_accuracy", over="judged", hit="correct"),
    MetricDef("judge_attempted_rate", over="judged", hit="attempted"),
    MetricDef("judge_accuracy_given_attempted", over="attempted", hit="correct"),
)


def verdict_statistics(verdict: Row) -> Mapping[str, float]:
    """Return one verdict row's statistics; a null verdict has `null` 1 and is in no denominator."""
    judged = verdict["status"] == "ok" and verdict["label"] is not None
    return {
        "judged": float(judged),
        "correct": float(judged and verdict["label"] == "CORRECT"),
        "attempted": float(judged and verdict["label"] != "NOT_ATTEMPTED"),
        "null": float(not judged),
    }


def possible_verdicts() -> Sequence[Mapping[str, float]]:
    """Return the statistics of each label that a null verdict could have been."""
    labels = ("CORRECT", "INCORRECT", "NOT_ATTEMPTED")
    return [verdict_statistics({"status": "ok", "label": label}) for label in labels]
