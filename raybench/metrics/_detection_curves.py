"""Average precision and FROC from stored matches, under weights: what the bootstrap re-weights.

Detections come as a column of flat lists [label code, score, match bits, match
bits with labels ignored, ...] an image, true boxes as [label code, count, ...].
Under weights of one, average precision is what `COCOeval.accumulate` makes of
the same matches, called here; other weights repeat its arithmetic with each
image counted as often as its weight says.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass

import numpy as np

from raybench.interfaces import Array, Statistics
from raybench.metrics._detection_matching import THRESHOLDS, cocoeval
from raybench.metrics._probability import divide

__all__ = ["RECALLS", "Category", "average_precision", "categories", "froc_recall"]

#: COCO's 101 recall levels.
RECALLS = np.linspace(0.0, 1.0, 101)
_CELLS = 2**21
#: Up to so many true positives it is quicker to place all draws among the levels than each level in each draw.
_FEW = 1000
_PER_DETECTION, _PER_TRUTH = 4, 2


@dataclass(frozen=True)
class Category:
    """One category's detections, best score first (ties in order of rows, then of output), and true boxes.

    Attributes:
        rows: (D,) row of each detection.
        scores: (D,).
        hits: (T, D) true positives at THRESHOLDS.
        truths: (n,) true boxes of each row.
    """

    rows: Array
    scores: Array
    hits: Array
    truths: Array


def _flat(column: Array, width: int) -> tuple[Array, Array]:
    """Return (rows (D,), values (D, width)) of a column of flat lists."""
    counts = np.fromiter((len(values) // width for values in column), int, len(column))
    values = np.concatenate(column) if len(column) else np.zeros(0)
    return np.repeat(np.arange(len(column)), counts), values.reshape(-1, width)


def categories(statistics: Statistics, agnostic: bool, order: Array | None = None) -> Iterator[Category]:
    """Yield the categories that are true somewhere, as COCO does: labels that never are make no category.

    Args:
        statistics: has the columns "detections" and "truths".
        agnostic: labels are ignored; there is one category.
        order: (detections,) permutation that breaks ties in another order.
    """
    rows, detections = _flat(statistics["detections"], _PER_DETECTION)
    true_rows, truths = _flat(statistics["truths"], _PER_TRUTH)
    n = len(statistics["truths"])
    if order is not None:
        rows, detections = rows[order], detections[order]
    best = np.argsort(-detections[:, 1], kind="stable")
    rows, detections = rows[best], detections[best]
    bits = detections[:, 3 if agnostic else 2].astype(int)
    hits = bits[None] >> np.arange(len(THRESHOLDS))[:, None] & 1 == 1
    for code in [None] if agnostic and len(truths) else np.unique(truths[:, 0]):
        mine = bits >= 0 if code is None else (bits >= 0) & (detections[:, 0] == code)
        its = slice(None) if code is None else truths[:, 0] == code
        counts = np.bincount(true_rows[its], truths[its, 1], minlength=n)
        yield Category(rows[mine], detections[mine, 1], hits[:, mine], counts)


def average_precision(
    statistics: Statistics,
    weights: Array,
    thresholds: tuple[float, ...],
    agnostic: bool = False,
    order: Array | None = None,
) -> Array:
    """Return 101-point average precision, averaged over thresholds and over categories true under the weights.

    Args:
        statistics: has the columns "detections" and "truths".
        weights: (B, n), how often each image counts.
        thresholds: IoUs, each one of THRESHOLDS.
        agnostic, order: as `categories` takes them.

    Returns:
        (B,) in 0-1; NaN where no box is true.
    """
    found = list(categories(statistics, agnostic, order))
    chosen = [THRESHOLDS.index(threshold) for threshold in thresholds]
    weights = np.asarray(weights, dtype=float)
    plain = np.all(weights == 1, axis=1)
    values = np.full(len(weights), np.nan)
    if plain.any():
        values[plain] = _official(found, chosen)
    if not plain.all():
        values[~plain] = _weighted(found, chosen, weights[~plain])
    return values


def _official(found: list[Category], chosen: list[int]) -> float:
    """COCOeval's own precision-recall arithmetic on all detections of a category, as of one image."""
    if not found:
        return np.nan
    evaluator = cocoeval()
    parameters = evaluator.params
    parameters.iouThrs, parameters.recThrs = np.array([THRESHOLDS[i] for i in chosen]), RECALLS
    parameters.imgIds, parameters.catIds = [0], list(range(len(found)))
    parameters.areaRng, parameters.areaRngLbl = [parameters.areaRng[0]], ["all"]
    parameters.maxDets = [max(len(category.rows) for category in found)]
    evaluator._paramsEval = parameters
    evaluator.evalImgs = [
        {
            "dtScores": category.scores,
            "dtMatches": category.hits[chosen],
            "dtIgnore": np.zeros((len(chosen), len(category.rows)), dtype=bool),
            "gtIgnore": np.zeros(int(category.truths.sum())),
        }
        for category in found
    ]
    with redirect_stdout(io.StringIO()):  # it prints its progress
        evaluator.accumulate()
    precision = evaluator.eval["precision"]
    return float(np.mean(precision[precision > -1]))


def _weighted(found: list[Category], chosen: list[int], weights: Array) -> Array:
    total, defined = np.zeros(len(weights)), np.zeros(len(weights))
    # Weights are whole unless samples repeat; then sums of thirds must not miss a level by a rounding error.
    slack = 0.0 if np.array_equal(weights, np.floor(weights)) else 1e-14
    for category in found:
        truths = weights @ category.truths
        size = max(1, _CELLS // max(len(category.rows), 1))
        for start in range(0, len(weights), size):
            part = slice(start, start + size)
            total[part] += _category_precision(category, chosen, weights[part], truths[part], slack)
        defined += truths > 0
    return divide(total, defined)


def _category_precision(category: Category, chosen: list[int], weights: Array, truths: Array, slack: float) -> Array:
    """Mean over thresholds of one category's AP, (b,); 0 where it has no true box.

    Precision only needs to be known where recall rises: its envelope takes the
    maximum to the right, which is always at a true positive. `slack` is what a
    recall may miss a level by.
    """
    drawn = weights[:, category.rows]
    seen = np.cumsum(drawn, axis=1)
    sums = np.zeros(len(weights))
    for i in chosen:
        at = np.flatnonzero(category.hits[i])
        if not len(at):
            continue
        right = np.cumsum(drawn[:, at], axis=1)
        precision = right / (seen[:, at] + np.spacing(1))
        envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        recall = np.divide(right, truths[:, None], out=np.zeros_like(right), where=truths[:, None] > 0)
        recall *= 1 + slack
        sums += np.where(truths > 0, _mean_at_levels(envelope, recall), 0)
    return sums / len(chosen)


def _mean_at_levels(envelope: Array, recall: Array) -> Array:
    """Mean over RECALLS of the precision where each level is first reached, (b,); 0 where it never is.

    Args:
        envelope, recall: (b, true positives), recall rising.
    """
    if recall.shape[1] <= _FEW:
        levels = np.searchsorted(RECALLS, recall, side="right")  # levels reached so far
        return np.asarray((envelope * np.diff(levels, axis=1, prepend=0)).sum(axis=1) / len(RECALLS))
    sums = np.zeros(len(recall))
    for b in range(len(recall)):
        reached = np.searchsorted(recall[b], RECALLS, side="left")
        sums[b] = envelope[b, reached[reached < recall.shape[1]]].sum()
    return sums / len(RECALLS)


def froc_recall(statistics: Statistics, weights: Array, per_image: float, threshold: float = 0.5) -> Array:
    """Return recall at `per_image` false positives an image, averaged over categories true under the weights.

    The threshold on the score falls until the next false positive would be one
    too many. Boxes of equal score enter together; of the group in which the limit
    is reached, the same share of true and of false positives is taken, so that
    the value does not depend on the order of ties.

    Returns:
        (B,) in 0-1; NaN where no box is true.
    """
    weights = np.asarray(weights, dtype=float)
    limit = per_image * weights.sum(axis=1)
    total, defined = np.zeros(len(weights)), np.zeros(len(weights))
    for category in categories(statistics, agnostic=False):
        truths = weights @ category.truths
        size = max(1, _CELLS // max(len(category.rows), 1))
        for start in range(0, len(weights), size):
            part = slice(start, start + size)
            found = _found_within(category, weights[part], limit[part], THRESHOLDS.index(threshold))
            total[part] += np.divide(found, truths[part], out=np.zeros_like(found), where=truths[part] > 0)
        defined += truths > 0
    return divide(total, defined)


def _found_within(category: Category, weights: Array, limit: Array, threshold: int) -> Array:
    """Weighted true positives (b,) before the false positives pass `limit` (b,)."""
    if not len(category.rows):
        return np.zeros(len(weights))
    starts = np.flatnonzero(np.concatenate([[True], np.diff(category.scores) != 0]))
    drawn = weights[:, category.rows]
    right = np.add.reduceat(drawn * category.hits[threshold], starts, axis=1)
    wrong = np.add.reduceat(drawn * ~category.hits[threshold], starts, axis=1)
    before = np.cumsum(wrong, axis=1) - wrong
    room = np.clip(limit[:, None] * (1 + 1e-12) - before, 0, None)
    share = np.divide(np.minimum(room, wrong), wrong, out=np.ones_like(wrong), where=wrong > 0)
    # Past the group in which the limit is reached nothing enters, not even a true positive.
    return np.asarray((right * share * (before <= limit[:, None] * (1 + 1e-12))).sum(axis=1))
