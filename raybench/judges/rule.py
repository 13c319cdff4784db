"""Protocol `rule`: no model at all. Right is what equals the reference; a refusal or an empty answer is no attempt.

The lower end of what judges are for: it calls every paraphrase wrong, and never
calls anything right that is not the reference word for word (case, markup,
articles and punctuation aside; negation, side, numbers and units must agree).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from raybench.interfaces import JudgeProtocol, MetricDef
from raybench.judges._injection import injection_flags
from raybench.judges._rules import is_exact, no_attempt
from raybench.judges._verdicts import VERDICT_METRICS, possible_verdicts, verdict_statistics
from raybench.schema import Response, Row, Verdict, digest

__all__ = ["PLUGIN", "Rule"]

#: Raised when the rules would decide differently.
_VERSION = "1"


class Rule(JudgeProtocol):
    """CORRECT, INCORRECT or NOT_ATTEMPTED by normalised equality, without a model."""

    name = "rule"
    labels: ClassVar[Mapping[str, str]] = {}

    def __init__(self, options: Any = None) -> None:
        super().__init__(self.Options() if options is None else options)

    @property
    def template_hash(self) -> str:
        return digest([self.name, _VERSION], 16)

    def items(self, records: Sequence[Row]) -> list[Row | None]:
        return [None if record["outcome"] == "failed" else self._item(record) for record in records]

    def _item(self, record: Row) -> Row:
        question, reference = str(record["question"]), str(record["target"])
        candidate = str(record["text"] or "")
        rule = no_attempt(record["outcome"], question, candidate, ())
        label = "NOT_ATTEMPTED" if rule else "CORRECT" if is_exact(candidate, reference) else "INCORRECT"
        found = rule or ("exact match" if label == "CORRECT" else "no match")
        return {
            "item": digest([self.name, _VERSION, question, reference, candidate, found]),
            "question": question, "reference": reference, "candidate": candidate,
            "flags": injection_flags(candidate),
            "decided": Verdict("ok", label, float(label == "CORRECT"), rationale=f"rule: {found}"),
        }  # fmt: skip

    def messages(self, item: Row) -> list[Row]:
        return []

    def parse(self, response: Response) -> Verdict:
        return Verdict("parse_failed", raw=response.text)

    def metrics(self) -> tuple[MetricDef, ...]:
        return VERDICT_METRICS

    def statistics(self, verdict: Row) -> Mapping[str, float]:
        return verdict_statistics(verdict)

    def possible(self) -> Sequence[Mapping[str, float]]:
        return possible_verdicts()


PLUGIN = Rule
