"""What the VQA profiles share: one hit a row, averaged over closed, open and all rows."""

from __future__ import annotations

from collections.abc import Mapping

from raybench.interfaces import MetricDef
from raybench.schema import Row

__all__ = ["METRICS", "vqa_statistics"]

METRICS = (
    MetricDef("closed_accuracy", over="closed", hit="hit"),
    MetricDef("open_accuracy", over="open", hit="hit"),
    MetricDef("overall_accuracy", over="all", hit="hit"),
)


def vqa_statistics(record: Row, hit: bool) -> Mapping[str, float]:
    """Return the columns of METRICS; a row is closed if its slice "answer_type" says so, else open."""
    closed = str(record["slices"].get("answer_type", "")).lower() == "closed"
    return {"all": 1.0, "closed": float(closed), "open": float(not closed), "hit": float(hit)}
