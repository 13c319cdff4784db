"""Boxes out of a model's text, under the convention that the model's catalogue entry declares.

The text gives the numbers, the convention their meaning, the image's size the
geometry; the truth is never seen and nothing is guessed. Whatever is done to a
box on the way is counted in the answer's notes:

    swapped_corners        the second corner came first; put in order
    clipped                reached over the image's edge; cut there
    duplicates             said before, word for word; kept, since it is a false positive
    dropped_not_finite     NaN or infinite
    dropped_zero_area      no width or no height
    dropped_out_of_range   farther outside the model's picture than half its side
    dropped_outside        wholly in the padding or beyond the edge
    dropped_malformed      another count of numbers than four
    dropped_no_finding     a box whose label says that there is none
    truncated              cut off by the end of the text; complete ones are kept

>>> read_boxes('[{"bbox_2d": [100, 200, 300, 400], "label": "nodule"}]', "norm1000-json").value
[{'x0': 0.1, 'y0': 0.2, 'x1': 0.3, 'y1': 0.4, 'label': 'nodule', 'score': None}]
>>> read_boxes("No abnormality is seen.").value
[]
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from raybench.parsing._box_conventions import (
    CONVENTIONS,
    Convention,
    Corners,
    Size,
    find_convention,
    frame_to_original,
    smart_resize,
    to_frame,
    to_original,
)
from raybench.parsing._box_denial import denies_all
from raybench.parsing._box_labels import fold_label, says_none
from raybench.parsing._box_text import find_written
from raybench.parsing._box_written import Found, Written
from raybench.parsing.refusal import refusal
from raybench.schema import Answer

__all__ = [
    "CONVENTIONS",
    "Convention",
    "diagnose",
    "find_convention",
    "read_boxes",
    "render_boxes",
    "says_none",
    "smart_resize",
    "to_original",
]

#: How far outside the model's picture, in its sides, a coordinate may lie and still be a place.
_MARGIN = 0.5
#: What clipping takes off before it is counted: less than any pixel.
_ROUNDING = 1e-6

_EMPTY = re.compile(r"\W*|(?:```\w*\s*)?(?:\[\s*\]|\{\s*\}|null|None)\s*(?:```)?")


def read_boxes(text: str, convention: str = "", size: Size | None = None, labels: Sequence[str] = ()) -> Answer:
    """Read the boxes of a response.

    The value is a list of {"x0", "y0", "x1", "y1", "label", "score"}: corners as
    fractions (0-1) of the original image with x0 < x1 and y0 < y1, the label as one
    of `labels` where one is named by word (else as written, "" without one), the
    score (0-1) where the text gives one, else None. [] is an answer: the text says
    that there is nothing. Under `molmo-point` entries have `"point": True` and both
    corners on the point. A text whose every box had to be dropped is unparsed.

    Args:
        text: the final part of the response.
        convention: a name of CONVENTIONS, with pixel limits after a colon where the
            input is resized; "" is `xyxy-norm`.
        size: (width_px, height_px) of the original. Without it a convention that
            needs it leaves boxes unparsed (`boxes:no_image_size`).
        labels: the task's labels.

    Raises:
        SpecError: no such convention.
    """
    reading = find_convention(convention)
    found = _labelled(find_written(text, reading, labels), labels)
    notes = Counter(
        truncated=found.truncated, dropped_malformed=found.malformed, dropped_no_finding=found.none_labelled
    )
    if found.boxes:
        return _placed(found, reading, size, notes)
    return _without_boxes(text, found, labels, notes)


def _labelled(found: Found, labels: Sequence[str]) -> Found:
    """Fold the boxes' labels to the task's; a box whose label then says "no finding" is none."""
    boxes = [replace(box, label=fold_label(box.label, labels)) for box in found.boxes]
    kept = [box for box in boxes if not says_none(box.label)]
    return replace(found, boxes=kept, none_labelled=found.none_labelled + len(boxes) - len(kept))


def _placed(found: Found, reading: Convention, size: Size | None, notes: Counter[str]) -> Answer:
    try:
        placed = [_place(box, reading, size, notes) for box in found.boxes]
    except ValueError:
        known = size is not None and min(size) >= 1
        rule = "boxes:image_size_refused" if known else "boxes:no_image_size"
        return Answer("unparsed", None, rule, "unrecoverable", _counted(notes))
    pairs = zip(found.boxes, placed, strict=True)
    value = [_entry(box, corners) for box, corners in pairs if corners is not None]
    if not value:
        return Answer("unparsed", None, "boxes:all_dropped", "unrecoverable", _counted(notes))
    keys = Counter(json.dumps(entry, sort_keys=True) for entry in value)
    notes["duplicates"] = len(value) - len(keys)
    return Answer("answered", value, f"boxes:{found.rule}", _format(found), _counted(notes))


def _place(box: Written, reading: Convention, size: Size | None, notes: Counter[str]) -> Corners | None:
    """Return a box's corners in the original, or None if it had to be dropped; count what was done."""
    frame = to_frame(box.numbers, reading, size, box.order)
    useless = _useless(frame, box.point)
    if useless:
        notes[useless] += 1
        return None
    x0, y0, x1, y1 = frame
    ordered = (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
    corners = frame_to_original(ordered, reading, size)
    left, top, right, bottom = (min(max(value, 0.0), 1.0) for value in corners)
    inside = corners == (left, top, right, bottom) if box.point else left < right and top < bottom
    if not inside:
        notes["dropped_outside"] += 1
        return None
    notes["swapped_corners"] += ordered != frame
    clipped = (left, top, right, bottom)
    notes["clipped"] += any(abs(before - after) > _ROUNDING for before, after in zip(corners, clipped, strict=True))
    return clipped


def _useless(frame: Corners, point: bool) -> str:
    """Return why corners in the model's picture are no box, as the treatment's name; "" if they are one."""
    if not all(map(math.isfinite, frame)):
        return "dropped_not_finite"
    if any(not -_MARGIN <= value <= 1 + _MARGIN for value in frame):
        return "dropped_out_of_range"
    x0, y0, x1, y1 = frame
    return "" if point or (x0 != x1 and y0 != y1) else "dropped_zero_area"


def _entry(box: Written, corners: Corners) -> dict[str, Any]:
    named = dict(zip(("x0", "y0", "x1", "y1"), corners, strict=True))
    entry = {**named, "label": box.label, "score": box.score}
    return {**entry, "point": True} if box.point else entry


def _format(found: Found) -> str:
    if found.truncated or found.open_end:
        return "recovered:truncated"
    if found.exact and not found.malformed:
        return "exact_contract"
    return f"recovered:{found.rule}"


def _without_boxes(text: str, found: Found, labels: Sequence[str], notes: Counter[str]) -> Answer:
    bare = text.strip()
    if bare and re.search(r"[\[{a-zA-Z]", bare) and _EMPTY.fullmatch(bare):
        return Answer("answered", [], "boxes:empty", "exact_contract", _counted(notes))
    lost = found.truncated or found.malformed
    if not lost and (found.empty or found.none_labelled):
        rule = "empty" if found.empty else "no_finding"
        exact = "exact_contract" if found.exact else f"recovered:{rule}"
        return Answer("answered", [], f"boxes:{rule}", exact, _counted(notes))
    if not lost and denies_all(text, labels):
        exact = "exact_contract" if bare.lower().rstrip(".") == "none" else "recovered:denial"
        return Answer("answered", [], "boxes:denial", exact, _counted(notes))
    declined = refusal(text)
    if declined is not None:
        return Answer("refused", None, f"refusal:{declined.type}:{declined.rule}", "unrecoverable", _counted(notes))
    return Answer("unparsed", None, "boxes:truncated" if found.truncated else "", "unrecoverable", _counted(notes))


def _counted(notes: Counter[str]) -> dict[str, int]:
    return {name: count for name, count in sorted(notes.items()) if count}


def render_boxes(value: Sequence[Mapping[str, Any]]) -> str:
    """Return boxes as the JSON text that `read_boxes` reads back to the same value under `xyxy-norm`."""
    return json.dumps([dict(box) for box in value], ensure_ascii=False)


def diagnose(text: str, size: Size | None = None, labels: Sequence[str] = ()) -> dict[str, Answer]:
    """Return what every named convention would read from a text: for a person to look at, never for scoring."""
    return {name: read_boxes(text, name, size, labels) for name in CONVENTIONS}
