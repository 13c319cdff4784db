"""What protocols with a prompt share: the static part first, data fenced and made harmless, forced labels read.

A protocol gives its labels and fields; this gives the messages and reads the word.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field

from raybench.interfaces import JudgeProtocol
from raybench.interfaces import Options as PluginOptions
from raybench.judges._reading import forced, read_text_label, unread_status
from raybench.judges._rules import prompt_sentences
from raybench.judges._template import cut_tail, fill, load_template, neutralise
from raybench.schema import Response, Row, Verdict, digest

__all__ = ["PromptOptions", "Prompted", "RecordPrompted"]


class PromptOptions(PluginOptions):
    """Settings that every prompted protocol has.

    Attributes:
        template: a shipped template by name or version, or a whole one (keys system, user, examples).
        max_candidate_chars: how much of a candidate the judge sees; the question and the reference are never cut.
        rules: settle by rule, without a call, what is no attempt. Off only to measure the bare judge.
    """

    template: str | dict[str, Any]
    max_candidate_chars: int = Field(default=4000, ge=200)
    rules: bool = True


class Prompted(JudgeProtocol):
    """A protocol whose judge chooses one of a few labels for a filled template."""

    #: The labels are numbers: announced numbers in the data are neutralised too.
    numbers: ClassVar[bool] = False
    #: Lines of one worked example, over its fields.
    example: ClassVar[str]

    def __init__(self, options: Any = None) -> None:
        super().__init__(self.Options() if options is None else options)
        self.template = load_template(self.options.template, self.name)

    @property
    def template_hash(self) -> str:
        return digest([dict(self.template), dict(self.labels), self.options.max_candidate_chars], 16)

    @property
    def reminder(self) -> str:
        return f"Reply with exactly one of {', '.join(self.labels)} and nothing else."

    @property
    def prompt_sentences(self) -> tuple[str, ...]:
        """Sentences of the template, for the rule that a candidate may not just repeat it."""
        return prompt_sentences(self.template)

    def _chat(self, fields: Mapping[str, str], made: Mapping[str, str]) -> list[Row]:
        """Return the messages of one item.

        Args:
            fields: data from elsewhere, neutralised here. made: values of our own (a nonce), put in as they are.
        """
        shown = {name: neutralise(value, self.numbers) for name, value in fields.items()}
        return [
            {"role": "system", "content": self._static()},
            {"role": "user", "content": [{"type": "text", "text": fill(self.template["user"], {**shown, **made})}]},
        ]

    def _static(self) -> str:
        """Return the part of the prompt that every item shares: rules, then examples."""
        examples = self.template.get("examples") or ()
        if not examples:
            return str(self.template["system"])
        lines = (fill(self.example, {name: str(value) for name, value in each.items()}) for each in examples)
        return f"{self.template['system']}\nExamples:\n\n" + "\n\n".join(lines)

    def _cut(self, candidate: str) -> str:
        return cut_tail(candidate, self.options.max_candidate_chars)

    def parse(self, response: Response) -> Verdict:
        if response.label_logprobs:
            return self._from_logprobs(response)
        letter = self._from_text(response)
        if letter is not None:
            return self._verdict(letter, raw=response.text)
        return Verdict(unread_status(response), raw=response.text)

    def _from_text(self, response: Response) -> str | None:
        return read_text_label(response, self.labels)

    def _from_logprobs(self, response: Response) -> Verdict:
        found = forced(response, list(self.labels))
        if found is None:
            return Verdict("parse_failed", raw=response.text)
        probabilities = {self.labels[label]: share for label, share in found.shares.items()}
        return self._verdict(found.best, raw=response.text, label_probs=probabilities, label_mass=found.mass)

    def _verdict(self, letter: str, **more: Any) -> Verdict:
        return Verdict("ok", label=self.labels[letter], score=self._score(letter), **more)

    @abstractmethod
    def _score(self, letter: str) -> float:
        """Return the number that a label stands for."""


class RecordPrompted(Prompted):
    """A prompted protocol that judges each record by itself."""

    def items(self, records: Sequence[Row]) -> list[Row | None]:
        return [None if record["outcome"] == "failed" else self._item(record) for record in records]

    @abstractmethod
    def _item(self, record: Row) -> Row:
        """Return the judge item of a record that did not fail."""

    @staticmethod
    def _said(record: Row) -> Row:
        """Return a record's question, reference and candidate as texts."""
        return {
            "question": str(record["question"]), "reference": str(record["target"]),
            "candidate": str(record["text"] or ""),
        }  # fmt: skip
