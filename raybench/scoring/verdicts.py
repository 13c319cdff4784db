"""Stored verdicts joined to a cell's records by what was judged, never by order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb
import numpy as np

from raybench import registry
from raybench.interfaces import Array, JudgeProtocol, MetricDef
from raybench.schema import Row
from raybench.store import stream

__all__ = ["JudgeColumns", "judge_columns"]


@dataclass(frozen=True)
class JudgeColumns:
    """One judge's statistics for a cell's records.

    Attributes:
        columns: statistics column -> (n,) numbers; `null` is 1 where a record
            that should have a verdict has none that can be read.
        template: hash of the prompt it was asked with.
    """

    judge: str
    protocol: str
    template: str
    metrics: tuple[MetricDef, ...]
    columns: Mapping[str, Array]


def judge_columns(connection: duckdb.DuckDBPyConnection, records: Sequence[Row]) -> list[JudgeColumns]:
    """Return the statistics of every judge with a verdict on this cell's answers."""
    out = []
    for name in _protocols(connection):
        plugin = registry.load("judges", name)
        protocol: JudgeProtocol = plugin(plugin.Options())
        items = list(protocol.items(records))
        for judge, verdicts in sorted(_verdicts(connection, name, items).items()):
            joined = [verdicts.get(item["item"]) if item else None for item in items]
            columns = _columns(protocol, items, joined)
            out.append(JudgeColumns(judge, name, protocol.template_hash, protocol.metrics(), columns))
    return sorted(out, key=lambda found: (found.judge, found.protocol))


def _protocols(connection: duckdb.DuckDBPyConnection) -> list[str]:
    return [row["protocol"] for row in stream(connection, "SELECT DISTINCT protocol FROM verdicts ORDER BY 1")]


def _verdicts(
    connection: duckdb.DuckDBPyConnection, protocol: str, items: Sequence[Row | None]
) -> dict[str, dict[str, Row]]:
    """Return judge -> item -> verdict; an item is judged once, whichever task or model had it first."""
    sql = (
        "SELECT judge, item, status, label, score, decided_by FROM verdicts"
        " WHERE protocol = ? AND item IN (SELECT unnest(?::VARCHAR[]))"
    )
    found: dict[str, dict[str, Row]] = {}
    for row in stream(connection, sql, [protocol, sorted({item["item"] for item in items if item})]):
        found.setdefault(row["judge"], {})[row["item"]] = row
    return found


def _columns(protocol: JudgeProtocol, items: Sequence[Row | None], joined: Sequence[Row | None]) -> dict[str, Array]:
    rows: list[Mapping[str, float]] = []
    for item, verdict in zip(items, joined, strict=True):
        if item is None:
            rows.append({})
        elif verdict is None:
            rows.append({"null": 1.0})
        else:
            rows.append(protocol.statistics(verdict))
    names = sorted({name for row in rows for name in row} | {"null"})
    return {name: np.asarray([row.get(name, 0.0) for row in rows], dtype=float) for name in names}
