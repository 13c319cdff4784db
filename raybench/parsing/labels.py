"""One label out of a closed list, read by whole words and with negation in mind.

A label counts where it is asserted: "no pneumonia" and "pneumonia was ruled
out" do not read as pneumonia, nor does "pneumonia cannot be excluded". Two asserted
labels read as neither.

>>> read_label("The scan shows a meningioma.", ["glioma", "meningioma"]).value
'meningioma'
>>> read_label("No glioma is seen.", ["glioma", "meningioma"]).value is None
True
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from raybench.parsing.normalise import plain, tidy
from raybench.parsing.yes_no import Reading

__all__ = ["read_label"]

Synonyms = Mapping[str, Sequence[str]]

#: A negation reaches over at most this many words to the right, within its clause.
_REACH_WORDS = 6

_CLAUSE_END = re.compile(r"[.;:!?\n。；！？]|\b(?:but|however|although|though|except|instead|rather)\b|但|而是")
_NEGATION = re.compile(
    r"\b(?:no(?!,)|not|non|never|without|neither|nor|absence of|absent|free of|negative for|denie[sd]|exclude[sd]?"
    r"|rules? out|ruled out|unlikely|rather than|cannot|can't|(?:is|are|was|were|does|do|did)n't)\b"
)
_NEGATION_ZH = re.compile(r"(?:无|没有|未见|不是|不|非|排除|否认|未发现)[^,，。]{0,6}$")
_DENIED_AFTER = re.compile(
    r"^\s*(?:(?:is|are|was|were|has been|can be|seems|appears)\s+(?:\w+\s+)?)?"
    r"(?:not(?! only)|absent|excluded|ruled out|unlikely|negative|denied|isn't|wasn't|aren't)\b"
    r"|^\s*(?::|-)\s*(?:no|absent|negative|false|0)\b"
    r"|^(?:未见|不存在|阴性|已排除)"
)
#: Neither asserted nor denied: "pneumonia (or effusion) cannot be excluded", "肺炎不能排除", "肺炎不除外".
_OPEN_AFTER = re.compile(
    r"^(?:\s+or\s+[\w-]+){0,2},?\s*(?:which\s+)?"
    r"(?:(?:can|could|may|might)\s*(?:not|n't|never)|can't|couldn't|(?:is|are)\s+(?:difficult|hard|impossible)\s+to)\s+"
    r"(?:be\s+)?(?:\w+\s+)?(?:exclude|rule|discount)d?\b"
    r"|^(?:的可能性?)?(?:暂|尚|还)?(?:不能|无法|未能|不可|难以)(?:完全|除外|排除)|^不除外|^(?:可能)?[,，]?待排"
)
_CUE = re.compile(
    r"(?P<final>\bfinal\s+)?\b(?:answer|diagnosis|label|class|classification|category|prediction|finding)(?:\s+is|\s*:)"
    r"|(?P<final_zh>最终)?答案\s*[是为:]"
)


def read_label(text: str, labels: Sequence[str], synonyms: Synonyms | None = None) -> Reading:
    """Read one of `labels` from a response.

    Rules in order: the whole text is a label (or a synonym); exactly one label is
    asserted right after "answer:" or "diagnosis is" (of several announcements the first
    that names one label counts, a "final answer" before any other); exactly one label
    is asserted in the text.

    Args:
        labels: the closed list as the task spells it; the value is one of these.
        synonyms: label -> other phrases for it.
    """
    phrases = _phrases(labels, synonyms or {})
    exact = {tidy(label).lower(): label for label in labels}
    bare = tidy(text).lower()
    for form in (bare, bare.removesuffix(".").removesuffix("。")):
        if form in exact:
            return Reading(exact[form], "label:exact", "exact_contract")
    cleaned = plain(text)
    whole = phrases.get(cleaned.strip(" .,!。，\"'()[]"))
    if whole is not None:
        return Reading(whole, "label:whole", "recovered:whole")
    cues = sorted(_CUE.finditer(cleaned), key=lambda cue: not (cue["final"] or cue["final_zh"]))
    for cue in cues:
        told = _asserted(_first_clause(cleaned[cue.end() :]), phrases)
        if len(told) == 1:
            return Reading(told.pop(), "label:announced", "recovered:announced")
    found = _asserted(cleaned, phrases)
    if len(found) == 1:
        return Reading(found.pop(), "label:mention", "recovered:mention")
    return Reading(None, "", "unrecoverable")


def _phrases(labels: Sequence[str], synonyms: Synonyms) -> dict[str, str]:
    """Return phrase -> label, plain spelling; a label's own name wins over another's synonym."""
    phrases = {plain(phrase): label for label in labels for phrase in synonyms.get(label, ())}
    return phrases | {plain(label): label for label in labels}


def _first_clause(text: str) -> str:
    text = text.lstrip(" :\n")
    end = re.search(r"[.;\n。]", text)
    return text[: end.start()] if end else text


def _asserted(text: str, phrases: Mapping[str, str]) -> set[str]:
    """Return the labels mentioned without negation; a longer phrase hides the shorter ones inside it."""
    ordered = sorted((phrase for phrase in phrases if phrase), key=len, reverse=True)
    if not ordered:
        return set()
    pattern = re.compile(rf"(?<![a-z0-9])(?:{'|'.join(map(re.escape, ordered))})(?:e?s)?(?![a-z0-9])")
    matches = list(pattern.finditer(text))
    return {_label(match[0], phrases) for match in matches if not _denied(text, match.start(), match.end())}


def _label(mention: str, phrases: Mapping[str, str]) -> str:
    return phrases[next(form for form in (mention, mention[:-1], mention[:-2]) if form in phrases)]


def _denied(text: str, start: int, end: int) -> bool:
    before = _CLAUSE_END.split(text[:start])[-1]
    if _NEGATION.search(" ".join(before.split()[-_REACH_WORDS:])) or _NEGATION_ZH.search(before):
        return True
    return bool(_DENIED_AFTER.search(text[end:]) or _OPEN_AFTER.search(text[end:]))
