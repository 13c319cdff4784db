"""Repeats and variants of one sample, averaged within it, so that each sample counts once in every score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from raybench.interfaces import Array, MetricDef, Statistics
from raybench.stats.intervals import Interval, intervals, reduced_intervals

__all__ = ["Samples"]


@dataclass(frozen=True)
class Samples:
    """Which rows are repeats (or variants) of one sample: averaged within it, so that each sample counts once."""

    first: Array
    inverse: Array

    @classmethod
    def of(cls, samples: Array) -> Samples:
        """Return the samples of rows, each named by a number (n,)."""
        _, first, inverse = np.unique(samples, return_index=True, return_inverse=True)
        return cls(first, inverse.reshape(-1))

    def mean(self, values: Array, over: Array) -> Array:
        """Mean of each sample's values that are in the denominator; 0 where none is."""
        k = len(self.first)
        sums, counts = np.bincount(self.inverse, values * over, k), np.bincount(self.inverse, over, k)
        return np.divide(sums, counts, out=np.zeros(k), where=counts > 0)

    def intervals(self, metrics: Sequence[MetricDef], columns: Statistics, clusters: Array) -> list[Interval]:
        """Return each metric's value and interval, each sample counting once; `clusters` has one name a row."""
        reduced = [metric for metric in metrics if metric.reduce is not None]
        shares = 1.0 / np.bincount(self.inverse)[self.inverse]
        found = dict(zip(reduced, reduced_intervals(reduced, columns, clusters, shares), strict=True))
        for metric, each in found.items():
            counted = np.unique(self.inverse[np.asarray(columns[metric.over], dtype=float) > 0])
            found[metric] = replace(each, n=len(counted))
        for over in dict.fromkeys(metric.over for metric in metrics if metric.reduce is None):
            alike = [metric for metric in metrics if metric.reduce is None and metric.over == over]
            found |= dict(zip(alike, self._intervals(alike, columns, clusters), strict=True))
        return [found[metric] for metric in metrics]

    def _intervals(self, metrics: Sequence[MetricDef], columns: Statistics, clusters: Array) -> list[Interval]:
        """Return the intervals of ratios over one denominator, which are drawn together."""
        over = np.asarray(columns[metrics[0].over])
        hits = {str(metric.hit): np.asarray(columns[str(metric.hit)]) for metric in metrics}
        if len(self.first) < len(self.inverse):
            hits = {name: self.mean(column, over) for name, column in hits.items()}
            over = self.mean((over > 0).astype(float), over)
            clusters = clusters[self.first]
        return intervals(metrics, {**hits, metrics[0].over: over}, clusters)
