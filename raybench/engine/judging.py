"""The judging stage: judge items from committed records, what of it is missing, and its to-do file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import duckdb
import pyarrow as pa

from raybench import registry
from raybench.engine.groups import CHUNK_ROWS, write_groups
from raybench.engine.plan import PlannedModel, block_rows, check_hosts, is_restricted
from raybench.engine.stages import judge_rows
from raybench.errors import DataError
from raybench.interfaces import JudgeProtocol
from raybench.schema import CELL, TABLES, Row, digest
from raybench.scoring import stored_tasks
from raybench.spec import JudgeSpec, RunSpec
from raybench.store import Store, quoted, stream

__all__ = ["JUDGE_SCHEMA", "JudgeFilter", "judge_todo"]

_TEXT = pa.string()
JUDGE_SCHEMA = pa.schema([
    *[(name, _TEXT) for name in (
        "key", "item", "judge", "judge_config", "protocol", "template", "task", "dataset", "split", "sample", "model",
        "question", "reference", "candidate", "messages", "sampling", "labels",
    )],
])  # fmt: skip


@dataclass(frozen=True)
class JudgeFilter:
    """Which records are judged; None is all. `cells` are dicts with the cell columns."""

    task: str | None = None
    model: str | None = None
    cells: tuple[Row, ...] | None = None

    def matches(self, cell: Row) -> bool:
        """Whether a cell is among the chosen."""
        named = self.task in (None, cell["task"]) and self.model in (None, cell["model"])
        listed = self.cells is None or any(all(cell[name] == own[name] for name in CELL) for own in self.cells)
        return named and listed


def judge_todo(spec: RunSpec, judge: PlannedModel, chosen: JudgeFilter, run_id: str, commit: bool = True) -> Row:
    """Decide by rule what needs no call, and write the calls that are missing, each item once.

    Items are ordered by question and reference, so that prefix caches hit.

    Returns:
        {"file", "rows", "block_rows", "cells", "items", "decided"}: `rows` calls to make for `items` records.

    Raises:
        DataError: no stored record matches a task or model that was named.
        PolicyError: a restricted task and a judge on a remote host.
    """
    store = Store(spec.output)
    name = f"runs/{run_id}/plan/judge-{digest(judge.spec.name, 12)}"
    counts = {"items": 0, "decided": 0}
    with store.connect(("records", "scores", "verdicts", "runs")) as connection:
        cells = [cell for cell in stream(connection, _CELLS_SQL) if chosen.matches(cell)]
        if not cells and chosen.cells is not None:
            return {"file": "", "rows": 0, "block_rows": 1, "cells": [], **counts}
        if not cells:
            where = f"task {chosen.task or 'any'}, model {chosen.model or 'any'}"
            raise DataError(f"{spec.output}: nothing to judge for {where}")
        _check_restricted(spec, judge, connection, cells)
        connection.register("chosen", pa.Table.from_pylist(cells))
        connection.execute("CREATE TABLE cells AS SELECT * FROM chosen")
        rows = _all_rows(stream(connection, _RECORDS_SQL), judge, counts)
        decided: list[Row] = []
        count = write_groups(store, f"{name}-all.parquet", _undecided(rows, decided), JUDGE_SCHEMA, CHUNK_ROWS)
        if commit:
            _write_decided(store, connection, decided, run_id)
        if not count:
            return {"file": "", "rows": 0, "block_rows": 1, "cells": cells, **counts}
        source = quoted(store.files.url(f"{name}-all.parquet"))
        sql = (
            f"SELECT * FROM read_parquet({source}) j ANTI JOIN all_verdicts v USING (key)"
            " QUALIFY row_number() OVER (PARTITION BY key ORDER BY task, model, sample) = 1"
            " ORDER BY question, reference, candidate"
        )
        ((missing,),) = connection.execute(f"SELECT count(*) FROM ({sql})").fetchall()
        size = block_rows(missing, judge.spec.replicas[1])
        if missing:
            write_groups(store, f"{name}.parquet", stream(connection, sql), JUDGE_SCHEMA, size)
    return {"file": f"{name}.parquet", "rows": missing, "block_rows": size, "cells": cells, **counts}


_CELLS_SQL = f"SELECT DISTINCT {', '.join(CELL)} FROM records WHERE outcome <> 'failed' ORDER BY ALL"
_RECORDS_SQL = f"""
SELECT r.* FROM records r SEMI JOIN cells c USING ({", ".join(CELL)})
WHERE outcome <> 'failed' ORDER BY task, dataset, split, question, target
"""


def _check_restricted(
    spec: RunSpec, judge: PlannedModel, connection: duckdb.DuckDBPyConnection, cells: Sequence[Row]
) -> None:
    """Text of a restricted task goes to local judges only, unless the spec names the host."""
    tasks = stored_tasks(connection)
    for cell in cells:
        if is_restricted(tasks[cell["task"], cell["dataset"], cell["split"]]):
            check_hosts(spec.model_copy(update={"judges": (judge.spec,), "models": ()}), cell["task"])


def _all_rows(records: Iterator[Row], judge: PlannedModel, counts: dict[str, int]) -> Iterator[Row]:
    planned = {"name": judge.spec.name, "config": judge.config, "identity": judge.identity}
    protocols: dict[str, JudgeProtocol | None] = {}
    while batch := list(islice(records, CHUNK_ROWS)):
        for task in dict.fromkeys(row["task"] for row in batch):
            if task not in protocols:
                protocols[task] = _protocol(judge.spec, task)
            protocol = protocols[task]
            if protocol is None:
                continue
            for row in judge_rows([row for row in batch if row["task"] == task], protocol, planned):
                counts["items"] += 1
                counts["decided"] += bool(row["decided"])
                yield row


def _protocol(spec: object, task: str) -> JudgeProtocol | None:
    """The judge's own protocol, else the task's; None for a task that is not judged."""
    named = spec.protocol if isinstance(spec, JudgeSpec) else None
    name = named or registry.load("tasks", task).judge_protocol
    if not name:
        return None
    plugin = registry.load("judges", name)
    protocol: JudgeProtocol = plugin(plugin.Options())
    return protocol


def _undecided(rows: Iterator[Row], decided: list[Row]) -> Iterator[Row]:
    for row in rows:
        if row["decided"]:
            decided.append(row)
        else:
            yield row


def _write_decided(store: Store, connection: duckdb.DuckDBPyConnection, decided: Sequence[Row], run_id: str) -> None:
    """Commit the verdicts that a rule settled and that are not stored yet, each once."""
    distinct = {row["key"]: row for row in decided}
    if not distinct:
        return
    known = {row["key"] for row in stream(connection, "SELECT DISTINCT key FROM all_verdicts")}
    names = TABLES["verdicts"].names
    fresh = [{name: row.get(name) for name in names} for key, row in distinct.items() if key not in known]
    store.write("verdicts", fresh, run_id=run_id)
