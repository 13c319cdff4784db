"""Whether a response declines to answer, and how.

Rules are anchored: a refusal opens the text, in the first person (or without a
subject), with a verb of helping or looking. Radiology prose that hedges
("cannot exclude pneumothorax", "unable to assess due to rotation") is a
finding, not a refusal, and so is an answer that follows a disclaimer. English
and Chinese. The type ends up in the extractor, as `refusal:<type>:<rule>`. No
error rate has been published for any such list.

>>> refusal("I cant help you with that. Is there anything else I can help you with?")
Refusal(type='policy', rule='cannot_help')
>>> refusal("I cannot exclude a small pneumothorax.") is None
True
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from raybench.parsing._refusal_rules import ANSWER, DEFERRALS, FINDING, OFFER, TURN, RefusalType, rules
from raybench.parsing.normalise import has_content, plain

__all__ = ["Refusal", "RefusalType", "refusal"]

#: A refusal opening with more than this many characters of answer after it is an answer.
CONTENT_CHARS = 80
#: Only a response's opening can refuse.
_OPENING_CHARS = 300
#: A text that only sends the reader to a doctor is at most this long.
_DEFERRAL_CHARS = 300
#: Only this much of the end is searched for a loop, and a loop is at least this long.
_LOOP_WINDOW, _LOOP_CHARS = 1500, 40
#: A phrase of up to 12 characters eight times in a row, or of up to 120 five times.
_LOOPS = ((12, 8), (120, 5))
#: Running text of this many words says more than one word in twelve once.
_MANY_WORDS, _DISTINCT = 60, 12
#: A text is remembered up to this length.
_SHORT_CHARS = 80
_WORD = re.compile(r"[\u3400-\u9fff]|[^\W\d\u3400-\u9fff]+")


class Refusal(NamedTuple):
    """How a response declines: its type, and the rule that fired."""

    type: RefusalType
    rule: str


def refusal(text: str) -> Refusal | None:
    """Return how a response declines, or None if it is an answer (right, wrong or unreadable).

    The types: `empty` (nothing was said), `degenerate` (marks alone, or a phrase
    over and over), `no_image` (none was seen), `policy` (will not), `inability`
    (cannot), `deferral` (ask a doctor, and nothing else).

    Args:
        text: the final part of a response; reasoning is not looked at.
    """
    return _of_short(text) if len(text) <= _SHORT_CHARS else _declined(text)


def _declined(text: str) -> Refusal | None:
    if not has_content(text):
        return Refusal("degenerate", "marks_alone") if plain(text) else Refusal("empty", "no_content")
    cleaned = " ".join(plain(text).split())
    opening = cleaned[:_OPENING_CHARS]
    if _loops(cleaned):
        return Refusal("degenerate", "loop")
    known = rules()
    for kind, rule, pattern in known.each if known.any.match(opening) else ():
        match = pattern.match(opening)
        if match:
            return None if _answers_after(cleaned[match.end() :]) else Refusal(kind, rule)
    if len(cleaned) <= _DEFERRAL_CHARS and DEFERRALS.match(cleaned) and not FINDING.search(cleaned):
        return Refusal("deferral", "see_a_doctor")
    return None


#: Of short answers ("Yes.", "No, there is not.") a model gives the same over and over.
_of_short = lru_cache(maxsize=4096)(_declined)


def _answers_after(rest: str) -> bool:
    """Say whether an answer follows the refusal's opening: one that says so, or more than CONTENT_CHARS of text."""
    for turn in TURN.finditer(rest):
        content = rest[turn.end() :]
        if ANSWER.match(content) or (len(content) > CONTENT_CHARS and not OFFER.match(content)):
            return True
    return False


def _loops(text: str) -> bool:
    """Say whether a phrase over and over makes up half of the text's end, or the text has next to no other words."""
    window = text[-_LOOP_WINDOW:].rstrip(" .,;:!?。，；：！？")
    if len(window) < _LOOP_CHARS:
        return False
    if _may_loop(window.split()) and (_repeats(window) or _repeats(window[::-1])):
        return True
    words = _WORD.findall(text)
    return len(words) >= _MANY_WORDS and _DISTINCT * len(set(words)) < len(words)


def _may_loop(words: list[str]) -> bool:
    """Say whether a closer look is worth its time: few words, a very long one, or many triples met before."""
    if len(words) < 8 or max(map(len, words)) >= _LOOP_CHARS:
        return True
    return len(set(zip(words, words[1:], words[2:], strict=False))) < 0.8 * len(words)


def _repeats(window: str) -> bool:
    """Say whether a phrase over and over makes up the first half."""
    return any(
        2 * length >= len(window) and any(period <= size and length >= times * period for size, times in _LOOPS)
        for length, period in enumerate(_periods(window), 1)
        if length >= _LOOP_CHARS
    )


def _periods(text: str) -> Iterator[int]:
    """Yield the smallest period of every prefix (Knuth, Morris and Pratt 1977): the length of what it repeats."""
    borders = [0]
    yield 1
    for i in range(1, len(text)):
        border = borders[-1]
        while border and text[border] != text[i]:
            border = borders[border - 1]
        borders.append(border + (text[border] == text[i]))
        yield i + 1 - borders[-1]
