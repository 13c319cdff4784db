"""Detection metrics against COCOeval run on its own, under weights of one, repeated images and ties."""

import contextlib
import io
from collections import defaultdict

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from raybench.metrics.detection import PLUGIN as Detection
from raybench.metrics.detection import tie_range

METRICS = {metric.name: metric for metric in Detection.metrics}
LABELS = ["effusion", "nodule", "mass"]


def box(x0, y0, x1, y1, label="nodule", score=None):
    return {"x0": x0, "y0": y0, "x1": x1, "y1": y1, "label": label, "score": score}


def record(true, predicted, outcome="answered", choices=()):
    return {
        "outcome": outcome, "value": predicted, "boxes": true, "choices": list(choices), "text": "", "target": "",
        "targets": [], "slices": {}, "question": "", "format": "", "positive": None, "context": {},
        "label_logprobs": None, "extractor": "", "notes": {},
    }  # fmt: skip


def columns(records):
    rows = [Detection().statistics(each) for each in records]
    table = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        if isinstance(values[0], list):
            column = np.empty(len(rows), dtype=object)
            column[:] = [np.asarray(value, dtype=float) for value in values]
        else:
            column = np.asarray(values, dtype=float)
        table[name] = column
    return table


def value(name, records, weights=None):
    weights = np.ones((1, len(records))) if weights is None else np.atleast_2d(weights)
    return float(METRICS[name].values(columns(records), weights)[0])


def draw(seed, images=40, ties=True, scored=True):
    """Random images: some healthy, several categories, jittered and duplicated boxes, a label nobody asked for."""
    rng = np.random.default_rng(seed)
    records = []
    for _ in range(images):
        true, predicted = [], []
        for _ in range(rng.integers(0, 5)):
            x, y = rng.random(2) * 0.6
            w, h = 0.05 + rng.random(2) * 0.3
            true.append(box(x, y, x + w, y + h, LABELS[rng.integers(3)]))
        for each in true:
            for _ in range(rng.integers(0, 3)):
                shift = rng.normal(0, 0.02, 4)
                corners = np.array([each["x0"], each["y0"], each["x1"], each["y1"]]) + shift
                corners = np.concatenate([np.minimum(corners[:2], corners[2:]), np.maximum(corners[:2], corners[2:])])
                label = each["label"] if rng.random() < 0.8 else LABELS[rng.integers(3)]
                predicted.append(box(*map(float, corners), label))
        if rng.random() < 0.3:
            predicted.append(box(0.1, 0.1, 0.3, 0.4, ["mass", "fracture"][rng.integers(2)]))
        for each in predicted:
            each["score"] = (float(rng.integers(0, 4)) / 4 if ties else float(rng.random())) if scored else None
        records.append(record(true, predicted))
    return records


def coco(records, thresholds, agnostic=False, max_dets=100):
    """Mean AP of a COCOeval that knows nothing of ours: pixels of a 1000 px image."""
    codes = {label: i + 1 for i, label in enumerate(sorted({b["label"] for r in records for b in r["boxes"]}))}
    truth = {
        "images": [{"id": i + 1} for i in range(len(records))],
        "categories": [{"id": code} for code in codes.values()],
        "annotations": [],
    }
    found = []
    for i, each in enumerate(records):
        for b in each["boxes"]:
            xywh = [b["x0"] * 1000, b["y0"] * 1000, (b["x1"] - b["x0"]) * 1000, (b["y1"] - b["y0"]) * 1000]
            truth["annotations"].append({
                "id": len(truth["annotations"]) + 1, "image_id": i + 1, "category_id": codes[b["label"]],
                "bbox": xywh, "area": xywh[2] * xywh[3], "iscrowd": 0,
            })  # fmt: skip
        for b in each["value"] if each["outcome"] == "answered" else []:
            xywh = [b["x0"] * 1000, b["y0"] * 1000, (b["x1"] - b["x0"]) * 1000, (b["y1"] - b["y0"]) * 1000]
            found.append({
                "image_id": i + 1, "category_id": codes.get(b["label"], 1 if agnostic else 99), "bbox": xywh,
                "score": 1.0 if b["score"] is None else b["score"],
            })  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        data = COCO()
        data.dataset = truth
        data.createIndex()
        evaluator = COCOeval(data, data.loadRes(found), "bbox")
        evaluator.params.iouThrs = np.array(thresholds)
        evaluator.params.areaRng, evaluator.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluator.params.maxDets = [max_dets]
        evaluator.params.useCats = int(not agnostic)
        evaluator.evaluate()
        evaluator.accumulate()
    precision = evaluator.eval["precision"]
    return float(np.mean(precision[precision > -1]))


TEN = np.linspace(0.5, 0.95, 10)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("ties", "scored"), [(False, True), (True, True), (True, False)])
def test_ap_equals_cocoeval(seed, ties, scored):
    records = draw(seed, ties=ties, scored=scored)
    table, ones = columns(records), np.ones((1, len(records)))
    for name, thresholds in {
        "map": TEN, "ap_30": [0.3], "ap_40": [0.4], "ap_50": [0.5], "ap_75": [0.75],
    }.items():  # fmt: skip
        assert METRICS[name].values(table, ones)[0] == pytest.approx(coco(records, thresholds), abs=1e-12)
        # The bootstrap's own arithmetic, which weights of two take, agrees with it as well.
        assert METRICS[name].values(table, 2 * ones)[0] == pytest.approx(coco(records, thresholds), abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_agnostic_ap_equals_cocoeval_without_categories(seed):
    # COCOeval groups boxes by category before it ignores them: with distinct scores the order is the same.
    records = draw(seed, ties=False)
    ones = np.ones((1, len(records)))
    for name, thresholds in {"map_agnostic": TEN, "ap_50_agnostic": [0.5], "ap_30_agnostic": [0.3]}.items():
        wanted = coco(records, thresholds, agnostic=True)
        assert METRICS[name].values(columns(records), ones)[0] == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_weights_count_images_as_often_as_cocoeval_sees_them(seed):
    rng = np.random.default_rng(seed)
    records = draw(seed, ties=False)
    weights = rng.multinomial(len(records), np.full(len(records), 1 / len(records)), size=3)
    drawn = METRICS["map"].values(columns(records), weights.astype(float))
    for counts, ours in zip(weights, drawn, strict=True):
        repeated = [each for each, count in zip(records, counts, strict=True) for _ in range(count)]
        assert ours == pytest.approx(coco(repeated, TEN), abs=1e-12)


def test_only_the_first_hundred_boxes_may_match():
    true = [box(0.1, 0.1, 0.3, 0.3)]
    many = [box(0.5, 0.5, 0.9, 0.9) for _ in range(100)] + [box(0.1, 0.1, 0.3, 0.3)]
    records = [record(true, many)]
    assert value("ap_50", records) == coco(records, [0.5]) == 0.0
    assert value("precision_50", records) == 0.0
    assert columns(records)["predicted"][0] == 101


def test_a_half_covered_box_is_at_iou_one_half_whatever_the_image_size():
    for size in (1000, 1023, 1500, 2022, 7):
        true = [box(100 / size, 100 / size, 200 / size, 200 / size)]
        half = [box(100 / size, 100 / size, 150 / size, 200 / size)]
        assert value("recall_50", [record(true, half)]) == 1.0


# --- counts, worked out by hand --------------------------------------------------------------------------------------

LEFT, RIGHT = box(0.1, 0.1, 0.3, 0.3), box(0.6, 0.6, 0.8, 0.8)
MIXED = [
    record([LEFT, RIGHT], [LEFT, LEFT]),  # one hit, one duplicate, one miss
    record([LEFT], [{**LEFT, "label": "Mass"}]),  # right place, wrong label
    record([LEFT], None, "refused"),
    record([], [LEFT]),
    record([], []),
    record([], None, "unparsed"),
]


def test_f1_precision_and_recall():
    assert value("f1_50", MIXED) == pytest.approx(2 * 1 / (4 + 4))
    assert value("precision_50", MIXED) == pytest.approx(1 / 4)
    assert value("recall_50", MIXED) == pytest.approx(1 / 4)
    assert value("f1_50_agnostic", MIXED) == pytest.approx(2 * 2 / 8)


def test_case_and_underscores_of_labels_do_not_count():
    said = [{**LEFT, "label": "Pleural_Thickening"}]
    assert value("f1_50", [record([{**LEFT, "label": "pleural thickening"}], said)]) == 1.0


@pytest.mark.parametrize("label", ["", "lesion"])
def test_every_box_takes_the_only_label_there_is(label):
    said = [{**LEFT, "label": label}]
    assert value("f1_50", [record([LEFT], said, choices=["nodule"])]) == 1.0
    assert value("f1_50", [record([LEFT], said, choices=["nodule", "mass"])]) == 0.0


def test_healthy_images_credit_no_refusal():
    assert value("healthy_empty_rate", MIXED) == pytest.approx(1 / 3)
    assert value("false_positives_per_healthy_image", MIXED) == pytest.approx(1 / 2)
    assert METRICS["false_positives_per_healthy_image"].unit == "per image"
    assert not METRICS["false_positives_per_healthy_image"].higher_is_better
    refused = [record([], None, "refused")]
    assert np.isnan(value("f1_50", refused))
    assert np.isnan(value("rsna", refused))
    assert np.isnan(value("false_positives_per_healthy_image", refused))


def test_hits_and_points():
    assert value("image_hit_50", MIXED) == pytest.approx(1 / 3)
    assert value("image_hit_50_agnostic", MIXED) == pytest.approx(2 / 3)
    point = {**LEFT, "x0": 0.2, "x1": 0.2, "y0": 0.25, "y1": 0.25}
    outside = {**point, "x0": 0.5, "x1": 0.5}
    records = [record([LEFT], [point]), record([LEFT], [outside, point]), record([LEFT], None, "refused")]
    assert value("point_hit", records) == pytest.approx(1 / 3)


def test_mean_iou_pairs_boxes_optimally():
    # Greedy by output would give the first box the second truth (IoU 1/3) and leave the other without.
    a, b = box(0.0, 0.0, 0.2, 0.2), box(0.1, 0.0, 0.3, 0.2)
    assert value("mean_iou", [record([a, b], [b, a])]) == pytest.approx(1.0)
    assert value("mean_iou", [record([a, b], [b])]) == pytest.approx(0.5)
    assert value("mean_iou", MIXED) == pytest.approx(1 / 4)
    assert value("mean_iou_agnostic", MIXED) == pytest.approx(2 / 4)


def test_rsna_score():
    # An IoU of 0.6 counts at 0.40, 0.45, 0.50, 0.55 and 0.60: five of the eight thresholds.
    true, said = [box(0.0, 0.0, 0.5, 0.5)], [box(0.0, 0.0, 0.5, 0.3)]
    assert value("rsna", [record(true, said)]) == pytest.approx(5 / 8)
    # One TP, one FP: 1/2 at those five. A healthy image with a box scores 0, one without is left out.
    two = record(true, [*said, box(0.7, 0.7, 0.9, 0.9)])
    assert value("rsna", [two, record([], said), record([], [])]) == pytest.approx((5 / 16 + 0) / 2)


def test_froc_takes_boxes_until_the_next_false_positive_is_too_many():
    wrong = box(0.8, 0.1, 0.9, 0.2)
    records = [
        record([LEFT], [{**LEFT, "score": 0.9}]),
        record([LEFT], [{**wrong, "score": 0.8}]),
        record([LEFT], [{**LEFT, "score": 0.7}]),
        record([LEFT], [{**wrong, "score": 0.6}, {**LEFT, "score": 0.5}]),
        *[record([], []) for _ in range(6)],
    ]
    assert value("froc_05", records) == pytest.approx(1 / 4)  # half a false positive may not enter
    assert value("froc_10", records) == pytest.approx(2 / 4)
    assert value("froc_20", records) == pytest.approx(3 / 4)


def test_froc_of_ties_takes_their_share():
    # Without scores, 2 hits and 4 false positives enter together; 2 of the 4 are allowed on 10 images at 0.2.
    wrong = box(0.8, 0.1, 0.9, 0.2)
    records = [record([LEFT, RIGHT], [LEFT, RIGHT, wrong, wrong, wrong, wrong]), *[record([], []) for _ in range(9)]]
    assert value("froc_20", records) == pytest.approx(1 / 2)
    shuffled = [record([LEFT, RIGHT], [wrong, LEFT, wrong, RIGHT, wrong, wrong]), *records[1:]]
    assert value("froc_20", shuffled) == pytest.approx(1 / 2)


def test_froc_is_the_published_step_function_on_distinct_scores():
    # The published script interpolates between operating points; off the lattice of k/n that is this step.
    records = draw(3, images=41, ties=False)
    rates = {"froc_05": 0.05, "froc_10": 0.1, "froc_20": 0.2}
    wanted = defaultdict(list)
    for label in LABELS:
        found = []
        for i, each in enumerate(records):
            table = columns([record([b for b in each["boxes"] if b["label"] == label],
                                    [b for b in each["value"] if b["label"] == label])])  # fmt: skip
            flat = table["detections"][0].reshape(-1, 4)
            found += [(score, i, int(bits) >> 3 & 1) for _, score, bits, _ in flat]
        found.sort(key=lambda item: -item[0])
        total = sum(b["label"] == label for each in records for b in each["boxes"])
        for name, rate in rates.items():
            right = wrong = 0
            for _, _, hit in found:
                if wrong + (not hit) > rate * len(records):
                    break
                right, wrong = right + hit, wrong + (not hit)
            wanted[name].append(right / total)
    for name, recalls in wanted.items():
        assert value(name, records) == pytest.approx(np.mean(recalls), abs=1e-12)


def test_nothing_true_anywhere_gives_no_value():
    records = [record([], [LEFT]), record([], [])]
    for name in ("map", "ap_50_agnostic", "froc_10", "mean_iou", "recall_50", "image_hit_50"):
        assert np.isnan(value(name, records)), name


def test_tie_range_brackets_the_order_given():
    unscored = columns(draw(1, scored=False))
    low, high = tie_range(unscored)["map"]
    assert low < high
    assert low <= METRICS["map"].values(unscored, np.ones((1, 40)))[0] + 0.05
    scored = columns(draw(1, ties=False))
    low, high = tie_range(scored, orders=3)["ap_50"]
    assert low == high == METRICS["ap_50"].values(scored, np.ones((1, 40)))[0]


def test_statistics_are_numbers_and_flat_lists_of_numbers():
    for each in MIXED:
        for name, entry in Detection().statistics(each).items():
            numbers = entry if isinstance(entry, list) else [entry]
            assert all(type(number) is float for number in numbers), name
