"""Text before comparison: tidying that loses nothing, and four named normalisers that lose on purpose.

`tidy` and `plain` undo typography and markup. `medical` is raybench's own
normaliser: it keeps negation, laterality, numbers and units. `vqa_v2` follows
the published VQA-v2 comparison as MUMC runs it, `llava_med` as LLaVA-Med runs
it, and `lmms_slake` the SLAKE task of lmms-eval, quirks included.

>>> medical("A 2.5cm mass, on the LEFT side.")
'2.5 cm mass on left side'
>>> vqa_v2("Ring-enhancing lesions")
'ring enhancing lesions'
"""

from __future__ import annotations

import re
import string
import unicodedata
from functools import lru_cache

from raybench.parsing._vqa_words import ARTICLES, CONTRACTIONS, NUMBERS, PUNCTUATION

__all__ = ["has_content", "llava_med", "lmms_slake", "medical", "plain", "tidy", "unwrap", "vqa_v2"]

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


#: Without one of these, no wrapper has anything to take away.
_MARKUP = re.compile(r"[\\<>#*`_•-]")


def tidy(text: str) -> str:
    """Return text in NFKC with straight apostrophes, no invisible characters and single spaces; lines stay."""
    if not text.isascii():  # ASCII is all of that already
        text = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text.translate(_POWERS))).translate(_APOSTROPHES)
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(lines).strip()


def unwrap(text: str) -> str:
    """Return tidy text without markdown, \\boxed{} and answer tags."""
    text = tidy(text)
    if _MARKUP.search(text) is None:
        return text
    for wrapper in _WRAPPERS:
        text = wrapper.sub(lambda match: match[1] if match.re.groups else "", text)
    return tidy(text)


@lru_cache(maxsize=1024)  # one response is read by several rules in turn
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


@lru_cache(maxsize=1 << 14)
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


_VQA_DELETED = re.compile(r"[,.'!?\"()*#:;~]")


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
    text = _without_punctuation(text, glued=False)
    words = (NUMBERS.get(word, word) for word in text.split())
    return " ".join(word for word in words if word not in ARTICLES)


def _without_punctuation(text: str, glued: bool) -> str:
    """Delete each mark that touches a space somewhere in the text (or all, if `glued`), else put a space."""
    before = text
    for mark in PUNCTUATION:
        if mark in before:
            touched = glued or f"{mark} " in before or f" {mark}" in before
            text = text.replace(mark, "" if touched else " ")
    return text


_DIGIT_COMMA_DIGIT = re.compile(r"\d,\d")
_PERIOD = re.compile(r"\.(?!\d)")
#: The original passes re.UNICODE (32) where `re.sub` takes a count.
_PERIODS_DELETED = 32


@lru_cache(maxsize=1 << 16)
def llava_med(text: str) -> str:
    """Return text as LLaVA-Med's scorer normalises it (microsoft/LLaVA-Med@b9a98a7 eval_metrics/glossary.py).

    Beside what `vqa_v2` shares with it: one number with a comma in it ("1,000")
    makes every mark of the text vanish instead of becoming a space; a period goes
    unless a digit follows, but only the first 32 of them; numbers become digits
    and "none" 0 before articles go; lost apostrophes come back.

    >>> llava_med("None of the above, dont know; 3.5 cm (x-ray)")
    "0 of above don't know 3.5 cm x ray"
    """
    text = text.lower()
    text = _without_punctuation(text, glued=_DIGIT_COMMA_DIGIT.search(text) is not None)
    words = (NUMBERS.get(word, word) for word in _PERIOD.sub("", text, count=_PERIODS_DELETED).split())
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in ARTICLES)


_PARENTHESES, _PARENTHESES_ZH = re.compile(r"\([^)]*\)"), re.compile(r"（[^）]*）")
_SLAKE_MARKS = string.punctuation + "！？｡。＂＃＄％＆＇（）＊＋，－／：；＜＝＞＠［＼］＾＿｀｛｜｝～、《》【】"
_SLAKE_SPACES = str.maketrans(dict.fromkeys(_SLAKE_MARKS, " "))
_SLAKE_YES = frozenset({"yes", "yeah", "yep", "true", "是", "是的", "有", "包含", "可以", "能", "会", "正常"})
_SLAKE_NO = frozenset(
    {"no", "nope", "false", "否", "不是", "没有", "无", "不包含", "不能", "不会", "不可以", "不正常", "异常"}
)


@lru_cache(maxsize=1 << 16)
def lmms_slake(text: str) -> str:
    """Return text as lmms-eval's SLAKE task compares it (EvolvingLMMs-Lab/lmms-eval@75571cf tasks/slake).

    Parentheses and punctuation, English and Chinese, become a space; a text that
    then is one word for yes or no, or "x ray", is that word.

    >>> lmms_slake("不包含。"), lmms_slake("X-ray (chest)"), lmms_slake("Yes, there is")
    ('no', 'xray', 'yes there is')
    """
    text = _unbracketed(_PARENTHESES_ZH, "）", _unbracketed(_PARENTHESES, ")", text.strip().lower()))
    text = " ".join(text.translate(_SLAKE_SPACES).split())
    if text in _SLAKE_YES:
        return "yes"
    if text in _SLAKE_NO:
        return "no"
    return "xray" if text == "x ray" else text


def _unbracketed(pattern: re.Pattern[str], closing: str, text: str) -> str:
    """Replace brackets by a space; past the last closing one nothing can match, and trying would be quadratic."""
    head, mark, tail = text.rpartition(closing)
    return pattern.sub(" ", head + mark) + tail
