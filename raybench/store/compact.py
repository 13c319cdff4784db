"""Many small parts into few large ones, crash-safe.

A snapshot `TABLE/snapshot-<number>.json` names the parts that its new parts
replace. New parts appear first, then the snapshot (create-only number), so a
crash between leaves duplicates that the views already remove. Replaced files
are deleted by a later compaction, once the snapshot that replaced them is an
hour old: a reader that listed the folder before can finish.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from raybench.schema import SCHEMA_VERSION, TABLES, canonical_json
from raybench.store.files import new_id, now
from raybench.store.tables import SNAPSHOT, Store

__all__ = ["GRACE", "compact"]

GRACE = timedelta(hours=1)

#: The answers to one sample lie together, in groups of few rows: who reads one sample decompresses little, whatever
#: the size of the folder.
_ORDER = (
    "task", "dataset", "split", "sample", "model", "config", "variant", "images", "repeat", "turn", "run_id",
    "committed_at",
)  # fmt: skip
_GROUP_ROWS = 8192

#: What each table keeps: the rows its view may ever choose. Records newer than
#: the newest complete generation belong to a scoring that is still at work.
_KEPT = {
    "samples": "samples", "units": "units", "responses": "all_responses", "attempts": "attempts",
    "verdicts": "all_verdicts", "scores": "scores", "runs": "runs", "media": "media",
    "records": "(SELECT DISTINCT r.* EXCLUDE (part) FROM raw_records r LEFT JOIN generations g"
    " ON (r.task, r.dataset, r.split, r.model, r.config, r.variant, r.images)"
    " = (g.task, g.dataset, g.split, g.model, g.config, g.variant, g.images)"
    " WHERE g.generation IS NULL OR r.generation >= g.generation)",
}  # fmt: skip


def compact(store: Store, min_parts: int = 2) -> dict[str, tuple[int, int]]:
    """Compact every table with at least `min_parts` sealed parts; return table -> (parts before, after).

    Open files of living writers stay; those of dead ones are sealed first.
    """
    store.seal_orphans()
    done = {}
    for table in TABLES:
        _delete_replaced(store, table)
        before = [name for name in store.parts(table) if name.endswith(".parquet")]
        if len(before) >= min_parts and _compact_table(store, table, before):
            done[table] = (len(before), 1)
    return done


def _compact_table(store: Store, table: str, parts: list[str]) -> bool:
    """Rewrite the given parts as one; False if another compaction was first.

    Its part then stays as one more duplicate: a reader may have listed it already.
    """
    number, snapshot = store.snapshot(table)
    name = f"{new_id()}.parquet"
    read = {table: parts, **_needed(store, table)}
    order = ", ".join(column for column in _ORDER if column in TABLES[table].names)
    with store.connect_parts(read) as connection, store.files.staged(f"{table}/{name}") as path:
        target = path.replace("'", "''")
        connection.execute(
            f"COPY (SELECT * FROM {_KEPT[table]} ORDER BY {order}) TO '{target}' (FORMAT parquet, COMPRESSION zstd,"
            f" ROW_GROUP_SIZE {_GROUP_ROWS}, KV_METADATA {{raybench_schema: '{SCHEMA_VERSION}'}})"
        )
    replaced = [old for old in snapshot.get("replaced", ()) if old in store.files.names(table)]
    content = {"number": number + 1, "at": now(), "replaced": sorted({*replaced, *parts})}
    return store.files.create(f"{table}/{SNAPSHOT}{number + 1:08d}.json", canonical_json(content).encode())


def _needed(store: Store, table: str) -> dict[str, list[str]]:
    """Records are kept by generation, which the scores table names."""
    return {"scores": store.parts("scores")} if table == "records" else {}


def _delete_replaced(store: Store, table: str) -> None:
    _, snapshot = store.snapshot(table)
    if not snapshot:
        return
    at = datetime.strptime(snapshot["at"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    if datetime.now(UTC) - at >= GRACE:
        for name in snapshot["replaced"]:
            store.files.delete(f"{table}/{name}")
