"""Stored responses to records, records to scores; the same code after a run and in `raybench score`.

Each cell (task, data set, split, model, config, variant, images) gets a new
*generation* of records and scores. Scores are written last: a generation
without them does not count, so a crash leaves the older one in force. The paired
tests of the new scores follow; a board makes those that a crash left out.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from itertools import groupby
from typing import Any

import duckdb
import numpy as np

from raybench.interfaces import Array, MetricDef, Statistics, Task
from raybench.metrics.contract import is_constant
from raybench.schema import CELL, Row, Score
from raybench.scoring.baselines import baseline_records
from raybench.scoring.caveats import caveat_flags
from raybench.scoring.columns import Cell, View, append, views
from raybench.scoring.corrected import Evidence, evidence, human_scores, trusted_scores
from raybench.scoring.facts import facts_of, write_facts
from raybench.scoring.gaps import GAP, gaps
from raybench.scoring.grading import CONTRACT, grade, profiles_of
from raybench.scoring.inputs import (
    GROUP,
    beside,
    inputs,
    next_generation,
    stored_conventions,
    stored_inputs,
    stored_tasks,
)
from raybench.scoring.pairs import write_pairs
from raybench.scoring.samples import Samples
from raybench.scoring.verdicts import JudgeColumns, bounds, judge_columns
from raybench.store import Store, stream

__all__ = ["score_store"]

_RECORD_ROWS = 8192
_FAILED_RATE = MetricDef("failed_rate", over="row", hit="failed", higher_is_better=False)

_ROWS_SQL = """
SELECT u.* EXCLUDE (run_id, committed_at, ordinal, sample_hash, input_hash),
    s.sample_hash, s.ordinal, s.questions, s.targets,
    s.choices, s.cluster, s.slices, s.context, s.boxes, s.image_sizes, r.texts, r.label_logprobs, a.reason
FROM units u
JOIN samples s USING (task, dataset, split, sample, input_hash)
LEFT JOIN (
    SELECT key, list(text ORDER BY turn) AS texts, arg_min(label_logprobs, turn) AS label_logprobs
    FROM all_responses GROUP BY key
) r USING (key)
LEFT JOIN (SELECT key, arg_max(reason, committed_at) AS reason FROM attempts GROUP BY key) a USING (key)
ORDER BY u.task, u.dataset, u.split, u.model, u.config, u.images, u.variant, u.sample, u.repeat
"""


def score_store(store: Store, cells: Collection[Row] | None = None, only_stale: bool = False) -> int:
    """Grade stored responses and write new records and scores; return the number of scores.

    Args:
        cells: the cells to score (dicts with the cell columns), together with the
            other prompt variants of the same model, whose mean they change; None for all.
        only_stale: leave out cells whose newest scores were made of just what is stored now.
    """
    wanted = None if cells is None else {tuple(cell[name] for name in GROUP) for cell in cells}
    scores, facts = list[Row](), list[Row]()
    with store.connect() as connection:
        generation = next_generation(connection)
        tasks, made_of = stored_tasks(connection), inputs(connection, beside(store))
        known_judges = evidence(store, connection)
        conventions = stored_conventions(connection)
        known = stored_inputs(connection) if only_stale else {}
        rows = stream(connection, _ROWS_SQL)
        for key, group in groupby(rows, key=lambda row: tuple(row[name] for name in GROUP)):
            # Units whose run was killed before it began have no task: the next run plans them again.
            if key[:3] not in tasks or (wanted is not None and key not in wanted) or known.get(key) == made_of[key]:
                continue
            rows_read = ({**row, "box_convention": conventions.get(row["model"], "")} for row in group)
            graded = _read_cells(store, rows_read, tasks[key[:3]], generation)
            facts += [fact for cell in graded for fact in facts_of(tasks[key[:3]], cell)]
            found = _score_group(connection, graded, tasks[key[:3]], known_judges)
            scores += [{**vars(score), "inputs": made_of[key]} for score in found]
        write_facts(store, connection, facts)
        scores += [vars(score) for score in _baselines(connection, scores, tasks)]
    store.write("scores", [{**score, "generation": generation} for score in scores])
    write_pairs(store)
    return len(scores)


def _read_cells(store: Store, rows: Iterator[Row], task: Task, generation: str) -> list[Cell]:
    return [
        _read_cell(store, dict(zip(CELL, key, strict=True)), group, task, generation)
        for key, group in groupby(rows, key=lambda row: tuple(row[name] for name in CELL))
    ]


def _score_group(
    connection: duckdb.DuckDBPyConnection, cells: Sequence[Cell], task: Task, known: Evidence
) -> list[Score]:
    """Score the variants of one (task, model, config), and their mean if there are several."""
    scores = [score for cell in cells for score in _cell_scores(connection, task, cell, known)]
    return scores + (_variant_means(task, cells) if len(cells) > 1 else [])


def _read_cell(store: Store, keys: Row, rows: Iterator[Row], task: Task, generation: str) -> Cell:
    """Grade a cell's rows, write its records in parts, keep its columns."""
    cell, profiles, waiting = Cell(keys), profiles_of(task), list[Row]()
    recipe = ", ".join(f"{profile.name}.v{profile.version}" for profile in profiles)
    for row in rows:
        cell.prompt = row["prompt"]
        if not row["texts"] and row["reason"] is None:
            cell.pending.append(json.loads(row["slices"]))
            continue
        for record in grade(row, task, profiles):
            append(cell, record)
            waiting.append({**record, "generation": generation, "signature": recipe})
        if len(waiting) >= _RECORD_ROWS:
            store.write("records", waiting)
            waiting = []
    store.write("records", waiting)
    return cell


def _cell_scores(connection: duckdb.DuckDBPyConnection, task: Task, cell: Cell, known: Evidence) -> list[Score]:
    scores: list[Score] = []
    judged = judge_columns(connection, cell.keys, cell.records)
    for view in views(cell):
        if not len(view.rows):
            continue
        common = _common(task, view)
        for profile in profiles_of(task):
            columns = cell.columns(profile.name, view.scored())
            scores += _metric_scores(profile.metrics, columns, view, {**common, "profile": profile.name}, task)
        failed = cell.failed[view.rows].astype(float)
        columns = {"row": np.ones(len(failed)), "failed": failed}
        scores += _metric_scores((_FAILED_RATE,), columns, view, {**common, "profile": CONTRACT}, task, view.rows)
        for judge in judged:
            own = _judge_scores(judge, view, common, task, known.flags(judge, task))
            scores += own + trusted_scores(known, judge, view, own, task)
        scores += human_scores(known, view, common)
    return _marked(scores) + _gap_scores(task, cell)


def _marked(scores: list[Score]) -> list[Score]:
    """Flag the headline of a model that says the same to every sample: its score is a property of the labels."""
    shares = [score for score in scores if (score.metric, score.slice) == ("modal_share", "all")]
    if not any(is_constant(score.value, score.n) for score in shares):
        return scores
    return [replace(score, flags=(*score.flags, "constant")) if score.headline else score for score in scores]


def _gap_scores(task: Task, cell: Cell) -> list[Score]:
    """Scores of the headline metric's worst-group gaps, one for each slice column that has them."""
    name, headline = task.headline
    metric = next(
        metric for profile in profiles_of(task) if profile.name == name
        for metric in profile.metrics if metric.name == headline
    )  # fmt: skip
    scores = []
    for gap in gaps(cell, name, metric):
        common, found = _common(task, gap.view), gap.found
        scores.append(Score(**{
            **common, "profile": name, "metric": GAP, "value": found.value, "low": found.low, "high": found.high,
            "unit": metric.unit, "higher_is_better": False, "n": found.n, "n_clusters": found.n_clusters,
            "flags": (*found.flags, *caveat_flags(task)),
            "signature": f"{common['signature']}|profile:{name}|metric:{GAP}({headline})",
        }))  # fmt: skip
    return scores


def _common(task: Task, view: View) -> Row:
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


def _metric_scores(
    metrics: Sequence[MetricDef], columns: Statistics, view: View, common: Row, task: Task, rows: Array | None = None
) -> list[Score]:
    """Scores of one profile over one view; metrics with nothing in their denominator give none."""
    chosen = view.scored() if rows is None else rows
    samples, clusters = Samples.of(view.cell.sample_codes[chosen]), view.cell.cluster_codes[chosen]
    known = [metric for metric in metrics if metric.over in columns]
    scores = []
    for metric, found in zip(known, samples.intervals(known, columns, clusters), strict=True):
        if found.value is None and not common.get("null_verdicts"):
            continue
        headline = (common["profile"], metric.name) == task.headline and view.slice == "all"
        signature = f"{common['signature']}|profile:{common['profile']}|metric:{metric.name}"
        scores.append(Score(**{
            **common, "metric": metric.name, "value": found.value, "low": found.low, "high": found.high,
            "unit": metric.unit, "higher_is_better": metric.higher_is_better, "n": found.n,
            "n_clusters": found.n_clusters, "flags": (*found.flags, *caveat_flags(task)), "headline": headline,
            "signature": signature,
        }))  # fmt: skip
    return scores


def _judge_scores(judge: JudgeColumns, view: View, common: Row, task: Task, flags: tuple[str, ...]) -> list[Score]:
    """Scores of one judge over one view, with the bounds that its null verdicts leave open."""
    scored = view.scored()
    columns = {name: values[scored] for name, values in judge.columns.items()}
    possible = [{name: values[scored] for name, values in row.items()} for row in judge.possible]
    nulls = int(columns["null"].sum())
    keys = {"judge": judge.judge, "protocol": judge.protocol, "profile": "judge", "null_verdicts": nulls}
    scores = _metric_scores(judge.metrics, columns, view, {**common, **keys}, task)
    samples = Samples.of(view.cell.sample_codes[scored])
    out = []
    for score in scores:
        metric = next(metric for metric in judge.metrics if metric.name == score.metric)
        low, high = bounds(metric, columns, possible, samples)
        signature = f"{score.signature}|judge:{judge.judge}@{judge.config}|template:{judge.template}"
        every = (*score.flags, *flags)
        out.append(replace(score, bound_low=low, bound_high=high, flags=every, signature=signature))
    return out


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
    view = View(whole, np.arange(len(whole.samples)), "all")
    common, scores = _common(task, view), []
    for profile in profiles_of(task):
        columns = whole.columns(profile.name, view.scored())
        for score in _metric_scores(profile.metrics, columns, view, {**common, "profile": profile.name}, task):
            metric = next(metric for metric in profile.metrics if metric.name == score.metric)
            each = [_point(metric, cell, profile.name) for cell in cells]
            known = [value for value in each if value is not None]
            spread = float(np.std(known, ddof=1)) if len(known) > 1 else None
            scores.append(replace(score, sd=spread))
    return _marked(scores)


def _point(metric: MetricDef, cell: Cell, profile: str) -> float | None:
    view = View(cell, np.arange(len(cell.samples)), "all")
    columns = cell.columns(profile, view.scored())
    if metric.over not in columns or not columns[metric.over].sum():
        return None
    return float(metric.values(columns, np.ones((1, len(view.scored()))))[0])


def _baselines(connection: duckdb.DuckDBPyConnection, scores: Sequence[Row], tasks: Mapping[Any, Task]) -> list[Score]:
    """Scores of the baselines, once for each sample set that a system was scored on."""
    out: list[Score] = []
    seen: set[tuple[str, ...]] = set()
    written: set[tuple[str, ...]] = set()
    for score in scores:
        key = (score["task"], score["dataset"], score["split"], score["sample_set"])
        if key in seen or score["slice"] != "all" or score["variant"] == "*":
            continue
        seen.add(key)
        task = tasks[key[:3]]
        profiles = profiles_of(task)
        cell_keys = {name: score[name] for name in CELL}
        for name, rows in baseline_records(connection, cell_keys, task.baselines).items():
            keys = {**cell_keys, "model": name, "config": "", "variant": "", "images": "none"}
            cell = Cell(keys, prompt="none")
            for row in rows:
                if row["texts"] is None:
                    cell.pending.append(json.loads(row["slices"]))
                    continue
                for record in grade({**row, **keys}, task, profiles):
                    append(cell, record)
            # Who answered some samples only stands beside this one set; what was really scored is in `signature`.
            partial = {"sample_set": score["sample_set"]} if cell.pending else {}
            for view in views(cell)[: 1 if partial else None]:
                common = {**_common(task, view), "kind": "baseline", **partial}
                if (slice_key := (name, *key[:3], common["sample_set"], view.slice)) in written:
                    continue  # two sample sets may share a slice
                written.add(slice_key)
                found: list[Score] = []
                for profile in profiles[:-1]:
                    columns = cell.columns(profile.name, view.scored())
                    found += _metric_scores(profile.metrics, columns, view, {**common, "profile": profile.name}, task)
                flags = (("partial",) if partial else ()) + (("human",) if name.endswith("(human)") else ())
                out += [replace(each, flags=(*each.flags, *flags)) for each in found]
    return out
