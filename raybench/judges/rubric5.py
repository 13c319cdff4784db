"""Protocol `rubric5`: how good is an answer on a scale from 1 to 5 with a text for each level, given a reference?

One forced digit with its probabilities. The score is the likeliest digit;
`rubric_expected` averages the digits by their probability instead (as G-Eval
does, arXiv 2303.16634), which is finer where the judge hesitates. What is no
attempt at an answer is 1 by rule.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from raybench.interfaces import MetricDef
from raybench.judges._injection import injection_flags
from raybench.judges._prompted import PromptOptions, RecordPrompted
from raybench.judges._reading import read_number
from raybench.judges._rules import no_attempt
from raybench.judges._template import nonce
from raybench.schema import Response, Row, digest

__all__ = ["PLUGIN", "Rubric5"]

#: From this rating on nothing in an answer is wrong.
_ACCEPTABLE = 4


class Rubric5(RecordPrompted):
    """A rating from 1 (wrong) to 5 (complete) against a reference, by one forced digit."""

    class Options(PromptOptions):
        """Settings that every prompted protocol has."""

        template: str | dict[str, Any] = "rubric5-v1"

    name = "rubric5"
    labels: ClassVar[Mapping[str, str]] = {digit: digit for digit in "12345"}
    labels_else_text = True
    numbers = True
    max_tokens = 8
    example = "Question: {question}\nReference answer: {reference}\nCandidate: {candidate}\nRating: {label}"

    def _item(self, record: Row) -> Row:
        question, reference = str(record["question"]), str(record["target"])
        candidate, rules = str(record["text"] or ""), self.options.rules
        rule = no_attempt(record["outcome"], question, candidate, self.prompt_sentences) if rules else None
        return {
            "item": digest([self.name, self.template_hash, question, reference, candidate, rule]),
            "question": question, "reference": reference, "candidate": candidate,
            "flags": injection_flags(candidate),
            "decided": None if rule is None else self._verdict("1", rationale=f"rule: {rule}"),
        }  # fmt: skip

    def messages(self, item: Row) -> list[Row]:
        fields = {"question": item["question"], "reference": item["reference"]}
        return self._chat(
            {**fields, "candidate": self._cut(item["candidate"])}, {"nonce": nonce(item["candidate"])}
        )  # fmt: skip

    def _from_text(self, response: Response) -> str | None:
        number = None if response.finish_reason == "length" else read_number(response.text, 1, 5)
        return None if number is None else str(number)

    def _score(self, letter: str) -> float:
        return float(letter)

    def metrics(self) -> tuple[MetricDef, ...]:
        return (
            MetricDef("rubric_mean", over="judged", hit="points", binary=False, unit="points"),
            MetricDef("rubric_expected", over="weighed", hit="expected", binary=False, unit="points"),
            MetricDef("rubric_acceptable_rate", over="judged", hit="acceptable"),
        )

    def statistics(self, verdict: Row) -> Mapping[str, float]:
        judged = verdict["status"] == "ok" and verdict["label"] is not None
        points = float(verdict["label"]) if judged else 0.0
        shares = verdict.get("label_probs") if judged else None
        shares = json.loads(shares) if isinstance(shares, str) else shares
        return {
            "judged": float(judged), "points": points, "acceptable": float(points >= _ACCEPTABLE),
            "weighed": float(bool(shares)), "null": float(not judged),
            "expected": sum(float(label) * share for label, share in shares.items()) if shares else 0.0,
        }  # fmt: skip

    def possible(self) -> Sequence[Mapping[str, float]]:
        return [self.statistics({"status": "ok", "label": each, "label_probs": {each: 1.0}}) for each in ("1", "5")]


PLUGIN = Rubric5
