"""Runs as the page shows them: what was asked, how far it is, what failed, what changed since the run before."""

from __future__ import annotations

import json
from typing import Any

from raybench.dashboard.folder import View
from raybench.dashboard.meta import run_list
from raybench.dashboard.pairs import flat
from raybench.dashboard.words import shown, without_paths
from raybench.errors import StoreError
from raybench.schema import CELL, Row

__all__ = ["run_document", "runs_document"]

_BUCKETS = 60


def runs_document(view: View) -> list[Row]:
    """Return `/api/runs`, oldest first."""
    kept = ("run_id", "status", "began", "at")
    return [{**{name: run[name] for name in kept}, "detail": _sentence(run["detail"])} for run in run_list(view)]


def run_document(view: View, run_id: str) -> Row:
    """Return `/api/run`.

    Raises:
        StoreError: no such run.
    """
    runs = run_list(view)
    place = next((i for i, run in enumerate(runs) if run["run_id"] == run_id), None)
    if place is None:
        raise StoreError(f"no run {run_id!r}; there are: {', '.join(run['run_id'] for run in runs[-5:]) or 'none'}")
    run, previous = runs[place], runs[place - 1]["run_id"] if place else None
    row = _newest(view, run_id)
    spec, before = _document(row["spec"]), _document(_newest(view, previous)["spec"]) if previous else None
    return {
        **{name: run[name] for name in ("run_id", "status", "began", "at")}, "detail": _sentence(run["detail"]),
        "spec": spec, "environment": _document(row["environment"]), "versions": _document(row["versions"]),
        "git": row["git"], "warnings": _document(row["warnings"]) or [], "previous": previous,
        "spec_diff": None if before is None or spec is None else _changes(before, spec),
        "statuses": _statuses(view, run_id), "cells": _cells(view, row["cells"]), "failures": _failures(view, run_id),
        "throughput": _throughput(view, run_id), "progress": shown(run["progress"]),
    }  # fmt: skip


def _sentence(text: str | None) -> str | None:
    return without_paths(text) if text else None


def _document(text: str | None) -> Any:
    return shown(json.loads(text)) if text else None


def _newest(view: View, run_id: str) -> Row:
    names = ("spec", "environment", "versions", "git", "warnings", "cells")
    columns = ", ".join(f"arg_max({name}, committed_at) AS {name}" for name in names)  # of the rows that have one
    return view.scores(f"SELECT {columns} FROM runs WHERE run_id = ?", [run_id])[0]


def _statuses(view: View, run_id: str) -> list[Row]:
    sql = "SELECT DISTINCT status, committed_at FROM runs WHERE run_id = ? ORDER BY committed_at"
    return [{"status": row["status"], "at": row["committed_at"]} for row in view.scores(sql, [run_id])]


def _changes(before: Any, after: Any) -> list[Row]:
    old, new = flat(before), flat(after)
    return [
        {"path": path, "before": old.get(path), "after": new.get(path)}
        for path in sorted({*old, *new}) if old.get(path) != new.get(path)
    ]  # fmt: skip


def _cells(view: View, planned: str | None) -> list[Row]:
    """The run's cells with how their rows ended, from the scores; what no scoring has seen is pending."""
    names = ", ".join(CELL)
    sql = (
        f"SELECT {names}, max(planned) AS planned, max(answered) AS answered, max(refused) AS refused,"
        " max(unparsed) AS unparsed, max(failed) AS failed FROM score"
        f" WHERE kind = 'system' AND profile = 'contract' GROUP BY {names}"
    )
    scored = {tuple(row[name] for name in CELL): row for row in view.scores(sql)}
    out = []
    for cell in json.loads(planned or "[]"):
        found = scored.get(tuple(cell[name] for name in CELL), {})
        counts = {name: int(found.get(name) or 0) for name in ("answered", "refused", "unparsed", "failed")}
        total = max(int(cell.get("planned") or 0), int(found.get("planned") or 0))
        out.append({
            **{name: cell[name] for name in CELL}, "planned": total, **counts,
            "pending": max(0, total - sum(counts.values())),
        })  # fmt: skip
    return out


def _failures(view: View, run_id: str) -> list[Row]:
    sql = (
        "SELECT reason, count(DISTINCT key) AS n, any_value(detail) AS example FROM raw_attempts WHERE run_id = ?"
        " GROUP BY reason ORDER BY n DESC, reason"
    )
    return [{**row, "example": _sentence(row["example"])} for row in view.rows(sql, [run_id])]


def _throughput(view: View, run_id: str) -> list[Row]:
    """Answers in each of up to 60 equal stretches of the run."""
    sql = (
        "WITH answers AS (SELECT epoch(CAST(committed_at AS TIMESTAMP)) AS moment FROM raw_responses WHERE run_id = ?),"
        " span AS (SELECT min(moment) AS start, greatest((max(moment) - min(moment)) / ?, 1) AS step FROM answers)"
        " SELECT CAST(make_timestamp(CAST((start + step * floor((moment - start) / step)) * 1000000 AS BIGINT))"
        " AS VARCHAR) AS began, count(*) AS n FROM answers, span GROUP BY ALL ORDER BY 1"
    )
    rows = view.rows(sql, [run_id, _BUCKETS])
    return [{"at": f"{row['began'].replace(' ', 'T')}Z", "rows": row["n"]} for row in rows]
