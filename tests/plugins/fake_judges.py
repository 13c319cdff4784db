"""Judges that answer at once: always the same, by a coin, or what an item deserves (it knows the suite)."""

from __future__ import annotations

import hashlib
import math
from collections.abc import AsyncIterator, Sequence
from typing import Any, ClassVar

from raybench.interfaces import Backend, Capabilities, Options
from raybench.judges._suite import suite
from raybench.judges.reference_verdict import ReferenceVerdict
from raybench.schema import Failure, Response, Row, canonical_json


class FakeJudgeOptions(Options):
    """`answer`: "correct", "incorrect", "coin", "oracle" or "garbage"; `suite` and `items` are what an oracle knows."""

    answer: str
    suite: str = "phantom"
    items: int = 300
    version: str = "1"
    model: str = "fake"


class FakeJudge(Backend):
    """Gives forced labels with probability 0.97."""

    Options = FakeJudgeOptions
    capabilities: ClassVar = Capabilities(label_logprobs=True)

    @classmethod
    def identity(cls, options: Any) -> Row:
        return {"model": "fake", "revision": options.version, "pinned": True, "answer": options.answer}

    def __init__(self, options: Any) -> None:
        self.options = options
        self._known = _known(options) if options.answer == "oracle" else {}

    @property
    def window(self) -> int:
        return 64

    async def generate(self, rows: Sequence[Row]) -> AsyncIterator[tuple[str, Response | Failure]]:
        for row in rows:
            if self.options.answer == "garbage":
                yield row["id"], Response("The answer is 0/10, or perhaps 10/10.")
                continue
            letter = self._letter(row)
            rest = [label for label in "ABC" if label != letter]
            logprobs = {letter: math.log(0.97), **dict.fromkeys(rest, math.log(0.01))}
            yield row["id"], Response(letter, label_logprobs=logprobs, tokens_in=100, tokens_out=1)

    def _letter(self, row: Row) -> str:
        if self.options.answer in ("correct", "incorrect"):
            return "A" if self.options.answer == "correct" else "B"
        shown = _shown(row["messages"])
        if self.options.answer == "coin":
            return "AB"[hashlib.sha256(shown.encode()).digest()[0] % 2]
        return self._known.get(shown, "C")  # what is no item of the suite: a tie

    def versions(self) -> dict[str, str]:
        return {}


def _shown(messages: Sequence[Row]) -> str:
    return (
        canonical_json(messages[-1]["content"])
        .split("Text inside the marks")[0]
        .split("The marked text")[0]
        .replace("Expert's answer", "Reference answer")
    )


def _known(options: Any) -> dict[str, str]:
    protocol = ReferenceVerdict()
    letters = {meaning: letter for letter, meaning in protocol.labels.items()}
    found = {}
    for item in suite(options.suite, options.items):
        given = {"question": item.question, "reference": item.reference, "candidate": item.candidate}
        found[_shown(protocol.messages(given))] = letters[item.label]
    return found
