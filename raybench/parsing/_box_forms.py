"""Boxes without brackets: named coordinates, a bare line of numbers, and a model's own tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from raybench.parsing._box_conventions import Form
from raybench.parsing._box_labels import prose_label, says_none
from raybench.parsing._box_scan import NUMBER
from raybench.parsing._box_walk import by_name
from raybench.parsing._box_written import Found, Written

__all__ = ["bare", "named", "tokens"]

_NAME = re.compile(
    r"\b(?P<name>x_?min|y_?min|x_?max|y_?max|min_?x|min_?y|max_?x|max_?y|[xy][012]|left|top|right|bottom|width|height"
    r"|c[xy]|[xy]_?center|[xywh])[\"'*`)]*+\s*+(?:coordinate\s*+)?(?:[:=]|\bis\b)\s*+[\"'*`]*+"
    rf"(?P<value>{NUMBER})(?![\w.%])",
    re.IGNORECASE,
)
#: Coordinates of one box stand at most this far apart.
_NAME_GAP = 40


def named(text: str, labels: Sequence[str]) -> Iterator[Written]:
    """Yield boxes written as `x1: 0.1, y1: 0.2, x2: 0.3, y2: 0.4`."""
    fields: dict[str, float] = {}
    begin = end = last = 0
    label = ""
    for match in _NAME.finditer(text):
        name = match["name"].lower().replace("_", "")
        if name in fields or match.start() - end > _NAME_GAP:
            fields = {}
        if not fields:
            begin = match.start()
        fields[name], end = float(match["value"]), match.end()
        box = by_name(fields)
        if box is not None:
            label = prose_label(text, (last, begin, end), labels, label)
            if not says_none(label):
                yield Written(box[0], box[1], label)
            last, fields = end, {}


_BARE = re.compile(
    rf"(?P<label>[^\d\n]{{0,60}}?)[\s:=\-]*(?P<numbers>{NUMBER}(?:\s*[,\s]\s*{NUMBER}){{3}})\s*[.;]?", re.IGNORECASE
)
_BARE_CHARS = 160
_BOX_WORDS = re.compile(r"(?:the\s+)?(?:answer|(?:bounding\s*)?box|bbox|coordinates?)(?:\s+is|\s+are)?", re.IGNORECASE)


def bare(text: str, labels: Sequence[str]) -> Iterator[Written]:
    """Yield four numbers a line without brackets, if every line is that and nothing more than a known label."""
    known = {label.casefold(): label for label in labels}
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if any(len(line) > _BARE_CHARS for line in lines):
        return
    matches = [_BARE.fullmatch(line) for line in lines]
    for match in matches:
        word = match["label"].strip(" :=-*").casefold() if match else None
        if match is None or not (word == "" or word in known or (word and _BOX_WORDS.fullmatch(word))):
            return
    for match in matches:
        if match is not None:
            label = known.get(match["label"].strip(" :=-*").casefold(), "")
            yield Written(tuple(float(number) for number in re.findall(NUMBER, match["numbers"])), None, label)


_RUNS = {
    "loc": (re.compile(r"(?:<loc\d{1,6}>\s*)+"), re.compile(r"<loc(\d+)>")),
    "loc_": (re.compile(r"(?:<loc_\d{1,6}>\s*)+"), re.compile(r"<loc_(\d+)>")),
    "patch_index": (re.compile(r"(?:<patch_index_\d{1,6}>\s*)+"), re.compile(r"<patch_index_(\d+)>")),
    "maira": (re.compile(r"(?:<[xy]\d{1,6}>\s*)+"), re.compile(r"<[xy](\d+)>")),
}
_POINT = re.compile(rf"\b[xX]\d*\s*=\s*[\"']?({NUMBER})[\"']?\s+[yY]\d*\s*=\s*[\"']?({NUMBER})[\"']?(?![\w%.])")
_POINTS = re.compile(r"<points?\b([^<>]*)>([^<>]*)")
_ALT = re.compile(r"alt\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
#: Kosmos-2 cuts a picture into 32 x 32 cells.
_CELLS = 32


def tokens(text: str, form: Form, labels: Sequence[str]) -> Found:
    found = Found(rule="tokens")
    if form == "points":
        return _points(text, found)
    run, token = _RUNS[form]
    last, label = 0, ""
    for match in run.finditer(text):
        numbers = [float(number) for number in token.findall(match[0])]
        step = 2 if form == "patch_index" else 4
        whole = len(numbers) // step * step
        if whole < len(numbers):
            cut = not text[match.end() :].strip()
            found.truncated, found.malformed = found.truncated + cut, found.malformed + (not cut)
        stop = text.find("<", match.end())
        after = text[match.end() : stop if stop >= 0 else len(text)].split(";")[0]
        label = after.strip() if form == "loc" else prose_label(text, (last, match.start(), match.end()), labels, label)
        for i in range(0, whole, step):
            chunk = numbers[i : i + step]
            found.add(_cells(chunk[0], chunk[1]) if form == "patch_index" else chunk, label)
        last = match.end()
    found.exact = bool(found.boxes) and not found.truncated and not found.malformed
    return found


def _cells(first: float, second: float) -> tuple[float, ...]:
    """Return the box between two cells: their centres, or the cells' outer edges where they share a row or column."""
    (y0, x0), (y1, x1) = divmod(first, _CELLS), divmod(second, _CELLS)
    near, far = (0.0, 1.0) if x0 == x1 or y0 == y1 else (0.5, 0.5)
    return (x0 + near) / _CELLS, (y0 + near) / _CELLS, (x1 + far) / _CELLS, (y1 + far) / _CELLS


def _points(text: str, found: Found) -> Found:
    for tag in _POINTS.finditer(text):
        alt = _ALT.search(tag[1])
        label = (alt[1] or alt[2] or "" if alt else "") or tag[2].strip()
        for match in _POINT.finditer(tag[1]):
            x, y = float(match[1]), float(match[2])
            found.boxes.append(Written((x, y, x, y), "xyxy", label, None, point=True))
    found.exact = bool(found.boxes)
    return found
