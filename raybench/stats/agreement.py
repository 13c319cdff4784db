"""How far two raters agree: Cohen's kappa, Krippendorff's alpha, sensitivity and specificity, with intervals.

A *rating* is any hashable label. Where one rater is a person and the other a
judge, sensitivity is the share of what the person calls right that the judge
calls right too, specificity the same for wrong.

>>> kappa(["a", "a", "b", "b"], ["a", "a", "b", "a"])
0.5
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from raybench.interfaces import Array
from raybench.stats.draws import DRAWS, SEED, cluster_codes, cluster_weights
from raybench.stats.intervals import design_effect, wilson

__all__ = ["Rate", "alpha", "kappa", "kappa_interval", "rate", "sensitivity_specificity"]


@dataclass(frozen=True)
class Rate:
    """A share or coefficient with its 95 % interval; None where nothing was counted."""

    value: float | None
    low: float | None
    high: float | None
    n: int


def rate(hits: Any, clusters: Any | None = None) -> Rate:
    """Return the mean of 0/1 hits with Wilson's interval on n/DEFF."""
    values = np.asarray(hits, dtype=float)
    n = len(values)
    if not n:
        return Rate(None, None, None, 0)
    effective = n / (design_effect(values, clusters) if clusters is not None else 1.0)
    mean = float(values.mean())
    return Rate(mean, *wilson(min(mean * effective, effective), effective), n)


def sensitivity_specificity(truth: Any, called: Any, clusters: Any | None = None) -> tuple[Rate, Rate]:
    """Return (sensitivity, specificity) of 0/1 calls against 0/1 truth, each over its own class."""
    true, said = np.asarray(truth, dtype=bool), np.asarray(called, dtype=bool)
    names = None if clusters is None else np.asarray(clusters)
    return (
        rate(said[true], None if names is None else names[true]),
        rate(~said[~true], None if names is None else names[~true]),
    )


def kappa(
    a: Sequence[Hashable], b: Sequence[Hashable], weights: Literal["none", "quadratic"] = "none",
    order: Sequence[Hashable] | None = None,
) -> float:  # fmt: skip
    """Return Cohen's kappa (1960), or its quadratically weighted form (1968) for ordered ratings.

    Args:
        a, b: ratings of the same items in the same order.
        order: the ratings from low to high; default sorted.

    Returns:
        -1 to 1; NaN where chance alone agrees always, as scikit-learn's `cohen_kappa_score`.
    """
    levels = list(order) if order is not None else sorted({*a, *b}, key=lambda rating: (str(type(rating)), rating))
    place = {level: i for i, level in enumerate(levels)}
    codes = [np.asarray([place[rating] for rating in side], dtype=int) for side in (a, b)]
    return _kappa(codes[0], codes[1], len(levels), np.ones(len(a)), weights)


def _kappa(a: Array, b: Array, k: int, counts: Array, weights: str) -> float:
    return _kappa_of(np.bincount(a * k + b, counts, k * k).reshape(k, k), weights)


def _kappa_of(table: Array, weights: str) -> float:
    """Kappa of a table of counts, rows by one rater and columns by the other."""
    k = len(table)
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / max(table.sum(), 1e-300)
    places = np.arange(k)
    cost = (places[:, None] - places) ** 2 if weights == "quadratic" else (places[:, None] != places).astype(float)
    chance = float((cost * expected).sum())
    return 1.0 - float((cost * table).sum()) / chance if chance > 0 else math.nan


def kappa_interval(a: Sequence[Hashable], b: Sequence[Hashable], clusters: Any | None = None) -> Rate:
    """Return unweighted kappa with its percentile interval over a bootstrap of clusters (default: items)."""
    n = len(a)
    if not n:
        return Rate(None, None, None, 0)
    levels = sorted({*a, *b}, key=str)
    place = {level: i for i, level in enumerate(levels)}
    codes = [np.asarray([place[rating] for rating in side], dtype=int) for side in (a, b)]
    value = _kappa(codes[0], codes[1], len(levels), np.ones(n), "none")
    if math.isnan(value):
        return Rate(None, None, None, n)
    groups, k = cluster_codes(clusters if clusters is not None else np.arange(n))
    pairs = len(levels) ** 2
    # One table a cluster, so that a draw is a sum of tables and not of rows.
    tables = np.bincount(groups * pairs + codes[0] * len(levels) + codes[1], minlength=k * pairs).reshape(k, pairs)
    drawn = [
        _kappa_of(table.reshape(len(levels), -1).astype(float), "none")
        for chunk in cluster_weights(k, DRAWS, SEED)
        for table in chunk @ tables
    ]
    known = np.asarray([each for each in drawn if not math.isnan(each)])
    low, high = np.quantile(known, [0.025, 0.975]) if len(known) else (value, value)
    return Rate(value, float(low), float(high), n)


_DISTANCES: Mapping[str, Callable[[float, float], float]] = {
    "nominal": lambda a, b: float(a != b),
    "interval": lambda a, b: float((a - b) ** 2),
}


def alpha(ratings: Sequence[Sequence[Any]], level: Literal["nominal", "interval"] = "nominal") -> float:
    """Return Krippendorff's alpha (2004, ch. 11) of any number of raters, missing ratings allowed.

    Args:
        ratings: one sequence an item, one entry a rater; None is missing.
        level: "nominal" labels, or "interval" numbers.

    Returns:
        At most 1; NaN where fewer than two items have two ratings or all ratings are equal.
    """
    units = [[value for value in row if value is not None] for row in ratings]
    units = [unit for unit in units if len(unit) > 1]
    values = sorted({value for unit in units for value in unit}, key=str)
    if len(units) < 2 or len(values) < 2:
        return math.nan
    place = {value: i for i, value in enumerate(values)}
    together = np.zeros((len(values), len(values)))
    for unit in units:
        counts = np.bincount([place[value] for value in unit], minlength=len(values)).astype(float)
        together += (np.outer(counts, counts) - np.diag(counts)) / (len(unit) - 1)
    totals = together.sum(axis=1)
    distance = np.asarray([[_DISTANCES[level](a, b) for b in values] for a in values])
    expected = (np.outer(totals, totals) - np.diag(totals)) / (totals.sum() - 1)
    return 1.0 - float((together * distance).sum() / (expected * distance).sum())
