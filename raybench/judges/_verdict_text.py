"""Reading a verdict from a judge's prose, for judges whose labels cannot be forced.

A verdict is a label on a line of its own, at the opening of the text, or
announced ("Grade: B"); a letter or word elsewhere is prose. The last announced
verdict wins. Where the rules find two different ones of equal standing there is
no verdict: never a default.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

__all__ = ["read_verdict"]

_INVISIBLE = re.compile(r"[\u200b-\u200f\u2060-\u2064\ufeff\u00ad]")
_TAGS = re.compile(r"</?\w+>")
_ANNOUNCED = r"(?:verdict|grade|answer|label|judge?ment|result|decision|rating)"


def read_verdict(text: str, labels: Mapping[str, str]) -> str | None:
    """Return the label letter a judge's text gives, or None.

    Args:
        text: the judge's whole output.
        labels: letter -> meaning, e.g. {"A": "CORRECT"}; either form is read.
    """
    text = _TAGS.sub(" ", _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))).strip()
    form = _form(labels)
    announced = _announcements(text, form)
    if announced:
        last = announced[-1]
        return _agreed(last["label"], last["meaning"], labels)
    lines = [line for line in text.splitlines() if line.strip()]
    found = {_line_verdict(line, form, labels) for line in lines} - {None}
    if not found and lines:
        found = {_opening_verdict(lines[0], form, labels)}
    return found.pop() if len(found) == 1 else None


def _form(labels: Mapping[str, str]) -> str:
    """Return a pattern for one label; meanings may be written with a space or a hyphen for "_"."""
    meanings = [re.escape(meaning).replace("_", r"[ _-]") for meaning in labels.values()]
    words = "|".join(sorted(meanings, key=len, reverse=True))
    return rf"(?:(?i:{words})|[{''.join(labels)}])(?![\w'])"


def _letter(found: str, labels: Mapping[str, str]) -> str:
    if found in labels:
        return found
    word = re.sub(r"[ -]", "_", found.upper())
    return next(letter for letter, meaning in labels.items() if meaning == word)


def _agreed(label: str, meaning: str | None, labels: Mapping[str, str]) -> str | None:
    """Return the letter unless the meaning given beside it is another's ("A - INCORRECT")."""
    letter = _letter(label, labels)
    return letter if meaning is None or _letter(meaning, labels) == letter else None


def _announcements(text: str, form: str) -> list[re.Match[str]]:
    """Return "grade: B", '"verdict": "A"', "the verdict is B (INCORRECT)", in order.

    Not menus ("A/B/C", "A = CORRECT, B = ..."), and not prose ("the answer is correct about the side").
    """
    cue = rf"(?i:\b(?:final\s+)?{_ANNOUNCED})\W{{0,4}}(?::|=|(?i:\bis\b))\W{{0,8}}"
    meaning = rf"(?:\W{{0,3}}[-(:=–—]\W{{0,3}}(?P<meaning>{form}))?"
    end = r"(?=\W*(?:$|\n)|[\"'\])}*.,;]|\s*[-(:–—]\s*\w)(?!\s*[/|,]\s*(?:or\s+)?[A-Z]\b)(?![^\n]*\b[A-Z]\s*[=:])"
    return list(re.finditer(rf"{cue}(?P<label>{form}){meaning}{end}", text))


def _line_verdict(line: str, form: str, labels: Mapping[str, str]) -> str | None:
    """Read a line that is nothing but a label, or a letter with its own meaning ("B - INCORRECT")."""
    match = re.fullmatch(rf"\W*({form})(?:\W+({form}))?\W*", line)
    return _agreed(match[1], match[2], labels) if match else None


def _opening_verdict(line: str, form: str, labels: Mapping[str, str]) -> str | None:
    """Read a label that opens the text and is set off from what follows: "B: wrong side", "A. The ..."."""
    match = re.match(rf"\W*({form})(?!\W*{form}\W*$)(?:\s*[:)\]]|\s+[-–—]|[.,]?\*\*|\.(?=\s+[A-Z])|,)\s+\S", line)
    return _letter(match[1], labels) if match else None
