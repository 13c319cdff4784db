"""Two models' per-sample results on the samples they share, joined by sample, never by order."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
import numpy as np

from raybench.interfaces import Array, MetricDef
from raybench.schema import CELL, Row
from raybench.store import stream

__all__ = ["Hits", "hits", "paired"]


@dataclass(frozen=True)
class Hits:
    """One cell's result on one ratio metric: sample -> mean hit over repeats, and each sample's cluster."""

    value: dict[str, float]
    cluster: dict[str, str]
    rows: dict[str, Row]


def hits(connection: duckdb.DuckDBPyConnection, cell: Mapping[str, str], profile: str, metric: MetricDef) -> Hits:
    """Return the hits of the samples in the metric's denominator (failed rows are in none)."""
    where = " AND ".join(f"{name} = ?" for name in CELL)
    columns = "sample, sample_hash, cluster, statistics, text, target, question"
    sql = f"SELECT {columns} FROM records WHERE {where} AND outcome <> 'failed'"
    found: dict[str, list[float]] = {}
    cluster: dict[str, str] = {}
    rows: dict[str, Row] = {}
    for row in stream(connection, sql, [cell[name] for name in CELL]):
        columns = json.loads(row["statistics"]).get(profile, {})
        if metric.hit is None or not columns.get(metric.over):
            continue
        found.setdefault(row["sample"], []).append(float(columns.get(metric.hit, 0.0)))
        cluster[row["sample"]] = row["cluster"]
        rows[row["sample"]] = row
    return Hits({sample: float(np.mean(values)) for sample, values in found.items()}, cluster, rows)


def paired(a: Hits, b: Hits) -> tuple[list[str], Array, Array, Array]:
    """Return (shared samples, hits of a, hits of b, clusters) in one order.

    A sample is shared where both were graded on the same content: not across a corrected label.
    """
    shared = sorted(
        sample
        for sample in a.value.keys() & b.value.keys()
        if a.rows[sample]["sample_hash"] == b.rows[sample]["sample_hash"]
    )
    values_a, values_b = (np.asarray([side.value[sample] for sample in shared], dtype=float) for side in (a, b))
    return shared, values_a, values_b, np.asarray([a.cluster[sample] for sample in shared], dtype=object).astype(str)
