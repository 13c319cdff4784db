"""Seconds and memory that intervals over a million stored rows take, beside the same draws in plain numpy.

Budget: 2,000 draws of a million rows over 100,000 clusters under 5 s and 1 GiB, for one metric and for all those of one
kind; over 300,000 clusters for one metric. Beside each time stands how many times longer the shortest honest loop takes
for one metric (one draw of cluster numbers a pass, summed), so that a busy machine slows both alike.

    python benchmarks/scoring.py
"""

from __future__ import annotations

import resource
import sys
import time

import numpy as np

from raybench.interfaces import Array, MetricDef
from raybench.metrics.classification import Classification
from raybench.stats.draws import DRAWS
from raybench.stats.intervals import interval, intervals, reduced_intervals

ROWS, PLAIN_DRAWS, MEANS = 1_000_000, 40, 5
BUDGET_SECONDS, BUDGET_BYTES = 5.0, 2**30


def plain_seconds(hits: Array, clusters: Array) -> float:
    """Return the CPU seconds of a bootstrap without raybench, from a few of its draws."""
    rng = np.random.default_rng(1)
    _, codes = np.unique(clusters, return_inverse=True)
    sums, counts = np.bincount(codes, hits), np.bincount(codes)
    began = time.process_time()
    for _ in range(PLAIN_DRAWS):
        drawn = rng.integers(0, len(sums), len(sums))
        assert sums[drawn].sum() / counts[drawn].sum() >= 0
    return (time.process_time() - began) * DRAWS / PLAIN_DRAWS


def classified(rng: np.random.Generator) -> dict[str, Array]:
    """Return the statistics of a two-class task: what F1, MCC and the like are made of."""
    true, said = rng.random(ROWS) < 0.3, rng.random(ROWS) < 0.4
    columns = {
        "all": np.ones(ROWS, bool), "named": np.ones(ROWS, bool), "hit": true == said, "positive": true,
        "positive_predicted": said, "positive_right": true & said, "negative": ~true, "negative_right": ~true & ~said,
        "true:a": true, "true:b": ~true, "pred:a": said, "pred:b": ~said, "tp:a": true & said, "tp:b": ~true & ~said,
    }  # fmt: skip
    return {name: column.astype(float) for name, column in columns.items()}


def main() -> None:
    """Measure and print; exit code 1 over budget."""
    rng = np.random.default_rng(0)
    columns, ok = classified(rng), True
    rate = MetricDef("accuracy", over="all", hit="hit")
    counted = [metric for metric in Classification.metrics if metric.additive]
    means = [MetricDef(f"share {i}", over="all", hit=f"share {i}", binary=False) for i in range(MEANS)]
    columns |= {metric.name: rng.random(ROWS) for metric in means}
    for n_clusters, limit in ((100_000, BUDGET_SECONDS), (300_000, None)):
        clusters = rng.integers(0, n_clusters, ROWS)
        plain = plain_seconds(columns["hit"], clusters)
        cases = (
            ("0 or 1", BUDGET_SECONDS, lambda names: interval(rate, columns, names)),
            ("a share", BUDGET_SECONDS, lambda names: interval(means[0], columns, names)),
            (f"{MEANS} shares", limit, lambda names: intervals(means, columns, names)),
            (f"{len(counted)} of counts", limit, lambda names: reduced_intervals(counted, columns, names)),
        )
        for name, budget, measure in cases:
            began = time.process_time()
            measure(clusters)
            seconds = time.process_time() - began
            ok &= budget is None or seconds < budget
            print(
                f"{ROWS:,} rows, {n_clusters:,} clusters, {DRAWS:,} draws, {name}: {seconds:.1f} CPU s; "
                f"plain numpy {plain / seconds:.1f} times that for one"
            )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"peak memory {peak / 2**20:.0f} MiB")
    if not ok or peak > BUDGET_BYTES:
        sys.exit(f"over budget: {BUDGET_SECONDS:g} s, {BUDGET_BYTES / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
