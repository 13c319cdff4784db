"""How far a metric differs between groups of patients: the best group's value less the worst one's.

The gap between sexes, age bands, views or sites is a number of its own, with an
interval from the same cluster bootstrap: each draw recomputes the metric in every
group. It is never negative and grows with the number of groups and with noise, so a
small gap's interval lies above 0 even where groups do not differ: compare it
with that of a shuffled grouping (`shuffled`), not with 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from raybench.interfaces import Array, MetricDef, Statistics
from raybench.stats.draws import DRAWS, SEED
from raybench.stats.intervals import cluster_bootstrap

__all__ = ["GroupGap", "worst_group_gap"]


@dataclass(frozen=True)
class GroupGap:
    """The largest difference of a metric between two groups.

    Attributes:
        value, low, high: the gap and its interval, in the metric's own unit; None with fewer than two groups.
        best, worst: names of the groups with the best and the worst value ("" without a gap).
        values: group -> the metric's value there.
        counts: group -> rows in the metric's denominator.
        shuffled: the gap that the same rows give when group names are dealt out
            to clusters at random (median over 200 deals); None without a gap.
    """

    value: float | None
    low: float | None
    high: float | None
    best: str
    worst: str
    values: dict[str, float]
    counts: dict[str, int]
    shuffled: float | None


def worst_group_gap(
    metric: MetricDef, statistics: Statistics, groups: Any, clusters: Any, draws: int = DRAWS, seed: int = SEED
) -> GroupGap:
    """Return the gap of a metric between the values of one slice.

    Args:
        metric: any metric of a profile.
        statistics: columns of length n (rows).
        groups: (n,) the slice's value of each row; blank rows are in no group.
        clusters: (n,) names; rows of one name are drawn together.
        draws, seed: of the bootstrap.
    """
    names, marks = np.asarray(groups).astype(str), np.asarray(clusters)
    over = np.asarray(statistics[metric.over], dtype=float) > 0
    kept = [str(name) for name in np.unique(names[over & (names != "")])]
    masks = np.array([names == name for name in kept], dtype=float).reshape(len(kept), len(names))
    ones = np.ones((1, len(names)))
    values = {name: float(metric.values(statistics, ones * mask)[0]) for name, mask in zip(kept, masks, strict=True)}
    counts = {name: int((over & (names == name)).sum()) for name in kept}
    ranked = sorted(
        (name for name in kept if math.isfinite(values[name])), key=values.__getitem__, reverse=metric.higher_is_better
    )
    if len(ranked) < 2:
        return GroupGap(None, None, None, "", "", values, counts, None)

    def gap(columns: Statistics, weights: Array) -> Array:
        return _gap(metric, columns, weights, masks)

    low, high = cluster_bootstrap(gap, statistics, marks, draws, seed)
    value = abs(values[ranked[0]] - values[ranked[-1]])
    shuffled = _shuffled(metric, statistics, masks, marks, seed)
    return GroupGap(value, low, high, ranked[0], ranked[-1], values, counts, shuffled)


def _gap(metric: MetricDef, statistics: Statistics, weights: Array, masks: Array) -> Array:
    """Largest less smallest value over groups (b,); NaN where fewer than two are defined."""
    values = np.stack([metric.values(statistics, weights * mask) for mask in masks])
    defined = np.isfinite(values)
    spread = np.where(defined, values, -np.inf).max(axis=0) - np.where(defined, values, np.inf).min(axis=0)
    return np.where(defined.sum(axis=0) > 1, spread, np.nan)


def _shuffled(
    metric: MetricDef, statistics: Statistics, masks: Array, clusters: Array, seed: int, deals: int = 200
) -> float:
    """Median gap when each cluster's rows get the groups of another cluster's first row."""
    rng = np.random.default_rng(seed)
    _, first, codes = np.unique(clusters, return_index=True, return_inverse=True)
    ones = np.ones((1, len(clusters)))
    found = [
        float(_gap(metric, statistics, ones, masks[:, rng.permutation(first)[codes.reshape(-1)]])[0])
        for _ in range(deals)
    ]
    return float(np.nanmedian(found)) if np.isfinite(found).any() else math.nan
