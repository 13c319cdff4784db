"""A result folder of any size, made by script: 20 models on four question sets and one detection set.

    python -m tests.dashboard.synthetic results/large 2000000

Answers are drawn with a skill for each model and a difficulty for each sample, so that models agree on easy samples
as real ones do. What a parser and the scorer profiles say of an answer is asked of raybench once for each (question
kind, reference, answer) and copied; counts of those make the scores. So two million rows take a minute, not a day.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from raybench import registry
from raybench.interfaces import Task
from raybench.schema import CELL, TABLES, Box, ImageRef, Row, Sample, Score, canonical_json, digest
from raybench.scoring.columns import stacked
from raybench.scoring.grading import grade, profiles_of
from raybench.stats.intervals import wilson
from raybench.store import Store, new_id, now, quoted
from tests.results import fill

__all__ = ["SETS", "synthetic"]

#: (task, data set) of the question sets.
SETS = (("slake", "slake-en"), ("path_vqa", "path_vqa"), ("vqa_rad", "vqa_rad-osf"), ("vqa", "own-table"))
FINDINGS = ("tumour", "nodule", "effusion", "cardiomegaly", "fracture", "oedema", "atelectasis", "pneumothorax")
ORGANS, MODALITIES, LANGUAGES = ("lung", "brain", "liver", "heart"), ("ct", "mri", "x-ray"), ("en", "zh")
REFUSED, UNPARSED = "I'm sorry, I cannot help with that.", ""
_GENERATION = f"{1:020d}-synthetic"
_PICKS = ("right", "wrong", "refused", "unparsed")
_FAILS = "model-07"
#: Models that find boxes: comparing two on average precision is slow.
_DETECTORS = 3
_ONE_PART = 100_000


def synthetic(root: str | Path, rows: int = 50_000, models: int = 20, judged: bool = True) -> Store:
    """Write a result folder of about `rows` graded rows and return it.

    Model 07 fails now and then (its line is partial); the first set is judged by `tiny-judge`, one verdict in
    eight of them not readable; 24 phantom images with boxes are answered by every model.
    """
    store = Store(str(root))
    names = [f"model-{i:02d}" for i in range(models)]
    _detection(store, names)
    count = max(1, rows // (models * len(SETS)))
    connection = duckdb.connect()
    connection.execute("SET preserve_insertion_order = false; SET enable_progress_bar = false")
    _register(connection, names, count)
    # A part of a task, or of one model on it where that is large: as runs leave them.
    whose = ["true"] if rows <= _ONE_PART else [f"model = {quoted(name)}" for name in names]
    for table, task, model in ((t, s[0], m) for t in _SQL for s in SETS for m in whose):
        _copy(connection, store, table, f"task = {quoted(task)} AND {model}")
    _copy(connection, store, "samples", "true", "SELECT * EXCLUDE (kind, finding) FROM base")
    if judged:
        _copy(connection, store, "verdicts", "true", _VERDICTS)
    _runs(store, names, judged)
    scores = [row for cell in _cells(connection) for row in _scores(*cell)]
    store.write("scores", [{**row, "generation": _GENERATION} for row in scores])
    return store


def _samples(task: str, dataset: str, count: int) -> Iterator[Row]:
    for i in range(count):
        finding, organ = FINDINGS[i % len(FINDINGS)], ORGANS[i // 8 % len(ORGANS)]
        closed = i % 3 < 2
        question = f"Is there a {finding} in the {organ} of case {i}?" if closed else f"What does case {i} show?"
        target = ("yes" if i % 6 < 2 else "no") if closed else finding
        sample = Sample(
            f"s{i:06d}", dataset, "test", (question,), (target,),
            images=(ImageRef(f"phantom://cxr/test/{i % 64}?seed=0&size=256&v=1"),),
            boxes=(Box(0.25, 0.16, 0.35, 0.27, finding),) if i % 4 == 0 else (), cluster=f"p{i // 2:06d}",
            slices={
                "answer_type": "closed" if closed else "open", "finding": finding, "organ": organ,
                "modality": MODALITIES[i % 3], "language": LANGUAGES[i % 11 == 0],
            },
            context={"caption": f"{organ}, {finding}"},
        )  # fmt: skip
        row = sample.to_row(task, i)
        yield {
            **row, "image_sha256": [f"{i % 64:064x}"], "image_sizes": "[[256,256]]", "run_id": "synthetic",
            "image_preprocessing": ["original-v1"], "image_stamps": "[]", "kind": "closed" if closed else "open",
            "finding": target, "committed_at": now(),
        }  # fmt: skip


def _answers(task: str) -> Iterator[Row]:
    """What raybench reads and grades, once for each (kind, reference, pick)."""
    plugin: Task = registry.load("tasks", task)(registry.load("tasks", task).Options.model_construct())
    for kind, target in [("closed", "yes"), ("closed", "no"), *(("open", finding) for finding in FINDINGS)]:
        others = {"yes": "no", "no": "yes"}
        wrong = others.get(target) or FINDINGS[(FINDINGS.index(target) + 3) % len(FINDINGS)]
        for pick, text in zip(_PICKS, (target, wrong, REFUSED, UNPARSED), strict=True):
            row = {
                **dict.fromkeys((*CELL, "key", "sample", "sample_hash", "cluster", "reason"), ""), "repeat": 0,
                "targets": [target], "choices": [], "texts": [text],
                "questions": ["Is it there?" if kind == "closed" else "What does it show?"],
                "slices": canonical_json({"answer_type": kind}), "context": "{}", "boxes": "[]",
            }  # fmt: skip
            (record,) = grade({**row, "task": task}, plugin, profiles_of(plugin))
            kept = ("outcome", "extractor", "format", "value", "notes", "statistics")
            yield {"task": task, "kind": kind, "target": target, "pick": pick, "text": text} | {
                name: record[name] for name in kept
            }


def _register(connection: duckdb.DuckDBPyConnection, names: list[str], count: int) -> None:
    schema = pa.schema([*TABLES["samples"], pa.field("kind", pa.string()), pa.field("finding", pa.string())])
    rows = [row for task, dataset in SETS for row in _samples(task, dataset, count)]
    base = pa.Table.from_pylist(rows, schema=schema)
    answers = pa.Table.from_pylist([row for task, _ in SETS for row in _answers(task)])
    skills = [{"model": name, "skill": 0.8 - 0.35 * i / max(1, len(names) - 1)} for i, name in enumerate(names)]
    for name, table in (("base", base), ("answers", answers), ("skills", pa.Table.from_pylist(skills))):
        connection.register("given", table)
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM given")
        connection.unregister("given")
    connection.execute(_DRAWN)


_DRAWN = f"""
CREATE VIEW drawn AS
WITH dice AS (
    SELECT b.*, m.model, md5(b.task || b.sample || m.model) AS key, hash(b.sample, b.task) % 1000 / 1000.0 AS hard,
        hash(m.model, b.sample, b.task) % 1000 / 1000.0 AS luck, hash(b.sample, m.model, 7) % 1000 AS other, m.skill
    FROM base b CROSS JOIN skills m
)
SELECT *, CASE WHEN model = '{_FAILS}' AND other < 4 THEN 'failed' WHEN 0.6 * hard + 0.4 * luck < skill THEN 'right'
    WHEN other < 60 THEN 'refused' WHEN other < 100 THEN 'unparsed' ELSE 'wrong' END AS pick
FROM dice
"""
_UNIT = (
    "d.key, d.task, d.dataset, d.split, d.model, '0c' AS config, 'short' AS variant, 'with' AS images, d.sample,"
    " 0 AS repeat"
)
_REASONING = "'The picture of case ' || d.ordinal || ' was read from top to bottom; confidence ' || d.luck || '.'"
_ANSWERED = "FROM drawn d JOIN answers a ON (a.task, a.kind, a.target, a.pick) = (d.task, d.kind, d.finding, d.pick)"
_SQL = {
    "units": f"SELECT {_UNIT}, d.sample_hash, d.input_hash, 'p0' AS prompt, d.ordinal, 1 AS turns,"
    " 'synthetic' AS run_id, d.committed_at FROM drawn d",
    "responses": f'SELECT {_UNIT}, 0 AS turn, \'[{{"role":"user","content":[{{"type":"text","text":"\' ||'
    f" d.questions[1] || '\"}}]}}]' AS messages, a.text, {_REASONING} AS reasoning, 'stop' AS finish_reason,"
    " 300 AS tokens_in, 8 + d.other % 40 AS tokens_out, 0.05 + d.luck AS seconds, true AS pinned,"
    f" 'synthetic' AS run_id, d.committed_at {_ANSWERED}",
    "attempts": f"SELECT {_UNIT}, 'timeout' AS reason, 'no answer within 60 s' AS detail, 3 AS attempts,"
    " 'synthetic' AS run_id, d.committed_at FROM drawn d WHERE d.pick = 'failed'",
    "records": f"SELECT '{_GENERATION}' AS generation, {_UNIT}, d.sample_hash, d.cluster, d.slices, 0 AS turn,"
    " coalesce(a.outcome, 'failed') AS outcome, a.extractor, a.format, a.value, a.notes, a.text,"
    " d.questions[1] AS question, d.targets[1] AS target, coalesce(a.statistics, '{}') AS statistics,"
    " CASE WHEN d.pick = 'failed' THEN 'timeout' END AS reason, 'synthetic' AS signature, d.committed_at"
    " FROM drawn d LEFT JOIN answers a"
    " ON (a.task, a.kind, a.target, a.pick) = (d.task, d.kind, d.finding, d.pick)",
}
#: Identical items are judged once: one row a (question, reference, candidate).
_VERDICTS = f"""
SELECT md5(d.questions[1] || a.text) AS key, md5(d.questions[1] || a.text) AS item, 'tiny-judge' AS judge,
    'jc' AS judge_config, 'reference_verdict' AS protocol, any_value(d.task) AS task, any_value(d.dataset) AS dataset,
    'test' AS split, any_value(d.sample) AS sample, any_value(d.model) AS model, d.questions[1] AS question,
    d.targets[1] AS reference, a.text AS candidate,
    CASE WHEN hash(d.questions[1]) % 8 = 0 THEN 'parse_failed' ELSE 'ok' END AS status,
    CASE WHEN hash(d.questions[1]) % 8 = 0 THEN NULL
        WHEN (a.pick = 'right') = (hash(d.questions[1]) % 8 <> 1) THEN 'CORRECT' ELSE 'INCORRECT' END AS label,
    '{{"CORRECT":0.8,"INCORRECT":0.15,"NOT_ATTEMPTED":0.05}}' AS label_probs, 0.99 AS label_mass,
    'the candidate was held against the reference' AS rationale, 'judge' AS decided_by, true AS pinned,
    'synthetic' AS run_id, any_value(d.committed_at) AS committed_at
{_ANSWERED} WHERE d.task = '{SETS[0][0]}' GROUP BY d.questions[1], d.targets[1], a.text, a.pick
"""


def _copy(connection: duckdb.DuckDBPyConnection, store: Store, table: str, where: str, sql: str = "") -> None:
    """Write one part in the table's schema; what the query lacks is null."""
    found = connection.sql(f"SELECT * FROM ({sql or _SQL[table]}) WHERE {where}")
    if not sql and table == "attempts" and not found.limit(1).fetchall():
        return
    kinds = {field.name: _TYPES[str(field.type)] for field in TABLES[table]}
    given = set(found.columns)
    columns = ", ".join(
        f"CAST({name if name in given else 'NULL'} AS {kind}) AS {name}" for name, kind in kinds.items()
    )
    with store.files.staged(f"{table}/{new_id()}.parquet") as path:
        inner = sql or _SQL[table]
        target = quoted(path)
        connection.execute(
            f"COPY (SELECT {columns} FROM ({inner}) WHERE {where}) TO {target} (FORMAT parquet, COMPRESSION zstd)"
        )


_TYPES = {
    "string": "VARCHAR", "int64": "BIGINT", "double": "DOUBLE", "bool": "BOOLEAN", "list<item: string>": "VARCHAR[]",
    "list<element: string>": "VARCHAR[]", "binary": "BLOB",
}  # fmt: skip


def _cells(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[Row, str, list[tuple[str, str, int]], int, int]]:
    """(cell, slice, [(statistics, outcome, rows)], clusters) of every view of every cell."""
    for name in (None, "answer_type", "finding", "modality", "language"):
        label = "'all'" if name is None else f"'{name}=' || (d.slices ->> '{name}')"
        sql = (
            f"SELECT d.task, any_value(d.dataset), d.model, {label} AS slice, a.statistics, a.outcome, count(*),"
            f" sum(count(*)) OVER (PARTITION BY d.task, d.model, slice), count(DISTINCT d.cluster)"
            f" {_ANSWERED} GROUP BY d.task, d.model, slice, a.statistics, a.outcome ORDER BY d.task, d.model, slice"
        )
        found: dict[tuple[str, str, str, str], list[Any]] = {}
        for task, dataset, model, view, statistics, outcome, n, _, clusters in connection.sql(sql).fetchall():
            found.setdefault((task, dataset, model, view), []).append((statistics, outcome, n, clusters))
        failed = dict(connection.sql("SELECT task, count(*) FROM drawn WHERE pick = 'failed' GROUP BY 1").fetchall())
        for (task, dataset, model, view), rows in found.items():
            cell = {"task": task, "dataset": dataset, "split": "test", "model": model, "config": "0c",
                    "variant": "short", "images": "with"}  # fmt: skip
            lost = failed.get(task, 0) if model == _FAILS and view == "all" else 0
            yield cell, view, [row[:3] for row in rows], max(row[3] for row in rows), lost


_parsed = lru_cache(maxsize=None)(json.loads)


def _scores(cell: Row, view: str, rows: list[tuple[str, str, int]], clusters: int, lost: int) -> Iterator[Row]:
    plugin = registry.load("tasks", cell["task"])
    counts = np.asarray([n for _, _, n in rows], dtype=float)
    outcomes = {
        word: sum(n for _, outcome, n in rows if outcome == word) for word in ("answered", "refused", "unparsed")
    }
    n = int(counts.sum())
    shared = {
        **cell, **outcomes, "sample_set": digest([cell["task"], lost], 12), "slice": view, "group": plugin.group,
        "planned": n + lost, "failed": lost, "coverage": n / (n + lost), "n_clusters": clusters,
    }  # fmt: skip
    parsed = [_parsed(statistics) for statistics, _, _ in rows]
    for name in (*plugin.profiles, "contract"):
        for metric in registry.load("metrics", name).metrics:
            if metric.hit is None:
                continue
            over, hit = (np.asarray([float(row.get(name, {}).get(key, 0)) for row in parsed]) for key in
                         (metric.over, metric.hit))  # fmt: skip
            asked = float(counts @ over)
            if not asked:
                continue
            hits = float(counts @ (over * hit))
            low, high = wilson(min(hits, asked), asked)
            headline = (name, metric.name) == plugin.headline and view == "all"
            yield vars(Score(**{
                **shared, "profile": name, "metric": metric.name, "value": hits / asked, "low": low, "high": high,
                "n": int(asked), "unit": metric.unit, "higher_is_better": metric.higher_is_better,
                "headline": headline, "signature": f"synthetic|profile:{name}|metric:{metric.name}",
            }))  # fmt: skip
    if cell["task"] == SETS[0][0]:
        value = 0.9 * outcomes["answered"] / n
        yield vars(Score(**{
            **shared, "profile": "judge", "metric": "judge_accuracy", "judge": "tiny-judge",
            "protocol": "reference_verdict", "value": value, "low": value - 0.01, "high": value + 0.01, "n": n,
            "null_verdicts": n // 8, "bound_low": value * 0.87, "bound_high": value * 0.87 + 0.13,
            "flags": ("uncalibrated",), "signature": "synthetic|judge",
        }))  # fmt: skip
    if cell["model"] == "model-00":
        yield from _baselines(shared, plugin)


def _baselines(shared: Row, plugin: Any) -> Iterator[Row]:
    profile, metric = plugin.headline
    for name, value in (("majority", 0.34), ("always yes", 0.31)):
        yield vars(Score(**{
            **shared, "model": name, "config": "", "variant": "", "images": "none", "profile": profile,
            "metric": metric, "kind": "baseline", "value": value, "low": value - 0.02, "high": value + 0.02,
            "n": shared["planned"], "headline": shared["slice"] == "all", "signature": "synthetic|baseline",
        }))  # fmt: skip


def _detection(store: Store, names: list[str]) -> None:
    """24 phantoms with boxes, answered with the true boxes moved a little; records are raybench's own.

    The scores are the metrics' own values with a made-up interval: a bootstrap of average precision takes minutes.
    """
    plugin = registry.load("tasks", "phantom_mri_detection")
    task = plugin(plugin.Options(count=24))
    samples, answers = list(task.samples()), {}
    for k, name in enumerate(names[:_DETECTORS]):
        answers[name, "plain", 0] = [
            json.dumps([
                {"bbox": [round(box.x0 + 0.004 * k, 3), box.y0, round(box.x1 + 0.004 * k, 3), box.y1],
                 "label": box.label}
                for box in sample.boxes if (i + k) % 5
            ])
            for i, sample in enumerate(samples)
        ]  # fmt: skip
    fill(store, samples, answers, {"task": "phantom_mri_detection", "count": 24})
    records, scores, profiles = [], [], profiles_of(task)
    for (name, *_), texts in answers.items():
        cell = dict(
            zip(CELL, ("phantom_mri_detection", samples[0].dataset, "test", name, "c", "plain", "with"), strict=True)
        )
        graded = [
            record
            for i, (sample, text) in enumerate(zip(samples, texts, strict=True))
            for record in grade(
                {**sample.to_row(cell["task"], i), **cell, "key": digest([name, "plain", 0, sample.id]), "repeat": 0,
                 "reason": None, "texts": [text], "image_sizes": "[[256,256]]"}, task, profiles,
            )
        ]  # fmt: skip
        records += [{**record, "generation": _GENERATION} for record in graded]
        scores += _detection_scores(cell, graded, profiles)
    store.write("records", records)
    store.write("scores", [{**row, "generation": _GENERATION} for row in scores])


def _detection_scores(cell: Row, graded: list[Row], profiles: Any) -> Iterator[Row]:
    outcomes = {word: sum(row["outcome"] == word for row in graded) for word in ("answered", "refused", "unparsed")}
    parsed = [json.loads(row["statistics"]) for row in graded]
    for profile in profiles:
        columns = stacked([row.get(profile.name, {}) for row in parsed])
        for metric in profile.metrics:
            if metric.over not in columns or not columns[metric.over].sum():
                continue
            value = float(metric.values(columns, np.ones((1, len(graded))))[0])
            if np.isfinite(value):
                yield vars(Score(**{
                    **cell, **outcomes, "sample_set": "detection", "slice": "all", "profile": profile.name,
                    "metric": metric.name, "value": value, "low": value - 0.05, "high": value + 0.05,
                    "n": len(graded), "n_clusters": len(graded), "planned": len(graded), "failed": 0, "coverage": 1.0,
                    "unit": metric.unit, "higher_is_better": metric.higher_is_better, "group": "detection",
                    "headline": (profile.name, metric.name) == ("detection", "f1_50"), "flags": ("self check",),
                    "signature": "synthetic",
                }))  # fmt: skip


def _runs(store: Store, names: list[str], judged: bool) -> None:
    spec = {
        "tasks": [{"task": task, **({"data": "unused.csv"} if task == "vqa" else {})} for task, _ in SETS],
        "models": [{"name": name, "backend": "hf", "model": f"org/{name}", "revision": f"{i:040x}",
                    "options": {"dtype": "bfloat16" if i % 2 else "float32"}} for i, name in enumerate(names)],
        "judges": [{"name": "tiny-judge", "backend": "hf", "model": "org/tiny-judge"}] if judged else [],
    }  # fmt: skip
    cells = [
        {"task": task, "dataset": dataset, "split": "test", "model": name, "config": "0c", "variant": "short",
         "images": "with", "task_index": i, "planned": 1, "missing": 0}
        for i, (task, dataset) in enumerate(SETS) for name in names
    ]  # fmt: skip
    row = {
        "run_id": "synthetic", "at": now(), "spec": canonical_json(spec), "environment": '{"python":"3.12","cpus":2}',
        "versions": '{"raybench":"0.1.0"}', "git": "0000000", "warnings": "[]",
    }  # fmt: skip
    store.write("runs", [{**row, "status": "running", "cells": canonical_json(cells)}])
    store.write("runs", [{**row, "status": "done"}])


if __name__ == "__main__":
    synthetic(sys.argv[1], int(sys.argv[2]))
