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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy  # its parts load when they are first used

from raybench.interfaces import Array, MetricDef, Statistics
from raybench.stats.draws import (
    CELLS,
    DRAWS,
    SEED,
    alike,
    cluster_codes,
    cluster_weights,
    drawn_sums,
    grouped_weights,
    ratio_draws,
)

__all__ = [
    "FEW_CLUSTERS",
    "Interval",
    "bootstrap_values",
    "clopper_pearson",
    "cluster_bootstrap",
    "design_effect",
    "interval",
    "intervals",
    "reduced_intervals",
    "wilson",
]

#: Below this many clusters the percentile bootstrap is not trusted alone.
FEW_CLUSTERS = 30
#: Rows up to which metrics that gather rows get all draws, and the fewest they get beyond.
_ROWS_DRAWN_FULLY, _FEWEST_DRAWS = 20_000, 200

#: Draws at once of metrics that are made of sums.
_AT_ONCE = 250

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
    z = float(scipy.special.ndtri((1 + confidence) / 2))
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
    low = 0.0 if successes == 0 else float(scipy.special.betaincinv(successes, failures + 1, tail))
    high = 1.0 if failures == 0 else float(scipy.special.betaincinv(successes + 1, failures, 1 - tail))
    return low, high


def _check_counts(successes: float, n: float) -> None:
    if not 0 <= successes <= n:
        raise ValueError(f"successes must lie in 0..n, not {successes} of {n}")


def _reduced_draws(values: Values, statistics: Statistics, codes: Array, k: int, draws: int, seed: int) -> Array:
    size = max(1, CELLS // max(len(codes), 1))
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
    return ratio_draws([sums], counts, draws, seed)[0]


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
    return intervals([metric], statistics, clusters, confidence)[0]


def intervals(
    metrics: Sequence[MetricDef], statistics: Statistics, clusters: Any, confidence: float = 0.95
) -> list[Interval]:
    """Return the intervals of metrics that share their denominator, which see the same draws; see `interval`."""
    names, over = np.asarray(clusters), np.asarray(statistics[metrics[0].over], dtype=float)
    kept = over > 0
    names_kept = names[kept]
    codes, k = cluster_codes(names_kept)
    counts = (int(kept.sum()), k)
    if not counts[0]:
        return [Interval(None, None, None, 0, 0)] * len(metrics)
    over, one = over[kept], np.ones((1, counts[0]))
    found: dict[int, Interval] = {}
    drawn: dict[int, Array] = {}
    for i, metric in enumerate(metrics):
        assert metric.over == metrics[0].over
        if metric.hit is None or metric.reduce is not None:
            found[i] = _bootstrapped(metric, statistics, names, counts, confidence)
            continue
        hits = np.asarray(statistics[metric.hit], dtype=float)[kept]
        if _is_rate(metric, hits, over) and (
            counts[1] < FEW_CLUSTERS or counts[0] == counts[1] or hits.min() == hits.max()
        ):
            low, high = _effective_wilson(hits, names_kept, confidence)
            found[i] = Interval(float(hits.mean()), low, high, *counts)
        else:
            drawn[i] = hits
    sums = [np.bincount(codes, hits * over, minlength=k) for hits in drawn.values()]
    draws = ratio_draws(sums, np.bincount(codes, over, minlength=k)) if sums else []
    for (i, hits), values in zip(drawn.items(), draws, strict=True):
        value = float(metrics[i].values({metrics[i].over: over, str(metrics[i].hit): hits}, one)[0])
        found[i] = _summary(metrics[i], value, values, names_kept, counts, confidence)
    return [found[i] for i in range(len(metrics))]


def _is_rate(metric: MetricDef, hits: Array, over: Array) -> bool:
    return metric.binary and bool(np.isin(hits, (0, 1)).all()) and bool((over == 1).all())


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
    noted = _Noted(statistics)
    values = [
        float(metric.values(noted if metric.additive else statistics, shares[None])[0]) if len(codes) else math.nan
        for metric in metrics
    ]
    known = [metric for metric, value in zip(metrics, values, strict=True) if math.isfinite(value)]
    drawn = _gathered_draws([metric for metric in known if not metric.additive], statistics, codes, k, shares)
    summed = [metric for metric in known if metric.additive]
    try:
        drawn |= _summed_draws(summed, noted.read(), codes, k, shares)
    except KeyError:  # a metric that reads other columns under other weights
        drawn |= _summed_draws(summed, statistics, codes, k, shares)
    found = []
    for metric, value in zip(metrics, values, strict=True):
        kept = np.asarray(statistics[metric.over], dtype=float) > 0
        counts = (int(kept.sum()), int(np.count_nonzero(np.bincount(codes[kept], minlength=k))))
        draws = np.concatenate(drawn.get(metric.name) or [np.zeros(0)])
        value = value if counts[0] else math.nan
        found.append(_summary(metric, value, draws, names, counts, 0.95))
    return found


class _Noted(Mapping[str, Array]):
    """Columns that remember which of them were read: clusters are alike in those, whatever the others hold."""

    def __init__(self, columns: Statistics) -> None:
        self._columns = columns
        self._names: set[str] = set()

    def __getitem__(self, name: str) -> Array:
        self._names.add(name)
        return self._columns[name]

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def read(self) -> Statistics:
        """Return the columns read so far, in their order."""
        return {name: column for name, column in self._columns.items() if name in self._names}


def _summed_draws(
    metrics: Sequence[MetricDef], statistics: Statistics, codes: Array, k: int, shares: Array
) -> dict[str, list[Array]]:
    """Additive metric -> its values under the draws of clusters, in chunks."""
    drawn: dict[str, list[Array]] = {metric.name: [] for metric in metrics}
    if not metrics:
        return drawn
    plain = {name: column for name, column in statistics.items() if column.dtype != object}
    sums = {name: np.bincount(codes, column * shares, minlength=k) for name, column in plain.items()}
    kinds = alike(sums, k)
    if kinds is not None:
        for counts in grouped_weights(kinds[1]):
            for metric in metrics:
                drawn[metric.name].append(metric.values(kinds[0], counts.astype(float)))
        return drawn
    table = drawn_sums(np.stack(list(sums.values())))
    for start in range(0, DRAWS, _AT_ONCE):
        # Each draw's sums stand for one row: all that an additive metric can see.
        rows = dict(zip(sums, table[:, start : start + _AT_ONCE], strict=True))
        one = np.eye(min(_AT_ONCE, DRAWS - start))
        for metric in metrics:
            drawn[metric.name].append(metric.values(rows, one))
    return drawn


def _gathered_draws(
    metrics: Sequence[MetricDef], statistics: Statistics, codes: Array, k: int, shares: Array
) -> dict[str, list[Array]]:
    """Metric that is not additive -> its values under the first draws of clusters, in chunks."""
    drawn: dict[str, list[Array]] = {metric.name: [] for metric in metrics}
    left = min(DRAWS, max(_FEWEST_DRAWS, DRAWS * _ROWS_DRAWN_FULLY // max(len(codes), 1)))
    size = max(1, CELLS // max(len(codes), 1))
    for counts in cluster_weights(k) if metrics else ():
        taken = min(left, len(counts))
        for start in range(0, taken, size):
            weights = counts[start : min(start + size, taken), codes] * shares
            for metric in metrics:
                drawn[metric.name].append(np.asarray(metric.values(statistics, weights), dtype=float))
        left -= taken
        if left <= 0:
            break
    return drawn


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
