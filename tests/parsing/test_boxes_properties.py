"""Boxes under any text: never an exception, never a box from nothing, always inside, idempotent."""

from __future__ import annotations

import json
import math
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from raybench.parsing.boxes import CONVENTIONS, diagnose, read_boxes, render_boxes
from raybench.schema import canonical_json

LABELS = ["Nodule/Mass", "Pleural effusion", "No finding"]
VALID = [
    "[0.61, 0.36, 0.92, 0.83]",
    'Nodule: [[0.1, 0.2, 0.3, 0.4], (0.5, 0.6), (0.7, 0.8)]',
    '```json\n[{"bbox_2d": [112, 84, 448, 336], "label": "x"}, {"box_2d": [1, 2, 3, 4], "score": 0.5}]\n```',
    "<ref>heart</ref><box>(250,100),(750,900)</box><ref>mass</ref><box>[[25,10,75,90]]</box>",
    "<|object_ref_start|>heart<|object_ref_end|><|box_start|>(250,100),(750,900)<|box_end|>",
    "<loc0256><loc0128><loc0512><loc0640> effusion ; <loc0001><loc0002><loc0003><loc0004> mass",
    "effusion<loc_52><loc_332><loc_932><loc_774>",
    "<phrase>x</phrase><object><patch_index_0044><patch_index_0863></object>",
    '<point x="61.5" y="40.2" alt="x">x</point>',
    '{"objects":[{"x_min":0.1,"y_min":0.2,"x_max":0.3,"y_max":0.4}]}',
    "<obj> text.<box><x10><y20><x60><y80></box></obj>",
    "x1: 0.1, y1: 0.2, x2: 0.3, y2: 0.4\nx: 1, y: 2, width: 3, height: 4",
    "Top-left (10, 20), bottom-right (300, 400). No other abnormality.",
    '{"nodule": null, "effusion": [], "point": true, "x0": 0.1, "y0": 0.1, "x1": 0.1, "y1": 0.1}',
    "There is no visible abnormality.",
]  # fmt: skip

names = st.sampled_from(sorted(CONVENTIONS))
sizes = st.one_of(st.none(), st.tuples(st.integers(-1, 6000), st.integers(-1, 6000)))
shards = st.sampled_from(
    ["[", "]", "{", "}", "(", ")", ",", ":", '"', "'", "\\", "0.5", "-1", "1e999", "NaN", "null", "1000", "\n", " ",
     "<loc0001>", "<x10>", "<y20>", "<box>", "x1", "bbox", '"label"', "No finding", "\ud7ff", "²", "，", "\u200b"]
)  # fmt: skip


@st.composite
def mutated(draw):
    """A valid output with pieces cut out, put in and moved."""
    text = draw(st.sampled_from(VALID)) + draw(st.sampled_from(["", *VALID]))
    for _ in range(draw(st.integers(0, 6))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 8)))
        text = text[:start] + draw(st.one_of(st.just(""), shards, st.text(max_size=3))) + text[end:]
    return text[: draw(st.integers(0, len(text)))] if draw(st.booleans()) else text


texts = st.one_of(st.text(max_size=200), st.lists(shards, max_size=40).map("".join), mutated())


def check(answer):
    assert answer.outcome in ("answered", "refused", "unparsed")
    assert (answer.value is None) == (answer.outcome != "answered")
    assert answer.format.split(":")[0] in ("exact_contract", "recovered", "unrecoverable")
    assert all(count > 0 for count in answer.notes.values())
    canonical_json([answer.value, dict(answer.notes)]).encode()
    for box in answer.value or []:
        sides = [box[side] for side in ("x0", "y0", "x1", "y1")]
        assert all(math.isfinite(side) and 0 <= side <= 1 for side in sides)
        if box.get("point"):
            assert (box["x0"], box["y0"]) == (box["x1"], box["y1"])
        else:
            assert box["x0"] < box["x1"]
            assert box["y0"] < box["y1"]
        assert box["score"] is None or 0 <= box["score"] <= 1


@settings(deadline=None, max_examples=200)
@given(texts, names, sizes)
def test_never_an_exception_and_always_inside(text, name, size):
    check(read_boxes(text, name, size, LABELS))


@settings(deadline=None, max_examples=25)
@given(texts, sizes)
def test_every_reading_of_a_diagnosis_holds(text, size):
    for answer in diagnose(text, size).values():
        check(answer)


@settings(deadline=None, max_examples=80)
@given(texts, names)
def test_no_box_without_four_numbers(text, name):
    """A box needs four numbers; two cells of a grid or the two numbers of a point are enough for their models."""
    answer = read_boxes(text, name, (640, 480))
    needed = 2 if name in ("kosmos-2", "molmo-point") else 4
    numbers = len(re.findall(r"\d+|nan|inf", text.lower()))
    assert len(answer.value or []) * needed <= numbers


@settings(deadline=None, max_examples=80)
@given(st.text(alphabet=st.characters(exclude_categories=("Nd", "No", "Nl")), max_size=300), names)
def test_no_digits_no_box(text, name):
    assert not read_boxes(text, name, (640, 480), LABELS).value


@settings(deadline=None, max_examples=120)
@given(texts, names, sizes, st.sampled_from([[], LABELS]))
def test_reading_what_was_read_gives_the_same(text, name, size, labels):
    answer = read_boxes(text, name, size, labels)
    if answer.value is not None:
        again = read_boxes(render_boxes(answer.value), labels=labels)
        assert again.value == answer.value
        assert again.format == "exact_contract"


fractions = st.floats(0, 1, allow_nan=False)


@settings(deadline=None, max_examples=80)
@given(st.lists(st.tuples(fractions, fractions, fractions, fractions), max_size=6))
def test_what_is_written_is_read(boxes):
    """Valid boxes come back as they are, in order, duplicates and all."""
    boxes = [(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in boxes if a != c and b != d]
    for written in (json.dumps(boxes), json.dumps([{"bbox": box, "label": "x"} for box in boxes])):
        answer = read_boxes(written)
        assert [(box["x0"], box["y0"], box["x1"], box["y1"]) for box in answer.value] == boxes
        assert answer.format == "exact_contract"
