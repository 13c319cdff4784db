"""What a judge's response says, whatever the protocol: forced labels by their probabilities, else a state.

>>> forced(Response("A", label_logprobs={"A": 0.0}), ("A", "B")).best
'A'
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raybench.judges._verdict_text import read_verdict
from raybench.parsing.refusal import refusal
from raybench.schema import Response

__all__ = ["Forced", "forced", "read_number", "read_text_label", "unread_status"]


@dataclass(frozen=True)
class Forced:
    """The likeliest label, every label's share of the labels' probability, and how much that was of the whole."""

    best: str
    shares: Mapping[str, float]
    mass: float


def forced(response: Response, labels: Sequence[str]) -> Forced | None:
    """Read raw label log probabilities; None where they hold no probability at all."""
    raw = {label.strip(): value for label, value in (response.label_logprobs or {}).items()}
    mass = {label: math.exp(min(raw.get(label, -math.inf), 0.0)) for label in labels}
    total = math.fsum(mass.values())
    if not 0 < total < math.inf:
        return None
    best = max(mass, key=lambda label: mass[label])
    return Forced(best, {label: value / total for label, value in mass.items()}, min(total, 1.0))


def read_text_label(response: Response, labels: Mapping[str, str]) -> str | None:
    """Return the letter that a judge's text gives; of a text that was cut off only a verdict on its first line."""
    letter = read_verdict(response.text, labels)
    if response.finish_reason == "length":
        lines = response.text.strip().splitlines()
        if not lines or letter != read_verdict(lines[0], labels):
            return None  # what it would have said last is unknown
    return letter


def unread_status(response: Response) -> Any:
    """Return the state of a response in which no verdict was found."""
    if response.finish_reason == "length":
        return "truncated"
    declined = refusal(response.text)
    return "refused_by_judge" if declined and declined.type not in ("empty", "degenerate") else "parse_failed"


_CUE = r"(?:final\s+|overall\s+)?(?:score|rating|grade|mark|verdict|answer|result)"
_NUMBER = r"(?P<number>\d+(?:\.\d+)?)(?![\d%])(?:\s*(?:/|out\s+of)\s*(?P<of>\d+))?"
_ANNOUNCED = re.compile(rf"\b{_CUE}\b[\s*_\"'`]*(?::|=|\bis\b)[\s*_\"'`\[(]*{_NUMBER}", re.IGNORECASE)
_ALONE = re.compile(rf"[\s*_\"'`\[(]*{_NUMBER}[\s*_\"'`\])]*\.?")


def read_number(text: str, low: int, high: int) -> int | None:
    """Return the whole number from `low` to `high` that a judge's text gives as its score, or None.

    The last announced number ("Score: 7", "rating is 7/10") counts; without one, a line or a text that is nothing
    but a number. "0/10" on a scale from 1, "7/5", "6.5", and two different lines are no score.

    >>> read_number("Score: 7/10", 1, 10), read_number("0/10", 1, 10), read_number("0 (lesion measures 1 cm)", 0, 1)
    (7, None, None)
    """
    text = unicodedata.normalize("NFKC", text)
    announced = list(_ANNOUNCED.finditer(text))
    if announced:
        return _whole(announced[-1], low, high)
    alone = [match for line in text.splitlines() if line.strip() and (match := _ALONE.fullmatch(line.strip()))]
    found = {_whole(match, low, high) for match in alone}
    return found.pop() if len(found) == 1 else None


def _whole(match: re.Match[str], low: int, high: int) -> int | None:
    value = float(match["number"])
    if match["of"] is not None and int(match["of"]) != high:
        return None
    return int(value) if value == int(value) and low <= value <= high else None
