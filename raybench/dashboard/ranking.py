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
from raybench.store import quoted

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
_ROWS_AT_ONCE = 100_000


@dataclass(frozen=True)
class Columns:
    """One cell's hits under some metrics, one entry a sample, sorted by name.

    Attributes:
        names, contents, clusters: 64-bit hashes of what is scored, of its content and of its cluster.
        hits: for each metric the mean over repeats, NaN where it does not count the sample.
        slices: JSON text of the sample's slices; empty where not asked for.
    """

    names: Array
    contents: Array
    clusters: Array
    hits: tuple[Array, ...]
    slices: Array

    def counted(self, metric: int) -> Columns:
        """Return the samples that a metric counts, with its hits alone."""
        kept = np.isfinite(self.hits[metric])
        slices = self.slices[kept] if len(self.slices) else self.slices
        return Columns(self.names[kept], self.contents[kept], self.clusters[kept], (self.hits[metric][kept],), slices)


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
    view: View, cells: Sequence[Row], wanted: Sequence[Hits], slice_: str = "all", slices: bool = False
) -> list[Columns]:
    """Read some cells' hits under some metrics; each part is opened once for a hundred thousand rows.

    Args:
        slice_: "all" or "name=value".
        slices: read each sample's slices too.
    """
    size = max(1, _ROWS_AT_ONCE // max([1, *(cell.get("planned") or _ROWS_AT_ONCE for cell in cells)]))
    out = []
    for start in range(0, len(cells), size):
        chunk = cells[start : start + size]
        found = view.numbers(*_columns_query(chunk, wanted, slice_, slices))
        places = found["place"].to_numpy()
        for i in range(len(chunk)):
            rows = found.filter(places == i).sort_by("name")
            texts = rows["slices"].to_numpy() if slices else np.empty(0, dtype=object)
            hits = tuple(rows[f"hit_{k}"].to_numpy().astype(float) for k in range(len(wanted)))
            names, contents, clusters = (rows[name].to_numpy() for name in ("name", "content", "cluster"))
            out.append(Columns(names, contents, clusters, hits, texts))
    return out


def _columns_query(cells: Sequence[Row], wanted: Sequence[Hits], slice_: str, slices: bool) -> tuple[str, list[Any]]:
    conditions, parameters, places = [], list[Any](), []
    for i, cell in enumerate(cells):
        where, values = where_cell(cell)
        conditions.append(where)
        places.append(f"WHEN {where} THEN {i}")
        parameters += values
    parameters += parameters
    if slice_ != "all":
        name, _, value = slice_.partition("=")
        parameters += [f'$."{name}"', value]
    paths = [path for hits in wanted for path in hits.paths()]
    cases, at = [], 1
    for k, hits in enumerate(wanted):
        whens = ""
        for _ in hits.metrics:
            whens += f" WHEN TRY_CAST(v[{at}] AS DOUBLE) > 0 THEN coalesce(TRY_CAST(v[{at + 1}] AS DOUBLE), 0)"
            at += 2
        cases.append(f"avg(CASE{whens} END) AS hit_{k}")
    sql = (
        "SELECT place, name, any_value(content) AS content, any_value(cluster) AS cluster,"
        f" {'any_value(slices)' if slices else 'NULL'} AS slices, {', '.join(cases)} FROM ("
        f"SELECT CASE {' '.join(places)} END AS place, hash(r.sample, r.turn) AS name, hash(r.sample_hash) AS content,"
        f" hash(r.cluster) AS cluster, r.slices, json_extract_string(r.statistics, [{', '.join(map(quoted, paths))}])"
        f" AS v FROM {LIVE_RECORDS} WHERE ({' OR '.join(f'({each})' for each in conditions)})"
        f" AND r.outcome <> 'failed'{' AND r.slices ->> ? = ?' if slice_ != 'all' else ''}) GROUP BY place, name"
    )
    return sql, parameters


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
    difference = a.hits[0][in_a] - b.hits[0][in_b]
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
    found = cell_columns(view, [cell for _, cell in cells], [Hits(profile, (metric,), metric.binary)], slice_)
    columns = {name: each.counted(0) for (name, _), each in zip(cells, found, strict=True)}
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
    """Return, for each cell as "task dataset ...", rows a second of one busy replica, mean tokens a row."""
    found: dict[str, Row] = view.once("speed", lambda: _cell_speed(view))
    return found


def _cell_speed(view: View) -> dict[str, Row]:
    names = ", ".join(CELL)
    sql = (
        f"SELECT {names}, count(*) AS n, sum(seconds / greatest(coalesce(batch_size, 1), 1)) AS seconds,"
        " avg(tokens_in) AS tokens_in, avg(tokens_out) AS tokens_out FROM raw_responses GROUP BY ALL"
    )
    return {
        canonical_json([row[name] for name in CELL]): {
            "rows_per_second": row["n"] / row["seconds"] if row["seconds"] else None,
            "tokens_in": row["tokens_in"], "tokens_out": row["tokens_out"],
        }
        for row in view.rows(sql)
    }  # fmt: skip
