"""Boxes: every convention by drawing and against the models' own code, every text form, every treatment."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from PIL import Image, ImageDraw

from raybench.errors import SpecError
from raybench.parsing.boxes import CONVENTIONS, diagnose, find_convention, read_boxes, render_boxes, smart_resize

SIZES = [(640, 480), (480, 640), (500, 500), (1501, 2000), (2022, 1736), (301, 1000)]


def corners(answer):
    assert answer.outcome == "answered", answer
    return [(box["x0"], box["y0"], box["x1"], box["y1"]) for box in answer.value]


def one(text, convention="", size=None):
    (found,) = corners(read_boxes(text, convention, size))
    return found


# ---------------------------------------------------------------- conventions: the geometry, by drawing


def drawn(size, box):
    """An image that is black but for a white rectangle (pixels x0, y0, x1, y1, end excluded)."""
    image = Image.new("L", size, 0)
    ImageDraw.Draw(image).rectangle((box[0], box[1], box[2] - 1, box[3] - 1), fill=255)
    return image


def padded(image):
    """LLaVA's and All-Seeing's own step: paste into a square, half of the difference before."""
    width, height = image.size
    side = max(image.size)
    square = Image.new("L", (side, side), 0)
    square.paste(image, ((side - width) // 2, (side - height) // 2))
    return square


def cropped(image):
    width, height = image.size
    side = min(image.size)
    left, top = (width - side) // 2, (height - side) // 2
    return image.crop((left, top, left + side, top + side))


def seen(image):
    """The white rectangle in what the model sees, as fractions."""
    ys, xs = np.nonzero(np.asarray(image) > 127)
    height, width = np.asarray(image).shape
    return xs.min() / width, ys.min() / height, (xs.max() + 1) / width, (ys.max() + 1) / height


WRITTEN = {
    "llava-pad": (padded, 1, "xyxy", "[{}, {}, {}, {}]"),
    "llava-crop": (cropped, 1, "xyxy", "[{}, {}, {}, {}]"),
    "medgemma-pad": (padded, 1000, "yxyx", '[{{"box_2d": [{}, {}, {}, {}], "label": "x"}}]'),
    "all-seeing": (padded, 999, "xyxy", "<box>[[{}, {}, {}, {}]]</box>"),
    "maira-2": (cropped, 100, "xyxy", "<obj> x.<box><x{}><y{}><x{}><y{}></box></obj>"),
    "gemini": (lambda image: image, 1000, "yxyx", '[{{"box_2d": [{}, {}, {}, {}], "label": "x"}}]'),
    "qwen-vl": (lambda image: image, 1000, "xyxy", "<ref>x</ref><box>({},{}),({},{})</box>"),
    "deepseek-vl2": (lambda image: image, 999, "xyxy", "<|ref|>x<|/ref|><|det|>[[{}, {}, {}, {}]]<|/det|>"),
    "paligemma": (lambda image: image, 1024, "yxyx", "<loc{:04d}><loc{:04d}><loc{:04d}><loc{:04d}> x"),
    "florence-2": (lambda image: image, 1000, "xyxy", "x<loc_{}><loc_{}><loc_{}><loc_{}>"),
    "chexagent": (lambda image: image, 100, "xyxy", "<|box|> ({},{}),({},{}) <|/box|>"),
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", WRITTEN)
def test_a_drawn_box_is_read_back(name, size):
    transform, divisor, order, form = WRITTEN[name]
    width, height = size
    middle, quarter = (width // 2, height // 2), min(size) // 4
    box = (middle[0] - quarter, middle[1] - quarter // 2, middle[0] + quarter // 2, middle[1] + quarter)
    fractions = seen(transform(drawn(size, box)))
    # What a model with bins writes: the bin that holds the corner.
    numbers = fractions if divisor == 1 else [int(value * divisor) for value in fractions]
    if order == "yxyx":
        numbers = [numbers[i] for i in (1, 0, 3, 2)]
    x0, y0, x1, y1 = one(form.format(*numbers), name, size)
    pixels = (x0 * width, y0 * height, x1 * width, y1 * height)
    side = max(transform(drawn(size, box)).size)
    tolerance = 1 if divisor == 1 else side / divisor + 1
    assert np.abs(np.subtract(pixels, box)).max() <= tolerance


#: (width, height, min_pixels, max_pixels) -> (width, height): smart_resize of transformers 5.23's Qwen2-VL processor.
RESIZED = {
    (640, 480, 3136, 12845056): (644, 476),
    (2022, 1736, 3136, 1003520): (1064, 924),
    (1501, 2000, 3136, 1003520): (840, 1148),
    (3000, 3000, 3136, 12845056): (2996, 2996),
    (4000, 5000, 3136, 12845056): (3192, 4004),
    (20, 30, 3136, 1003520): (56, 84),
    (10, 1000, 3136, 1003520): (28, 560),
    (301, 1000, 3136, 200704): (224, 812),
}


@pytest.mark.parametrize("case", RESIZED)
def test_smart_resize_is_the_processors(case):
    width, height, lowest, highest = case
    assert smart_resize((width, height), lowest, highest) == RESIZED[case]


@pytest.mark.parametrize("case", [case for case in RESIZED if min(case[:2]) > 200])
def test_resized_input_is_read_back(case):
    """Qwen2.5-VL writes pixels of what its processor made of the image."""
    width, height, lowest, highest = case
    wide, high = RESIZED[case]
    box = (width // 4, height // 5, width // 2, height // 2)
    resized = drawn((width, height), box).resize((wide, high), Image.Resampling.NEAREST)
    pixels = np.multiply(seen(resized), (wide, high, wide, high)).round().astype(int).tolist()
    text = json.dumps([{"bbox_2d": pixels, "label": "x"}])
    found = one(text, f"qwen2.5-vl:max_pixels={highest},min_pixels={lowest}", (width, height))
    moved = np.subtract(np.multiply(found, (width, height, width, height)), box)
    assert np.abs(moved).max() <= 2 * max(1, width / wide, height / high)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        # patch_index_to_coordinate of transformers 5.23's Kosmos-2 processor
        (44, 863, (0.390625, 0.046875, 0.984375, 0.828125)),
        (0, 1023, (0.015625, 0.015625, 0.984375, 0.984375)),
        (5, 5, (0.15625, 0.0, 0.1875, 0.03125)),
        (5, 9, (0.15625, 0.0, 0.3125, 0.03125)),
        (5, 69, (0.15625, 0.0, 0.1875, 0.09375)),
        (33, 66, (0.046875, 0.046875, 0.078125, 0.078125)),
    ],
)
def test_kosmos_cells_are_the_processors(first, second, expected):
    text = f"<phrase>x</phrase><object><patch_index_{first:04d}><patch_index_{second:04d}></object>"
    assert one(text, "kosmos-2") == expected


@pytest.mark.parametrize(
    ("name", "size", "expected"),
    [
        # Whole pixels as MAIRA-2's processor cuts them: int(0.105 * 1500) + 250 of 2000, int(0.205 * 1500) of 1500, ...
        ("maira-2", (2000, 1500), (407 / 2000, 307 / 1500, 1157 / 2000, 1207 / 1500)),
        ("maira-2", (100, 100), (0.10, 0.20, 0.60, 0.80)),
    ],
)
def test_maira_takes_bin_centres_and_whole_pixels(name, size, expected):
    assert one("<obj> x.<box><x10><y20><x60><y80></box></obj>", name, size) == pytest.approx(expected)


@pytest.mark.parametrize(("size", "iou"), [((2022, 1736), 0.86), ((1500, 2000), 0.75), ((640, 480), 0.75)])
def test_reading_a_padded_box_as_plain_is_another_box(size, iou):
    """The IoU between the two readings of one text, as measured for metrics.md 4.2."""
    text = "[0.0, 0.0, 1.0, 1.0]"
    side = max(size)
    plain_area = one(text)
    padded_area = [side / size[0], side / size[1]]
    assert plain_area == (0, 0, 1, 1)
    assert 1 / (padded_area[0] * padded_area[1]) == pytest.approx(iou, abs=0.005)


def test_plain_readings():
    assert one("[0.1, 0.2, 0.3, 0.5]", "xyxy-norm") == (0.1, 0.2, 0.3, 0.5)
    assert one("[100, 200, 300, 500]", "xyxy-1000") == (0.1, 0.2, 0.3, 0.5)
    assert one("[100, 200, 300, 500]", "xyxy-pixel", (1000, 2000)) == (0.1, 0.1, 0.3, 0.25)
    assert one("[0.1, 0.2, 0.2, 0.3]", "xywh-norm") == pytest.approx((0.1, 0.2, 0.3, 0.5))
    assert one("[100, 200, 200, 300]", "xywh-pixel", (1000, 2000)) == (0.1, 0.1, 0.3, 0.25)


def test_the_table_is_whole():
    """metrics.md 4.1: every name, and unverified where its source is general knowledge."""
    assert set(CONVENTIONS) == {
        "xyxy-norm", "xyxy-1000", "xyxy-pixel", "xywh-norm", "xywh-pixel", "llava-pad", "llava-crop", "qwen-vl",
        "qwen2-vl", "qwen2.5-vl", "norm1000-json", "gemini", "medgemma-pad", "paligemma", "florence-2", "kosmos-2",
        "deepseek-vl2", "internvl", "all-seeing", "molmo-point", "moondream", "maira-2", "chexagent", "pixel-prose",
    }  # fmt: skip
    unverified = {name for name, convention in CONVENTIONS.items() if not convention.verified}
    assert unverified == {"qwen-vl", "qwen2-vl", "medgemma-pad", "molmo-point", "chexagent"}
    assert all(convention.source for convention in CONVENTIONS.values())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("xyxy-nrom", "did you mean 'xyxy-norm'"),
        ("auto", "unknown box convention 'auto'"),
        ("qwen2.5-vl:max_pixel=3", "did you mean 'max_pixels'"),
        ("gemini:max_pixels=3", "allowed: none"),
        ("qwen2.5-vl:max_pixels=many", "whole number"),
        ("qwen2.5-vl:max_pixels=100", "above max_pixels 100"),
    ],
)
def test_unknown_conventions_say_what_is_known(name, message):
    with pytest.raises(SpecError, match=message):
        read_boxes("[]", name)


def test_pixel_limits_ride_on_the_name():
    assert find_convention("qwen2.5-vl:max_pixels=1003520, min_pixels=784").max_pixels == 1003520


@pytest.mark.parametrize("name", [name for name, convention in CONVENTIONS.items() if convention.needs_size])
def test_a_needed_size_that_is_missing_is_named(name):
    text = "[0.1, 0.2, 0.3, 0.4]" if name != "maira-2" else "<box><x10><y20><x60><y80></box>"
    for size in (None, (0, 0)):
        answer = read_boxes(text, name, size)
        assert (answer.outcome, answer.extractor, answer.value) == ("unparsed", "boxes:no_image_size", None)
    assert read_boxes("[]", name).value == []
    assert read_boxes("I'm sorry, I can't help with that.", name).outcome == "refused"


def test_an_image_that_the_processor_refuses_is_named():
    assert read_boxes("[1, 2, 3, 4]", "qwen2.5-vl", (10, 5000)).extractor == "boxes:image_size_refused"


# ---------------------------------------------------------------- text forms

BOX = (0.1, 0.2, 0.3, 0.5)


@pytest.mark.parametrize(
    ("text", "rule", "form"),
    [
        ("[0.1, 0.2, 0.3, 0.5]", "list", "exact_contract"),
        ("[[0.1, 0.2, 0.3, 0.5]]", "list", "exact_contract"),
        ("(0.1, 0.2, 0.3, 0.5)", "list", "exact_contract"),
        ("[0.1 0.2 0.3 0.5]", "list", "exact_contract"),
        ("[.1, .2, 3e-1, +0.5]", "list", "exact_contract"),
        ('["0.1", "0.2", "0.3", "0.5"]', "list", "exact_contract"),
        ("The box is [0.1, 0.2, 0.3, 0.5].", "list", "recovered:list"),
        ('{"bbox": [0.1, 0.2, 0.3, 0.5]}', "json", "exact_contract"),
        ('[{"bbox_2d": [0.1, 0.2, 0.3, 0.5], "label": "x"}]', "json", "exact_contract"),
        ('[{"box_2d": [0.1, 0.2, 0.3, 0.5], "label": "x"},]', "json", "exact_contract"),
        ('```json\n[{"bounding_box": [0.1, 0.2, 0.3, 0.5]}]\n```', "json", "recovered:json"),
        ('Here it is: {"coordinates": [[0.1, 0.2], [0.3, 0.5]]}', "json", "recovered:json"),
        ("{'label': 'x', 'box': (0.1, 0.2, 0.3, 0.5)}", "json", "exact_contract"),
        ('{"x_min": 0.1, "y_min": 0.2, "x_max": 0.3, "y_max": 0.5}', "json", "exact_contract"),
        ('{"x": 0.1, "y": 0.2, "width": 0.2, "height": 0.3}', "json", "exact_contract"),
        ('{"cx": 0.2, "cy": 0.35, "w": 0.2, "h": 0.3}', "json", "exact_contract"),
        ('{"top_left": [0.1, 0.2], "bottom_right": [0.3, 0.5]}', "json", "exact_contract"),
        ('{"findings": [{"name": "x", "bbox": {"x1": 0.1, "y1": 0.2, "x2": 0.3, "y2": 0.5}}]}', "json",
         "exact_contract"),
        ('{"bbox": "[0.1, 0.2, 0.3, 0.5]"}', "json", "exact_contract"),
        ('{"bbox": "0.1, 0.2, 0.3, 0.5"}', "json", "exact_contract"),
        ("{label: x, bbox: [0.1, 0.2, 0.3, 0.5]}", "json", "exact_contract"),
        ("(0.1,0.2),(0.3,0.5)", "pairs", "exact_contract"),
        ("from (0.1, 0.2) to (0.3, 0.5)", "pairs", "recovered:pairs"),
        ("Top-left: (0.1, 0.2), bottom-right: (0.3, 0.5)", "pairs", "recovered:pairs"),
        ("(x1, y1) = (0.1, 0.2) and (x2, y2) = (0.3, 0.5)", "pairs", "recovered:pairs"),
        ("(0.1, 0.2), (0.3, 0.2), (0.3, 0.5), (0.1, 0.5)", "pairs", "exact_contract"),
        ("x1: 0.1, y1: 0.2, x2: 0.3, y2: 0.5", "named", "recovered:named"),
        ("x_min = 0.1\ny_min = 0.2\nx_max = 0.3\ny_max = 0.5", "named", "recovered:named"),
        ("left: 0.1, top: 0.2, right: 0.3, bottom: 0.5", "named", "recovered:named"),
        ("x: 0.1, y: 0.2, width: 0.2, height: 0.3", "named", "recovered:named"),
        ("0.1, 0.2, 0.3, 0.5", "bare", "recovered:bare"),
        ("Bounding box: 0.1 0.2 0.3 0.5", "bare", "recovered:bare"),
    ],
)  # fmt: skip
def test_forms(text, rule, form):
    answer = read_boxes(text)
    assert corners(answer) == [pytest.approx(BOX)]
    assert (answer.extractor, answer.format) == (f"boxes:{rule}", form)
    assert answer.notes == {}


@pytest.mark.parametrize(
    ("name", "text", "expected", "label"),
    [
        ("qwen-vl", "<ref>heart</ref><box>(250,100),(750,900)</box>", (0.25, 0.1, 0.75, 0.9), "heart"),
        (
            "qwen2-vl",
            "<|object_ref_start|>heart<|object_ref_end|><|box_start|>(250,100),(750,900)<|box_end|>",
            (0.25, 0.1, 0.75, 0.9),
            "heart",
        ),
        ("norm1000-json", '{"bbox_2d": [250,100,750,900]}', (0.25, 0.1, 0.75, 0.9), ""),
        ("gemini", '[{"box_2d": [100,250,900,750], "label": "heart"}]', (0.25, 0.1, 0.75, 0.9), "heart"),
        ("paligemma", "<loc0256><loc0128><loc0512><loc0640> effusion", (0.125, 0.25, 0.625, 0.5), "effusion"),
        ("florence-2", "effusion<loc_52><loc_332><loc_932><loc_774>", (0.052, 0.332, 0.932, 0.774), "effusion"),
        ("deepseek-vl2", "<|ref|>x<|/ref|><|det|>[[580, 270, 999, 904]]<|/det|>",
         (580 / 999, 270 / 999, 1.0, 904 / 999), "x"),
        ("internvl", "<ref>x</ref><box>[[250, 100, 750, 900]]</box>", (0.25, 0.1, 0.75, 0.9), "x"),
        ("moondream", '{"objects":[{"x_min":0.1,"y_min":0.2,"x_max":0.3,"y_max":0.4}]}', (0.1, 0.2, 0.3, 0.4), ""),
        ("chexagent", "<|ref|>opacity<|/ref|><|box|> (25,30),(60,70) <|/box|>", (0.25, 0.3, 0.6, 0.7), "opacity"),
    ],
)  # fmt: skip
def test_published_examples(name, text, expected, label):
    """The examples of metrics.md 4.1, exact in their model's own form."""
    answer = read_boxes(text, name)
    assert corners(answer) == [pytest.approx(expected)]
    assert answer.format == "exact_contract"
    assert answer.value[0]["label"] == label


def test_several_boxes_keep_their_labels():
    text = "1. **Nodule**: [0.1, 0.2, 0.3, 0.4] (left)\n2. **Effusion**: [0.5, 0.6, 0.7, 0.8], [0, 0.6, 0.3, 0.8]"
    assert [box["label"] for box in read_boxes(text).value] == ["Nodule", "Effusion", "Effusion"]
    text = "<loc0256><loc0128><loc0512><loc0640> mass ; <loc0001><loc0128><loc0512><loc0640> effusion"
    assert [box["label"] for box in read_boxes(text, "paligemma").value] == ["mass", "effusion"]
    text = '{"nodule": [[0.1, 0.2, 0.3, 0.4], [0.2, 0.2, 0.3, 0.4]], "effusion": [0.5, 0.6, 0.7, 0.8]}'
    assert [box["label"] for box in read_boxes(text).value] == ["nodule", "nodule", "effusion"]
    text = "mass: (10,20),(30,40)\nnodule: (50,60),(70,80)"
    assert [box["label"] for box in read_boxes(text, "qwen-vl").value] == ["mass", "nodule"]


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ('[{"bbox": [0.1, 0.2, 0.3, 0.4], "label": "pulmonary nodules"}]', "Nodule/Mass"),
        ('[{"bbox": [0.1, 0.2, 0.3, 0.4], "label": "PLEURAL EFFUSION"}]', "Pleural effusion"),
        ('[{"bbox": [0.1, 0.2, 0.3, 0.4], "label": "granuloma"}]', "granuloma"),
        ("No effusion. There is a large mass at [0.1, 0.2, 0.3, 0.4].", "Nodule/Mass"),
        ("pleural effusion: [0.1, 0.2, 0.3, 0.4]", "Pleural effusion"),
        ("nodule - x1: 0.1, y1: 0.2, x2: 0.3, y2: 0.4", "Nodule/Mass"),
    ],
)
def test_labels_fold_to_the_tasks_by_word(text, label):
    (box,) = read_boxes(text, labels=["Nodule/Mass", "Pleural effusion"]).value
    assert box["label"] == label


def test_lines_of_known_labels_are_exact():
    text = "Nodule [0.1, 0.2, 0.3, 0.4]\neffusion: [0.1, 0.2, 0.3, 0.5]"
    assert read_boxes(text, labels=["nodule", "effusion"]).format == "exact_contract"
    assert read_boxes(text).format == "recovered:list"


def test_scores_are_kept_where_they_are_one():
    text = '[{"bbox": [0.1, 0.2, 0.3, 0.4], "score": 0.75}, {"bbox": [0.1, 0.2, 0.3, 0.5], "confidence": 87}]'
    assert [box["score"] for box in read_boxes(text).value] == [0.75, None]


def test_points_are_flagged():
    text = '<points x1="10" y1="20.5" x2="30" y2="40" alt="nodule">nodules</points>'
    answer = read_boxes(text, "molmo-point")
    assert corners(answer) == [(0.1, 0.205, 0.1, 0.205), (0.3, 0.4, 0.3, 0.4)]
    assert all(box["point"] is True and box["label"] == "nodule" for box in answer.value)


# ---------------------------------------------------------------- nothing there


@pytest.mark.parametrize(
    "text",
    [
        "[]", "[ ]", "{}", "null", "None", "none.", "```json\n[]\n```", '{"objects": []}', '{"boxes": null}', "N/A",
        "Bounding boxes: []", '[{"label": "No finding", "bbox": [0, 0, 0, 0]}]', '{"bbox": "none"}',
        '[{"label": "no finding"}]', '{"bbox": null, "label": null}',
        "No abnormality", "No findings.", "There are no visible abnormalities in the image.", "No lesion detected",
        "The image is normal.", "No abnormalities are seen. The chest X-ray appears normal.", "未见异常。",
        "No bounding boxes.", "I see no abnormality in this chest radiograph.",
    ],
)  # fmt: skip
def test_nothing_there_is_an_answer(text):
    answer = read_boxes(text)
    assert (answer.outcome, answer.value) == ("answered", [])


def test_a_denied_label_is_an_empty_answer_only_where_it_was_asked_for():
    for text in ("No pneumothorax.", "There is no pneumothorax or effusion.", "pneumothorax: none\neffusion: none"):
        assert read_boxes(text, labels=["Pneumothorax", "Effusion"]).value == []
        assert read_boxes(text).outcome == "unparsed"


@pytest.mark.parametrize(
    "text",
    [
        "A 3 cm nodule in 2 places.",
        "Seen on 2020-01-02 and 2021-03-04.",
        "See references [1, 2, 3].",
        "The lesion measures 3 x 4 x 5 x 6 mm.",
        "Scores: [0.1, 0.2, 0.3, 0.4]",
        '{"probabilities": [0.1, 0.2, 0.3, 0.4]}',
        '{"size_mm": [0.1, 0.2, 0.3, 0.4]}',
        "The nodule is in the left upper lobe.",
        "[x1, y1, x2, y2]",
        "The box is at (0.1, 0.2).",
        "0.1, 0.2, 0.3",
        "Blood pressure: 120, 80, 110, 70",
        "No abnormality in the heart. There is a left effusion.",
        "No nodule, but a mass.",
        "[0.1, 0.2, 0.3",
        '[{"bbox_2d": [0.1, 0.2, 0.3, 0.4], "label": "nod',
        "<loc0256><loc0128><loc0512>",
        "[0.1, 0.2, 0.3, 0.4, 0.5]",
        '{"bbox": [0.1, 0.2, 0.3]}',
    ],
)
def test_never_a_box_from_nothing(text):
    for name in ("", "xyxy-1000", "norm1000-json", "paligemma"):
        answer = read_boxes(text, name)
        assert (answer.outcome, answer.value) == ("unparsed", None)


def test_refusals_are_refusals():
    answer = read_boxes("I cant help you with that. Is there anything else I can help you with?")
    assert (answer.outcome, answer.extractor) == ("refused", "refusal:policy:cannot_help")
    assert read_boxes("").extractor == "refusal:empty:no_content"


# ---------------------------------------------------------------- treatments


@pytest.mark.parametrize(
    ("text", "kept", "notes"),
    [
        ("[0.3, 0.2, 0.1, 0.5]", [BOX], {"swapped_corners": 1}),
        ("[0.3, 0.5, 0.1, 0.2]", [BOX], {"swapped_corners": 1}),
        ("[0.1, 0.2, 1.2, 1.4]", [(0.1, 0.2, 1.0, 1.0)], {"clipped": 1}),
        ("[-0.1, 0.2, 0.3, 0.5]", [(0.0, 0.2, 0.3, 0.5)], {"clipped": 1}),
        ("[[0.1,0.2,0.3,0.5],[0.1,0.2,0.3,0.5],[0.1,0.2,0.3,0.5]]", [BOX] * 3, {"duplicates": 2}),
        ("[[0.1,0.2,0.3,0.5],[NaN,0.2,0.3,0.5]]", [BOX], {"dropped_not_finite": 1}),
        ("[[0.1,0.2,0.3,0.5],[1e999,0.2,0.3,0.5]]", [BOX], {"dropped_not_finite": 1}),
        ("[[0.1,0.2,0.3,0.5],[0.1,0.2,0.1,0.5]]", [BOX], {"dropped_zero_area": 1}),
        ("[[0.1,0.2,0.3,0.5],[10,20,30,50]]", [BOX], {"dropped_out_of_range": 1}),
        ("[[0.1,0.2,0.3,0.5],[1.1,0.2,1.3,0.5]]", [BOX], {"dropped_outside": 1}),
        ("[[0.1,0.2,0.3,0.5],[0.1,0.2,0.3]]", [BOX], {"dropped_malformed": 1}),
        ('[{"bbox":[0.1,0.2,0.3,0.5],"label":"x"},{"bbox":[0,0,1,1],"label":"No finding"}]', [BOX],
         {"dropped_no_finding": 1}),
        ('[{"bbox":[0.1,0.2,0.3,0.5],"label":"x"},{"bbox":[0.1,0.2,0.3,0.6],"la', [BOX], {"truncated": 1}),
        ('{"objects":[{"bbox":[0.1,0.2,0.3,0.5]},{"bbox":[0.1,0.2', [BOX], {"truncated": 1}),
        ("[[0.1,0.2,0.3,0.5],[0.1,0.2,0.3,0.", [BOX], {"truncated": 1}),
    ],
)  # fmt: skip
def test_treatments_are_named_and_counted(text, kept, notes):
    answer = read_boxes(text)
    assert corners(answer) == [pytest.approx(box) for box in kept]
    assert answer.notes == notes


def test_truncated_text_says_so():
    answer = read_boxes('```json\n[{"bbox": [0.1, 0.2, 0.3, 0.5], "label": "x"},\n{"bbox": [0.1')
    assert answer.format == "recovered:truncated"
    assert read_boxes('[{"bbox": [0.1').extractor == "boxes:truncated"


def test_a_text_whose_boxes_are_all_dropped_is_unparsed():
    answer = read_boxes("[100, 200, 300, 400]")
    assert (answer.outcome, answer.extractor) == ("unparsed", "boxes:all_dropped")
    assert answer.notes == {"dropped_out_of_range": 1}


def test_a_box_in_the_padding_is_outside():
    answer = read_boxes("[0.1, 0.0, 0.9, 0.1]", "llava-pad", (400, 200))
    assert answer.notes == {"dropped_outside": 1}
    assert read_boxes("[0.1, 0.2, 0.9, 0.5]", "llava-pad", (400, 200)).notes == {"clipped": 1}


# ---------------------------------------------------------------- rendering, diagnosis, cost


def test_rendered_boxes_read_back_to_themselves():
    text = '[{"bbox": [0.1, 0.2, 1.3, 0.4], "label": "a \\"b\\"", "score": 0.5}, {"bbox": [0.1, 0.2, 0.3, 0.4]}]'
    value = read_boxes(text).value
    again = read_boxes(render_boxes(value))
    assert (again.value, again.format) == (value, "exact_contract")
    points = read_boxes('<point x="61.5" y="40.2" alt="x">x</point>', "molmo-point").value
    assert read_boxes(render_boxes(points)).value == points
    assert read_boxes(render_boxes([])).value == []


def test_diagnosis_shows_every_reading():
    readings = diagnose('[{"bbox_2d": [100, 200, 300, 400]}]', (800, 600))
    assert set(readings) == set(CONVENTIONS)
    assert corners(readings["xyxy-1000"]) == [(0.1, 0.2, 0.3, 0.4)]
    assert corners(readings["gemini"]) == [(0.2, 0.1, 0.4, 0.3)]
    assert corners(readings["xyxy-pixel"]) == [pytest.approx((0.125, 1 / 3, 0.375, 2 / 3))]
    assert readings["xyxy-norm"].extractor == "boxes:all_dropped"
    assert readings["paligemma"].outcome == "unparsed"


@pytest.mark.parametrize(
    "text",
    ["[" * 20_000, "[]" * 8_000, '{"a":' * 8_000, "<ref>" * 8_000, "(1,2)" * 8_000, "x1: 1 " * 8_000,
     "x" + " " * 20_000, "```" + "\n" * 20_000, "[0.1,0.2,0.3,0.4]," * 3_000, "<loc0001>" * 8_000, "['" * 8_000,
     "no " * 8_000, "1 " * 8_000],
)  # fmt: skip
def test_hostile_text_costs_little(text):
    for name in ("", "qwen-vl", "paligemma"):
        answer = read_boxes(text, name, labels=["nodule", "mass"])
        for box in answer.value or []:
            assert all(math.isfinite(box[side]) for side in ("x0", "y0", "x1", "y1"))
