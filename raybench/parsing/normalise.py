"""Text before comparison: tidying that loses nothing, and two named normalisers that lose on purpose.

`tidy` and `plain` undo typography and markup. `medical` is raybench's own
normaliser: it keeps negation, laterality, numbers and units. `vqa_v2` follows
the published VQA-v2 comparison as MUMC runs it, quirks included.

>>> medical("A 2.5cm mass, on the LEFT side.")
'2.5 cm mass on left side'
>>> vqa_v2("Ring-enhancing lesions")
'ring enhancing lesions'
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["has_content", "medical", "plain", "tidy", "unwrap", "vqa_v2"]

_INVISIBLE = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\u00ad]")
_APOSTROPHES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u02bc": "'", "\u00b4": "'", "\u201c": '"', "\u201d": '"'})
# NFKC would turn 10² into 102.
_POWERS = str.maketrans({"²": "^2", "³": "^3"})

_WRAPPERS = (
    re.compile(r"\\boxed\s*\{([^{}]*)\}"),
    re.compile(r"\\text\s*\{([^{}]*)\}"),
    re.compile(r"</?(?:answer|final_answer|b|strong|em|i|p)>", re.IGNORECASE),
    re.compile(r"^\s*(?:#{1,6}|>|[-*•](?=\s))\s*", re.MULTILINE),
    re.compile(r"[*`]+|(?<!\w)_+|_+(?!\w)"),
)


def tidy(text: str) -> str:
    """Return text in NFKC with straight apostrophes, no invisible characters and single spaces; lines stay."""
    text = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text.translate(_POWERS))).translate(_APOSTROPHES)
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(lines).strip()


def unwrap(text: str) -> str:
    """Return tidy text without markdown, \\boxed{} and answer tags."""
    text = tidy(text)
    for wrapper in _WRAPPERS:
        text = wrapper.sub(lambda match: match[1] if match.re.groups else "", text)
    return tidy(text)


def plain(text: str) -> str:
    """Return unwrapped text in lower case."""
    return unwrap(text).lower()


def has_content(text: str) -> bool:
    """Say whether any letter or digit, of any script, is in the text."""
    return any(character.isalnum() for character in text)


_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBER_WORDS = {word: str(number) for number, word in enumerate(_NUMBERS)}
_UNITS = "mm|cm|m|ml|cc|l|mg|mcg|μg|g|kg|hu|mhz|hz|kv|t|bpm|mmhg|years?|yrs?|months?|weeks?|days?"
#: "a" after these words is a name ("hepatitis a"), not an article.
_NAMED_A = {"type", "hepatitis", "vitamin", "grade", "group", "stage", "class", "influenza", "stanford", "category"}

_MEDICAL = (
    (re.compile(r"\bx[\s-]?ray"), "xray"),
    (re.compile(r"(?<=\d),(?=\d{3}(?!\d))"), ""),
    (re.compile(rf"(?<![a-z])(\d+(?:\.\d+)?)\s*({_UNITS})\b"), r"\1 \2"),
    (re.compile(r"(?<![\w.])\.(?=\d)"), "0."),
    (re.compile(r"\.(?!\d)"), " "),
    (re.compile(r"(?<=\w)-(?=[^\W\d])|(?<=[^\W\d])-(?=\w)"), " "),
    (re.compile(r"(?<!\d)/|/(?!\d)"), " "),
    (re.compile(r"'"), ""),
    (re.compile(r"(?<!\d)-(?!\d)"), " "),
    (re.compile(r"(?<!\d),|,(?!\d)"), " "),
    (re.compile(r"[^\w\s.,+\-%<>=≤≥±^/°]"), " "),
)


def medical(text: str) -> str:
    """Return text for strict equality: what changes a finding stays, what does not goes.

    Kept: negation, side, every number, sign, comparison and unit. Dropped: case,
    markup, articles, other punctuation; hyphens and slashes between words become
    spaces, "3.4cm" becomes "3.4 cm", "1,000" 1000, "x-ray" xray, "two" 2. "none" stays a word.
    """
    text = plain(text)
    for pattern, replacement in _MEDICAL:
        text = pattern.sub(replacement, text)
    words = text.split()
    kept = [word for i, word in enumerate(words) if not _is_article(words, i)]
    return " ".join(_NUMBER_WORDS.get(word, word) for word in kept)


def _is_article(words: list[str], i: int) -> bool:
    if words[i] == "a":
        return i + 1 < len(words) and not (i and words[i - 1] in _NAMED_A)
    return words[i] in ("an", "the") and len(words) > 1


_VQA_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_VQA_DELETED = re.compile(r"[,.'!?\"()*#:;~]")
_VQA_NUMBERS = _NUMBER_WORDS | {"none": "0"}


def vqa_v2(text: str) -> str:
    """Return text as MUMC's VQA-v2 comparison sees it (longle0702/med-v2qa@727f26a vqaTools/vqaEval.py).

    Whether a mark is deleted or becomes a space is decided on the text before
    this step: deleted if a space touches it anywhere. Two of the original's steps
    can no longer act and are left out: its comma and period rules (those marks are
    already deleted) and its contraction table, which maps words without an
    apostrophe one to one, so that no equality changes.
    """
    text = _VQA_DELETED.sub("", text.lower()).replace(" \t", " ")
    text = text.replace("x ray", "xray").replace("x-ray", "xray").replace(" - ", "-")
    before = text
    for mark in _VQA_PUNCTUATION:
        touched = f"{mark} " in before or f" {mark}" in before
        text = text.replace(mark, "" if touched else " ")
    words = (_VQA_NUMBERS.get(word, word) for word in text.split())
    return " ".join(word for word in words if word not in ("a", "an", "the"))
