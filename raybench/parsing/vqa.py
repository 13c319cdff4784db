"""Readers of whole VQA responses: refusal first, then the form that the question asks for.

Which form applies is decided by the sample's choices or by how the question is
put, never by the target. On VQA-RAD's test set and SLAKE's English test and
validation sets the form alone finds 961 of the 964 questions answered yes or no,
with one false hit; 32 others ("axial or coronal?") are told apart by their "or".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from raybench.parsing.labels import Synonyms, read_label
from raybench.parsing.normalise import plain, tidy, unwrap
from raybench.parsing.refusal import refusal
from raybench.parsing.yes_no import Reading, fold_yes_no, read_yes_no
from raybench.schema import Answer

__all__ = ["Form", "question_form", "read_classification", "read_free_text", "read_vqa", "to_answer"]

Form = Literal["yes_no", "choice", "either_or", "open"]

_AUXILIARY = (
    r"(?:is|are|was|were|do|does|did|can|could|has|have|had|will|would|should|may|might"
    r"|isn't|aren't|wasn't|doesn't|don't)"
)
_YES_NO_FORM = re.compile(rf"\W*{_AUXILIARY}\b|.*?,\s*{_AUXILIARY}\b", re.DOTALL)
_YES_NO_ASKED = re.compile(r"\b(?:yes\W{1,4}(?:or\W{1,4})?no|no\W{1,4}(?:or\W{1,4})?yes)\b")
_YES_NO_ZH = re.compile(r"是否|有没有|是不是|能不能|能否|可否|(?:吗|(?<![什怎多那这要])么)\s*[?？]?\s*$")
_EITHER = re.compile(r"\bor\b|还是")
_ANSWER_CUE = re.compile(r"^(?:the )?(?:final |correct |best )?answer(?: is|:)\s*|^答案\s*[是为:]\s*", re.IGNORECASE)


def question_form(question: str, choices: Sequence[str] = ()) -> Form:
    """Return the form of answer a question asks for; choices, where there are any, decide."""
    if choices:
        folded = {fold_yes_no(choice) for choice in choices}
        return "yes_no" if folded <= {"yes", "no"} else "choice"
    asked = plain(question)
    if _YES_NO_ASKED.search(asked):
        return "yes_no"
    if _YES_NO_FORM.match(asked) or _YES_NO_ZH.search(asked):
        return "either_or" if _EITHER.search(asked) else "yes_no"
    return "open"


def read_vqa(text: str, question: str, choices: Sequence[str] = ()) -> Answer:
    """Read a VQA response; the value is "yes" or "no", a choice, or the tidied text.

    "Axial or coronal?" is read as free text unless the response is or opens with yes or no.
    """
    form = question_form(question, choices)
    if form == "open":
        return read_free_text(text)
    if form == "choice":
        return read_classification(text, choices)
    declined = _refused(text)
    if declined is not None:
        return declined
    reading = read_yes_no(text, question)
    if form == "yes_no":
        return to_answer(reading)
    opens = reading.extractor in ("yes_no:exact", "yes_no:leading", "yes_no:announced")
    return to_answer(reading) if opens else read_free_text(text)


def read_classification(text: str, labels: Sequence[str], synonyms: Synonyms | None = None) -> Answer:
    """Read one of `labels`, or a refusal, or nothing."""
    return _refused(text) or to_answer(read_label(text, labels, synonyms))


def read_free_text(text: str) -> Answer:
    """Read free text: whatever is no refusal is an answer, tidied, without markup and "the answer is".

    The value keeps its words and its case.
    """
    declined = _refused(text)
    if declined is not None:
        return declined
    bare = unwrap(text)
    cue = _ANSWER_CUE.match(bare)
    if cue is None or cue.end() == len(bare):
        return Answer("answered", tidy(text), "free_text:whole")
    return Answer("answered", bare[cue.end() :], "free_text:announced", "recovered:announced")


def to_answer(reading: Reading) -> Answer:
    """Return a reading as an answer: `unparsed` where nothing was read."""
    outcome: Literal["answered", "unparsed"] = "unparsed" if reading.value is None else "answered"
    return Answer(outcome, reading.value, reading.extractor, reading.format)


def _refused(text: str) -> Answer | None:
    declined = refusal(text)
    if declined is None:
        return None
    return Answer("refused", None, f"refusal:{declined.type}:{declined.rule}", "unrecoverable")
