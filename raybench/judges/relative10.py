"""Protocol `relative10`: an answer's score from 1 to 10 relative to a reference answer's, as LLaVA-Med reports it.

Both answers are shown as two assistants', with what is known of the image as
context (arXiv 2306.00890). Each is scored alone by one forced number, in both
slot orders, so that no slot is favoured: four calls a record. Two formulas are in
use for the same name and differ by tens of points; each has its own metric:

    relative_mean_of_ratios   mean over records of candidate/reference (LLaVA-Med's summarize_gpt_review.py)
    relative_ratio_of_means   mean(candidate)/mean(reference) (LLaVA-Bench as VLMEvalKit has it)

1.0 is as good as the reference; both may be above it. What is no attempt is 1
against 10 by rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from raybench.interfaces import Array, MetricDef, Statistics
from raybench.judges._injection import injection_flags
from raybench.judges._prompted import PromptOptions, RecordPrompted
from raybench.judges._reading import read_number
from raybench.judges._rules import no_attempt
from raybench.judges._template import nonce
from raybench.schema import Response, Row, Verdict, digest

__all__ = ["PLUGIN", "Relative10"]

_LOW, _HIGH = 1, 10


def _ratio_of_means(statistics: Statistics, weights: Array) -> Array:
    judged = np.asarray(statistics["judged"], dtype=float)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((weights @ (statistics["points"] * judged)) / (weights @ (statistics["reference"] * judged)))


class Relative10(RecordPrompted):
    """Candidate and reference scored 1 to 10 side by side in both orders; their ratio is the score."""

    class Options(PromptOptions):
        """Settings.

        Attributes:
            context: fields of a sample's context that the judge is shown, those that are there.
        """

        template: str | dict[str, Any] = "relative10-v1"
        context: tuple[str, ...] = ("caption", "history", "findings")

    name = "relative10"
    labels: ClassVar[Mapping[str, str]] = {str(number): str(number) for number in range(_LOW, _HIGH + 1)}
    labels_else_text = True
    numbers = True
    max_tokens = 8
    needs = ("context",)

    def _item(self, record: Row) -> Row:
        item = self._said(record)
        known = record.get("context") or {}
        context = "\n".join(str(known[name]) for name in self.options.context if known.get(name))
        content = [self.name, self.template_hash, *item.values(), context]
        item["flags"] = injection_flags(item["candidate"])
        rule = None
        if self.options.rules:
            rule = no_attempt(record["outcome"], item["question"], item["candidate"], self.prompt_sentences)
        if rule is not None:
            decided = Verdict("ok", str(_LOW), _LOW / _HIGH, rationale=f"rule: {rule}")
            return {**item, "item": digest([*content, rule]), "decided": decided}
        parts = [
            {
                **item, "item": digest([*content, order, scored]), "decided": None, "context": context,
                "aspect": {"order": order, "scored": scored},
            }
            for order in ("reference_first", "candidate_first")
            for scored in ("reference", "candidate")
        ]  # fmt: skip
        return {**item, "item": digest(content), "decided": None, "parts": parts}

    def messages(self, item: Row) -> list[Row]:
        order, scored = item["aspect"]["order"], item["aspect"]["scored"]
        answers = {"reference": item["reference"], "candidate": self._cut(item["candidate"])}
        first = "reference" if order == "reference_first" else "candidate"
        second = "candidate" if first == "reference" else "reference"
        fields = {
            "context": item["context"] or "(none given)", "question": item["question"],
            "first": answers[first], "second": answers[second],
        }  # fmt: skip
        made = {"nonce": nonce(item["candidate"] + item["reference"]), "slot": "1" if scored == first else "2"}
        return self._chat(fields, made)

    def _from_text(self, response: Response) -> str | None:
        number = None if response.finish_reason == "length" else read_number(response.text, _LOW, _HIGH)
        return None if number is None else str(number)

    def _score(self, letter: str) -> float:
        return float(letter)

    def metrics(self) -> tuple[MetricDef, ...]:
        return (
            MetricDef("relative_mean_of_ratios", over="judged", hit="ratio", binary=False),
            MetricDef("relative_ratio_of_means", over="judged", reduce=_ratio_of_means, additive=True, binary=False),
            MetricDef("relative_points", over="judged", hit="points", binary=False, unit="points"),
            MetricDef("relative_order_gap", over="twice", hit="gap", binary=False, unit="points",
                      higher_is_better=False),
        )  # fmt: skip

    def statistics(self, verdict: Row) -> Mapping[str, float]:
        """Return what a verdict on a whole record counts: only a rule gives one."""
        if verdict["status"] != "ok" or verdict["label"] is None:
            return dict.fromkeys(_counted(1.0, 1.0), 0.0) | {"null": 1.0}
        return _counted(float(verdict["label"]), float(_HIGH))

    def aggregate(self, item: Row, found: Mapping[str, Row]) -> Mapping[str, float]:
        """Average both orders; one number missing of the four leaves the record without a score."""
        if item.get("parts") is None:
            return super().aggregate(item, found)
        candidate, reference = (_points(item["parts"], found, scored) for scored in ("candidate", "reference"))
        if None in candidate or None in reference:
            return self.statistics({"status": "engine_error", "label": None})
        return _twice([each or 0.0 for each in candidate], [each or 0.0 for each in reference])

    def possible(self) -> Sequence[Mapping[str, float]]:
        """Return the worst and the best, each with both orders agreed and as far apart as can be; see `extremes`."""
        return _extremes([None, None], [None, None])

    def extremes(self, item: Row, found: Mapping[str, Row]) -> Sequence[Mapping[str, float]]:
        """Return what a record could have had where the numbers that are there stand."""
        if item.get("parts") is None:
            return self.possible()
        return _extremes(*(_points(item["parts"], found, scored) for scored in ("candidate", "reference")))


def _points(parts: Sequence[Row], found: Mapping[str, Row], scored: str) -> list[float | None]:
    """Return the numbers of one answer in both orders; None without a verdict."""
    verdicts = [found.get(part["item"]) for part in parts if part["aspect"]["scored"] == scored]
    said = [each["label"] if each is not None and each["status"] == "ok" else None for each in verdicts]
    return [None if label is None else float(label) for label in said]


def _extremes(candidate: Sequence[float | None], reference: Sequence[float | None]) -> list[Mapping[str, float]]:
    known = [each for each in candidate if each is not None]
    gaps = [abs(known[0] - known[-1])] * 2 if len(known) == len(candidate) else [
        0.0, float(max(max(each - _LOW, _HIGH - each) for each in known or [float(_LOW)]))
    ]  # fmt: skip
    out: list[Mapping[str, float]] = []
    for least, most in ((_LOW, _HIGH), (_HIGH, _LOW)):
        filled = _twice(
            [least if each is None else each for each in candidate],
            [most if each is None else each for each in reference],
        )
        out += [{**filled, "gap": gap} for gap in gaps]
    return out


def _twice(candidate: Sequence[float], reference: Sequence[float]) -> Mapping[str, float]:
    """Return a record's statistics from both answers' numbers in both orders; a rule's score has no second order."""
    counted = _counted(float(np.mean(candidate)), float(np.mean(reference)))
    return {**counted, "twice": 1.0, "gap": abs(candidate[0] - candidate[1])}


def _counted(points: float, reference: float) -> Mapping[str, float]:
    scores = {"points": points, "reference": reference, "ratio": points / reference}
    return {"judged": 1.0, **scores, "twice": 0.0, "gap": 0.0, "null": 0.0}


PLUGIN = Relative10
