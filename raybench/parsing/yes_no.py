"""Yes or no, read from free text by word and never by substring.

"cannot", "normal", "not" and "nodule" hold no answer. Rules are tried from the
most explicit to the least, and text that says both words without a leading or
announced one is read as neither.

>>> read_yes_no("Yes, there is no effusion.").value
'yes'
>>> read_yes_no("I cannot see a nodule.").value is None
True
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from raybench.parsing.normalise import plain, tidy

__all__ = ["NO_WORDS", "YES_WORDS", "Reading", "fold_yes_no", "read_yes_no"]

#: Whole answers that mean yes or no, in English and Chinese.
YES_WORDS = frozenset({
    "yes", "yeah", "yep", "是", "是的", "对", "对的", "有", "有的", "存在", "包含", "可以", "可以的", "能", "会",
    "会的",
})  # fmt: skip
NO_WORDS = frozenset({
    "no", "nope", "否", "不", "不是", "不是的", "不对", "没", "没有", "没有的", "无", "不存在", "不包含", "不可以",
    "不能", "不会", "不会的",
})  # fmt: skip


class Reading(NamedTuple):
    """What was read: the value (None if nothing was), the rule, and how well the form was kept."""

    value: Any
    extractor: str
    format: str


# A word of its own: "non-contrast", "no-one" and "yes's" are not it.
_YES = r"(?<![\w'-])(?:yes|yeah|yep)(?![\w']|-\w)"
# An answer, not a determiner ("no effusion") and not an abbreviation ("No. 3").
_NO = r"(?<![\w'-])(?:no|nope)(?![\w']|-\w)(?!\.? ?\d)(?=\W*$|\s*[.,;:!\n\"')\]}/—–]|\s+-\s)"
_NO_ANY = r"(?<![\w'-])(?:no|nope)(?![\w']|-\w)(?!\.? ?\d)"

_BOTH = re.compile(r"\b(?:yes|no)\s*(?:/|or|and)\s*(?:yes|no)\b")
_CUE = re.compile(
    r"(?:(?P<final>\bfinal\s+|最终)?(?:\banswer(?:\s+is|\s*:)|答案\s*(?:是|为|:))|\bconclusion\s*:)"
    rf"\W*(?:(?P<yes>{_YES})|(?P<no>{_NO}))(?!\s*(?:/|or\b|and\b))"
)
_LEADING = re.compile(rf"\W*(?:(?P<yes>{_YES})|(?P<no>{_NO}))")
_LEADING_ZH = re.compile(
    r"\W*(?:(?P<yes>是的?|对的?|有|存在|包含|可以|能|会)|(?P<no>不是的?|不对|没有|否|无|不存在|不包含|不可以|不能|不会|不))"
    r"(?=\s*[,.;!:，。；！]|\s*$)"
)
#: "No" that denies no finding: "no doubt", "no significant change", "no other lesion".
_NO_DENIAL = (
    r"(?! (?:\w+ ){0,2}(?:doubts?|questions?|changes?|difference|improvement|comparison|priors?)\b"
    r"| (?:other|further|additional|new|more|one|matter)\b)"
)
_NEGATED_FINDING = re.compile(
    rf"\W*(?:(?:there(?: (?:is|are|was|were)|'s) |(?:the|this) [\w-]+ (?:shows?|has|have|demonstrates?) )?"
    rf"{_NO_ANY}{_NO_DENIAL}"
    r"|there (?:is|are|was|were)(?:n't| not) (?:an?|any)\b"
    r"|(?:(?:the|this) [\w-]+ (?:does|did)|i do)(?:n't| not) (?:see|show|have|demonstrate|contain)\b"
    r"|(?:(?:it|this|the [\w-]+) (?:is|was) )?negative for\b|absence of\b"
    r"|without (?:any )?(?:evidence|signs?) of\b|without (?=(?:[\w-]+ ){0,3}[\w-]+\W*$)"
    r"|(?:(?:在|该|此|这[张幅]?|本)*(?:图片?|图像|影像|片子?)(?:的?[中里上内])?[,，]?(?:并|目前)?)?"
    r"(?:没有|未见|看?不到|不存在|不包含|无(?!法)))"
)
_CONTRAST = re.compile(
    r"\b(?:but|however|although|though|except|yes|exclude[sd]?|rules? out|ruled out|cannot|can't)\b|但|不过|排除"
)
_SENTENCE_END = re.compile(r"[.;。；!！?？](?=\s*\S)|\n")
#: A question whose "no finding" means yes, or that cannot be settled by one.
_NORMALITY = re.compile(
    r"\b(?:normal|unremarkable|clear|healthy|intact|free|absent|negative|without|no|not|midline|symmetric(?:al)?"
    r"|preserved|patent|aligned|within|sharp|smooth|stable|(?:well|fully|properly|adequately)[ -]\w+)\b"
    r"|正常|健康|完整|清晰|居中|对称"
)
#: Words of a question that say nothing about what it asks for.
_ASKING = frozenset({
    "there", "does", "have", "this", "that", "these", "those", "with", "image", "picture", "scan", "show", "shown",
    "seen", "visible", "present", "evidence", "sign", "patient", "look", "like", "find", "found", "from", "what",
    "which", "left", "right", "side", "both", "been", "being",
})  # fmt: skip
_GENERIC = re.compile(r"\b(?:abnormalit(?:y|ies)|abnormal|findings?|disease|patholog(?:y|ies)|lesions?)\b|异常")
#: A predicate and its opposite; other negations ("not normal", "不正常") are made of it.
_PREDICATES = (
    ("normal", "abnormal"), ("healthy", "unhealthy"), ("present", "absent"), ("visible", "invisible"),
    ("symmetric", "asymmetric"), ("symmetrical", "asymmetrical"), ("enlarged", ""), ("正常", "异常"), ("健康", ""),
    ("存在", ""), ("包含", ""), ("可见", ""), ("对称", ""), ("清晰", ""), ("完整", ""), ("增大", ""), ("肿大", ""),
)  # fmt: skip
_ECHO_OPENING = re.compile(
    r"(?:(?:it|this|(?:the|this) [a-z]+) (?:is|looks|appears)(?: to be)? |(?:看起来|看上去)?是?)"
)
#: "是不是", "正不正常" ask; they negate nothing.
_ASKING_ZH = re.compile(r"(\w)[不没]\1|(有)无")
_NOT = r"(?:\bnot |n't |non-?|\bno |[不没无未非]|没有|未见)"


def fold_yes_no(text: str) -> str | None:
    """Return "yes" or "no" if the whole text is one of the words for it, else None."""
    word = plain(text).strip(" .,!。，！\"'")
    return "yes" if word in YES_WORDS else "no" if word in NO_WORDS else None


def read_yes_no(text: str, question: str = "") -> Reading:
    """Read yes or no from a response.

    Rules in order: the whole text; an echo of the question's predicate ("Abnormal"
    or "不正常" where "Is it normal?" was asked); "answer is ..." (the first time, a
    "final answer" before others); a leading word; a closing word; a word that stands
    alone; a sentence that opens by negating a finding ("No effusion is seen", "Negative
    for effusion"), unless it goes on with a contrast or the question asks for
    normality, where the same words may mean yes. Where further sentences follow, the
    first must name what the question asks for ("No effusion is seen. The lungs are
    clear." to "Is there an effusion?") and the others must not come back to it.

    Args:
        question: what was asked; never the target.
    """
    whole = fold_yes_no(text)
    if whole is not None:
        exact = tidy(text).lower().removesuffix(".").removesuffix("。") in YES_WORDS | NO_WORDS
        return Reading(whole, "yes_no:exact", "exact_contract" if exact else "recovered:markup")
    cleaned = plain(text)
    echoed = _echo(cleaned.strip(" .,!。，！\"'"), plain(question))
    if echoed is not None:
        return _recovered(echoed, "echo")
    for rule in (_announced, _leading, _closing, _alone):
        value = rule(cleaned)
        if value is not None:
            return _recovered(value, rule.__name__.removeprefix("_"))
    if _negates(cleaned, plain(question)):
        return _recovered("no", "negated_finding")
    return Reading(None, "", "unrecoverable")


def _echo(answer: str, question: str) -> str | None:
    """Yes or no where the whole answer is the question's predicate, its negation or its opposite."""
    answer = answer[opening.end() :] if (opening := _ECHO_OPENING.match(answer)) else answer
    if len(answer) > 20:
        return None
    question = _ASKING_ZH.sub(lambda match: match[1] or match[2], question)
    for pair in _PREDICATES:
        for word, opposite in (pair, pair[::-1]):
            if not _asks(word, question):
                continue
            if _asks(opposite, question) or re.search(rf"{_NOT}{word}", question):
                return None
            if answer == word:
                return "yes"
            if (opposite and answer == opposite) or re.fullmatch(rf"{_NOT}{word}", answer):
                return "no"
    return None


def _asks(word: str, question: str) -> bool:
    return bool(word) and re.search(rf"(?<![a-z]){word}(?![a-z])", question) is not None


def _recovered(value: str, rule: str) -> Reading:
    return Reading(value, f"yes_no:{rule}", f"recovered:{rule}")


def _side(match: re.Match[str] | None) -> str | None:
    return None if match is None else "yes" if match["yes"] else "no"


def _announced(text: str) -> str | None:
    found = sorted(_CUE.finditer(text), key=lambda cue: not cue["final"])
    return _side(found[0]) if found else None


def _leading(text: str) -> str | None:
    if _BOTH.match(text.lstrip("([\"' ")):
        return None
    return _side(_LEADING.match(text) or _LEADING_ZH.match(text))


def _closing(text: str) -> str | None:
    if _has_both(text):
        return None
    return _side(re.search(rf"(?:[,:;.\n]|[-—–]\s)\s*(?:(?P<yes>{_YES})|(?P<no>{_NO}))\W*$", text))


def _alone(text: str) -> str | None:
    if _has_both(text):
        return None
    yes = [match for match in re.finditer(_YES, text) if not re.search(r"(?:\bnot|n't)\W+$", text[: match.start()])]
    if yes and len(yes) == len(re.findall(_YES, text)):
        return "yes"
    return "no" if not yes and not re.search(_YES, text) and re.search(_NO, text) else None


def _has_both(text: str) -> bool:
    return bool(re.search(_YES, text) and re.search(_NO_ANY, text))


def _negates(text: str, question: str) -> bool:
    opening = _NEGATED_FINDING.match(text)
    if opening is None or _CONTRAST.search(text, opening.end()) or _NORMALITY.search(question):
        return False
    end = _SENTENCE_END.search(text, opening.end())
    if end is None:
        return True
    denied, rest = _words(text[opening.end() : end.start()]), _words(text[end.end() :])
    asked = _words(question) - _ASKING
    named = asked & denied or (question and _GENERIC.search(text, opening.end(), end.start()))
    return bool(named) and not asked & rest


def _words(text: str) -> set[str]:
    """The words of four letters or more, plurals folded; Chinese by pairs of characters."""
    words = {word.removesuffix("s") for word in re.findall(r"[a-z]{4,}", text)}
    return words | {
        text[i : i + 2] for i in range(len(text) - 1) if re.fullmatch(r"[\u4e00-\u9fff]{2}", text[i : i + 2])
    }
