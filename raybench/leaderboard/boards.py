"""Ranked boards: models in tie groups, baselines and published numbers beside them.

Ranks come from paired tests on the same samples, Holm-adjusted over all pairs of
a board: a model's rank is a range, from one more than the models that are
significantly better to the number that are not significantly worse. Only equal
sample sets are ranked; a model scored on another set is shown as partial.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations

import duckdb

from raybench import registry
from raybench.errors import StoreError, nearest
from raybench.interfaces import MetricDef
from raybench.leaderboard.lines import Board, Line
from raybench.leaderboard.reported import reported_rows, reported_systems
from raybench.leaderboard.trust import judge_columns
from raybench.schema import CELL, Row
from raybench.scoring import planned_task, stored_tasks
from raybench.scoring.corrected import HUMAN_JUDGE
from raybench.scoring.pairs import PairTest, pair_tests, stored_pairs
from raybench.stats.paired import holm, mde
from raybench.store import Store, stream

__all__ = ["ALPHA", "Board", "Line", "boards", "reported_rows", "score_rows"]

ALPHA = 0.05


def score_rows(store: Store, task: str | None = None, reported: bool = False) -> list[Row]:
    """Return every score that counts, as dicts with the fields of `Score`.

    Raises:
        StoreError: no such task in the folder.
    """
    with store.connect(("scores",)) as connection:
        return _score_rows(store, connection, task, reported)


def _score_rows(
    store: Store, connection: duckdb.DuckDBPyConnection, task: str | None, reported: bool, where: str = "true"
) -> list[Row]:
    sql = f"SELECT * EXCLUDE (committed_at, inputs) FROM scores WHERE {where}"
    rows = list(stream(connection, sql))
    if not rows:
        raise StoreError(f"{store.name} has no scores yet; `raybench status` shows what is answered")
    known = sorted({row["task"] for row in rows})
    if task is not None:
        rows = [row for row in rows if row["task"] == task]
        if not rows:
            listed = ", ".join(known) or "none"
            raise StoreError(f"{store.name} has no scores for task {task!r}{nearest(task, known)}; it has: {listed}")
    order = ("task", "dataset", "split", "kind", "model", "config", "images", "variant", "slice", "judge", "profile")
    rows.sort(key=lambda row: tuple(str(row[name]) for name in (*order, "metric", "sample_set")))
    return rows + (reported_rows({row["task"] for row in rows}) if reported else [])


def boards(store: Store, task: str | None = None, reported: bool = False) -> list[Board]:
    """Return one board for each (task, data set, split), models ranked by the headline.

    A model without a single scored row stands last, with no value. Only scores are read, and the
    paired tests kept with them: the number of records does not matter.
    """
    with store.connect(("scores", "runs")) as connection:
        rows = _score_rows(store, connection, task, reported, "slice = 'all'")
        rows = [row for row in rows if row["slice"] == "all"]
        tasks, known = stored_tasks(connection), stored_pairs(connection)
    out = []
    for key in sorted({(row["task"], row["dataset"], row["split"]) for row in rows if row["kind"] == "system"}):
        here = [row for row in rows if (row["task"], row["dataset"], row["split"]) == key]
        board = _board(key, here, planned_task(store, tasks, key).headline)
        _rank(store, board, known)
        if reported:
            _add_reported(board, rows)
        out.append(board)
    return out


def _board(key: tuple[str, str, str], rows: Sequence[Row], metric: tuple[str, str]) -> Board:
    lines: dict[tuple[str, ...], Line] = {}
    for row in rows:
        cell = tuple(str(row[name]) for name in (*CELL, "sample_set"))
        line = lines.get(cell)
        if line is None:  # a label looks at all rows: once a line, not once a row
            line = lines[cell] = Line(_label(row, rows), row["kind"], {})
        name = row["profile"] if row["judge"] is None else f"judge {row['judge']}"
        line.scores[name, row["metric"]] = row
        if (row["profile"], row["metric"]) == metric:
            line.headline = row
        elif not line.headline and row["kind"] == "system":
            nothing = dict.fromkeys(("value", "low", "high")) | {"n": 0, "n_clusters": 0, "flags": []}
            line.headline = {**row, **nothing, "profile": metric[0], "metric": metric[1]}
    kept = [line for line in lines.values() if line.headline]
    sign = -1 if _metric(metric).higher_is_better else 1
    kept.sort(
        key=lambda line: (
            line.kind != "system",
            line.headline["n"] == 0,
            sign * (line.headline["value"] or 0),
            line.model,
        )
    )
    ranked, n = _ranked_set(kept)
    for line in kept:
        line.partial = line.headline["sample_set"] != ranked or line.headline["value"] is None
    kept = [line for line in kept if line.kind == "system" or not line.partial]
    # The formula is for answers that are right or wrong.
    smallest = mde(n, 0.2) if n and _metric(metric).binary and _metric(metric).reduce is None else None
    return Board(*key, metric, kept, _columns(kept, metric), smallest)


def _ranked_set(lines: Sequence[Line]) -> tuple[str, int]:
    """Return the sample set that is ranked and its n: the largest; of equally large ones the one most lines share."""
    systems = [line.headline for line in lines if line.kind == "system"]
    heads = [head for head in systems if head["variant"] != "*"] or systems
    shared = Counter(head["sample_set"] for head in heads)
    best = max(heads, key=lambda head: (head["n"], shared[head["sample_set"]], head["sample_set"]))
    return best["sample_set"], best["n"]


def _metric(name: tuple[str, str]) -> MetricDef:
    profile, metric = name
    found: MetricDef = next(each for each in registry.load("metrics", profile).metrics if each.name == metric)
    return found


def _label(row: Row, rows: Sequence[Row]) -> str:
    """The model's name, with what tells its cells apart where it has several."""
    if row["kind"] != "system":
        return str(row["model"])
    same = [other for other in rows if other["model"] == row["model"] and other["kind"] == "system"]
    parts = [str(row[name]) for name in ("config", "variant", "images") if len({other[name] for other in same}) > 1]
    return f"{row['model']} ({', '.join(parts)})" if parts else str(row["model"])


def _columns(lines: Sequence[Line], headline: tuple[str, str]) -> list[tuple[str, str]]:
    """The numbers beside the headline: what its profile names, then each profile's (and judge's) overall_accuracy,
    else its first metric."""
    found: dict[str, Row] = {}
    for line in lines:
        for (profile, _), row in line.scores.items():
            if profile not in (headline[0], "contract"):
                found.setdefault(profile, row)
    columns = []
    for profile, row in found.items():
        if row["judge"] is None:
            declared = [metric.name for metric in registry.load("metrics", profile).metrics]
        else:
            declared = [metric.name for metric in registry.load("judges", row["protocol"])(None).metrics()]
            columns += judge_columns(profile, row, declared, lines)
            continue
        columns.append((profile, "overall_accuracy" if "overall_accuracy" in declared else declared[0]))
    own = [(headline[0], name) for name in registry.load("metrics", headline[0]).beside if name != headline[1]]
    return own + sorted(
        columns, key=lambda column: (column[0].startswith("judge "), column[0] == f"judge {HUMAN_JUDGE}")
    )


def _rank(store: Store, board: Board, known: Mapping[str, PairTest]) -> None:
    """Fill in rank ranges of the systems on the full sample set."""
    lines = [
        line for line in board.lines if line.kind == "system" and not line.partial and line.headline["variant"] != "*"
    ]
    metric = _metric(board.metric)
    pairs = list(combinations(lines, 2))
    tests = pair_tests(store, [line.headline for line in lines], board.metric, known)
    adjusted = holm([1.0 if test.p is None else test.p for test in tests])
    better = {id(line): 0 for line in lines}
    worse = {id(line): 0 for line in lines}
    for (a, b), test, p in zip(pairs, tests, adjusted, strict=True):
        if p < ALPHA and test.value:
            winner, loser = (a, b) if (test.value > 0) == metric.higher_is_better else (b, a)
            better[id(loser)] += 1
            worse[id(winner)] += 1
    for line in lines:
        line.ranks = (1 + better[id(line)], len(lines) - worse[id(line)])


def _add_reported(board: Board, rows: Sequence[Row]) -> None:
    """Add published numbers, each in the column of its profile and metric where ours is on the same data."""
    ours = {name for line in board.lines for name in line.scores}
    for system in reported_systems(rows, board.task, board.dataset):
        scores = {(row["profile"], row["metric"]): row for row in system}
        first = next((row for row in system if row["value"] is not None), system[0])
        board.lines.append(Line(first["model"], "reported", scores.get(board.metric, first), scores))
        shared = [name for name in scores if name in ours and first["dataset"] == board.dataset]
        board.columns += [name for name in shared if name not in (*board.columns, board.metric)]
