"""What a judge protocol wants beside the records: the samples' context, other models' answers, other judges' words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from raybench.interfaces import JudgeProtocol
from raybench.schema import CELL, Row
from raybench.store import stream

__all__ = ["with_needs"]

#: Cells whose records may be held against one another: they differ in the model only.
_PLACE = tuple(name for name in CELL if name not in ("model", "config"))


def with_needs(connection: duckdb.DuckDBPyConnection, protocol: JudgeProtocol, records: Sequence[Row]) -> list[Row]:
    """Return records with what the protocol needs; other models' follow them, with "beside" true.

    Args:
        records: with the cell columns, "sample", "outcome", "question", "target", "text".
    """
    found = list(records)
    if "partners" in protocol.needs:
        found += _partners(connection, records)
    if "context" in protocol.needs:
        found = _with_context(connection, found)
    if "verdicts" in protocol.needs:
        found = _with_verdicts(connection, protocol, found)
    return found


def _partners(connection: duckdb.DuckDBPyConnection, records: Sequence[Row]) -> list[Row]:
    """Other cells' records of the same samples, whose answers a pair needs."""
    own = {tuple(record[name] for name in (*CELL, "sample", "turn", "repeat")) for record in records}
    places = {tuple(record[name] for name in _PLACE) for record in records}
    samples = sorted({str(record["sample"]) for record in records})
    columns = ", ".join((*CELL, "sample", "turn", "repeat", "outcome", "question", "target", "text"))
    sql = (
        f"SELECT {columns} FROM records WHERE {' AND '.join(f'{name} = ?' for name in _PLACE)}"
        " AND outcome <> 'failed' AND sample IN (SELECT unnest(?::VARCHAR[])) ORDER BY ALL"
    )
    rows = (row for place in sorted(places) for row in stream(connection, sql, [*place, samples]))
    return [
        {**row, "beside": True}
        for row in rows
        if tuple(row[name] for name in (*CELL, "sample", "turn", "repeat")) not in own
    ]


def _with_context(connection: duckdb.DuckDBPyConnection, records: Sequence[Row]) -> list[Row]:
    place = ("task", "dataset", "split")
    samples = sorted({str(record["sample"]) for record in records})
    sql = f"SELECT {', '.join(place)}, sample, context FROM samples WHERE sample IN (SELECT unnest(?::VARCHAR[]))"
    found = {
        tuple(row[name] for name in (*place, "sample")): json.loads(row["context"] or "{}")
        for row in stream(connection, sql, [samples])
    }
    return [
        {**record, "context": found.get(tuple(record[name] for name in (*place, "sample")), {})} for record in records
    ]


def _with_verdicts(connection: duckdb.DuckDBPyConnection, protocol: JudgeProtocol, records: Sequence[Row]) -> list[Row]:
    """The records with what the judges that `protocol.options` names said of each: judge -> verdict row.

    Only a record's own verdict counts, never a part of one, a repeat or the check of a rule.
    """
    options: Any = protocol.options
    texts = sorted({str(record["text"] or "") for record in records})
    sql = (
        "SELECT question, reference, candidate, judge, status, label, score, label_probs FROM all_verdicts"
        " WHERE protocol = ? AND aspect IS NULL AND judge IN (SELECT unnest(?::VARCHAR[]))"
        " AND candidate IN (SELECT unnest(?::VARCHAR[]))"
        " QUALIFY row_number() OVER (PARTITION BY judge, question, reference, candidate"
        " ORDER BY committed_at DESC, key) = 1"
    )
    said: dict[tuple[str, str, str], dict[str, Mapping[str, Any]]] = {}
    for row in stream(connection, sql, [options.of, list(options.judges), texts]):
        key = (row["question"], row["reference"], row["candidate"])
        said.setdefault(key, {})[row["judge"]] = row
    return [
        {**record, "verdicts": said.get((record["question"], record["target"], str(record["text"] or "")), {})}
        for record in records
    ]
