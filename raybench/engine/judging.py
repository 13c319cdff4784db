"""The judging stage: judge items from committed records, what of it is missing, and its to-do file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice

import duckdb
import pyarrow as pa

from raybench import registry
from raybench.engine.groups import CHUNK_ROWS, write_groups
from raybench.engine.judge_estimates import judge_estimate
from raybench.engine.plan import PlannedModel, block_rows, check_hosts, is_restricted
from raybench.engine.stages import judge_rows
from raybench.errors import DataError, nearest
from raybench.interfaces import JudgeProtocol
from raybench.schema import CELL, TABLES, Row, digest
from raybench.scoring import stored_tasks
from raybench.scoring.beside import with_needs
from raybench.spec import JudgeSpec, RunSpec, protocol_of
from raybench.store import Store, quoted, stream

__all__ = ["JUDGE_SCHEMA", "JudgeFilter", "judge_todo"]

_TEXT = pa.string()
JUDGE_SCHEMA = pa.schema([
    *[(name, _TEXT) for name in (
        "key", "item", "judge", "judge_config", "protocol", "template", "task", "dataset", "split", "sample", "model",
        "question", "reference", "candidate", "other", "aspect", "messages", "sampling", "labels",
    )],
    ("injection_flags", pa.list_(_TEXT)), ("labels_else_text", pa.bool_()), ("fanout", pa.int64()),
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
        {"file", "rows", "block_rows", "cells", "items", "decided", "checks", "distinct", "protocols"}:
        `rows` calls to make, of `distinct` calls that `items` verdicts take, `decided` of these by rule
        and `checks` to check a rule or to be repeated. `protocols`: task -> (name, options as they were).
        Without `commit` also "estimate" (see `judge_estimate`).

    Raises:
        DataError: no stored record matches a task or model that was named.
        PolicyError: a restricted task and a judge on a remote host.
    """
    store = Store(spec.output)
    name = f"runs/{run_id}/plan/judge-{digest(judge.spec.name, 12)}"
    counts: Row = {"items": 0, "decided": 0, "checks": 0, "distinct": 0, "protocols": {}}
    empty: Row = {"file": "", "rows": 0, "block_rows": 1}
    with store.connect(("records", "scores", "verdicts", "runs", "samples")) as connection:
        stored = list(stream(connection, _CELLS_SQL))
        cells = [cell for cell in stored if chosen.matches(cell)]
        if not cells and chosen.cells is not None:
            return {**empty, "cells": [], **counts}
        if not cells:
            raise DataError(f"{spec.output}: nothing to judge{_unmatched(chosen, stored)}")
        _check_restricted(spec, judge, connection, cells)
        connection.register("chosen", pa.Table.from_pylist(cells))
        connection.execute("CREATE TABLE cells AS SELECT * FROM chosen")
        decided: dict[str, Row] = {}
        rows = _undecided(_all_rows(connection, judge, counts), decided)
        count = write_groups(store, f"{name}-all.parquet", rows, JUDGE_SCHEMA, CHUNK_ROWS)
        if commit:
            _write_decided(store, connection, decided, run_id)
        if not count:
            return {**empty, "cells": cells, **counts}
        todo = {**_write_missing(store, connection, name, judge.spec.replicas[1], counts), "cells": cells}
        return todo if commit else {**todo, "estimate": judge_estimate(store, connection, judge, todo)}


def _unmatched(chosen: JudgeFilter, stored: Sequence[Row]) -> str:
    """Say which task or model that was named has no answers, and which have some."""
    said = ""
    for name, wanted in (("task", chosen.task), ("model", chosen.model)):
        known = sorted({str(cell[name]) for cell in stored})
        if wanted is not None and wanted not in known:
            said += f" for {name} {wanted!r}{nearest(wanted, known)}; answered here: {', '.join(known) or 'none'}"
    both = f" for model {chosen.model!r} on task {chosen.task!r}" if chosen.task and chosen.model else ""
    return said or both or ": no stored answers"


_CELLS_SQL = f"SELECT DISTINCT {', '.join(CELL)} FROM records WHERE outcome <> 'failed' ORDER BY ALL"
#: Rows of one question and reference stand together, and so do the answers of all models to one sample.
_GROUP = ("task", "dataset", "split", "question", "target")
_RECORDS_SQL = f"""
SELECT r.* FROM records r SEMI JOIN cells c USING ({", ".join(CELL)})
WHERE outcome <> 'failed' ORDER BY {", ".join(_GROUP)}, sample, model
"""


def _write_missing(
    store: Store, connection: duckdb.DuckDBPyConnection, name: str, replicas: int, counts: Row
) -> Row:  # fmt: skip
    """Write the calls that no stored verdict answers; each content key once, with how many items it stands for."""
    source = f"read_parquet({quoted(store.files.url(f'{name}-all.parquet'))})"
    ((counts["distinct"],),) = connection.execute(f"SELECT count(DISTINCT key) FROM {source}").fetchall()
    sql = (
        f"SELECT j.* REPLACE (f.fanout AS fanout) FROM {source} j"
        f" JOIN (SELECT key, count(*) AS fanout FROM {source} GROUP BY key) f USING (key)"
        " ANTI JOIN all_verdicts v USING (key)"
        " QUALIFY row_number() OVER (PARTITION BY key ORDER BY task, model, sample) = 1"
        " ORDER BY question, reference, candidate, key"
    )
    ((missing,),) = connection.execute(f"SELECT count(*) FROM ({sql})").fetchall()
    size = block_rows(missing, replicas)
    if missing:
        write_groups(store, f"{name}.parquet", stream(connection, sql), JUDGE_SCHEMA, size)
    return {"file": f"{name}.parquet", "rows": missing, "block_rows": size, **counts}


def _check_restricted(
    spec: RunSpec, judge: PlannedModel, connection: duckdb.DuckDBPyConnection, cells: Sequence[Row]
) -> None:
    """Text of a restricted task goes to local judges only, unless the spec names the host."""
    tasks = stored_tasks(connection)
    for cell in cells:
        if is_restricted(tasks[cell["task"], cell["dataset"], cell["split"]]):
            check_hosts(spec.model_copy(update={"judges": (judge.spec,), "models": ()}), cell["task"])


def _all_rows(connection: duckdb.DuckDBPyConnection, judge: PlannedModel, counts: Row) -> Iterator[Row]:
    repeats = judge.spec.repeats if isinstance(judge.spec, JudgeSpec) else 1
    planned = {"name": judge.spec.name, "config": judge.config, "identity": judge.identity, "repeats": repeats}
    protocols: dict[str, JudgeProtocol | None] = {}
    for batch in _batches(stream(connection, _RECORDS_SQL)):
        for task in dict.fromkeys(row["task"] for row in batch):
            if task not in protocols:
                protocols[task] = _protocol(judge.spec, task, counts["protocols"])
            protocol = protocols[task]
            if protocol is None:
                continue
            records = with_needs(connection, protocol, [row for row in batch if row["task"] == task])
            for row in judge_rows(records, protocol, planned):
                counts["items"] += 1
                counts["decided"] += bool(row["decided"])
                counts["checks"] += bool(row["aspect"]) and row["aspect"].startswith(('{"audit"', '{"of"'))
                yield row


def _batches(records: Iterator[Row]) -> Iterator[list[Row]]:
    """Records in batches of about `CHUNK_ROWS` that cut through no question: pairs stand in one batch."""
    batch: list[Row] = []
    for _, group in groupby(records, key=lambda row: tuple(row[name] for name in _GROUP)):
        for part in iter(lambda group=group: list(islice(group, CHUNK_ROWS)), []):  # type: ignore[misc]
            batch += part
        if len(batch) >= CHUNK_ROWS:
            yield batch
            batch = []
    if batch:
        yield batch


def _protocol(spec: object, task: str, used: Row) -> JudgeProtocol | None:
    """The judge's own protocol, else the task's, noted in `used`; None for a task that is not judged."""
    named = spec.protocol if isinstance(spec, JudgeSpec) else None
    name = named or registry.load("tasks", task).judge_protocol
    if not name:
        return None
    plugin = registry.load("judges", name)
    protocol: JudgeProtocol = protocol_of(spec, name) if isinstance(spec, JudgeSpec) else plugin(plugin.Options())
    used[task] = [name, protocol.options.model_dump(mode="json")]
    return protocol


def _undecided(rows: Iterator[Row], decided: dict[str, Row]) -> Iterator[Row]:
    """Pass on what is to be asked; keep the rest by key, with how many items it stands for."""
    for row in rows:
        if not row["decided"]:
            yield row
        elif row["key"] in decided:
            decided[row["key"]]["fanout"] += 1
        else:
            decided[row["key"]] = {**row, "fanout": 1}


def _write_decided(
    store: Store, connection: duckdb.DuckDBPyConnection, decided: dict[str, Row], run_id: str
) -> None:  # fmt: skip
    """Commit the verdicts that a rule settled and that are not stored yet, each once."""
    if not decided:
        return
    known = {row["key"] for row in stream(connection, "SELECT DISTINCT key FROM all_verdicts")}
    names = TABLES["verdicts"].names
    fresh = [{name: row.get(name) for name in names} for key, row in decided.items() if key not in known]
    store.write("verdicts", fresh, run_id=run_id)
