"""Protocol `claims`: which findings of a reference report does a report state, miss, or invent?

Both texts are cut into sentences by rule. For each sentence of the reference the
judge is shown the candidate, and for each of the candidate the reference: is it
stated there? One forced letter each, so nothing is counted out of prose (a count
that cannot be read is how error counters go wrong). Then

    matched   reference sentences that the candidate states
    missed    reference sentences that it does not
    invented  candidate sentences that the reference does not state (or contradicts)

recall = matched/(matched + missed), precision = stated/(stated + invented) over
the candidate's sentences, and F1 of the two. Sentences without a finding
(technique, comparison) count nowhere. A sentence of several findings counts as
one. A sentence without a verdict leaves its record without a score.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from raybench.interfaces import Array, MetricDef, Statistics
from raybench.judges._injection import injection_flags
from raybench.judges._prompted import PromptOptions, RecordPrompted
from raybench.judges._rules import no_attempt
from raybench.judges._template import nonce
from raybench.parsing.normalise import has_content, medical, tidy
from raybench.schema import Row, Verdict, digest

__all__ = ["PLUGIN", "Claims", "sentences"]

_ABBREVIATED = "".join(rf"(?<!\b{word}\.)" for word in ("Dr", "vs", "approx", r"e\.g", r"i\.e", "Fig", "ca"))
#: After a digit a full stop ends a sentence only before a capital.
_END = re.compile(rf"(?<=[。！？；])|{_ABBREVIATED}(?<=[.!?;])(?<!\d\.)\s+|(?<=\d\.)\s+(?=[A-Z])")
_BULLET = re.compile(r"^\s*(?:[-*•]|\(?\d{1,2}[.)](?=\s))\s*")
_HEADING = re.compile(r"^[A-Z][A-Za-z /]{2,24}:\s*")


def sentences(text: str) -> list[str]:
    """Return a report's different sentences in order, without bullets, section headings and repetitions.

    >>> sentences("FINDINGS: Heart is 2.5 cm wider. No effusion.\\n1. No effusion.")
    ['Heart is 2.5 cm wider.', 'No effusion.']
    """
    found: dict[str, str] = {}
    for line in tidy(text).splitlines():
        for piece in _END.split(_HEADING.sub("", _BULLET.sub("", line))):
            sentence = _HEADING.sub("", piece).strip()
            if has_content(sentence):
                found.setdefault(medical(sentence), sentence)
    return list(found.values())


def _f1(statistics: Statistics, weights: Array) -> Array:
    judged = np.asarray(statistics["judged"], dtype=float)
    names = ("matched", "missed", "stated", "invented")
    sums = {name: weights @ (np.asarray(statistics[name]) * judged) for name in names}
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = sums["matched"] / (sums["matched"] + sums["missed"])
        precision = sums["stated"] / (sums["stated"] + sums["invented"])
        f1 = np.asarray(2 * precision * recall / (precision + recall))
    return np.where((sums["matched"] + sums["stated"]) == 0, np.where(np.isnan(precision + recall), np.nan, 0.0), f1)


class Claims(RecordPrompted):
    """Findings matched, missed and invented, sentence by sentence, one forced letter each."""

    class Options(PromptOptions):
        """Settings.

        Attributes:
            max_sentences: of one text; further ones are left out (a degenerate report has hundreds).
        """

        template: str | dict[str, Any] = "claims-v1"
        max_sentences: int = Field(default=60, ge=1)

    name = "claims"
    labels: ClassVar[Mapping[str, str]] = {"A": "STATED", "B": "NOT_STATED", "C": "NO_FINDING"}
    example = "Report: {text}\nSentence: {claim}\nLetter: {label}"

    def _item(self, record: Row) -> Row:
        item = self._said(record)
        content = [self.name, self.template_hash, self.options.max_sentences, *item.values()]
        rule = None
        if self.options.rules:
            rule = no_attempt(record["outcome"], item["question"], item["candidate"], self.prompt_sentences)
        item["flags"] = injection_flags(item["candidate"])
        if rule is not None:
            decided = Verdict("ok", "NOT_STATED", 0.0, rationale=f"rule: {rule}")
            return {**item, "item": digest([*content, rule]), "decided": decided}
        return {**item, "item": digest(content), "decided": None, "parts": self._parts(item)}

    def _parts(self, item: Row) -> list[Row]:
        """Return the sentences of both texts as items of their own."""
        return [
            {
                **item, "item": digest([self.name, self.template_hash, claim, item[other]]), "decided": None,
                "aspect": {"from": own, "claim": claim},
            }
            for own, other in (("reference", "candidate"), ("candidate", "reference"))
            for claim in sentences(item[own])[: self.options.max_sentences]
        ]  # fmt: skip

    def messages(self, item: Row) -> list[Row]:
        own = item["aspect"]["from"]
        text = self._cut(item["candidate"]) if own == "reference" else item["reference"]
        return self._chat({"text": text, "claim": item["aspect"]["claim"]}, {"nonce": nonce(text)})

    def _score(self, letter: str) -> float:
        return float(letter == "A")

    def metrics(self) -> tuple[MetricDef, ...]:
        return (
            MetricDef("claims_f1", over="judged", reduce=_f1, additive=True, binary=False),
            MetricDef("claims_recall", over="found", hit="recall", binary=False),
            MetricDef("claims_precision", over="said", hit="precision", binary=False),
            MetricDef("claims_matched", over="judged", hit="matched", binary=False, unit="sentences"),
            MetricDef("claims_missed", over="judged", hit="missed", binary=False, unit="sentences",
                      higher_is_better=False),
            MetricDef("claims_invented", over="judged", hit="invented", binary=False, unit="sentences",
                      higher_is_better=False),
        )  # fmt: skip

    def statistics(self, verdict: Row) -> Mapping[str, float]:
        """Return what a verdict on a whole record counts; a rule's is completed by `aggregate`."""
        judged = verdict["status"] == "ok" and verdict["label"] is not None
        return _counted({}) if judged else dict.fromkeys(_counted({}), 0.0) | {"null": 1.0}

    def aggregate(self, item: Row, found: Mapping[str, Row]) -> Mapping[str, float]:
        """Count a record's sentences; one without a verdict leaves the record without a score."""
        if item.get("parts") is None:
            statistics = super().aggregate(item, found)
            missed = sentences(item["reference"])[: self.options.max_sentences]
            return _counted({"reference": ["NOT_STATED"] * len(missed)}) if statistics.get("judged") else statistics
        labels = _labels(item["parts"], found)
        return self.statistics({"status": "engine_error", "label": None}) if labels is None else _counted(labels)

    def possible(self) -> Sequence[Mapping[str, float]]:
        """Return the best and the worst of one sentence each; see `extremes`."""
        return [_counted({"reference": [label], "candidate": [label]}) for label in ("STATED", "NOT_STATED")]

    def extremes(self, item: Row, found: Mapping[str, Row]) -> Sequence[Mapping[str, float]]:
        """Return a record's best and worst: what was judged stands, every other sentence is stated, or none is."""
        parts = self._parts(item) if item.get("parts") is None else item["parts"]
        return [_counted(_labels(parts, found, label) or {}) for label in ("STATED", "NOT_STATED")]


def _labels(parts: Sequence[Row], found: Mapping[str, Row], unread: str | None = None) -> dict[str, list[str]] | None:
    """Return the labels of both texts' sentences; one without a verdict gets `unread`, or leaves nothing (None)."""
    labels: dict[str, list[str]] = {}
    for part in parts:
        verdict = found.get(part["item"])
        said = verdict["label"] if verdict is not None and verdict["status"] == "ok" else None
        if said is None and unread is None:
            return None
        labels.setdefault(part["aspect"]["from"], []).append(said or str(unread))
    return labels


def _counted(labels: Mapping[str, Sequence[str]]) -> Mapping[str, float]:
    """Return a record's statistics from the labels of its reference's and its candidate's sentences."""
    matched, missed = (list(labels.get("reference", ())).count(label) for label in ("STATED", "NOT_STATED"))
    stated, invented = (list(labels.get("candidate", ())).count(label) for label in ("STATED", "NOT_STATED"))
    found, said = matched + missed, stated + invented
    return {
        "judged": 1.0, "matched": float(matched), "missed": float(missed), "stated": float(stated),
        "invented": float(invented), "found": float(found > 0), "recall": matched / found if found else 0.0,
        "said": float(said > 0), "precision": stated / said if said else 0.0, "null": 0.0,
    }  # fmt: skip


PLUGIN = Claims
