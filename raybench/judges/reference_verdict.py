"""Protocol `reference_verdict`: is a candidate answer right, wrong or not attempted, given an expert's reference?

One forced token (A, B or C) with its raw log probabilities where the backend
can; else a strict reader of the judge's text. A rule, and no call, settles what
was refused, blank, an empty opener ("Solution", "Thought process:"), the
question or the prompt repeated: such "master keys" make reference judges say
correct (arXiv 2507.08794). What is the reference word for word is CORRECT by
rule, and a twentieth of it, chosen by content, is asked all the same, so that
the rule is measured too. Nothing is ever scored by default.

The candidate's tail is cut at `max_candidate_chars`, with a marker; the
question and the reference are never cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field

from raybench.interfaces import MetricDef
from raybench.judges._injection import injection_flags
from raybench.judges._prompted import PromptOptions, RecordPrompted
from raybench.judges._rules import is_exact, no_attempt, sampled
from raybench.judges._template import nonce
from raybench.schema import Row, digest

__all__ = ["PLUGIN", "ReferenceVerdict"]


class ReferenceVerdict(RecordPrompted):
    """CORRECT, INCORRECT or NOT_ATTEMPTED against a reference, by one forced letter."""

    class Options(PromptOptions):
        """Settings.

        Attributes:
            exact_match: settle by rule what equals the reference (CORRECT only).
            audit_share: share (0-1) of such rows that the judge is asked about nevertheless.
        """

        template: str | dict[str, Any] = "reference_verdict-v1"
        exact_match: bool = True
        audit_share: float = Field(default=0.05, ge=0, le=1)

    name = "reference_verdict"
    labels: ClassVar[Mapping[str, str]] = {"A": "CORRECT", "B": "INCORRECT", "C": "NOT_ATTEMPTED"}
    max_tokens = 8
    example = "Question: {question}\nReference answer: {reference}\nCandidate: {candidate}\nGrade: {label}"

    def _item(self, record: Row) -> Row:
        item = self._said(record)
        item["flags"] = injection_flags(item["candidate"])
        rule = self._rule(record["outcome"], **{name: item[name] for name in ("question", "reference", "candidate")})
        if rule is None:
            return {**item, "item": self._digest(item, None), "decided": None}
        decided = self._verdict("A" if rule == "exact match" else "C", rationale=f"rule: {rule}")
        out = {**item, "item": self._digest(item, rule), "decided": decided}
        asked = self._digest(item, None)
        if rule == "exact match" and sampled(asked, self.options.audit_share):
            out["audit"] = {**item, "item": asked, "decided": None, "aspect": {"audit": rule}}
        return out

    def _digest(self, item: Row, rule: str | None) -> str:
        return digest(
            [self.name, self.template_hash, item["question"], item["reference"], item["candidate"], rule]
        )  # fmt: skip

    def _rule(self, outcome: str, question: str, reference: str, candidate: str) -> str | None:
        options = self.options
        found = no_attempt(outcome, question, candidate, self.prompt_sentences) if options.rules else None
        if found is None and options.exact_match and is_exact(candidate, reference):
            return "exact match"
        return found

    def messages(self, item: Row) -> list[Row]:
        fields = {"question": item["question"], "reference": item["reference"]}
        fields["candidate"] = self._cut(item["candidate"])
        return self._chat(fields, {"nonce": nonce(item["candidate"])})

    def _score(self, letter: str) -> float:
        return float(letter == "A")

    def metrics(self) -> tuple[MetricDef, ...]:
        return (
            MetricDef("judge_accuracy", over="judged", hit="correct"),
            MetricDef("judge_attempted_rate", over="judged", hit="attempted"),
            MetricDef("judge_accuracy_given_attempted", over="attempted", hit="correct"),
            MetricDef("judge_accuracy_unflagged", over="unflagged", hit="correct"),
            MetricDef("injection_flag_rate", over="asked", hit="flagged", higher_is_better=False),
            MetricDef("rule_decided_rate", over="asked", hit="by_rule"),
            MetricDef("rule_disagreement", over="audited", hit="audit_differs", higher_is_better=False),
        )

    def statistics(self, verdict: Row) -> Mapping[str, float]:
        judged = verdict["status"] == "ok" and verdict["label"] is not None
        return {
            "judged": float(judged),
            "correct": float(judged and verdict["label"] == "CORRECT"),
            "attempted": float(judged and verdict["label"] != "NOT_ATTEMPTED"),
            "null": float(not judged),
        }

    def aggregate(self, item: Row, found: Mapping[str, Row]) -> Mapping[str, float]:
        """Add what is known beside the verdict: is the candidate flagged, and does the judge bear a rule out?"""
        verdict = found.get(item["item"]) or {"status": "engine_error", "label": None}
        statistics = dict(self.statistics(verdict))
        flagged, judged = bool(item.get("flags")), statistics["judged"]
        statistics |= {"asked": 1.0, "flagged": float(flagged), "unflagged": judged * (not flagged)}
        statistics["by_rule"] = float(item["decided"] is not None)
        audit = found.get(item["audit"]["item"]) if item.get("audit") else None
        if audit is not None and audit["status"] == "ok":
            statistics |= {"audited": 1.0, "audit_differs": float(audit["label"] != item["decided"].label)}
        return statistics

    def possible(self) -> Sequence[Mapping[str, float]]:
        rows = [self.statistics({"status": "ok", "label": label}) for label in self.labels.values()]
        return [{**row, "unflagged": 1.0} for row in rows]

    def extremes(self, item: Row, found: Mapping[str, Row]) -> Sequence[Mapping[str, float]]:
        return [{**row, "unflagged": float(not item.get("flags"))} for row in self.possible()]


PLUGIN = ReferenceVerdict
