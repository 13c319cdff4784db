"""Profile `detection`: F1 at an IoU first, then AP, FROC, IoU and false positives, all from stored matches.

Per image, predicted boxes are matched to true ones by pycocotools (greedy, in
order of score, then of output); `_detection_matching` says how. Labels must
agree (case, spacing and underscores do not count) unless a name ends in
`_agnostic`; in a task with one label there is nothing to tell apart, and every
box takes it ("lesion" where abnormalities are asked for).

Vision-language models seldom give a confidence. Boxes without one get 1.0; ties
are ranked in order of samples and of output. AP then depends on that order
(`tie_range` says how much), so F1 at IoU 0.5 leads.

Refused and unparsed rows predict no box. Their true boxes are missed; on a
healthy image they are no correct empty answer: F1, hits and AP have no true
negatives to give, `healthy_empty_rate` counts them as wrong, and
`false_positives_per_healthy_image` is over answered rows only.

Sources: pycocotools 2.0 (AP, 101 recall levels); ChestX-Det10 (Liu et al. 2020:
mean recall over classes at 0.05, 0.1 and 0.2 false positives an image, IoU 0.5;
here without its extra pixel, which fractions do not have); the RSNA Pneumonia
Detection Challenge 2018 (mean over IoU 0.40 to 0.75 by 0.05 of TP/(TP+FP+FN) an
image; an image with neither true nor predicted boxes is left out, one with only
predicted boxes scores 0); the pointing game (Zhang et al. 2018).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from raybench.interfaces import Array, MetricDef, Profile, Statistics
from raybench.metrics._detection_curves import average_precision, froc_recall
from raybench.metrics._detection_matching import THRESHOLDS, ImageBoxes, matches, optimal_iou
from raybench.metrics._probability import divide
from raybench.schema import Row

__all__ = ["PLUGIN", "Detection", "tie_range"]

#: COCO's ten IoUs of `map`, and the RSNA challenge's eight.
_COCO = tuple(t for t in THRESHOLDS if t >= 0.5)
_RSNA = tuple(THRESHOLDS.index(t) for t in THRESHOLDS if 0.4 <= t <= 0.75)
_AP = {"map": _COCO, "ap_30": (0.3,), "ap_40": (0.4,), "ap_50": (0.5,), "ap_75": (0.75,)}

Reduce = Callable[[Statistics, Array], Array]


def _ratio(statistics: Statistics, weights: Array, over: tuple[str, ...], hit: str, times: float = 1.0) -> Array:
    """Weighted sum of `hit` times `times`, divided by that of the `over` columns; NaN where they are 0."""
    denominator = weights @ np.sum([np.asarray(statistics[name], dtype=float) for name in over], axis=0)
    return divide(times * (weights @ np.asarray(statistics[hit], dtype=float)), denominator)


def _metric(name: str, reduce: Reduce) -> MetricDef:
    return MetricDef(name, over="images", reduce=reduce, binary=False)


def _shared(name: str, over: str, hit: str, denominator: tuple[str, ...], times: float = 1.0) -> MetricDef:
    reduce = partial(_ratio, over=denominator, hit=hit, times=times)
    return MetricDef(name, over=over, reduce=reduce, additive=True, binary=False)


def _at_iou(suffix: str) -> tuple[MetricDef, ...]:
    """F1, precision and recall of all boxes together, at the IoU (and with the labels) that `suffix` names."""
    hit = f"tp_{suffix}"
    return (
        _shared(f"f1_{suffix}", "images", hit, ("true", "predicted"), times=2.0),
        _shared(f"precision_{suffix}", "images", hit, ("predicted",)),
        _shared(f"recall_{suffix}", "with_boxes", hit, ("true",)),
    )


class Detection(Profile):
    """Boxes against boxes; the record's value is a list of box dicts as fractions of the original image."""

    name = "detection"
    beside = ("ap_50", "map", "false_positives_per_healthy_image")
    metrics = (
        *_at_iou("50"),
        *_at_iou("30"),
        *_at_iou("50_agnostic"),
        *_at_iou("30_agnostic"),
        *(_metric(name, partial(average_precision, thresholds=at)) for name, at in _AP.items()),
        *(
            _metric(f"{name}_agnostic", partial(average_precision, thresholds=at, agnostic=True))
            for name, at in _AP.items()
        ),
        _shared("mean_iou", "with_boxes", "iou", ("true",)),
        _shared("mean_iou_agnostic", "with_boxes", "iou_agnostic", ("true",)),
        MetricDef("image_hit_50", over="with_boxes", hit="hit_50"),
        MetricDef("image_hit_50_agnostic", over="with_boxes", hit="hit_50_agnostic"),
        MetricDef("point_hit", over="with_boxes", hit="point_hit"),
        MetricDef("healthy_empty_rate", over="healthy", hit="healthy_empty"),
        MetricDef(
            "false_positives_per_healthy_image", over="healthy_answered", hit="healthy_boxes", binary=False,
            unit="per image", higher_is_better=False,
        ),
        MetricDef("rsna", over="rsna_counted", hit="rsna", binary=False),
        _metric("froc_05", partial(froc_recall, per_image=0.05)),
        _metric("froc_10", partial(froc_recall, per_image=0.1)),
        _metric("froc_20", partial(froc_recall, per_image=0.2)),
    )  # fmt: skip

    def facts(self, statistics: Statistics) -> Mapping[str, Any]:
        """Return the range of each AP over orders of boxes that have equal scores (`tie_range`)."""
        ranges = {name: list(both) for name, both in tie_range(statistics).items() if np.isfinite(both).all()}
        return {"tie_range": ranges} if ranges else {}

    def statistics(self, record: Row) -> Mapping[str, Any]:
        """Return one image's counts, and its matches as flat lists ("detections", "truths")."""
        answered = record["outcome"] == "answered" and isinstance(record["value"], list)
        choices = record.get("choices") or []
        only = str(choices[0]) if len(choices) == 1 else None
        true = ImageBoxes.of(record.get("boxes") or [], only)
        predicted = ImageBoxes.of(record["value"] if answered else [], only)
        labelled, ignored = matches(predicted, true)
        iou, iou_agnostic = optimal_iou(predicted, true)
        rsna = _rsna(labelled, len(predicted), len(true))
        healthy = not len(true)
        return {
            "images": 1.0,
            "with_boxes": float(not healthy),
            "healthy": float(healthy),
            "healthy_answered": float(healthy and answered),
            "healthy_empty": float(healthy and answered and not len(predicted)),
            "healthy_boxes": float(len(predicted) if healthy else 0),
            "true": float(len(true)),
            "predicted": float(len(predicted)),
            **_true_positives(labelled, ignored),
            "iou": iou,
            "iou_agnostic": iou_agnostic,
            "point_hit": float(_points_into(predicted, true)),
            "rsna": rsna or 0.0,
            "rsna_counted": float(rsna is not None),
            "detections": [
                float(number)
                for each in zip(predicted.codes, predicted.scores, labelled, ignored, strict=True)
                for number in each
            ],
            "truths": [float(x) for code in sorted(set(true.codes)) for x in (code, true.codes.count(code))],
        }


def _matched(bits: list[int], threshold: int) -> int:
    return sum(number >= 0 and number >> threshold & 1 for number in bits)


def _true_positives(labelled: list[int], ignored: list[int]) -> dict[str, float]:
    out = {}
    for suffix, bits in (("", labelled), ("_agnostic", ignored)):
        for iou in (0.3, 0.5):
            out[f"tp_{iou * 100:.0f}{suffix}"] = float(_matched(bits, THRESHOLDS.index(iou)))
        out[f"hit_50{suffix}"] = float(out[f"tp_50{suffix}"] > 0)
    return out


def _rsna(bits: list[int], predicted: int, true: int) -> float | None:
    """The RSNA challenge's score of one image, or None where there is nothing true and nothing predicted."""
    if not predicted and not true:
        return None
    hits = [_matched(bits, threshold) for threshold in _RSNA]
    return sum(hit / (predicted + true - hit) for hit in hits) / len(hits)


def _points_into(predicted: ImageBoxes, true: ImageBoxes) -> bool:
    """Say whether the best predicted box's centre (or the point, if it is one) lies in a true box of its label."""
    if not len(predicted) or not len(true):
        return False
    best = int(np.argsort(-predicted.scores, kind="stable")[0])
    point = (predicted.corners[best, :2] + predicted.corners[best, 2:]) / 2
    inside = np.all((true.corners[:, :2] <= point) & (point <= true.corners[:, 2:]), axis=1)
    return bool(np.any(inside & (np.array(true.codes) == predicted.codes[best])))


def tie_range(statistics: Statistics, orders: int = 30, seed: int = 0) -> dict[str, tuple[float, float]]:
    """Return AP metric -> (lowest, highest) value over random orders of boxes that have equal scores.

    Which box matched which is kept; only the ranking changes. For the run record: it is no interval.
    """
    rng = np.random.default_rng(seed)
    count = sum(len(values) // 4 for values in statistics["detections"])
    ones = np.ones((1, len(statistics["detections"])))
    values: dict[str, list[float]] = {name: [] for name in _AP}
    for _ in range(orders):
        order = rng.permutation(count)
        for name, thresholds in _AP.items():
            values[name].append(float(average_precision(statistics, ones, thresholds, order=order)[0]))
    return {name: (min(drawn), max(drawn)) for name, drawn in values.items()}


PLUGIN = Detection
