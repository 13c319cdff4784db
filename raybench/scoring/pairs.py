"""Paired tests of every two systems of a board, made once when scores are stored.

A test needs each sample's numbers under both systems, so that reading a board of ten
million records would take minutes. Scoring therefore keeps what ranks are made of, the
difference and p of each pair, in rows of the `runs` table without a status, under a
name that holds both generations. Whoever finds a pair without a stored test makes it
from the records.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations, groupby
from typing import Any, NamedTuple

import duckdb
import numpy as np

from raybench import registry
from raybench.interfaces import Array, MetricDef
from raybench.schema import CELL, Row, canonical_json, digest
from raybench.scoring.columns import stacked
from raybench.stats.paired import metric_test, paired_test
from raybench.store import Store, now, quoted, stream

__all__ = ["PairTest", "pair_tests", "stored_pairs", "write_pairs"]

#: Raised when the same records may give another test.
_VERSION = 1
_ROWS_AT_ONCE = 65_536
_HEADS = f"""
SELECT DISTINCT {", ".join(CELL)}, generation, sample_set, profile, metric FROM scores
WHERE kind = 'system' AND headline AND slice = 'all' AND variant <> '*' AND value IS NOT NULL AND judge IS NULL
ORDER BY ALL
"""


class PairTest(NamedTuple):
    """One system less another on the samples that both were graded on; None without such samples."""

    value: float | None
    p: float | None


class _Graded(NamedTuple):
    """One cell's rows that are not failed: hashes of what is scored, of its content and cluster, and statistics."""

    names: Array
    contents: Array
    clusters: Array
    columns: dict[str, Array]

    def of(self, rows: Array) -> _Graded:
        """Return these rows alone."""
        columns = {name: column[rows] for name, column in self.columns.items()}
        return _Graded(self.names[rows], self.contents[rows], self.clusters[rows], columns)


def pair_tests(
    store: Store, heads: Sequence[Row], metric: tuple[str, str], known: Mapping[str, PairTest]
) -> list[PairTest]:
    """Return the test of every two cells, in the order of `itertools.combinations`.

    Args:
        heads: scores (their cell columns and "generation" are read) of different cells.
        metric: (profile, metric) that they are tested on.
        known: what `stored_pairs` found; the others are made from the records.
    """
    pairs = [(_name(a, b, metric), a, b) for a, b in combinations(heads, 2)]
    missing = [(a, b) for name, a, b in pairs if name not in known]
    made = _made(store, missing, metric) if missing else {}
    return [_directed(made[name] if name in made else known[name], a, b) for name, a, b in pairs]


def stored_pairs(connection: duckdb.DuckDBPyConnection) -> dict[str, PairTest]:
    """Return the stored tests by name; the connection must know the table `runs`."""
    rows = stream(connection, "SELECT pairs FROM raw_runs WHERE pairs IS NOT NULL")
    return {name: PairTest(*test) for row in rows for name, test in json.loads(row["pairs"]).items()}


def write_pairs(store: Store) -> None:
    """Make and store the tests that boards of the stored scores need and nobody has made."""
    place = ("task", "dataset", "split", "sample_set", "profile", "metric")
    with store.connect(("scores", "runs")) as connection:
        heads, known = list(stream(connection, _HEADS)), stored_pairs(connection)
        newest = "SELECT arg_max(run_id, committed_at) AS run_id FROM runs WHERE cells IS NOT NULL"
        run_id = next(stream(connection, newest))["run_id"]
    heads.sort(key=lambda head: tuple(head[name] for name in place))
    made: dict[str, PairTest] = {}
    for key, group in groupby(heads, key=lambda head: tuple(head[name] for name in place)):
        metric = (key[-2], key[-1])
        pairs = [pair for pair in combinations(group, 2) if _name(*pair, metric) not in known]
        made |= _made(store, pairs, metric) if pairs else {}
    if made:
        store.write("runs", [{"run_id": run_id, "at": now(), "pairs": canonical_json(made)}])


def _name(a: Row, b: Row, metric: tuple[str, str]) -> str:
    """The name of a pair's test, whichever of the two comes first."""
    return digest([_VERSION, *metric, *sorted([_identity(a), _identity(b)])], 20)


def _identity(head: Row) -> list[str]:
    return [str(head[name]) for name in (*CELL, "generation")]


def _directed(test: PairTest, a: Row, b: Row) -> PairTest:
    """A stored test is of the cell whose name comes first."""
    flipped = test.value is not None and _identity(b) < _identity(a)
    return PairTest(-test.value, test.p) if flipped and test.value is not None else test


def _made(store: Store, pairs: Iterable[tuple[Row, Row]], name: tuple[str, str]) -> dict[str, PairTest]:
    """Make the tests of some pairs; each cell is read once, and dropped after its last pair."""
    profile, wanted = name
    metric = next(each for each in registry.load("metrics", profile).metrics if each.name == wanted)
    ordered = [sorted(pair, key=_identity) for pair in pairs]
    last = {tuple(_identity(cell)): i for i, pair in enumerate(ordered) for cell in pair}
    found: dict[str, PairTest] = {}
    held: dict[tuple[str, ...], _Graded] = {}
    with store.connect(("records",)) as connection:
        for i, pair in enumerate(ordered):
            keys = [tuple(_identity(cell)) for cell in pair]
            for key, cell in zip(keys, pair, strict=True):
                if key not in held:
                    held[key] = _graded(connection, cell, profile, metric)
            found[_name(pair[0], pair[1], name)] = _tested(held[keys[0]], held[keys[1]], metric)
            held = {key: each for key, each in held.items() if last[key] > i}
    return found


def _graded(connection: duckdb.DuckDBPyConnection, cell: Row, profile: str, metric: MetricDef) -> _Graded:
    """Read what a metric needs of a cell's rows, in the order of their samples."""
    path = f'$."{profile}"'
    wanted = [path] if metric.reduce is not None else [f'{path}."{column}"' for column in (metric.over, metric.hit)]
    where = " AND ".join(f"{name} = ?" for name in (*CELL, "generation"))
    sql = (
        "SELECT hash(sample, turn) AS name, hash(sample_hash) AS content, hash(cluster) AS cluster,"
        f" json_extract_string(statistics, [{', '.join(map(quoted, wanted))}]) AS found FROM"
        " (SELECT DISTINCT sample, turn, repeat, sample_hash, cluster, statistics FROM raw_records"
        f" WHERE {where} AND outcome <> 'failed') ORDER BY sample, turn, repeat, statistics"
    )
    chunks = list(_chunks(connection, sql, [cell[name] for name in (*CELL, "generation")], metric))
    if not chunks:
        none = np.zeros(0, dtype=np.uint64)
        return _Graded(none, none, none, {})
    names, contents, clusters = (np.concatenate([chunk[i] for chunk in chunks]) for i in range(3))
    return _Graded(names, contents, clusters, _joined([chunk.columns for chunk in chunks], [len(c[0]) for c in chunks]))


def _chunks(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any], metric: MetricDef
) -> Iterator[_Graded]:
    reader = connection.cursor().sql(sql, params=list(parameters)).to_arrow_reader(_ROWS_AT_ONCE)
    for batch in reader:
        found = batch["found"].to_pylist()
        if metric.reduce is None:
            entries = [{metric.over: _number(over), str(metric.hit): _number(hit)} for over, hit in found]
        else:
            entries = [json.loads(text) if text else {} for (text,) in found]
        names, contents, clusters = (batch[name].to_numpy() for name in ("name", "content", "cluster"))
        yield _Graded(names, contents, clusters, stacked(entries))


def _number(text: str | None) -> float:
    return 0.0 if text is None or text == "false" else 1.0 if text == "true" else float(text)


def _joined(parts: Sequence[dict[str, Array]], sizes: Sequence[int]) -> dict[str, Array]:
    """Join columns; what one part lacks is 0, or empty among lists."""
    out = {}
    for name in sorted({name for part in parts for name in part}):
        lists = any(part[name].dtype == object for part in parts if name in part)
        columns = [
            part.get(name, np.zeros(size)) if not lists else _as_lists(part.get(name), size)
            for part, size in zip(parts, sizes, strict=True)
        ]
        out[name] = np.concatenate(columns)
    return out


def _as_lists(column: Array | None, size: int) -> Array:
    if column is not None and column.dtype == object:
        return column
    out = np.empty(size, dtype=object)
    out[:] = [np.zeros(0)] * size
    return out


def _tested(a: _Graded, b: _Graded, metric: MetricDef) -> PairTest:
    """Test two cells on the samples that both were graded on with the same content."""
    names, clusters = _shared(a, b, metric)
    if not len(names):
        return PairTest(None, None)
    rows = [np.flatnonzero(np.isin(side.names, names)) for side in (a, b)]
    sides = [side.of(own) for side, own in zip((a, b), rows, strict=True)]
    places = [np.searchsorted(names, side.names) for side in sides]
    if metric.reduce is None:
        hits = [_means(side, place, metric) for side, place in zip(sides, places, strict=True)]
        return PairTest(*paired_test(hits[0], hits[1], clusters))
    columns = _joined([side.columns for side in sides], [len(place) for place in places])
    shares = np.concatenate([1.0 / np.bincount(place)[place] for place in places])
    which = np.repeat([0, 1], [len(place) for place in places])
    return PairTest(*metric_test(metric, columns, which, clusters[np.concatenate(places)], shares))


def _shared(a: _Graded, b: _Graded, metric: MetricDef) -> tuple[Array, Array]:
    """Return the names, sorted, and clusters of what both cells count with the same content."""
    counted = []
    for side in (a, b):
        rows = np.flatnonzero(side.columns.get(metric.over, np.zeros(len(side.names))))
        names, first = np.unique(side.names[rows], return_index=True)
        counted.append((names, rows[first]))
    names, in_a, in_b = np.intersect1d(counted[0][0], counted[1][0], assume_unique=True, return_indices=True)
    rows_a, rows_b = counted[0][1][in_a], counted[1][1][in_b]
    same = a.contents[rows_a] == b.contents[rows_b]
    return names[same], a.clusters[rows_a[same]]


def _means(side: _Graded, places: Array, metric: MetricDef) -> Array:
    """Mean hit of each place over the rows that count."""
    counted = side.columns[metric.over] != 0
    hits = side.columns[str(metric.hit)][counted]
    return np.asarray(np.bincount(places[counted], hits) / np.bincount(places[counted]))
