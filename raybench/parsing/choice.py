"""One choice out of a lettered list, read by its letter, by its text, or by both if they agree.

The article of "A nodule is seen" is no letter, a letter beyond the list is none,
"A or B" is no answer, and a letter whose text is another choice's is unparsed.

>>> choices = ["pneumonia", "effusion", "nodule"]
>>> read_choice("The answer is **B**.", choices).value, read_choice("A nodule is seen.", choices).value
('effusion', 'nodule')
>>> read_choice("B) nodule", choices).extractor
'choice:disagreement'
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from string import ascii_uppercase

from raybench.parsing.labels import read_label
from raybench.parsing.normalise import plain, tidy, unwrap
from raybench.parsing.refusal import refusal
from raybench.schema import Answer

__all__ = ["read_choice"]

_EDGE = " \t\n.,!?:;。，！？：；\"'()[]"
#: A letter of its own: capital, or in brackets, or all that is said.
_LETTER = r"(?<![\w'-])\(?\[?(?P<letter>[A-Za-z])\]?\)?(?![\w'/])"
_WORD = r"(?:(?:option|choice|letter|answer)\W{0,3})?"
_WHOLE = re.compile(rf"\W*{_WORD}{_LETTER}\W*", re.IGNORECASE)
_LEADING = re.compile(
    r"\W*?(?:(?:[Oo]ption|[Cc]hoice) )?(?P<bracket>[(\[])?(?P<letter>[A-Z])"
    r"(?(bracket)[)\]]|(?=[).:,、\n]|\s+[-–—]\s|\s+(?:is|because|since)\b"
    r"|\s*(?:/|&|\bor\b|\band\b)\s*[(\[]?[A-Z](?![\w'])))(?!\w)[).:,、]*"
)
_CUE = re.compile(
    r"\b(?:final answer|(?:correct |best |right )?answer|diagnosis|(?:correct|best|right|final) (?:option|choice))"
    r"(?: to (?:the|this) question)?\s*(?:\bis\b|\bwould be\b|\bshould be\b|[:=])[\s:]*|答案\s*[是为:应]*\s*"
    r"|(?:应该?|我|故|所以)?选(?:择|项)?\s*[是为:]?\s*(?=\(?[A-Za-z]\b)",
    re.IGNORECASE,
)
_FINAL = re.compile(r"final", re.IGNORECASE)
_NAMED = re.compile(
    r"(?:\b(?:option|choice|choose|chose|pick|select|selected|letter)\W{1,3}|[(\[])(?P<letter>[A-Z])(?![\w'])[)\]]?"
    r"|(?<![\w'-])(?P<verb>[A-Z])(?= is (?:the )?(?:correct|right|best|most|answer)\b)"
    r"|\b(?:so|thus|therefore|hence)[,\s]+\(?(?P<last>[A-Z])\)?\W*$",
)
_DENIED_BEFORE = re.compile(
    r"(?:\bnot|n't|\bneither|\bnor|\bexcludes?|\brul(?:e|es|ed|ing) out|\beliminate[sd]?|不)\W*$"
)
_DENIED_AFTER = re.compile(
    r"\s*(?:is|are|was|can be)\s*(?:not|n't|incorrect|wrong|excluded|ruled|eliminated|unlikely)\b"
)
_ALSO = re.compile(r"\s*(?:,|/|&|\band\b|\bor\b|和|或|、)\s*(?:option |choice )?[(\[]?(?P<letter>[A-Z])[)\]]?(?![\w'])")
_REASON = re.compile(r"\W*(?:because|since|as|due|given|for)\b", re.IGNORECASE)
_SENTENCE = re.compile(r"[.;!?。；！？](?=\s|$)|\n")


def read_choice(text: str, choices: Sequence[str]) -> Answer:
    """Read one of `choices` from a response; the value is the choice exactly as listed.

    Rules in order, and the first that reads anything wins: the whole text is a
    choice or a letter; refusal; a letter that opens the text; what follows "the
    answer is" (the first time, "final answer" before others); one choice named by
    its text or by "option B". A rule that reads a letter and another choice's
    text, or several letters, ends in `unparsed`.

    Args:
        choices: at least one, in the order of their letters, at most 26 of them lettered.
    """
    bare = unwrap(text)
    whole = _whole(text, bare, choices)
    if whole is not None:
        return whole
    declined = refusal(text)
    if declined is not None:
        return Answer("refused", None, f"refusal:{declined.type}:{declined.rule}", "unrecoverable")
    return _leading(bare, choices) or _announced(bare, choices) or _mentioned(bare, choices)


def _read(choices: Sequence[str], index: int, rule: str, exact: bool = False) -> Answer:
    return Answer("answered", choices[index], f"choice:{rule}", "exact_contract" if exact else f"recovered:{rule}")


def _unread(rule: str = "") -> Answer:
    return Answer("unparsed", None, f"choice:{rule}" if rule else "", "unrecoverable")


def _index(letter: str | None, choices: Sequence[str]) -> int | None:
    """Return which choice a letter stands for; None if there are not so many."""
    position = ascii_uppercase.find(letter.upper()) if letter else -1
    return position if 0 <= position < len(choices) else None


def _core(text: str) -> str:
    return plain(text).strip(_EDGE)


def _same_text(text: str, choices: Sequence[str]) -> int | None:
    """Return the one choice that reads like the text, by case first."""
    for form in (tidy, _core):
        wanted = form(text)
        found = [i for i, choice in enumerate(choices) if wanted and form(choice) == wanted]
        if len(found) == 1:
            return found[0]
    return None


def _named_text(text: str, choices: Sequence[str]) -> int | None:
    """Return the one choice that a text asserts by name."""
    value = read_label(text, [choice for choice in choices if _core(choice)]).value
    found = [i for i, choice in enumerate(choices) if choice == value]
    return found[0] if len(found) == 1 else None


def _whole(text: str, bare: str, choices: Sequence[str]) -> Answer | None:
    by_text = _same_text(text, choices)
    match = _WHOLE.fullmatch(bare)
    by_letter = _index(match["letter"], choices) if match else None
    if by_text is not None and by_letter is not None and by_text != by_letter:
        return _unread("disagreement")
    if by_text is not None:
        written = tidy(text).casefold()
        exact = written in (tidy(choices[by_text]).casefold(), tidy(choices[by_text]).casefold() + ".")
        return _read(choices, by_text, "text", exact)
    if by_letter is not None:
        return _read(choices, by_letter, "letter", bool(re.fullmatch(r"\(?[A-Z]\)?[.):]?", tidy(text))))
    return None


def _leading(bare: str, choices: Sequence[str]) -> Answer | None:
    """Read "B. effusion", "(B) because ..." and "B, effusion"; not "E. coli" where that is a choice."""
    match = _LEADING.match(bare)
    index = _index(match["letter"], choices) if match else None
    if match is None or index is None:
        return None
    start = match.start("letter")
    opening = plain(bare[start:])
    if any(opening.startswith(core) for core in map(_core, choices) if re.match(r"[a-z][.:,)]", core)):
        return None
    return _lettered(bare, match.end("letter"), index, choices, "leading_letter")


def _lettered(text: str, end: int, index: int, choices: Sequence[str], rule: str) -> Answer:
    """Take a letter, unless others follow it or its text is another choice's."""
    rest = text[end:].lstrip(")]")
    also = _ALSO.match(rest)
    if also and _index(also["letter"], choices) not in (None, index):
        return _unread("several")
    said = rest.lstrip(_EDGE + "-–—、")
    said = said[: stop.start()] if (stop := _SENTENCE.search(said)) else said
    named = None if _REASON.match(said) else _named_text(said, choices)
    if named is not None and choices[named] != choices[index]:
        return _unread("disagreement")
    exact = rule == "leading_letter" and _core(rest) == _core(choices[index]) and end <= 3
    return _read(choices, index, rule, exact)


def _announced(bare: str, choices: Sequence[str]) -> Answer | None:
    cues = list(_CUE.finditer(bare))
    cues.sort(key=lambda cue: not _FINAL.match(cue[0]))
    for cue in cues:
        tail = bare[cue.end() :]
        letter = re.match(rf"\W*{_WORD}{_LETTER}", tail, re.IGNORECASE)
        index = _index(letter["letter"], choices) if letter else None
        if letter is not None and index is not None and _is_letter(letter, tail):
            return _lettered(tail, letter.end("letter"), index, choices, "announced")
        clause = _SENTENCE.split(tail.lstrip(" :\n"))[0]
        named = _same_text(clause, choices)
        named = _named_text(clause, choices) if named is None else named
        if named is not None:
            return _read(choices, named, "announced")
    return None


def _is_letter(match: re.Match[str], tail: str) -> bool:
    """Tell a letter from an article or a pronoun: "is a nodule", "is A nodule", "I think"."""
    letter, rest = match["letter"], tail[match.end() :]
    ends = not rest.strip(_EDGE) or rest[:1] in ".,:;)\n"
    if letter.islower():
        return ends or match[0].rstrip().endswith((")", "]"))
    follows = re.match(r"\s+([^\W\d]+)", rest)
    known = follows is None or follows[1].lower() in ("is", "because", "since", "as", "and", "or")
    return letter not in "AI" or match[0].rstrip().endswith((")", "]")) or known


def _mentioned(bare: str, choices: Sequence[str]) -> Answer:
    """Read the one choice that is named by text, or by "option B" and the like; both must agree."""
    letters = set()
    for match in _NAMED.finditer(bare):
        index = _index(match["letter"] or match["verb"] or match["last"], choices)
        denied = _DENIED_BEFORE.search(bare[: match.start()].lower()[-20:]) or _DENIED_AFTER.match(bare[match.end() :])
        if index is not None and not denied:
            letters.add(index)
    named = _named_text(bare, choices)
    if len(letters) > 1:
        return _unread("several")
    if letters and named is not None and named not in letters:
        return _unread("disagreement")
    if letters:
        return _read(choices, letters.pop(), "named_letter")
    return _read(choices, named, "mention") if named is not None else _unread()
