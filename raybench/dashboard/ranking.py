"""Rank intervals from paired tests on arrays, and how fast each cell was answered.

The same tests as `raybench leaderboard` makes, on columns that DuckDB reads out of the records: two million rows need
a few megabytes and some seconds, so the page shows its scores first and asks for the ranks afterwards.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from itertools import combinations
from typing import Any

import numpy as np

from raybench.dashboard.correct import Hits
from raybench.dashboard.folder import LIVE_RECORDS, View
from raybench.interfaces import Array, MetricDef
from raybench.schema import CELL, Row, canonical_json, digest

__all__ = [
    "ALPHA",
    "Columns",
    "Pair",
    "Pairs",
    "cell_columns",
    "cell_speed",
    "kept_pairs",
    "paired_columns",
    "ranges",
    "rank_pairs",
    "where_cell",
]  # fmt: skip

ALPHA = 0.05


@dataclass(frozen=True)
class Columns:
    """One cell's hits under one metric, one entry a sample, sorted by name.

    Attributes:
        names, contents, clusters: 64-bit hashes of what is scored, of its content and of its cluster.
        hits: mean over repeats.
        slices: JSON text of the sample's slices; empty where not asked for.
    """

    names: Array
    contents: Array
    clusters: Array
    hits: Array
    slices: Array


@dataclass(frozen=True)
class Pair:
    """A less B on the samples both have: difference, its standard error over clusters, p (None without samples)."""

    value: float
    error: float
    p: float | None


Pairs = dict[tuple[str, str], Pair]


def where_cell(cell: Row) -> tuple[str, list[str]]:
    """Return the SQL condition that names one cell of the records `r`, and its parameters."""
    return " AND ".join(f"r.{name} = ?" for name in CELL), [cell[name] for name in CELL]


def cell_columns(
    view: View, cell: Row, over_hit: tuple[str, list[str]], slice_: str = "all", slices: bool = False
) -> Columns:
    """Read one cell's hits.

    Args:
        over_hit: SQL expression of a record's hit and its parameters, as `Hits.sql` returns them.
        slice_: "all" or "name=value".
        slices: read each sample's slices too.
    """
    expression, parameters = over_hit
    where, values = where_cell(cell)
    if slice_ != "all":
        name, _, value = slice_.partition("=")
        where += " AND r.slices ->> ? = ?"
        values += [f'$."{name}"', value]
    sql = (
        "SELECT name, any_value(content) AS content, any_value(cluster) AS cluster, avg(hit) AS hit,"
        f" {'any_value(slices)' if slices else 'NULL::VARCHAR'} AS slices FROM ("
        f"SELECT hash(r.sample, r.turn) AS name, hash(r.sample_hash) AS content, hash(r.cluster) AS cluster,"
        f" {expression} AS hit, r.slices FROM {LIVE_RECORDS} WHERE {where} AND r.outcome <> 'failed'"
        ") WHERE hit IS NOT NULL GROUP BY name ORDER BY name"
    )
    found = view.numbers(sql, [*parameters, *values])
    return Columns(*(found[name].to_numpy() for name in ("name", "content", "cluster", "hit", "slices")))


def paired_columns(a: Columns, b: Columns) -> tuple[Array, Array]:
    """Return the places in A and in B of the samples that both have with the same content."""
    _, in_a, in_b = np.intersect1d(a.names, b.names, assume_unique=True, return_indices=True)
    same = a.contents[in_a] == b.contents[in_b]
    return in_a[same], in_b[same]


def _test(a: Columns, b: Columns) -> Pair:
    from raybench.stats.paired import mcnemar_exact, sign_flip

    in_a, in_b = paired_columns(a, b)
    if not len(in_a):
        return Pair(0.0, math.nan, None)
    difference = a.hits[in_a] - b.hits[in_b]
    _, codes = np.unique(a.clusters[in_a], return_inverse=True)
    k, n = int(codes.max()) + 1, len(codes)
    sums, sizes = np.bincount(codes, difference), np.bincount(codes)
    mean = float(difference.mean())
    error = math.sqrt(float(np.sum((sums - sizes * mean) ** 2))) / n
    if k == n and np.isin(difference, (-1, 0, 1)).all():
        return Pair(mean, error, mcnemar_exact(int((difference > 0).sum()), int((difference < 0).sum())))
    return Pair(mean, error, sign_flip(sums))


def rank_pairs(view: View, cells: Sequence[tuple[str, Row]], profile: str, metric: MetricDef, slice_: str) -> Pairs:
    """Return a paired test for every two of the named cells, by their names."""
    if metric.hit is None or metric.reduce is not None:
        return _reduced_pairs(view, cells, profile, metric)
    over_hit = Hits(profile, (metric,), metric.binary).sql()
    columns = {name: cell_columns(view, cell, over_hit, slice_) for name, cell in cells}
    return {(a, b): _test(columns[a], columns[b]) for (a, _), (b, _) in combinations(cells, 2)}


def _reduced_pairs(view: View, cells: Sequence[tuple[str, Row]], profile: str, metric: MetricDef) -> Pairs:
    """Metrics that are no mean of hits: whole statistics, permuted and bootstrapped by the leaderboard's own code."""
    from raybench.leaderboard.hits import graded, paired

    with view.store.connect(("records", "scores")) as connection:
        found = {name: graded(connection, cell, profile) for name, cell in cells}
    pairs = {}
    for (a, _), (b, _) in combinations(cells, 2):
        test = paired(found[a], found[b], metric).difference
        width = (test.high - test.low) / 3.92 if test.low is not None and test.high is not None else math.nan
        pairs[a, b] = Pair(test.value or 0.0, width, test.p)
    return pairs


def ranges(names: Sequence[str], pairs: Pairs, higher_is_better: bool) -> dict[str, list[int]]:
    """Return (best, worst) rank of each name: Holm-adjusted over all pairs, at 5 %."""
    from raybench.stats.paired import holm

    keys = list(combinations(names, 2))
    adjusted = holm([1.0 if (p := pairs[a, b].p) is None else p for a, b in keys])
    better, worse = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    for (a, b), p in zip(keys, adjusted, strict=True):
        value = pairs[a, b].value
        if p < ALPHA and value:
            winner, loser = (a, b) if (value > 0) == higher_is_better else (b, a)
            better[loser] += 1
            worse[winner] += 1
    return {name: [1 + better[name], len(names) - worse[name]] for name in names}


def kept_pairs(view: View, key: Row, make: Any) -> Pairs:
    """Return `make()`, kept under DIR/cache for the next start where that can be written.

    The name holds all that the tests depend on: the stored scores' parts, the question and raybench's version.
    """
    files = view.store.files
    name = f"cache/ranks-{digest([view.store.pinned['scores'], key, version('raybench')], 24)}.json"
    if files.is_local:
        with suppress(OSError, ValueError, TypeError):
            return {(a, b): Pair(value, math.nan if error is None else error, p)
                    for a, b, value, error, p in json.loads(files.read(name))}  # fmt: skip
    made: Pairs = make()
    if files.is_local:
        stored = [
            [*pair, test.value, None if math.isnan(test.error) else test.error, test.p] for pair, test in made.items()
        ]
        with suppress(OSError):  # a read-only folder: it stays in memory
            files.write(name, canonical_json(stored).encode())
    return made


def cell_speed(view: View) -> dict[str, Row]:
    """Return, for each cell as "task dataset ...", rows a second of one busy replica and mean tokens written."""
    return view.once("speed", lambda: _cell_speed(view))


def _cell_speed(view: View) -> dict[str, Row]:
    names = ", ".join(CELL)
    sql = (
        f"SELECT {names}, count(*) AS n, sum(seconds / greatest(coalesce(batch_size, 1), 1)) AS seconds,"
        " avg(tokens_out) AS tokens_out FROM raw_responses GROUP BY ALL"
    )
    return {
        canonical_json([row[name] for name in CELL]): {
            "rows_per_second": row["n"] / row["seconds"] if row["seconds"] else None, "tokens_out": row["tokens_out"],
        }
        for row in view.rows(sql)
    }  # fmt: skip
