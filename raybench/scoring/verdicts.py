"""Stored verdicts joined to a cell's records by what was judged, never by order."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb
import numpy as np

from raybench import registry
from raybench.interfaces import Array, JudgeProtocol, MetricDef
from raybench.schema import CELL, Row
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
    config: str
    protocol: str
    template: str
    metrics: tuple[MetricDef, ...]
    columns: Mapping[str, Array]


def judge_columns(
    connection: duckdb.DuckDBPyConnection, cell: Mapping[str, str], records: Sequence[Row]
) -> list[JudgeColumns]:
    """Return the statistics of every judge that was asked to judge this cell.

    A judge's verdicts are those of the configuration it judged the cell with last:
    answers that this configuration has not judged are null.
    """
    out = []
    for judge, config in sorted(_judged(connection, cell).items()):
        for name in _protocols(connection, judge, config):
            plugin = registry.load("judges", name)
            protocol: JudgeProtocol = plugin(plugin.Options())
            items = list(protocol.items(records))
            verdicts = _verdicts(connection, (judge, config, name), items)
            joined = [verdicts.get(item["item"]) if item else None for item in items]
            columns = _columns(protocol, items, joined)
            out.append(JudgeColumns(judge, config, name, protocol.template_hash, protocol.metrics(), columns))
    return out


def _judged(connection: duckdb.DuckDBPyConnection, cell: Mapping[str, str]) -> dict[str, str]:
    """Judge -> the configuration it judged this cell with last, from the run records."""
    key, found = [cell[name] for name in CELL], {}
    for row in stream(connection, "SELECT judged FROM runs WHERE judged IS NOT NULL ORDER BY committed_at"):
        judged = json.loads(row["judged"])
        if key in judged["cells"]:
            found[judged["judge"]] = judged["config"]
    return found


def _protocols(connection: duckdb.DuckDBPyConnection, judge: str, config: str) -> list[str]:
    sql = "SELECT DISTINCT protocol FROM all_verdicts WHERE judge = ? AND judge_config = ? ORDER BY 1"
    return [row["protocol"] for row in stream(connection, sql, [judge, config])]


def _verdicts(
    connection: duckdb.DuckDBPyConnection, judged_by: tuple[str, str, str], items: Sequence[Row | None]
) -> dict[str, Row]:
    """Return item -> verdict; an item is judged once, whichever task or model had it first."""
    sql = (
        "SELECT item, status, label, score, decided_by FROM all_verdicts"
        " WHERE judge = ? AND judge_config = ? AND protocol = ? AND item IN (SELECT unnest(?::VARCHAR[]))"
    )
    named = sorted({item["item"] for item in items if item})
    return {row["item"]: row for row in stream(connection, sql, [*judged_by, named])}


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
