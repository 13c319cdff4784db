"""What a run record says of a cell beside its scores: values that have no interval, such as confusion counts.

A profile gives them (`Profile.facts`); they stand in the `runs` table, in rows
of the run that planned the cell last. Such a row has no status: the run's own stays.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import duckdb
import numpy as np

from raybench.interfaces import Profile, Task
from raybench.schema import CELL, Row, canonical_json
from raybench.scoring.columns import Cell, View
from raybench.scoring.grading import profiles_of
from raybench.store import Store, now, stream

__all__ = ["facts_of", "stored_facts", "write_facts"]


def facts_of(task: Task, cell: Cell) -> Iterator[Row]:
    """Yield {cell columns, "profile", "facts"} of each profile that has something to say of a cell."""
    rows = View(cell, np.arange(len(cell.samples)), "all").scored()
    for profile in profiles_of(task) if len(rows) else ():
        if type(profile).facts is not Profile.facts:
            found = dict(profile.facts(cell.columns(profile.name, rows)))
            if found:
                yield {**cell.keys, "profile": profile.name, "facts": found}


def write_facts(store: Store, connection: duckdb.DuckDBPyConnection, facts: Sequence[Row]) -> None:
    """Store facts in the record of the newest run that planned each cell."""
    planned: dict[tuple[str, ...], str] = {}
    for run in stream(connection, "SELECT run_id, cells FROM runs WHERE cells IS NOT NULL ORDER BY committed_at"):
        planned |= {tuple(cell[name] for name in CELL): run["run_id"] for cell in json.loads(run["cells"])}
    by_run: dict[str, list[Row]] = {}
    for fact in facts:
        run_id = planned.get(tuple(fact[name] for name in CELL))
        if run_id is not None:
            by_run.setdefault(run_id, []).append(fact)
    at = now()
    store.write("runs", [{"run_id": key, "at": at, "facts": canonical_json(found)} for key, found in by_run.items()])


def stored_facts(store: Store) -> list[Row]:
    """Return the newest facts of each cell and profile, as `facts_of` yields them, sorted by cell."""
    found: dict[tuple[str, ...], Row] = {}
    sql = "SELECT facts FROM runs WHERE facts IS NOT NULL ORDER BY committed_at"
    for row in store.query(sql, (), ("runs",)):
        found |= {tuple(fact[name] for name in (*CELL, "profile")): fact for fact in json.loads(row["facts"])}
    return [found[key] for key in sorted(found)]
