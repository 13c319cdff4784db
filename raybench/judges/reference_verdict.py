"""Protocol `reference_verdict`: is a candidate answer right, wrong or not attempted, given an expert's reference?

One forced token (A, B or C) with its raw log probabilities where the backend
can; else a strict reader of the judge's text. A rule, and no call, settles what
was refused, blank, an empty opener ("Solution", "Thought process:") or the
question repeated: such "master keys" make reference judges say correct
(arXiv 2507.08794). Nothing is ever scored by default.

The candidate's tail is cut at `max_candidate_chars`, with a marker; the
question and the reference are never cut.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field

from raybench.interfaces import JudgeProtocol, MetricDef
from raybench.interfaces import Options as PluginOptions
from raybench.judges._template import cut_tail, fill, load_template, neutralise, nonce
from raybench.judges._verdict_text import read_verdict
from raybench.parsing.normalise import has_content, plain
from raybench.parsing.refusal import refusal
from raybench.schema import Response, Row, Verdict, digest

__all__ = ["PLUGIN", "ReferenceVerdict"]

#: Whole candidates that only announce an answer.
_OPENERS = frozenset(
    {
        "answer", "the answer", "the answer is", "final answer", "the final answer is", "solution", "thought process",
        "reasoning", "explanation", "let's think step by step", "let's solve this problem step by step",
        "解", "解答", "答案",
    }
)  # fmt: skip


class ReferenceVerdict(JudgeProtocol):
    """CORRECT, INCORRECT or NOT_ATTEMPTED against a reference, by one forced letter."""

    class Options(PluginOptions):
        """Settings: which template file, and how much of a candidate the judge sees."""

        template: str = "reference_verdict-v1"
        max_candidate_chars: int = Field(default=4000, ge=200)

    name = "reference_verdict"
    labels: ClassVar[Mapping[str, str]] = {"A": "CORRECT", "B": "INCORRECT", "C": "NOT_ATTEMPTED"}
    max_tokens = 8

    def __init__(self, options: Any = None) -> None:
        super().__init__(self.Options() if options is None else options)
        self.template = load_template(self.options.template)

    @property
    def template_hash(self) -> str:
        return digest([dict(self.template), dict(self.labels), self.options.max_candidate_chars], 16)

    def items(self, records: Sequence[Row]) -> list[Row | None]:
        return [None if record["outcome"] == "failed" else self._item(record) for record in records]

    def _item(self, record: Row) -> Row:
        question, reference = str(record["question"]), str(record["target"])
        candidate = str(record["text"] or "")
        rule = _settled(record["outcome"], question, candidate)
        return {
            "item": digest([self.name, self.template_hash, question, reference, candidate, rule]),
            "question": question,
            "reference": reference,
            "candidate": candidate,
            "decided": None if rule is None else self._verdict("C", rationale=f"rule: {rule}"),
        }

    def messages(self, item: Row) -> list[Row]:
        shown = cut_tail(item["candidate"], self.options.max_candidate_chars)
        fields = {name: neutralise(item[name]) for name in ("question", "reference")}
        fields |= {"candidate": neutralise(shown), "nonce": nonce(item["candidate"])}
        return [
            {"role": "system", "content": self._static()},
            {"role": "user", "content": [{"type": "text", "text": fill(self.template["user"], fields)}]},
        ]

    def _static(self) -> str:
        """Return the part of the prompt that every item shares: rules, then examples."""
        examples = (
            f"Question: {example['question']}\nReference answer: {example['reference']}\n"
            f"Candidate: {example['candidate']}\nGrade: {example['label']}"
            for example in self.template["examples"]
        )
        return f"{self.template['system']}\nExamples:\n\n" + "\n\n".join(examples)

    def parse(self, response: Response) -> Verdict:
        if response.label_logprobs:
            return self._from_logprobs(response)
        letter = read_verdict(response.text, self.labels)
        if response.finish_reason == "length" and letter != _first_line(response.text, self.labels):
            letter = None  # cut off before its end: what it would have said last is unknown
        if letter is not None:
            return self._verdict(letter, raw=response.text)
        return Verdict(_unread_status(response), raw=response.text)

    def _from_logprobs(self, response: Response) -> Verdict:
        raw = {label.strip(): value for label, value in (response.label_logprobs or {}).items()}
        mass = {letter: math.exp(min(raw.get(letter, -math.inf), 0.0)) for letter in self.labels}
        total = math.fsum(mass.values())
        if not 0 < total < math.inf:
            return Verdict("parse_failed", raw=response.text)
        best = max(mass, key=lambda letter: mass[letter])
        probabilities = {self.labels[letter]: value / total for letter, value in mass.items()}
        return self._verdict(best, raw=response.text, label_probs=probabilities, label_mass=min(total, 1.0))

    def _verdict(self, letter: str, **more: Any) -> Verdict:
        return Verdict("ok", label=self.labels[letter], score=float(letter == "A"), **more)

    def metrics(self) -> tuple[MetricDef, ...]:
        return (
            MetricDef("judge_accuracy", over="judged", hit="correct"),
            MetricDef("judge_attempted_rate", over="judged", hit="attempted"),
            MetricDef("judge_accuracy_given_attempted", over="attempted", hit="correct"),
        )

    def statistics(self, verdict: Row) -> Mapping[str, float]:
        judged = verdict["status"] == "ok" and verdict["label"] is not None
        return {
            "judged": float(judged),
            "correct": float(judged and verdict["label"] == "CORRECT"),
            "attempted": float(judged and verdict["label"] != "NOT_ATTEMPTED"),
            "null": float(not judged),
        }


def _settled(outcome: str, question: str, candidate: str) -> str | None:
    """Return the rule by which a candidate is no attempt, or None if a judge must look."""
    if outcome == "refused":
        return "refused"
    if not has_content(candidate):
        return "blank"
    said = plain(candidate).strip(" .:!?\n")
    if said in _OPENERS:
        return "opener"
    return "question repeated" if said == plain(question).strip(" .:!?\n") else None


def _first_line(text: str, labels: Mapping[str, str]) -> str | None:
    lines = text.strip().splitlines()
    return read_verdict(lines[0], labels) if lines else None


def _unread_status(response: Response) -> Any:
    if response.finish_reason == "length":
        return "truncated"
    declined = refusal(response.text)
    return "refused_by_judge" if declined and declined.type not in ("empty", "degenerate") else "parse_failed"


PLUGIN = ReferenceVerdict
