"""The judging stage: judge items from committed records, what of it is missing, and its to-do file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import pyarrow as pa

from raybench import registry
from raybench.engine.plan import CHUNK_ROWS, PlannedModel, block_rows, write_groups
from raybench.engine.stages import judge_rows
from raybench.errors import DataError
from raybench.interfaces import JudgeProtocol
from raybench.schema import TABLES, Row, digest
from raybench.spec import JudgeSpec, RunSpec
from raybench.store import Store, stream

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
    """Which records are judged; None is all."""

    task: str | None = None
    model: str | None = None
    cells: tuple[Row, ...] | None = None


def judge_todo(spec: RunSpec, judge: PlannedModel, chosen: JudgeFilter, run_id: str) -> Row:
    """Decide by rule what needs no call, and write the calls that are missing, each item once.

    Items are ordered by question and reference, so that prefix caches hit.

    Returns:
        {"file", "rows", "block_rows", "items", "decided"}: `rows` calls to make for `items` records.

    Raises:
        DataError: no stored record matches the filter.
    """
    store = Store(spec.output)
    name = f"runs/{run_id}/plan/judge-{digest(judge.spec.name, 12)}"
    counts = {"items": 0, "decided": 0}
    with store.connect(("records", "scores", "verdicts")) as connection:
        records = stream(connection, _records_sql(chosen), _parameters(chosen))
        rows = _all_rows(records, judge, counts)
        decided: list[Row] = []
        count = write_groups(store, f"{name}-all.parquet", _undecided(rows, decided), JUDGE_SCHEMA, CHUNK_ROWS)
        if not counts["items"]:
            raise DataError(
                f"{spec.output}: nothing to judge for task {chosen.task or 'any'}, model {chosen.model or 'any'}"
            )
        _write_decided(store, connection, decided, run_id)
        if not count:
            return {"file": "", "rows": 0, "block_rows": 1, **counts}
        source = store.files.url(f"{name}-all.parquet")
        sql = (
            f"SELECT * FROM read_parquet('{source}') j ANTI JOIN verdicts v USING (key)"
            " QUALIFY row_number() OVER (PARTITION BY key ORDER BY task, model, sample) = 1"
            " ORDER BY question, reference, candidate"
        )
        ((missing,),) = connection.execute(f"SELECT count(*) FROM ({sql})").fetchall()
        size = block_rows(missing, judge.spec.replicas[1])
        if missing:
            write_groups(store, f"{name}.parquet", stream(connection, sql), JUDGE_SCHEMA, size)
    return {"file": f"{name}.parquet", "rows": missing, "block_rows": size, **counts}


def _records_sql(chosen: JudgeFilter) -> str:
    where = ["outcome <> 'failed'"]
    where += ["task = ?"] if chosen.task else []
    where += ["model = ?"] if chosen.model else []
    return f"SELECT * FROM records WHERE {' AND '.join(where)} ORDER BY task, dataset, split, question, target"


def _parameters(chosen: JudgeFilter) -> list[str]:
    return [value for value in (chosen.task, chosen.model) if value]


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


def _write_decided(store: Store, connection: object, decided: Sequence[Row], run_id: str) -> None:
    """Commit the verdicts that a rule settled and that are not stored yet, each once."""
    distinct = {row["key"]: row for row in decided}
    if not distinct:
        return
    known = {row["key"] for row in stream(connection, "SELECT DISTINCT key FROM verdicts")}  # type: ignore[arg-type]
    names = TABLES["verdicts"].names
    fresh = [{name: row.get(name) for name in names} for key, row in distinct.items() if key not in known]
    store.write("verdicts", fresh, run_id=run_id)
