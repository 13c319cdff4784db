"""Whether a whole response says that there is nothing to box: a valid empty answer, no failure to answer.

>>> denies_all("No significant abnormality is seen. The lungs are clear.")
True
>>> denies_all("No nodule is seen."), denies_all("No nodule is seen.", ["nodule"])
(False, True)
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from raybench.parsing._box_labels import says_none
from raybench.parsing.normalise import plain

__all__ = ["denies_all"]

#: Longer texts are reports, not denials.
_CHARS = 1000

_GENERIC = (
    r"abnormalit(?:y|ies)|abnormal (?:findings?|regions?|areas?)|(?:pathological )?findings?|patholog(?:y|ies)|lesions?"
    r"|disease|objects?|(?:bounding )?box(?:es)?|regions? of interest|evidence of (?:disease|abnormality|pathology)"
    r"|anomal(?:y|ies)|detections?"
)
_WHERE = (
    r"(?: (?:is|are|was|were|can be|could be|to be|that))*"
    r"(?: (?:seen|detected|found|identified|present|visible|noted|observed|evident|annotate|report|mark|drawn))?"
    r"(?: (?:in|on|within) (?:the|this|these) (?:\w+ ){0,3}\w+)?"
)
_QUALITY = (
    r"(?:(?:visible|significant|obvious|acute|clear|apparent|discernible|definite|focal|other|notable|specific|such|any"
    r"|radiographic|suspicious|gross|major|relevant|evidence of|signs? of) )*"
)
_PICTURE = r"(?:image|scan|x-?ray|radiograph|chest|chest x-?ray|mri|brain|brain mri|study|lungs?)"
_NORMAL = re.compile(
    rf"(?:(?:the|this) )?{_PICTURE}(?: scan)? (?:is|are|appears?|looks?)(?: to be)?(?: completely| entirely)? "
    r"(?:normal|unremarkable|healthy|clear)|(?:normal|unremarkable)(?: \w+){0,3}"
    r"|未见(?:明显)?异常|(?:图像|影像)?(?:正常|无(?:明显)?异常)|没有(?:发现)?(?:明显)?异常|未发现(?:明显)?异常"
)
_CUE = re.compile(
    r"^(?:(?:the )?(?:answer|output|result|bounding box(?:es)?|box(?:es)?)(?: is| are|:)|so|therefore|thus),?\s*"
)
_SUBJECT = (
    r"(?:(?:there (?:is|are|were|was)|(?:the|this) \w+(?: \w+)? (?:shows?|contains?|has)|i (?:see|find|detect)|with) )?"
)
_SENTENCE = re.compile(r"[.!?;。！？；\n]+\s*")


def denies_all(text: str, labels: Sequence[str] = ()) -> bool:
    """Say whether every sentence of a text denies that there is anything to box, or calls the image normal.

    "No nodule." denies all only where the task asks for nodules.
    """
    if len(text) > _CHARS:
        return False
    cleaned = "\n".join(plain(line) for line in text.strip("` \n").splitlines())
    parts = (part.strip(" ,:-\"'()") for part in _SENTENCE.split(cleaned))
    sentences = [_CUE.sub("", part) for part in parts if part]
    known = (plain(label) for label in labels)
    names = "|".join([_GENERIC, *(re.escape(label) + "(?:e?s)?" for label in known if label)])
    several = rf"{_QUALITY}(?:{names})(?:(?:,| or|, or| and) {_QUALITY}(?:{names}))*"
    denial = re.compile(rf"{_SUBJECT}(?:no|without(?: any)?|not any) {several}{_WHERE}")
    each = re.compile(rf"(?:{names})\s*[:=-]\s*(?:none|null|no|n/a|absent|not (?:present|seen|visible)|0)")
    return bool(sentences) and all(
        says_none(part) or denial.fullmatch(part) or _NORMAL.fullmatch(part) or each.fullmatch(part)
        for part in sentences
    )
