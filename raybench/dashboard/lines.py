"""A board's line, score and metric as documents, and the short name under which every answer speaks of a line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raybench import registry
from raybench.leaderboard import Line
from raybench.schema import CELL, Row, digest

__all__ = ["line_id", "metric_document", "score_document"]

_SCORE = (
    "value", "low", "high", "sd", "unit", "higher_is_better", "n", "n_clusters", "planned", "answered", "refused",
    "unparsed", "failed", "null_verdicts", "bound_low", "bound_high", "coverage", "flags", "signature", "profile",
    "metric", "judge",
)  # fmt: skip


def line_id(line: Line) -> str:
    """Return a short name of a line that is the same in every answer."""
    head = line.headline
    return digest([line.kind, line.model, *(head.get(name) for name in (*CELL, "sample_set"))], 12)


def metric_document(profile: str, metric: str, row: Mapping[str, Any] | None = None) -> Row:
    """Return what a reader needs to know of a metric; unit and direction stand in a score, or in the profile."""
    unit, higher = ("fraction", True) if row is None else (row["unit"], row["higher_is_better"])
    if row is None:
        declared = [each for each in registry.load("metrics", profile).metrics if each.name == metric]
        if declared:
            unit, higher = declared[0].unit, declared[0].higher_is_better
    return {"profile": profile, "metric": metric, "unit": unit, "higher_is_better": higher, "label": metric}


def score_document(row: Mapping[str, Any]) -> Row:
    """Return the fields of a score that a reader sees; what does not apply is left out."""
    kept = {name: row[name] for name in _SCORE if row.get(name) is not None}
    return {"value": None, "low": None, "high": None, **kept}
