"""Profile `contract`: how often a model declines, cannot be read, or answers exactly as asked."""

from __future__ import annotations

from collections.abc import Mapping

from raybench.interfaces import MetricDef, Profile
from raybench.schema import Row

__all__ = ["PLUGIN", "Contract"]


class Contract(Profile):
    """Refusal, readability and format, over every row that is not failed (record key "format" is read too)."""

    name = "contract"
    metrics = (
        MetricDef("refused_rate", over="all", hit="refused", higher_is_better=False),
        MetricDef("unparsed_rate", over="all", hit="unparsed", higher_is_better=False),
        MetricDef("exact_contract_rate", over="all", hit="exact"),
    )

    def statistics(self, record: Row) -> Mapping[str, float]:
        outcome = record["outcome"]
        return {
            "all": 1.0,
            "refused": float(outcome == "refused"),
            "unparsed": float(outcome == "unparsed"),
            "exact": float(outcome == "answered" and record["format"] == "exact_contract"),
        }


PLUGIN = Contract
