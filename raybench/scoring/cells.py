"""Stored responses to records, records to scores; the same code after a run and in `raybench score`.

Each cell (task, data set, split, model, config, variant, images) gets a new
*generation* of records and scores. Scores are written last: a generation
without them does not count, so a crash leaves the older one in force.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from itertools import groupby
from typing import Any

import duckdb
import numpy as np

from raybench import registry
from raybench.interfaces import Array, MetricDef, Profile, Statistics, Task
from raybench.schema import CELL, Answer, Row, Score, canonical_json, digest
from raybench.scoring.baselines import baseline_records
from raybench.scoring.verdicts import JudgeColumns, judge_columns
from raybench.spec import TaskSpec, open_plugin
from raybench.stats.intervals import interval
from raybench.stats.paired import null_bounds
from raybench.store import Store, new_id, stream

__all__ = ["CONTRACT", "Cell", "grade", "score_store", "stored_tasks"]

CONTRACT = "contract"
_GROUP = tuple(name for name in CELL if name != "variant")
_RECORD_ROWS = 8192
#: A slice column with more values than this is an identifier, not a slice.
_MAX_SLICE_VALUES = 100
_FAILED_RATE = MetricDef("failed_rate", over="row", hit="failed", higher_is_better=False)

_ROWS_SQL = """
SELECT u.* EXCLUDE (run_id, committed_at, ordinal, sample_hash), s.sample_hash, s.ordinal, s.questions, s.targets,
    s.choices, s.cluster, s.slices, s.context, r.text, r.key IS NOT NULL AS present,
    coalesce(a.reason, 'not_run') AS reason
FROM units u
JOIN samples s USING (task, dataset, split, sample)
LEFT JOIN (SELECT key, text FROM all_responses WHERE turn = 0) r USING (key)
LEFT JOIN (SELECT key, arg_max(reason, committed_at) AS reason FROM attempts GROUP BY key) a USING (key)
ORDER BY u.task, u.dataset, u.split, u.model, u.config, u.images, u.variant, s.ordinal, u.sample, u.repeat
"""


@dataclass
class Cell:
    """One cell's rows as columns: what its scores are made of.

    Attributes:
        keys: the cell columns.
        prompt: hash of the prompt template.
        samples, clusters, outcomes, reasons: one entry a row.
        slices: slice column -> value of each row.
        statistics: profile -> column -> numbers, one a row (0 for failed rows).
    """

    keys: Row
    prompt: str = ""
    samples: list[str] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)
    clusters: list[str] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    slices: list[dict[str, str]] = field(default_factory=list)
    statistics: dict[str, list[Mapping[str, float]]] = field(default_factory=dict)
    records: list[Row] = field(default_factory=list)


def score_store(store: Store, cells: Collection[Row] | None = None) -> int:
    """Grade stored responses and write new records and scores; return the number of scores.

    Args:
        cells: the cells to score (dicts with the cell columns), together with the
            other prompt variants of the same model, whose mean they change; None for all.
    """
    wanted = None if cells is None else {tuple(cell[name] for name in _GROUP) for cell in cells}
    generation = f"{time.time_ns():020d}-{new_id()[:8]}"
    scores: list[Score] = []
    with store.connect() as connection:
        tasks = stored_tasks(connection)
        rows = stream(connection, _ROWS_SQL)
        for key, group in groupby(rows, key=lambda row: tuple(row[name] for name in _GROUP)):
            # Units whose run was killed before it began have no task: the next run plans them again.
            if key[:3] in tasks and (wanted is None or key in wanted):
                scores += _score_group(store, connection, group, tasks[key[:3]], generation)
        scores += _baselines(connection, scores, tasks)
    store.write("scores", [{**asdict(score), "generation": generation} for score in scores])
    return len(scores)


def _score_group(
    store: Store, connection: duckdb.DuckDBPyConnection, rows: Iterator[Row], task: Task, generation: str
) -> list[Score]:
    """Score the variants of one (task, model, config), and their mean if there are several."""
    cells = [
        _read_cell(store, dict(zip(CELL, key, strict=True)), group, task, generation)
        for key, group in groupby(rows, key=lambda row: tuple(row[name] for name in CELL))
    ]
    scores = [score for cell in cells for score in _cell_scores(connection, task, cell)]
    return scores + (_variant_means(task, cells) if len(cells) > 1 else [])


def stored_tasks(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str, str, str], Task]:
    """Return the task of each (task, dataset, split), with the options of the newest run that planned it."""
    found: dict[tuple[str, str, str], Task] = {}
    for run in stream(connection, "SELECT spec, cells FROM runs WHERE cells IS NOT NULL ORDER BY committed_at"):
        entries = json.loads(run["spec"])["tasks"]
        for cell in json.loads(run["cells"]):
            spec = TaskSpec.model_validate(entries[cell["task_index"]])
            plugin, options = open_plugin("tasks", spec.task, spec)
            found[cell["task"], cell["dataset"], cell["split"]] = plugin(options)
    return found


def grade(row: Row, task: Task, profiles: Sequence[Profile]) -> Row:
    """Return the record of one unit joined with its sample and response (see the `records` table).

    A unit without a response is `failed`: it has a reason and no statistics.
    """
    context = json.loads(row["context"] or "{}")
    record = {
        **{name: row[name] for name in ("key", *CELL, "sample", "repeat", "sample_hash", "cluster", "slices")},
        "question": row["questions"][0], "target": row["targets"][0], "choices": row["choices"],
        "positive": context.get("positive"), "text": row["text"], "reason": row["reason"],
    }  # fmt: skip
    if not row["present"]:
        return {**record, "outcome": "failed", "extractor": None, "format": None, "value": None, "statistics": "{}"}
    answer: Answer = task.parse({name: row[name] for name in ("questions", "choices", "context")}, row["text"] or "")
    record |= {"outcome": answer.outcome, "extractor": answer.extractor, "format": answer.format, "reason": None}
    seen = {**record, "value": answer.value, "slices": json.loads(row["slices"])}
    statistics = {profile.name: dict(profile.statistics(seen)) for profile in profiles}
    return {**record, "value": canonical_json(answer.value), "statistics": canonical_json(statistics)}


def _profiles(task: Task) -> list[Profile]:
    return [registry.load("metrics", name)() for name in (*task.profiles, CONTRACT)]


def _read_cell(store: Store, keys: Row, rows: Iterator[Row], task: Task, generation: str) -> Cell:
    """Grade a cell's rows, write its records in parts, keep its columns."""
    cell, profiles, waiting = Cell(keys), _profiles(task), list[Row]()
    recipe = ", ".join(f"{profile.name}.v{profile.version}" for profile in profiles)
    for row in rows:
        record = grade(row, task, profiles)
        cell.prompt = row["prompt"]
        _append(cell, record)
        waiting.append({**record, "generation": generation, "signature": recipe})
        if len(waiting) == _RECORD_ROWS:
            store.write("records", waiting)
            waiting = []
    store.write("records", waiting)
    return cell


def _append(cell: Cell, record: Row) -> None:
    cell.samples.append(record["sample"])
    cell.hashes.append(record["sample_hash"])
    cell.clusters.append(record["cluster"])
    cell.outcomes.append(record["outcome"])
    cell.slices.append(json.loads(record["slices"]))
    for profile, columns in json.loads(record["statistics"]).items():
        # Failed rows have no statistics: pad, so that every column stays one entry a row.
        entries = cell.statistics.setdefault(profile, [])
        entries += [{}] * (len(cell.samples) - 1 - len(entries))
        entries.append(columns)
    kept = ("sample", "outcome", "question", "target", "text", "choices", "slices")
    cell.records.append({name: record[name] for name in kept})


@dataclass(frozen=True)
class _View:
    """The rows of a cell that one score covers, averaged within the sample."""

    cell: Cell
    rows: Array
    slice: str

    def counts(self) -> Row:
        outcomes = np.asarray(self.cell.outcomes, dtype=object)[self.rows]
        found = {name: int((outcomes == name).sum()) for name in ("answered", "refused", "unparsed", "failed")}
        planned = len(outcomes)
        return {**found, "planned": planned, "coverage": (planned - found["failed"]) / planned if planned else None}

    def scored(self) -> Array:
        """Indices of the rows that are not failed."""
        return np.asarray([i for i in self.rows if self.cell.outcomes[i] != "failed"], dtype=int)

    def sample_set(self) -> str:
        pairs = sorted({(self.cell.samples[i], self.cell.hashes[i]) for i in self.scored()})
        return digest([list(pair) for pair in pairs], 12)


def _views(cell: Cell) -> list[_View]:
    views = [_View(cell, np.arange(len(cell.samples)), "all")]
    for name in sorted({name for slices in cell.slices for name in slices}):
        values = np.asarray([slices.get(name, "") for slices in cell.slices], dtype=object)
        distinct = sorted({str(value) for value in values if value})
        if len(distinct) <= _MAX_SLICE_VALUES:
            views += [_View(cell, np.flatnonzero(values == value), f"{name}={value}") for value in distinct]
    return views


def _cell_scores(connection: duckdb.DuckDBPyConnection, task: Task, cell: Cell) -> list[Score]:
    scores: list[Score] = []
    judged = judge_columns(connection, cell.records)
    for view in _views(cell):
        if not len(view.rows):
            continue
        common = _common(task, view)
        for profile in _profiles(task):
            columns = _columns(cell.statistics.get(profile.name, []), view.scored())
            scores += _metric_scores(profile.metrics, columns, view, {**common, "profile": profile.name}, task)
        failed = np.asarray([outcome == "failed" for outcome in cell.outcomes], dtype=float)[view.rows]
        columns = {"row": np.ones(len(failed)), "failed": failed}
        whole = _View(cell, view.rows, view.slice)
        scores += _metric_scores((_FAILED_RATE,), columns, whole, {**common, "profile": CONTRACT}, task, view.rows)
        for judge in judged:
            scores += _judge_scores(judge, view, common, task)
    return scores


def _common(task: Task, view: _View) -> Row:
    keys, sample_set = view.cell.keys, view.sample_set()
    recipe = (
        f"task:{keys['task']}|data:{keys['dataset']}/{keys['split']}|set:{sample_set}"
        f"|prompt:{keys['variant']}@{view.cell.prompt}|images:{keys['images']}|config:{keys['config']}"
        f"|raybench:{version('raybench')}"
    )
    return {
        **keys,
        "sample_set": sample_set,
        "slice": view.slice,
        "group": task.group,
        "signature": recipe,
        **view.counts(),
    }


def _columns(entries: Sequence[Mapping[str, float]], rows: Array) -> dict[str, Array]:
    """Statistics of the chosen rows as columns; a key that a row lacks is 0."""
    names = sorted({name for entry in entries for name in entry})
    return {name: np.asarray([entries[i].get(name, 0.0) for i in rows], dtype=float) for name in names}


@dataclass(frozen=True)
class _Samples:
    """Which rows are repeats (or variants) of one sample: averaged within it, so that each sample counts once."""

    first: Array
    inverse: Array

    @classmethod
    def of(cls, samples: Sequence[str]) -> _Samples:
        names = np.asarray(samples, dtype=object).astype(str)
        _, first, inverse = np.unique(names, return_index=True, return_inverse=True)
        return cls(first, inverse.reshape(-1))

    def mean(self, values: Array, over: Array) -> Array:
        """Mean of each sample's values that are in the denominator; 0 where none is."""
        k = len(self.first)
        sums, counts = np.bincount(self.inverse, values * over, k), np.bincount(self.inverse, over, k)
        return np.divide(sums, counts, out=np.zeros(k), where=counts > 0)

    def columns(self, metric: MetricDef, columns: Statistics) -> Statistics:
        """One entry a sample of the columns a metric reads."""
        if len(self.first) == len(self.inverse):
            return {name: np.asarray(values)[self.first] for name, values in columns.items()}
        if metric.hit is None or metric.reduce is not None:
            ones = np.ones(len(self.inverse))
            return {name: self.mean(np.asarray(values), ones) for name, values in columns.items()}
        over = np.asarray(columns[metric.over])
        hits = self.mean(np.asarray(columns[metric.hit]), over)
        return {metric.hit: hits, metric.over: self.mean((over > 0).astype(float), over)}


def _metric_scores(
    metrics: Sequence[MetricDef], columns: Statistics, view: _View, common: Row, task: Task, rows: Array | None = None
) -> list[Score]:
    """Scores of one profile over one view; metrics with nothing in their denominator give none."""
    chosen = view.scored() if rows is None else rows
    samples = _Samples.of([view.cell.samples[i] for i in chosen])
    clusters = np.asarray([view.cell.clusters[i] for i in chosen], dtype=object).astype(str)[samples.first]
    scores = []
    for metric in metrics:
        if metric.over not in columns:
            continue
        found = interval(metric, samples.columns(metric, columns), clusters)
        if found.value is None and not common.get("null_verdicts"):
            continue
        headline = (common["profile"], metric.name) == task.headline and view.slice == "all"
        signature = f"{common['signature']}|profile:{common['profile']}|metric:{metric.name}"
        scores.append(Score(**{
            **common, "metric": metric.name, "value": found.value, "low": found.low, "high": found.high,
            "unit": metric.unit, "higher_is_better": metric.higher_is_better, "n": found.n,
            "n_clusters": found.n_clusters, "flags": found.flags, "headline": headline, "signature": signature,
        }))  # fmt: skip
    return scores


def _judge_scores(judge: JudgeColumns, view: _View, common: Row, task: Task) -> list[Score]:
    """Scores of one judge over one view, with the bounds that its null verdicts leave open."""
    scored = view.scored()
    columns = {name: values[scored] for name, values in judge.columns.items()}
    nulls = int(columns["null"].sum())
    keys = {"judge": judge.judge, "protocol": judge.protocol, "profile": "judge", "null_verdicts": nulls}
    scores = _metric_scores(judge.metrics, columns, view, {**common, **keys}, task)
    samples = _Samples.of([view.cell.samples[i] for i in scored])
    out = []
    for score in scores:
        metric = next(metric for metric in judge.metrics if metric.name == score.metric)
        low, high = _null_bounds(metric, columns, samples)
        fields = {**asdict(score), "bound_low": low, "bound_high": high, "flags": (*score.flags, "uncalibrated")}
        out.append(Score(**{**fields, "signature": f"{score.signature}|judge:{judge.judge}|template:{judge.template}"}))
    return out


def _null_bounds(metric: MetricDef, columns: Statistics, samples: _Samples) -> tuple[float | None, float | None]:
    """The metric if every null verdict were wrong, and if every one were right; averaged within the sample first."""
    if metric.hit is None:
        return None, None
    over, null = np.asarray(columns[metric.over]), np.asarray(columns["null"])
    asked, hits = over + null, np.asarray(columns[metric.hit]) * over
    known, unknown = samples.mean(hits, asked).sum(), samples.mean(null, asked).sum()
    counted = samples.mean(np.ones(len(asked)), asked).sum()
    return null_bounds(float(known), float(counted - unknown), float(unknown))


def _variant_means(task: Task, cells: Sequence[Cell]) -> list[Score]:
    """Rows of variant "*": the mean over prompt variants, with the variants' standard deviation."""
    whole = Cell({**cells[0].keys, "variant": "*"}, prompt="*")
    for cell in cells:
        padding = len(whole.samples)
        for name, entries in cell.statistics.items():
            kept = whole.statistics.setdefault(name, [])
            kept += [{}] * (padding - len(kept))
            kept += entries
        for column in ("samples", "hashes", "clusters", "outcomes", "slices"):
            getattr(whole, column).extend(getattr(cell, column))
    view = _View(whole, np.arange(len(whole.samples)), "all")
    common, scores = _common(task, view), []
    for profile in _profiles(task):
        columns = _columns(whole.statistics.get(profile.name, []), view.scored())
        for score in _metric_scores(profile.metrics, columns, view, {**common, "profile": profile.name}, task):
            metric = next(metric for metric in profile.metrics if metric.name == score.metric)
            each = [_point(metric, cell, profile.name) for cell in cells]
            known = [value for value in each if value is not None]
            spread = float(np.std(known, ddof=1)) if len(known) > 1 else None
            scores.append(Score(**{**asdict(score), "sd": spread}))
    return scores


def _point(metric: MetricDef, cell: Cell, profile: str) -> float | None:
    view = _View(cell, np.arange(len(cell.samples)), "all")
    columns = _columns(cell.statistics.get(profile, []), view.scored())
    if metric.over not in columns or not columns[metric.over].sum():
        return None
    return float(metric.values(columns, np.ones((1, len(view.scored()))))[0])


def _baselines(
    connection: duckdb.DuckDBPyConnection, scores: Sequence[Score], tasks: Mapping[Any, Task]
) -> list[Score]:
    """Scores of the constant answers, once for each sample set that a system was scored on."""
    out: list[Score] = []
    seen: set[tuple[str, ...]] = set()
    written: set[tuple[str, ...]] = set()
    for score in scores:
        key = (score.task, score.dataset, score.split, score.sample_set)
        if key in seen or score.slice != "all" or score.variant == "*":
            continue
        seen.add(key)
        task = tasks[key[:3]]
        profiles = _profiles(task)
        cell_keys = {name: getattr(score, name) for name in CELL}
        for name, rows in baseline_records(connection, cell_keys).items():
            keys = {**cell_keys, "model": name, "config": "", "variant": "", "images": "none"}
            cell = Cell(keys, prompt="none")
            for row in rows:
                _append(cell, grade({**row, **keys}, task, profiles))
            for view in _views(cell):
                common = {**_common(task, view), "kind": "baseline"}
                if (slice_key := (name, *key[:3], common["sample_set"], view.slice)) in written:
                    continue  # two sample sets may share a slice
                written.add(slice_key)
                for profile in profiles[:-1]:
                    columns = _columns(cell.statistics.get(profile.name, []), view.scored())
                    out += _metric_scores(profile.metrics, columns, view, {**common, "profile": profile.name}, task)
    return out
