"""Scores of label probabilities under weights: AUROC, AUPRC, Brier and calibration error, one label a time.

Each takes truths (n,) of 0 and 1, probabilities (n,) and weights (B, n) and
gives (B,), NaN where undefined. Rows to leave out have weight 0. Equal to
scikit-learn's functions with `sample_weight`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from raybench.interfaces import Array

__all__ = [
    "BINS",
    "LARGEST",
    "auprc",
    "auroc",
    "brier",
    "calibration_error",
    "divide",
    "log_odds",
    "mean_defined",
    "softmax",
]

#: Equal-width confidence bins of the expected calibration error (Guo et al. 2017).
BINS = 15
#: Bound on log odds: infinities cannot be stored.
LARGEST = 1e4


def divide(numerator: Array, denominator: Array) -> Array:
    """Return numerator/denominator, NaN where there is nothing to divide by."""
    return np.asarray(
        np.divide(numerator, denominator, out=np.full(np.shape(numerator), np.nan), where=denominator > 0)
    )


def mean_defined(values: Array) -> Array:
    """Return the mean over labels (B, k) -> (B,) of those that are defined; NaN if none is."""
    defined = ~np.isnan(values)
    return divide(np.where(defined, values, 0).sum(axis=1), defined.sum(axis=1))


def softmax(logprobs: Mapping[str, float]) -> dict[str, float]:
    """Return label -> probability among these labels, which sum to 1."""
    top = max(logprobs.values())
    odds = {label: math.exp(value - top) if top > -math.inf else 1.0 for label, value in logprobs.items()}
    total = sum(odds.values())
    return {label: value / total for label, value in odds.items()}


def log_odds(logprobs: Mapping[str, float]) -> dict[str, float]:
    """Return label -> log of its probability against all the others', within -LARGEST..LARGEST.

    It ranks as the probability does, without the ties at 0 and 1 that a sure model's
    probabilities end in. Rounded to 9 decimals, so that equal odds stay equal.
    """
    return {
        label: round(min(max(value - _log_sum([x for y, x in logprobs.items() if y != label]), -LARGEST), LARGEST), 9)
        for label, value in logprobs.items()
    }


def _log_sum(values: list[float]) -> float:
    top = max(values, default=-LARGEST)
    return top + math.log(sum(math.exp(value - top) for value in values)) if top > -LARGEST else -LARGEST


def _grouped(truths: Array, scores: Array, weights: Array) -> tuple[Array, Array]:
    """Weighted positives and negatives (B, g) of each distinct score, highest first."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
    drawn, positive = weights[:, order], truths[order]
    return np.add.reduceat(drawn * positive, starts, axis=1), np.add.reduceat(drawn * (1 - positive), starts, axis=1)


def auroc(truths: Array, scores: Array, weights: Array) -> Array:
    """Return the chance that a positive scores above a negative, ties half; NaN without both."""
    if not len(truths):
        return np.full(len(weights), np.nan)
    positive, negative = _grouped(truths, scores, weights)
    above = np.cumsum(positive, axis=1) - positive / 2
    return divide((above * negative).sum(axis=1), positive.sum(axis=1) * negative.sum(axis=1))


def auprc(truths: Array, scores: Array, weights: Array) -> Array:
    """Return average precision: each distinct score's precision times the recall gained; NaN without positives."""
    if not len(truths):
        return np.full(len(weights), np.nan)
    positive, negative = _grouped(truths, scores, weights)
    right = np.cumsum(positive, axis=1)
    said = right + np.cumsum(negative, axis=1)
    precision = np.divide(right, said, out=np.zeros_like(right), where=said > 0)
    return divide((precision * positive).sum(axis=1), positive.sum(axis=1))


def brier(truths: Array, scores: Array, weights: Array) -> Array:
    """Return the mean squared distance of probability and truth, 0 (best) to 1."""
    return divide(weights @ (scores - truths) ** 2, weights.sum(axis=1))


def calibration_error(right: Array, confidence: Array, weights: Array) -> Array:
    """Return |accuracy - confidence| averaged over BINS equal-width bins (a, b] by their share of rows."""
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = np.zeros((len(confidence), BINS))
    gaps[np.arange(len(bins)), bins] = right - confidence
    return divide(np.abs(weights @ gaps).sum(axis=1), weights.sum(axis=1))
