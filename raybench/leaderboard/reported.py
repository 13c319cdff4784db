"""Published numbers, to stand beside ours: facts with their source and flags in `reported.csv`, never ranked.

A row names the task, data set, metric and profile it belongs to; one without a
profile was scored by rules that its source does not state. A system whose
source gives no number (a refusal, or a model that is only named) has its row
too, without a value. Flags say what to beware of: `train_leak`, `degenerate`,
`refusal`, `no_published_number`, `n_inferred` and others.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import fields
from importlib.resources import files

from raybench.schema import Row, Score

__all__ = ["reported_rows", "reported_systems"]


def reported_rows(tasks: Iterable[str]) -> list[Row]:
    """Return the published numbers of the given tasks as scores of `kind: reported`, without intervals.

    `config` is the setting (zero-shot, fine-tuned), `signature` holds source,
    locator and setting. Systems named without any task come last.
    """
    text = files("raybench.leaderboard").joinpath("reported.csv").read_text("utf-8")
    wanted = {*tasks, ""}
    with io.StringIO(text, newline="") as file:
        found = [_score(row) for row in csv.DictReader(file) if row["task_id"] in wanted]
    return sorted(found, key=lambda row: row["task"] == "")


def _score(row: dict[str, str]) -> Row:
    flags = [flag for flag in row["flags"].split(";") if flag]
    n, _, inferred = row["n"].partition(" ")
    if inferred:
        flags.append("n_inferred")
    return {
        **dict.fromkeys(each.name for each in fields(Score)),
        "task": row["task_id"], "dataset": row["dataset_id"], "model": row["model"], "config": row["setting"],
        "metric": row["metric_key"], "profile": row["profile"], "slice": row["slice"] or "all", "kind": "reported",
        "value": float(row["value"]) if row["value"] else None, "n": int(n) if n.isdigit() else None,
        "unit": "fraction", "higher_is_better": True, "headline": False, "flags": flags,
        "signature": f"reported|{row['source']}|{row['locator']}|{row['setting']}",
    }  # fmt: skip


def reported_systems(rows: Sequence[Row], task: str, dataset: str) -> list[list[Row]]:
    """Return a task's published numbers, one list for each system, data set and source; the board's own data first."""
    systems: dict[tuple[bool, bool, str, str, str], list[Row]] = {}
    for row in rows:
        if row["kind"] == "reported" and row["task"] in (task, ""):
            source = row["signature"].split("|")[1] + row["config"].split(";")[0]
            elsewhere = row["dataset"] != dataset
            key = (row["task"] == "", elsewhere, row["dataset"], row["model"], source)
            systems.setdefault(key, []).append(row)
    return [systems[key] for key in sorted(systems)]
