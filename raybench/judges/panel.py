"""Protocol `panel`: what several judges say together, from the verdicts that are stored; no model is asked.

    judges:
      - {name: panel, backend: no_model, protocol: panel, protocol_options: {judges: [a, b, c]}}

`majority` takes the label that more than half of *all* members gave: a member
without a verdict counts against every majority. Members at odds, without a majority
or with a mean of one half, make UNDECIDED, which is no verdict on the answer: the
record is null and widens the bounds, as where a member's word is missing.
`mean` averages the members' scores where all have one. Members' errors go
together: `panel_effective_judges` says how many independent judges this panel is
worth by Kish's design effect, k/(1 + (k - 1) r) with r the mean correlation of
the members' scores over the records (1 where all always agree). It cannot see
errors that all members share.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from raybench.errors import SpecError
from raybench.interfaces import Array, JudgeProtocol, MetricDef, Statistics
from raybench.interfaces import Options as PluginOptions
from raybench.judges._injection import injection_flags
from raybench.judges._rules import no_attempt
from raybench.judges._verdicts import VERDICT_METRICS, possible_verdicts, verdict_statistics
from raybench.schema import Response, Row, Verdict, digest
from raybench.stats.panel import effective_judges

__all__ = ["PLUGIN", "UNDECIDED", "Panel"]

#: The label of members that are at odds: an outcome that is named, not a verdict on the answer.
UNDECIDED = "UNDECIDED"
#: Raised when the same words would be pooled otherwise.
_VERSION = "2"


def _effective(statistics: Statistics, weights: Array) -> Array:
    members = sorted(name for name in statistics if name.startswith("member_"))
    if len(members) < 2:
        return np.full(len(weights), np.nan)
    scores = np.stack([np.asarray(statistics[name], dtype=float) for name in members], axis=1)
    return effective_judges(scores, weights * np.asarray(statistics["complete"], dtype=float))


class Panel(JudgeProtocol):
    """Majority or mean of other judges' stored verdicts, their disagreement and effective number."""

    class Options(PluginOptions):
        """Settings.

        Attributes:
            judges: names of the judges that sit on it; they must have judged before.
            pool: how their words become one.
            of: the protocol that they were asked with.
        """

        judges: tuple[str, ...] = ()
        pool: Literal["majority", "mean"] = "majority"
        of: str = Field(default="reference_verdict", pattern="^(reference_verdict|rule)$")

    name = "panel"
    labels: ClassVar[Mapping[str, str]] = {}
    needs = ("verdicts",)
    decided_by = "panel"

    def __init__(self, options: Any = None) -> None:
        super().__init__(self.Options() if options is None else options)

    @property
    def template_hash(self) -> str:
        return digest([self.name, _VERSION, sorted(self.options.judges), self.options.pool, self.options.of], 16)

    def items(self, records: Sequence[Row]) -> list[Row | None]:
        if not self.options.judges and any("verdicts" in record for record in records):
            raise SpecError("judge protocol panel: it has no members; name them: protocol_options: {judges: [a, b, c]}")
        return [None if record["outcome"] == "failed" else self._item(record) for record in records]

    def _item(self, record: Row) -> Row:
        question, candidate = str(record["question"]), str(record["text"] or "")
        said = record.get("verdicts") or {}
        words = {name: _word(said.get(name)) for name in sorted(self.options.judges)}
        rule = no_attempt(record["outcome"], question, candidate, ())
        return {
            "item": digest([self.name, self.template_hash, question, str(record["target"]), candidate, words, rule]),
            "question": question, "reference": str(record["target"]), "candidate": candidate,
            "flags": injection_flags(candidate), "words": words,
            "decided": self._pooled(words, rule, _unread_state(said, words)),
        }  # fmt: skip

    def _pooled(self, words: Mapping[str, Sequence[Any] | None], rule: str | None, unread: Any) -> Verdict:
        if rule is not None:
            return Verdict("ok", "NOT_ATTEMPTED", 0.0, rationale=f"rule: {rule}")
        given = [word for word in words.values() if word is not None]
        counts = Counter(label for label, _ in given)
        shown = ", ".join(f"{count} {label}" for label, count in counts.most_common())
        absent = len(words) - len(given)
        shown += f", {absent} without a verdict" if absent else ""
        if self.options.pool == "mean":
            if absent or not given:
                return Verdict(unread, rationale=f"panel: {shown or 'no verdicts'}")
            mean = float(np.mean([score for _, score in given]))
            if mean == 0.5:
                return Verdict("ok", UNDECIDED, rationale=f"panel: a mean of one half: {shown}")
            label = "CORRECT" if mean > 0.5 else "INCORRECT"
            return Verdict("ok", label, mean, rationale=f"panel: {shown}")
        label, count = counts.most_common(1)[0] if counts else ("", 0)
        if 2 * count <= len(words):
            if not absent and given:
                return Verdict("ok", UNDECIDED, rationale=f"panel: no majority: {shown}")
            return Verdict(unread, rationale=f"panel: no majority: {shown or 'no verdicts'}")
        return Verdict("ok", label, float(label == "CORRECT"), rationale=f"panel: {shown}")

    def messages(self, item: Row) -> list[Row]:
        return []

    def parse(self, response: Response) -> Verdict:
        return Verdict("parse_failed", raw=response.text)

    def metrics(self) -> tuple[MetricDef, ...]:
        pooled = (MetricDef("panel_mean_score", over="judged", hit="score", binary=False),)
        return (
            *VERDICT_METRICS,
            *(pooled if self.options.pool == "mean" else ()),
            MetricDef("panel_disagreement", over="complete", hit="split", higher_is_better=False),
            MetricDef("panel_effective_judges", over="complete", reduce=_effective, binary=False, unit="judges"),
        )

    def statistics(self, verdict: Row) -> Mapping[str, float]:
        said = {**verdict, "label": None} if verdict["label"] == UNDECIDED else verdict
        return {**verdict_statistics(said), "score": float(verdict.get("score") or 0.0)}

    def aggregate(self, item: Row, found: Mapping[str, Row]) -> Mapping[str, float]:
        """Add the members' own scores, where every member has one."""
        statistics = dict(self.statistics(found.get(item["item"]) or {"status": "engine_error", "label": None}))
        words = list(item["words"].values())
        complete = bool(words) and all(word is not None for word in words)
        statistics |= {"complete": float(complete), "split": 0.0}
        if complete:
            statistics["split"] = float(len({label for label, _ in words}) > 1)
            statistics |= {f"member_{i}": float(score) for i, (_, score) in enumerate(words)}
        return statistics

    def possible(self) -> Sequence[Mapping[str, float]]:
        return [{**row, "score": row["correct"]} for row in possible_verdicts()]


def _unread_state(said: Mapping[str, Mapping[str, Any]], words: Mapping[str, Sequence[Any] | None]) -> Any:
    """Return the state of the first member without a verdict; one that never judged the answer is an engine's error."""
    states = [said[name]["status"] if name in said else "engine_error" for name, word in words.items() if word is None]
    return next((state for state in states if state != "ok"), "engine_error")


def _word(verdict: Mapping[str, Any] | None) -> list[Any] | None:
    """Return (label, score) of a member's verdict: how likely it holds the answer to be right where it says so."""
    if verdict is None or verdict["status"] != "ok" or verdict["label"] is None:
        return None
    shares = verdict.get("label_probs")
    shares = json.loads(shares) if isinstance(shares, str) else shares
    score = float(shares["CORRECT"]) if shares and "CORRECT" in shares else float(verdict["label"] == "CORRECT")
    return [verdict["label"], score]


PLUGIN = Panel
