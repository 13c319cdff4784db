"""Confidence intervals for one score: Wilson, Clopper-Pearson, the cluster bootstrap, and which one applies.

`interval` is the house policy. Hits that are 0 or 1 with one row a cluster get
Wilson's interval; anything else is bootstrapped over clusters; under 30
clusters a binary rate gets Wilson on n/DEFF and every other metric keeps its
bootstrap with the flag "few clusters". Draws depend only on the data and `SEED`,
never on row order or on chunking.

>>> low, high = wilson(3, 25)
>>> round(low, 3), round(high, 3)
(0.042, 0.3)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from raybench.interfaces import Array, MetricDef, Statistics

__all__ = [
    "DRAWS",
    "FEW_CLUSTERS",
    "SEED",
    "Interval",
    "bootstrap_values",
    "clopper_pearson",
    "cluster_bootstrap",
    "cluster_codes",
    "cluster_weights",
    "design_effect",
    "interval",
    "reduced_intervals",
    "wilson",
]

#: Bootstrap draws and seed of every published interval.
DRAWS = 2000
SEED = 0
#: Below this many clusters the percentile bootstrap is not trusted alone.
FEW_CLUSTERS = 30
#: Rows up to which metrics that gather rows get all draws, and the fewest they get beyond.
_ROWS_DRAWN_FULLY, _FEWEST_DRAWS = 20_000, 200
#: Cells (draws x columns) held at once: 2**21 counts of 8 bytes are 16 MiB, and up to 4 such arrays live together.
_CELLS = 2**21
#: Above this many clusters draws are counted one by one: a draw's counts then fit a cache, a chunk's do not.
_CACHED = 2**12

_RANGES = {"fraction": (0.0, 1.0), "coefficient": (-1.0, 1.0)}

Values = Callable[[Statistics, Array], Array]


@dataclass(frozen=True)
class Interval:
    """A value with its interval.

    Attributes:
        value, low, high: in the metric's own unit; None where nothing is in the denominator.
        n: rows in the metric's denominator.
        n_clusters: clusters that those rows come from.
        flags: what a reader should know: "few clusters" (a bootstrap over fewer than 30),
            "no spread" (no draw differed, so Wilson's interval stands in),
            "undefined draws" (over 5 % of the draws had an empty denominator and are left out).
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    n_clusters: int
    flags: tuple[str, ...] = ()


def wilson(successes: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval (JASA 1927) without continuity correction.

    Args:
        successes, n: counts; both may be fractional (an effective sample size). n = 0 gives (0, 1).
    """
    _check_counts(successes, n)
    if n == 0:
        return 0.0, 1.0
    z = float(special.ndtri((1 + confidence) / 2))
    p = successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return low, high


def clopper_pearson(successes: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Return the "exact" interval (Biometrika 1934): never under its confidence, often over it."""
    _check_counts(successes, n)
    tail = (1 - confidence) / 2
    failures = n - successes
    low = 0.0 if successes == 0 else float(special.betaincinv(successes, failures + 1, tail))
    high = 1.0 if failures == 0 else float(special.betaincinv(successes + 1, failures, 1 - tail))
    return low, high


def _check_counts(successes: float, n: float) -> None:
    if not 0 <= successes <= n:
        raise ValueError(f"successes must lie in 0..n, not {successes} of {n}")


def cluster_codes(clusters: Any) -> tuple[Array, int]:
    """Return (codes (n,) in 0..k-1 by sorted name, k); rows of one name share a code."""
    names, codes = np.unique(np.asarray(clusters), return_inverse=True)
    return codes.reshape(-1), len(names)


def cluster_weights(n_clusters: int, draws: int = DRAWS, seed: int = SEED) -> Iterator[Array]:
    """Yield (b, n_clusters) int64 counts of clusters drawn with replacement, `draws` rows in all.

    Each row sums to n_clusters (a multinomial draw). A chunk is at most 16 MiB
    (one row where that alone is more); the numbers do not depend on the chunking.
    """
    rng = np.random.default_rng(seed)
    size = max(1, _CELLS // max(n_clusters, 1))
    for start in range(0, draws, size):
        b = min(size, draws - start)
        if n_clusters > _CACHED:
            one_by_one = (rng.integers(0, n_clusters, n_clusters) for _ in range(b))
            yield np.stack([np.bincount(picks, minlength=n_clusters) for picks in one_by_one])
            continue
        picks = rng.integers(0, n_clusters, size=(b, n_clusters))
        picks += np.arange(b)[:, None] * n_clusters
        yield np.bincount(picks.ravel(), minlength=b * n_clusters).reshape(b, n_clusters)


def _ratio_draws(hits: Array, over: Array, draws: int, seed: int) -> Array:
    """Bootstrap sum(hits)/sum(over) over clusters, given each cluster's sums.

    Clusters with equal sums are interchangeable, so the counts of the distinct
    pairs are drawn: the same distribution at a cost that does not grow with n.
    """
    pairs, copies = np.unique(np.column_stack([hits, over]), axis=0, return_counts=True)
    if len(pairs) * 4 <= len(hits):
        chunks = _grouped_weights(copies, draws, seed)
    else:
        pairs, chunks = np.column_stack([hits, over]), cluster_weights(len(hits), draws, seed)
    with np.errstate(invalid="ignore", divide="ignore"):
        floats = (counts.astype(float) for counts in chunks)
        return np.concatenate([(w @ pairs[:, 0]) / (w @ pairs[:, 1]) for w in floats])


def _grouped_weights(copies: Array, draws: int, seed: int) -> Iterator[Array]:
    rng = np.random.default_rng(seed)
    total = int(copies.sum())
    size = max(1, _CELLS // len(copies))
    for start in range(0, draws, size):
        yield rng.multinomial(total, copies / total, size=min(size, draws - start))


def _reduced_draws(values: Values, statistics: Statistics, codes: Array, k: int, draws: int, seed: int) -> Array:
    size = max(1, _CELLS // max(len(codes), 1))
    parts: list[Array] = []
    for counts in cluster_weights(k, draws, seed):
        for start in range(0, len(counts), size):
            weights = counts[start : start + size].astype(float)[:, codes]
            parts.append(np.asarray(values(statistics, weights), dtype=float))
    return np.concatenate(parts)


def bootstrap_values(
    metric: MetricDef | Values, statistics: Statistics, clusters: Any, draws: int = DRAWS, seed: int = SEED
) -> Array:
    """Return (draws,) values of a metric under clusters drawn with replacement; NaN where undefined.

    Args:
        metric: a `MetricDef`, or a callable (statistics, weights (b, n)) -> (b,).
        statistics: columns whose first axis is rows (n).
        clusters: (n,) names; rows of one name are drawn together.
    """
    codes, k = cluster_codes(clusters)
    if not isinstance(metric, MetricDef):
        return _reduced_draws(metric, statistics, codes, k, draws, seed)
    if metric.hit is None or metric.reduce is not None:
        return _reduced_draws(metric.values, statistics, codes, k, draws, seed)
    over = np.asarray(statistics[metric.over], dtype=float)
    hits = np.asarray(statistics[metric.hit], dtype=float) * over
    sums, counts = np.bincount(codes, hits, minlength=k), np.bincount(codes, over, minlength=k)
    return _ratio_draws(sums, counts, draws, seed)


def cluster_bootstrap(
    metric: MetricDef | Values,
    statistics: Statistics,
    clusters: Any,
    draws: int = DRAWS,
    seed: int = SEED,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """Return the percentile interval of `bootstrap_values` (Davison & Hinkley 1997, 3.8 and 5.3); NaN if undefined."""
    return _percentiles(bootstrap_values(metric, statistics, clusters, draws, seed), confidence)


def _percentiles(values: Array, confidence: float) -> tuple[float, float]:
    defined = values[np.isfinite(values)]
    if not len(defined):
        return math.nan, math.nan
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def design_effect(hits: Any, clusters: Any) -> float:
    """Return how much clustering inflates the variance of a mean (Kish 1965, Survey Sampling, 8.2), at least 1.

    Numerator: the linearised cluster variance sum_g(sum_i(y_gi - mean))^2 / n^2
    x G/(G-1) (Miller 2024, arXiv 2411.00640, eq. 4, with the finite-sample factor).
    Denominator: the variance of n independent rows, s^2/n. One row a cluster gives exactly 1.
    Where hits do not vary or there is one cluster nothing can be estimated, and the
    worst case stands: whole clusters agree, DEFF = sum_g m_g^2 / n.

    Args:
        hits: (n,) numbers. clusters: (n,) names.
    """
    y = np.asarray(hits, dtype=float)
    codes, k = cluster_codes(clusters)
    n = len(y)
    if n == 0:
        return 1.0
    sizes = np.bincount(codes, minlength=k)
    residuals = y - y.mean()
    naive = float(residuals @ residuals) / n / max(n - 1, 1)
    if k == 1 or naive < 1e-18:
        return float(sizes @ sizes) / n
    sums = np.bincount(codes, residuals, minlength=k)
    return max(1.0, float(sums @ sums) / n**2 * k / (k - 1) / naive)


def interval(metric: MetricDef, statistics: Statistics, clusters: Any, confidence: float = 0.95) -> Interval:
    """Return a metric's value and interval by the house policy (design.md section 3).

    Args:
        statistics: columns of length n (rows).
        clusters: (n,) names (strings or integers).
    """
    over = np.asarray(statistics[metric.over], dtype=float)
    names = np.asarray(clusters)
    kept = over > 0
    n, n_clusters = int(kept.sum()), len(np.unique(names[kept]))
    if n == 0:
        return Interval(None, None, None, 0, 0)
    if metric.reduce is not None:
        return _bootstrapped(metric, statistics, names, (n, n_clusters), confidence)
    assert metric.hit is not None
    hits = np.asarray(statistics[metric.hit], dtype=float)[kept]
    if metric.binary and np.isin(hits, (0, 1)).all() and (over[kept] == 1).all():
        few = n_clusters < FEW_CLUSTERS or n_clusters == n
        if few or hits.min() == hits.max():
            low, high = _effective_wilson(hits, names[kept], confidence)
            return Interval(float(hits.mean()), low, high, n, n_clusters)
    columns = {metric.over: over[kept], metric.hit: hits}
    return _bootstrapped(metric, columns, names[kept], (n, n_clusters), confidence)


def _effective_wilson(hits: Array, names: Array, confidence: float) -> tuple[float, float]:
    effective = len(hits) / design_effect(hits, names)
    return wilson(min(float(hits.mean()) * effective, effective), effective, confidence)


def _bootstrapped(
    metric: MetricDef, statistics: Statistics, names: Array, counts: tuple[int, int], confidence: float
) -> Interval:
    value = float(metric.values(statistics, np.ones((1, len(names))))[0])
    draws = bootstrap_values(metric, statistics, names) if math.isfinite(value) else np.zeros(0)
    return _summary(metric, value, draws, names, counts, confidence)


def _summary(
    metric: MetricDef, value: float, draws: Array, names: Array, counts: tuple[int, int], confidence: float
) -> Interval:
    if not math.isfinite(value):
        return Interval(None, None, None, *counts)
    low, high = _percentiles(draws, confidence)
    flags: tuple[str, ...] = ("few clusters",) if counts[1] < FEW_CLUSTERS else ()
    if np.mean(~np.isfinite(draws)) > 0.05:
        flags += ("undefined draws",)
    if not high - low > 1e-12:
        low, high = _without_spread(value, names, metric.unit, confidence)
        flags += ("no spread",)
    return Interval(value, low, high, *counts, flags)


def reduced_intervals(
    metrics: Sequence[MetricDef], statistics: Statistics, clusters: Any, shares: Array | None = None
) -> list[Interval]:
    """Return the intervals of metrics that are no mean of rows; all of them see the same draws.

    Additive metrics are drawn over cluster sums, so that a million rows cost no more
    than their clusters. The others gather rows for each draw: over 20,000 rows they get
    fewer draws, 200 at least.

    Args:
        statistics: columns of length n (rows), lists of numbers among them.
        clusters: (n,) names.
        shares: (n,) weight of each row within its sample; default 1.
    """
    names = np.asarray(clusters)
    codes, k = cluster_codes(names)
    shares = np.ones(len(codes)) if shares is None else shares
    values = [float(metric.values(statistics, shares[None])[0]) if len(codes) else math.nan for metric in metrics]
    known = [metric for metric, value in zip(metrics, values, strict=True) if math.isfinite(value)]
    drawn = _shared_draws(known, statistics, codes, k, shares)
    found = []
    for metric, value in zip(metrics, values, strict=True):
        kept = np.asarray(statistics[metric.over], dtype=float) > 0
        counts = (int(kept.sum()), len(np.unique(codes[kept])))
        draws = np.concatenate(drawn.get(metric.name) or [np.zeros(0)])
        value = value if counts[0] else math.nan
        found.append(_summary(metric, value, draws, names, counts, 0.95))
    return found


def _shared_draws(
    metrics: Sequence[MetricDef], statistics: Statistics, codes: Array, k: int, shares: Array
) -> dict[str, list[Array]]:
    """Metric -> its values under the draws of clusters, in chunks."""
    summed, gathered = ([metric for metric in metrics if metric.additive is additive] for additive in (True, False))
    plain = {name: column for name, column in statistics.items() if column.dtype != object} if summed else {}
    sums = {name: np.bincount(codes, column * shares, minlength=k) for name, column in plain.items()}
    drawn: dict[str, list[Array]] = {metric.name: [] for metric in metrics}
    left = min(DRAWS, max(_FEWEST_DRAWS, DRAWS * _ROWS_DRAWN_FULLY // max(len(codes), 1))) if gathered else 0
    alike = _alike(sums, k) if summed else None
    if alike is not None:
        for counts in _grouped_weights(alike[1], DRAWS, SEED):
            for metric in summed:
                drawn[metric.name].append(metric.values(alike[0], counts.astype(float)))
        summed = []
    size = max(1, _CELLS // max(len(codes), 1))
    for counts in cluster_weights(k):
        if not summed and left <= 0:
            break
        for metric in summed:
            drawn[metric.name].append(metric.values(sums, counts.astype(float)))
        taken = min(left, len(counts))
        for start in range(0, taken, size):
            weights = counts[start : min(start + size, taken), codes] * shares
            for metric in gathered:
                drawn[metric.name].append(np.asarray(metric.values(statistics, weights), dtype=float))
        left -= taken
    return drawn


def _alike(sums: Statistics, k: int) -> tuple[dict[str, Array], Array] | None:
    """Return (the sums of each different cluster, how many clusters have them); None where few are alike.

    Clusters with equal sums are interchangeable, as in `_ratio_draws`; many clusters only, since it takes a sort.
    """
    table = np.column_stack(list(sums.values())) if sums and k > _CACHED else np.zeros((0, 0))
    if not table.size or len(np.unique(table[:_CACHED], axis=0)) * 4 > 3 * _CACHED:
        return None
    rows = (table + 0.0).view(np.dtype((np.void, table.itemsize * table.shape[1]))).ravel()  # + 0.0: no negative zeros
    _, first, copies = np.unique(rows, return_index=True, return_counts=True)
    return ({name: column[first] for name, column in sums.items()}, copies) if len(first) * 4 <= k else None


def _without_spread(value: float, names: Array, unit: str, confidence: float) -> tuple[float, float]:
    """Return Wilson's interval where no bootstrap draw differed: 100 % of n rows is never certainty.

    The value is read as a proportion of its range over n/DEFF rows, with whole
    clusters taken to agree. It is exact for rates and an approximation for others.
    """
    bottom, top = _RANGES.get(unit, (math.nan, math.nan))
    if not bottom <= value <= top:
        return value, value
    effective = len(names) / design_effect(np.zeros(len(names)), names)
    share = (value - bottom) / (top - bottom)
    low, high = wilson(share * effective, effective, confidence)
    return bottom + low * (top - bottom), bottom + high * (top - bottom)
