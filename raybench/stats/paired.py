"""Two models on the same items: the difference, its interval, its p value, and what n can show at all.

The difference is bootstrapped over clusters with both models' rows drawn
together. Its p value is McNemar's exact test where rows are independent and
hits are 0 or 1, else a sign-flip permutation of the clusters' difference sums.

>>> round(mcnemar_exact(1, 4), 3)
0.375
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy  # its parts load when they are first used

from raybench.interfaces import Array, MetricDef, Statistics
from raybench.stats.draws import CELLS, DRAWS, SEED, cluster_codes, cluster_weights, distinct_rows, grouped_weights
from raybench.stats.intervals import FEW_CLUSTERS, cluster_bootstrap, design_effect, wilson

__all__ = [
    "PairedDifference",
    "holm",
    "mcnemar_exact",
    "mde",
    "metric_test",
    "null_bounds",
    "paired_difference",
    "paired_metric",
    "paired_test",
    "sign_flip",
]

#: Sign flips drawn where there are too many clusters to try every one.
FLIPS = 20_000
#: Up to this many clusters with a difference, all 2**k sign patterns are tried.
_EXACT = 16

_MEAN = MetricDef("difference", over="one", hit="difference", binary=False)


@dataclass(frozen=True)
class PairedDifference:
    """Model A less model B on the same rows.

    Attributes:
        value, low, high: difference of means and its interval; None without rows.
        p: two-sided p value; None without rows.
        test: "mcnemar_exact", "sign_flip" or "permutation".
        only_a, only_b: rows on which A is above B, and B above A; None where a metric has no value of a row's own.
        flags: "few clusters" (a bootstrap over fewer than 30), "no spread" (no draw differed).
    """

    value: float | None
    low: float | None
    high: float | None
    p: float | None
    test: str
    n: int
    n_clusters: int
    only_a: int | None
    only_b: int | None
    flags: tuple[str, ...] = ()


def mcnemar_exact(b: int, c: int) -> float:
    """Return the two-sided exact McNemar p value of b and c discordant pairs (binomial, one half)."""
    if b < 0 or c < 0:
        raise ValueError(f"discordant counts must not be negative: {b}, {c}")
    return min(1.0, 2 * float(scipy.special.bdtr(min(b, c), b + c, 0.5)))


def sign_flip(sums: Any, draws: int = FLIPS, seed: int = SEED) -> float:
    """Return the two-sided p value that paired differences centre on 0.

    Under the null each cluster's difference sum is as likely with the other
    sign. All patterns are tried for up to 16 clusters with a difference; else
    p = (1 + extreme)/(1 + draws) (Phipson & Smyth 2010).

    Args:
        sums: (k,) difference sums, one a cluster.
    """
    values = np.abs(np.asarray(sums, dtype=float))
    values = values[values > 0]
    observed = abs(float(np.sum(sums))) * (1 - 1e-9)
    if not len(values):
        return 1.0
    if len(values) <= _EXACT:
        signs = 1 - 2 * (np.arange(2 ** len(values))[:, None] >> np.arange(len(values)) & 1)
        return float(np.mean(np.abs(signs @ values) >= observed))
    sizes, copies = np.unique(values, return_counts=True)
    rng = np.random.default_rng(seed)
    extreme, chunk = 0, max(1, CELLS // len(sizes))
    for start in range(0, draws, chunk):
        plus = rng.binomial(copies, 0.5, size=(min(chunk, draws - start), len(sizes)))
        extreme += int(np.count_nonzero(np.abs((2 * plus - copies) @ sizes) >= observed))
    return (1 + extreme) / (1 + draws)


def paired_difference(
    hits_a: Any, hits_b: Any, clusters: Any, draws: int = DRAWS, seed: int = SEED, confidence: float = 0.95
) -> PairedDifference:
    """Return mean(hits_a) - mean(hits_b) with its paired cluster-bootstrap interval and p value.

    Args:
        hits_a, hits_b: (n,) numbers of the same rows in the same order.
        clusters: (n,) names.
    """
    a, b = np.asarray(hits_a, dtype=float), np.asarray(hits_b, dtype=float)
    if not len(a) == len(b) == len(clusters):
        raise ValueError(f"{len(a)} and {len(b)} hits with {len(clusters)} clusters: these must be the same rows")
    codes, k = cluster_codes(clusters)
    n, difference = len(a), a - b
    only_a, only_b = int(np.sum(difference > 0)), int(np.sum(difference < 0))
    if n == 0:
        return PairedDifference(None, None, None, None, "mcnemar_exact", 0, 0, 0, 0)
    test, p = _tested(a, b, codes, k, seed)
    low, high, flags = _difference_interval(difference, codes, k, draws, seed, confidence)
    return PairedDifference(float(difference.mean()), low, high, p, test, n, k, only_a, only_b, flags)


def paired_test(hits_a: Any, hits_b: Any, clusters: Any) -> tuple[float | None, float | None]:
    """Return value and p of `paired_difference`, which costs less than the interval; (None, None) without rows."""
    a, b = np.asarray(hits_a, dtype=float), np.asarray(hits_b, dtype=float)
    if not len(a):
        return None, None
    codes, k = cluster_codes(clusters)
    return float((a - b).mean()), _tested(a, b, codes, k, SEED)[1]


def _tested(a: Array, b: Array, codes: Array, k: int, seed: int) -> tuple[str, float]:
    """Return the name of the test that fits the rows, and its p value."""
    difference = a - b
    if k == len(a) and bool(np.isin(np.concatenate([a, b]), (0, 1)).all()):
        return "mcnemar_exact", mcnemar_exact(int(np.sum(difference > 0)), int(np.sum(difference < 0)))
    return "sign_flip", sign_flip(np.bincount(codes, difference, minlength=k), seed=seed)


def paired_metric(
    metric: MetricDef, statistics: Statistics, sides: Array, clusters: Any, shares: Array
) -> tuple[PairedDifference, tuple[float | None, float | None]]:
    """Compare two models on a metric that is no mean of rows, such as F1 or average precision.

    The interval bootstraps clusters with both models' rows drawn together. The p
    value permutes: under the null each cluster's rows are as likely the other
    model's, p = (1 + extreme)/(1 + draws).

    Args:
        statistics: columns over the rows of A and of B. sides: (n,) 0 for A, 1 for B.
        clusters: (n,) names. shares: (n,) weight of each row within its sample.

    Returns:
        The difference (`only_a` and `only_b` are None), and the two values.
    """
    n = round(float(shares[sides == 0].sum()))
    codes, k = cluster_codes(clusters)
    both = _Both.of(metric, statistics, sides, codes, shares)
    values = both.values(metric) if n else (math.nan, math.nan)
    if not n:
        return PairedDifference(None, None, None, None, "permutation", 0, 0, None, None), (None, None)
    if not all(map(math.isfinite, values)):
        return PairedDifference(None, None, None, None, "permutation", n, k, None, None), (None, None)
    found = np.concatenate(list(both.drawn(metric)))
    found = found[np.isfinite(found)]
    low, high = np.quantile(found, [0.025, 0.975]) if len(found) else (math.nan, math.nan)
    flags = ("few clusters",) if k < FEW_CLUSTERS else ()
    p = both.p(metric, values[0] - values[1])
    value, place = values[0] - values[1], (float(low), float(high))
    return PairedDifference(value, *place, p, "permutation", n, k, None, None, flags), values


def metric_test(
    metric: MetricDef, statistics: Statistics, sides: Array, clusters: Any, shares: Array
) -> tuple[float | None, float | None]:
    """Return the difference and p of `paired_metric`, which costs less than the interval; (None, None) if undefined."""
    if not len(sides):
        return None, None
    both = _Both.of(metric, statistics, sides, cluster_codes(clusters)[0], shares)
    values = both.values(metric)
    if not all(map(math.isfinite, values)):
        return None, None
    return values[0] - values[1], both.p(metric, values[0] - values[1])


@dataclass(frozen=True)
class _Both:
    """Two models' rows (of an additive metric: their cluster sums), drawn and swapped by cluster.

    Attributes:
        statistics: columns over the rows of both. sides: 0 for A, 1 for B. shares: weight of each row.
        codes: (n,) cluster of each row. copies: how many clusters each code stands for.
    """

    statistics: Statistics
    sides: Array
    codes: Array
    shares: Array
    copies: Array

    @classmethod
    def of(cls, metric: MetricDef, statistics: Statistics, sides: Array, codes: Array, shares: Array) -> _Both:
        """Sum additive metrics over clusters; clusters with equal sums on both sides are one, with copies."""
        k = int(codes.max()) + 1 if len(codes) else 0
        if not metric.additive or not k:
            return cls(statistics, sides, codes, shares, np.ones(k, dtype=int))
        plain = {name: column for name, column in statistics.items() if column.dtype != object}
        sums = {name: np.bincount(codes + k * sides, column * shares, 2 * k) for name, column in plain.items()}
        halves = [half for column in sums.values() for half in (column[:k], column[k:])]
        first, copies = distinct_rows(np.column_stack(halves))
        if len(first) * 4 > k:  # few alike: every cluster stands for itself
            first, copies = np.arange(k), np.ones(k, dtype=int)
        kept = np.concatenate([first, first + k])
        places = np.tile(np.arange(len(first)), 2)
        columns = {name: column[kept] for name, column in sums.items()}
        return cls(columns, np.repeat([0, 1], len(first)), places, np.ones(len(kept)), copies)

    def values(self, metric: MetricDef) -> tuple[float, float]:
        """Return the metric of A and of B."""
        weights = self.shares * self.copies[self.codes]
        own = (weights * (self.sides == side) for side in (0, 1))
        a, b = (float(metric.values(self.statistics, each[None])[0]) for each in own)
        return a, b

    def drawn(self, metric: MetricDef) -> Iterator[Array]:
        """Yield differences under clusters drawn with replacement, both models' rows together."""
        size = max(1, CELLS // len(self.codes))
        alike = len(self.copies) < self.copies.sum()
        for counts in grouped_weights(self.copies) if alike else cluster_weights(len(self.copies)):
            for start in range(0, len(counts), size):
                weights = counts[start : start + size, self.codes] * self.shares
                yield self._differences(metric, weights * (self.sides == 0), weights * (self.sides == 1))

    def p(self, metric: MetricDef, observed: float) -> float:
        """Return the permutation p value: under the null a cluster's rows are as likely the other model's."""
        rng, size = np.random.default_rng(SEED), max(1, CELLS // len(self.codes))
        extreme = defined = 0
        for start in range(0, DRAWS, size):
            shape = (min(size, DRAWS - start), len(self.copies))
            swapped = rng.binomial(self.copies, 0.5, shape) if self.copies.max() > 1 else rng.integers(0, 2, shape)
            moved, stayed = swapped[:, self.codes], (self.copies - swapped)[:, self.codes]
            a, b = np.where(self.sides == 0, stayed, moved), np.where(self.sides == 0, moved, stayed)
            null = self._differences(metric, a * self.shares, b * self.shares)
            null = null[np.isfinite(null)]
            extreme += int(np.count_nonzero(np.abs(null) >= abs(observed) * (1 - 1e-9)))
            defined += len(null)
        return (1 + extreme) / (1 + defined)

    def _differences(self, metric: MetricDef, a: Array, b: Array) -> Array:
        return metric.values(self.statistics, a) - metric.values(self.statistics, b)


def _difference_interval(
    difference: Array, codes: Array, k: int, draws: int, seed: int, confidence: float
) -> tuple[float, float, tuple[str, ...]]:
    columns = {"one": np.ones(len(difference)), "difference": difference}
    low, high = cluster_bootstrap(_MEAN, columns, codes, draws, seed, confidence)
    flags = ("few clusters",) if k < FEW_CLUSTERS else ()
    if high - low > 1e-12:
        return low, high, flags
    # Rows that all agree leave room for the flips that n rows could have missed (Wilson at 0 of n/DEFF).
    effective = len(difference) / design_effect(difference, codes)
    missed = wilson(0, effective, confidence)[1]
    return max(-1.0, low - missed), min(1.0, high + missed), (*flags, "no spread")


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's step-down adjusted p values (Scand. J. Statist. 1979), in the order given."""
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return [float(value) for value in adjusted]


def mde(n: float, discordance: float, deff: float = 1.0, power: float = 0.8, alpha: float = 0.05) -> float:
    """Return the smallest paired difference of two accuracies that n items are likely to show.

    (z[1-alpha/2] + z[power]) x sqrt(discordance x deff / n), the normal approximation to McNemar's test.

    Args:
        n: items. discordance: share of items on which the two differ (0-1). deff: design effect.
    """
    if n <= 0:
        return math.inf
    z = float(scipy.special.ndtri(1 - alpha / 2) + scipy.special.ndtri(power))
    return z * math.sqrt(discordance * deff / n)


def null_bounds(correct: float, judged: float, null: float) -> tuple[float | None, float | None]:
    """Return the accuracy if every null verdict were wrong, and if every one were right.

    Args:
        correct, judged: hits and denominator of the verdicts there are. null: items without a verdict.
    """
    total = judged + null
    return (correct / total, (correct + null) / total) if total else (None, None)
