"""Protocol `criteria`: does an answer meet each item of a rubric, and what does that add up to?

One forced letter a criterion (MET or UNMET). A criterion has signed points: a
negative one names a fault, and an answer that has the fault loses them. A
record's score is the points of what is met over the sum of positive points, as
HealthBench computes it (arXiv 2505.08775); the score over records is clipped to
0-1 at the end, never a record. A sample brings its criteria in its context:

    {"criteria": "[{\\"criterion\\": \\"Names the effusion\\", \\"points\\": 5}, ...]"}

or a spec gives one list for all (`protocol_options: {criteria: [...]}`). An empty
or refused answer meets nothing, by rule. A criterion without a verdict leaves its
record without a score: nothing is taken for unmet.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field, ValidationError

from raybench.errors import DataError
from raybench.interfaces import Array, MetricDef, Statistics
from raybench.interfaces import Options as PluginOptions
from raybench.judges._injection import injection_flags
from raybench.judges._prompted import PromptOptions, RecordPrompted
from raybench.judges._rules import no_attempt
from raybench.judges._template import nonce
from raybench.schema import Row, Verdict, digest

__all__ = ["PLUGIN", "Criteria", "Criterion"]


class Criterion(PluginOptions):
    """One item of a rubric; `points` are negative for a fault."""

    criterion: str = Field(min_length=1)
    points: float = 1.0


def _clipped_mean(statistics: Statistics, weights: Array) -> Array:
    judged = np.asarray(statistics["judged"], dtype=float)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.asarray((weights @ (np.asarray(statistics["earned"]) * judged)) / (weights @ judged))
    return np.asarray(np.clip(mean, 0.0, 1.0))


class Criteria(RecordPrompted):
    """Rubric items met or unmet, with signed points, one forced letter each."""

    class Options(PromptOptions):
        """Settings.

        Attributes:
            criteria: for samples that bring none of their own.
            field: where a sample's context holds its criteria, as a JSON list.
        """

        template: str | dict[str, Any] = "criteria-v1"
        criteria: tuple[Criterion, ...] = ()
        field: str = "criteria"

    name = "criteria"
    labels: ClassVar[Mapping[str, str]] = {"A": "MET", "B": "UNMET"}
    needs = ("context",)
    example = "Question: {question}\nCandidate: {candidate}\nCriterion: {criterion}\nLetter: {label}"

    def _item(self, record: Row) -> Row:
        item = self._said(record)
        criteria = self._criteria(record)
        content = [self.name, self.template_hash, *item.values()]
        rule = None
        if self.options.rules:
            rule = no_attempt(record["outcome"], item["question"], item["candidate"], self.prompt_sentences)
        item["flags"] = injection_flags(item["candidate"])
        listed = [each.model_dump() for each in criteria]
        if rule is not None:
            decided = Verdict("ok", "UNMET", 0.0, rationale=f"rule: {rule}")
            return {**item, "item": digest([*content, listed, rule]), "decided": decided, "criteria": listed}
        parts = [
            {**item, "item": digest([*content, each["criterion"]]), "decided": None, "aspect": each}
            for each in listed
        ]  # fmt: skip
        return {**item, "item": digest([*content, listed]), "decided": None, "parts": parts, "criteria": listed}

    def _criteria(self, record: Row) -> Sequence[Criterion]:
        """Return a record's criteria: its sample's own, else the option's.

        Raises:
            DataError: the context's list is none.
        """
        own = (record.get("context") or {}).get(self.options.field)
        if not own:
            return list(self.options.criteria)
        try:
            return [Criterion.model_validate(each) for each in json.loads(own)]
        except (ValueError, TypeError, ValidationError):
            raise DataError(
                f"sample {record.get('sample')!r}: context field {self.options.field!r} is no JSON list of"
                ' {"criterion": text, "points": number}'
            ) from None

    def messages(self, item: Row) -> list[Row]:
        fields = {name: item[name] for name in ("question", "reference")}
        fields |= {"candidate": self._cut(item["candidate"]), "criterion": item["aspect"]["criterion"]}
        return self._chat(fields, {"nonce": nonce(item["candidate"])})

    def _score(self, letter: str) -> float:
        return float(letter == "A")

    def metrics(self) -> tuple[MetricDef, ...]:
        return (
            MetricDef("criteria_score", over="judged", reduce=_clipped_mean, additive=True, binary=False),
            MetricDef("criteria_good_met_rate", over="good", hit="good_met", binary=False),
            MetricDef("criteria_fault_met_rate", over="faults", hit="fault_met", binary=False,
                      higher_is_better=False),
        )  # fmt: skip

    def statistics(self, verdict: Row) -> Mapping[str, float]:
        """Return what a verdict on a whole record counts: a rule's, which finds nothing met."""
        judged = verdict["status"] == "ok" and verdict["label"] is not None
        return dict.fromkeys(_added([], []), 0.0) | {"judged": float(judged), "null": float(not judged)}

    def aggregate(self, item: Row, found: Mapping[str, Row]) -> Mapping[str, float]:
        """Add up a record's criteria; one without a verdict leaves the record without a score."""
        if not item["criteria"]:
            return _added([], [])
        if item.get("parts") is None:
            statistics = super().aggregate(item, found)
            met = [False] * len(item["criteria"])
            return _added(item["criteria"], met) if statistics.get("judged") else statistics
        known = _met(item, found)
        if None in known:
            return self.statistics({"status": "engine_error", "label": None})
        return _added(item["criteria"], [bool(each) for each in known])

    def possible(self) -> Sequence[Mapping[str, float]]:
        """Return the worst and the best that a rubric of one good point and one fault allows; see `extremes`."""
        rubric = [{"points": 1.0}, {"points": -1.0}]
        return [_added(rubric, [False, True]), _added(rubric, [True, False])]

    def extremes(self, item: Row, found: Mapping[str, Row]) -> Sequence[Mapping[str, float]]:
        """Return a record's worst and best: what was judged stands, the rest is all faults, or all points."""
        criteria, met = item["criteria"], _met(item, found)
        worst = [each["points"] < 0 if known is None else known for each, known in zip(criteria, met, strict=True)]
        best = [each["points"] > 0 if known is None else known for each, known in zip(criteria, met, strict=True)]
        return [_added(criteria, worst), _added(criteria, best)]


def _met(item: Row, found: Mapping[str, Row]) -> list[bool | None]:
    """Return whether each criterion of an item is met; None without a verdict."""
    if item.get("parts") is None:
        return [None] * len(item["criteria"])
    verdicts = [found.get(part["item"]) or {"status": "engine_error", "label": None} for part in item["parts"]]
    return [
        each["label"] == "MET" if each["status"] == "ok" and each["label"] is not None else None for each in verdicts
    ]


def _added(criteria: Sequence[Row], met: Sequence[bool]) -> Mapping[str, float]:
    """Return a record's statistics from which of its criteria are met."""
    good = [each["points"] for each in criteria if each["points"] > 0]
    faults = sum(each["points"] < 0 for each in criteria)
    earned = sum(each["points"] for each, is_met in zip(criteria, met, strict=True) if is_met)
    good_met = sum(is_met for each, is_met in zip(criteria, met, strict=True) if each["points"] > 0)
    fault_met = sum(is_met for each, is_met in zip(criteria, met, strict=True) if each["points"] < 0)
    return {
        "judged": float(bool(good)), "earned": earned / sum(good) if good else 0.0,
        "good": float(bool(good)), "good_met": good_met / len(good) if good else 0.0,
        "faults": float(faults > 0), "fault_met": fault_met / faults if faults else 0.0, "null": 0.0,
    }  # fmt: skip


PLUGIN = Criteria
