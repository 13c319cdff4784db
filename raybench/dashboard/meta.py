"""What a folder holds, in one small document: tasks, models, judges, runs, how far it is, and what is wrong with it."""

from __future__ import annotations

import inspect
import re
from importlib.metadata import version

from raybench import registry
from raybench.dashboard.correct import headline_of
from raybench.dashboard.folder import Folder, View
from raybench.dashboard.lines import metric_document
from raybench.errors import RaybenchError
from raybench.leaderboard.rows import run_rows
from raybench.schema import SCHEMA_VERSION, Row

__all__ = ["meta_document", "run_list"]

_RUNNING = ("running", "judging")


def meta_document(folder: Folder, view: View) -> Row:
    """Return `/api/meta`."""
    scored: Row = view.once("meta", lambda: _scored(view))
    runs = run_list(view)
    planned, graded, tasks = scored["planned"], scored["graded"], scored["tasks"]
    running = any(run["status"] in _RUNNING for run in runs)
    return {
        "title": "raybench", "schema_version": SCHEMA_VERSION, "version": version("raybench"),
        "runs": [{name: run[name] for name in ("run_id", "status", "began", "at")} for run in runs],
        "tasks": tasks, "models": scored["models"], "judges": scored["judges"],
        "counts": {
            "samples": sum(task["n_samples"] or 0 for task in tasks), "records": graded,
            "responses": graded, "planned": planned,
        },
        "partial": running or graded < planned, "committed": graded / planned if planned else None,
        "problems": [*view.problems, *scored["problems"]], "remote": not folder.is_local,
    }  # fmt: skip


def _scored(view: View) -> Row:
    """What the scores tell: it stays for as long as the view does, unlike runs, which may fall silent."""
    tasks, problems = _tasks(view)
    (counts,) = view.scores(
        "SELECT sum(planned) AS planned, sum(answered + refused + unparsed) AS graded FROM ("
        "SELECT DISTINCT task, dataset, split, model, config, variant, images, planned, answered, refused, unparsed,"
        " failed FROM score WHERE kind = 'system' AND variant <> '*' AND profile = 'contract')"
    )
    return {
        "tasks": tasks, "problems": problems,
        "planned": int(counts["planned"] or 0), "graded": int(counts["graded"] or 0),
        "models": [row["model"] for row in _distinct(view, "model", "kind = 'system'")],
        "judges": [row["judge"] for row in _distinct(view, "judge", "judge IS NOT NULL")],
    }  # fmt: skip


def run_list(view: View) -> list[Row]:
    """Return every run, oldest first, with its newest status."""
    return run_rows(view.store)


def _distinct(view: View, column: str, where: str) -> list[Row]:
    return view.scores(f"SELECT DISTINCT {column} FROM score WHERE {where} ORDER BY 1")


def _tasks(view: View) -> tuple[list[Row], list[str]]:
    found, problems = [], []
    slices = _slices(view)
    places = view.scores(
        "SELECT task, dataset, split, max(n) AS n, list_sort(list(DISTINCT images)) AS images"
        " FROM score WHERE kind = 'system' GROUP BY ALL ORDER BY ALL"
    )
    for row in places:
        place = (row["task"], row["dataset"], row["split"])
        try:
            plugin = registry.load("tasks", row["task"])
        except RaybenchError as error:
            problems.append(f"scores of {row['task']} are left out: {error}")
            continue
        about = re.split(r"(?<=[.!?])\s", inspect.cleandoc(plugin.__doc__ or "").replace("\n", " "), maxsplit=1)[0]
        found.append({
            "task": row["task"], "dataset": row["dataset"], "split": row["split"], "group": plugin.group,
            "headline": metric_document(*headline_of(view, *place)),
            "self_check": plugin.self_check, "leaks": plugin.leaks,
            "about": about, "n_samples": row["n"], "images": row["images"],
            "slices": slices.get(place, {}),
        })  # fmt: skip
    return found, problems


def _slices(view: View) -> dict[tuple[str, str, str], dict[str, list[str]]]:
    found: dict[tuple[str, str, str], dict[str, list[str]]] = {}
    sql = (
        "SELECT DISTINCT task, dataset, split, slice FROM raw_scores"
        " WHERE kind = 'system' AND slice <> 'all' AND slice NOT LIKE '%=*' ORDER BY ALL"
    )
    for row in view.scores(sql):
        name, _, value = row["slice"].partition("=")
        found.setdefault((row["task"], row["dataset"], row["split"]), {}).setdefault(name, []).append(value)
    return found
