"""The label that goes with a box: from the prose around it, folded to the task's labels where one is meant.

>>> fold_label("large nodules", ["Nodule/Mass", "Effusion"])
'Nodule/Mass'
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from raybench.parsing.labels import read_label
from raybench.parsing.normalise import plain, unwrap

__all__ = ["fold_label", "prose_label", "says_none"]

_LABEL_CHARS = 80
_PROSE_WORDS = 5

_NONE = re.compile(
    r"(?:none|null|nil|n/?a|nothing|normal|healthy|无|没有|正常|无异常|未见异常|未发现异常|未见明显异常"
    r"|(?:no|not) (?:\w+ )?(?:findings?|abnormalit(?:y|ies)|lesions?|objects?|box(?:es)?|diseases?|bounding box(?:es)?"
    r"|detections?|found|applicable|visible|present|detected))"
)


@lru_cache(maxsize=4096)
def says_none(text: str) -> bool:
    """Say whether the whole text means that there is nothing to box."""
    return bool(_NONE.fullmatch(plain(_tidied(text)).strip(" .,!。，\"'()[]")))


def fold_label(label: str, labels: Sequence[str]) -> str:
    """Return the one of `labels` that a label names, by whole words, or the label as written, tidied.

    A part of a joint label ("Nodule/Mass") names it too.
    """
    tidied = _tidied(label)
    if tidied in labels or not labels:
        return tidied
    parts = {name: [part.strip() for part in name.split("/") if part.strip()] for name in labels if "/" in name}
    meant = read_label(tidied, labels, parts).value
    return meant if isinstance(meant, str) else tidied


@lru_cache(maxsize=4096)
def _tidied(label: str) -> str:
    """Return one line of at most 80 characters without markup, the same when tidied again."""
    label = label[: 8 * _LABEL_CHARS].encode("utf-8", "replace").decode()
    for _ in range(20):
        tidied = " ".join(unwrap(label).split())[:_LABEL_CHARS].strip()
        if tidied == label:
            break
        label = tidied
    return label


_REF = re.compile(r"<\|?(?:ref|object_ref_start|phrase|p|obj)\|?>\s*([^<\n]*)", re.IGNORECASE)
_TAG = re.compile(r"<[^<>\n]{1,40}>")
_FILLER = re.compile(
    r"^(?:the|an?|and|there (?:is|are)|(?:bounding )?box(?:es)?(?: coordinates)?|bbox|coordinates|label|location"
    r"|position|finding|for|of|is|are|at|located|with|in|around|approximately)\b\s*|^(?:\d{1,2}[.)]\s+)"
    r"|\s*\b(?:is|are|was|can be|located|seen|visible|at|in|with|within|found|approximately|around|the|a|its|has|and"
    r"|(?:bounding )?box(?:es)?|bbox|coordinates?|location|position|region|area|by|to|from|of|following|spans?|covers?"
    r"|extends?|(?:top|upper|lower|bottom)[ -](?:left|right)(?: corner)?)$",
    re.IGNORECASE,
)
_CORNER = re.compile(r"\b(?:top|upper|lower|bottom)[ -](?:left|right)\b|\d[.,=]\d|[=\[\]{}]", re.IGNORECASE)
_EDGE = " \t:;,.-–—=*•#>|`\"'()[]{}"


def prose_label(text: str, place: tuple[int, int, int], labels: Sequence[str], previous: str) -> str:
    """Return the label that the prose gives to a box.

    In this order: a model's own reference tag; the line before the box, or the
    line above it if that ends in a colon; the rest of its line; the previous box's
    label, where only a comma or "and" stands between the two.

    Args:
        place: where the previous box ended, where this one starts and ends.
        labels: the task's labels; the last one named before the box is meant.
        previous: the previous box's label.
    """
    last, start, end = place
    before = text[max(last, start - 600) : start]
    reference = _REF.findall(before)
    if reference:
        return str(reference[-1]).strip(" .:")
    bare = _TAG.sub(" ", before)
    if last and not bare.replace("and", "").strip(_EDGE + "\n") and "\n" not in bare.strip(" ,;"):
        return previous
    lines = bare.split("\n")
    for line in (lines[-1], *(above for above in lines[-2:-1] if above.rstrip(" *").endswith(":"))):
        found = _from_line(line, labels)
        if found:
            return found
    after = _TAG.sub(" ", text[end : end + 200].split("\n")[0])
    return _from_line(re.split(r"[\[({;]", after)[0], labels) if not lines[-1].strip(_EDGE) else ""


def _from_line(line: str, labels: Sequence[str]) -> str:
    mentioned = _last_mention(line, labels)
    if mentioned:
        return mentioned
    line = re.split(r"(?<=[.;!?。；])\s", line.strip(_EDGE))[-1]
    for _ in range(12):
        shorter = _FILLER.sub("", line.strip(_EDGE)).strip(_EDGE)
        if shorter == line:
            break
        line = shorter
    return line if len(line.split()) <= _PROSE_WORDS and not _CORNER.search(line) else ""


def _last_mention(line: str, labels: Sequence[str]) -> str:
    """Return the label named nearest to the end of a line."""
    lowered, best = plain(line), (-1, 0, "")
    for label in labels:
        for name in {plain(label), *(plain(part) for part in label.split("/"))} - {""}:
            for match in re.finditer(rf"(?<![a-z0-9]){re.escape(name)}(?:e?s)?(?![a-z0-9])", lowered):
                best = max(best, (match.end(), len(name), label))
    return best[2]
