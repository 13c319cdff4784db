"""Two models on the same samples: paired difference, interval, p, and which answers flipped."""

from __future__ import annotations

from dataclasses import dataclass, field

import duckdb

from raybench import registry
from raybench.errors import StoreError, nearest
from raybench.interfaces import Task
from raybench.leaderboard.hits import Graded, Paired, graded, paired
from raybench.schema import CELL, Row
from raybench.scoring import planned_task, stored_tasks
from raybench.stats.paired import PairedDifference, mde
from raybench.store import Store, stream

__all__ = ["Comparison", "Flip", "compare"]


@dataclass(frozen=True)
class Flip:
    """A sample on which one model is right and the other is not."""

    sample: str
    question: str
    target: str
    text_a: str
    text_b: str
    better: str


@dataclass
class Comparison:
    """One metric of one task, A less B.

    Attributes:
        only: samples left out: one of the two lacks them (failed or never planned) or has them with another label.
        mde: smallest difference found with 80 % power at the discordance seen, as a fraction.
        unit: of the two values and the difference.
        flips: filled in for a headline metric whose samples are right or wrong.
    """

    task: str
    dataset: str
    split: str
    variant: str
    images: str
    profile: str
    metric: str
    headline: bool
    value_a: float
    value_b: float
    difference: PairedDifference
    only: int
    mde: float | None
    unit: str = "fraction"
    flips: list[Flip] = field(default_factory=list)


def compare(store: Store, model_a: str, model_b: str, task: str | None = None) -> list[Comparison]:
    """Compare two models on every task, variant and metric that both have.

    Raises:
        StoreError: an unknown model, or nothing that both were scored on.
    """
    with store.connect(("records", "scores", "runs")) as connection:
        planned = stored_tasks(connection)
        sql = f"SELECT DISTINCT {', '.join(CELL)} FROM records ORDER BY ALL"
        cells = list(stream(connection, sql))
        tasks = sorted({cell["task"] for cell in cells})
        if task is not None and task not in tasks:
            listed = ", ".join(tasks) or "none"
            raise StoreError(f"{store.name} has no records of task {task!r}{nearest(task, tasks)}; it has: {listed}")
        cells = [cell for cell in cells if task in (None, cell["task"])]
        known = sorted({cell["model"] for cell in cells})
        for model in (model_a, model_b):
            if model not in known:
                listed = ", ".join(known) or "none"
                raise StoreError(
                    f"{store.name} has no records of model {model!r}{nearest(model, known)}; it has: {listed}"
                )
        pairs = [
            (a, b)
            for a in cells
            for b in cells
            if a["model"] == model_a and b["model"] == model_b
            and all(a[name] == b[name] for name in ("task", "dataset", "split", "variant", "images"))
        ]  # fmt: skip
        if not pairs:
            raise StoreError(f"{model_a} and {model_b} have no task, data set and prompt variant in common")
        found = [
            item
            for a, b in pairs
            for item in _compare_cells(
                connection, a, b, planned_task(store, planned, (a["task"], a["dataset"], a["split"]))
            )
        ]
    if not found:
        raise StoreError(f"{model_a} and {model_b} have no scored sample in common")
    return found


def _compare_cells(connection: duckdb.DuckDBPyConnection, a: Row, b: Row, task: Task) -> list[Comparison]:
    out = []
    for name in task.profiles:
        side_a, side_b = (graded(connection, cell, name) for cell in (a, b))
        for metric in registry.load("metrics", name).metrics:
            found = paired(side_a, side_b, metric)
            if found.value_a is None or found.value_b is None:
                continue
            difference = found.difference
            discordance = ((difference.only_a or 0) + (difference.only_b or 0)) / len(found.samples)
            headline = (name, metric.name) == task.headline
            out.append(Comparison(
                a["task"], a["dataset"], a["split"], a["variant"], a["images"], name, metric.name, headline,
                found.value_a, found.value_b, difference, only=found.left_out, unit=metric.unit,
                mde=mde(len(found.samples), discordance) if discordance else None,
                flips=_flips((a, side_a), (b, side_b), found) if headline else [],
            ))  # fmt: skip
    return out


def _flips(a: tuple[Row, Graded], b: tuple[Row, Graded], found: Paired) -> list[Flip]:
    if found.hits_a is None or found.hits_b is None:
        return []
    (cell_a, side_a), (cell_b, side_b), out = a, b, []
    for sample, value_a, value_b in zip(found.samples, found.hits_a, found.hits_b, strict=True):
        if value_a != value_b:
            row_a, row_b = side_a.rows[sample], side_b.rows[sample]
            better = cell_a["model"] if value_a > value_b else cell_b["model"]
            out.append(Flip(sample, row_a["question"], row_a["target"], row_a["text"], row_b["text"], better))
    return out
