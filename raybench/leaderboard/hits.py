"""Two models' graded rows on the samples they share, joined by sample, never by order."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb
import numpy as np

from raybench.interfaces import Array, MetricDef
from raybench.schema import CELL, Row
from raybench.scoring.columns import scored_name, stacked
from raybench.stats.paired import PairedDifference, paired_difference, paired_metric
from raybench.store import stream

__all__ = ["Graded", "Paired", "graded", "paired"]


@dataclass(frozen=True)
class Graded:
    """One cell under one profile: what is scored (a sample, or a turn of it) -> the statistics of each repeat."""

    statistics: dict[str, list[Row]]
    rows: dict[str, Row]


@dataclass(frozen=True)
class Paired:
    """Two cells on one metric.

    Attributes:
        samples: those that both were graded on, by name.
        value_a, value_b: the metric on them; None without samples.
        hits_a, hits_b: mean hit of each sample; None for a metric that is no ratio.
        left_out: samples that only one of the two has in the metric's denominator, or under another label.
    """

    samples: list[str]
    value_a: float | None
    value_b: float | None
    difference: PairedDifference
    hits_a: Array | None
    hits_b: Array | None
    left_out: int


def graded(connection: duckdb.DuckDBPyConnection, cell: Mapping[str, str], profile: str) -> Graded:
    """Return a cell's rows that are not failed, with their statistics under a profile."""
    where = " AND ".join(f"{name} = ?" for name in CELL)
    columns = "sample, turn, sample_hash, cluster, statistics, text, target, question"
    sql = f"SELECT {columns} FROM records WHERE {where} AND outcome <> 'failed' ORDER BY ALL"
    found = Graded({}, {})
    for row in stream(connection, sql, [cell[name] for name in CELL]):
        name, statistics = scored_name(row), json.loads(row.pop("statistics"))
        found.statistics.setdefault(name, []).append(statistics.get(profile, {}))
        found.rows[name] = row
    return found


def paired(a: Graded, b: Graded, metric: MetricDef) -> Paired:
    """Compare two cells on one metric, over the samples that both were graded on.

    A sample is shared where both were graded on the same content: not across a corrected label.
    """
    sides = [
        {name for name, rows in side.statistics.items() if any(row.get(metric.over) for row in rows)} for side in (a, b)
    ]
    shared = sorted(name for name in sides[0] & sides[1] if a.rows[name]["sample_hash"] == b.rows[name]["sample_hash"])
    left_out = len(sides[0] | sides[1]) - len(shared)
    clusters = np.asarray([a.rows[name]["cluster"] for name in shared], dtype=object).astype(str)
    if metric.hit is not None and metric.reduce is None:
        hits_a, hits_b = (_hits(side, shared, metric) for side in (a, b))
        difference = paired_difference(hits_a, hits_b, clusters)
        value_a, value_b = (float(hits.mean()) if shared else None for hits in (hits_a, hits_b))
        return Paired(shared, value_a, value_b, difference, hits_a, hits_b, left_out)
    columns, side_of, names, shares = _side_by_side(a, b, shared)
    difference, values = paired_metric(metric, columns, side_of, clusters[names], shares)
    return Paired(shared, values[0], values[1], difference, None, None, left_out)


def _hits(side: Graded, shared: Sequence[str], metric: MetricDef) -> Array:
    assert metric.hit is not None
    counted = ([row for row in side.statistics[name] if row.get(metric.over)] for name in shared)
    return np.asarray([np.mean([float(row.get(metric.hit, 0.0)) for row in rows]) for rows in counted], dtype=float)


def _side_by_side(a: Graded, b: Graded, shared: Sequence[str]) -> tuple[dict[str, Array], Array, Array, Array]:
    """Return (columns over a's rows, then b's; side of each row; place of its sample; its share of the sample)."""
    entries, sides, places, shares = list[Row](), list[int](), list[int](), list[float]()
    for side, found in enumerate((a, b)):
        for place, name in enumerate(shared):
            rows = found.statistics[name]
            entries += rows
            sides += [side] * len(rows)
            places += [place] * len(rows)
            shares += [1 / len(rows)] * len(rows)
    return stacked(entries), np.asarray(sides, dtype=int), np.asarray(places, dtype=int), np.asarray(shares)
