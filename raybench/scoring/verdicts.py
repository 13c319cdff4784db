"""Stored verdicts joined to a cell's records by what was judged, never by order."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb
import numpy as np

from raybench import registry
from raybench.interfaces import Array, JudgeProtocol, MetricDef, Statistics, judge_calls
from raybench.schema import CELL, Row
from raybench.scoring.beside import with_needs
from raybench.scoring.samples import Samples
from raybench.spec import plugin_options
from raybench.stats.paired import null_bounds
from raybench.store import stream

__all__ = ["JudgeColumns", "Judging", "bounds", "judge_columns", "judged_last", "judgings", "verdicts_of"]


@dataclass(frozen=True)
class Judging:
    """One judge's newest words on a cell: under which name, configuration and protocol they are stored."""

    judge: str
    config: str
    protocol: JudgeProtocol


@dataclass(frozen=True)
class JudgeColumns:
    """One judge's statistics for a cell's records.

    Attributes:
        columns: statistics column -> (n,) numbers; `null` is 1 where a record
            that should have a verdict has none that can be read.
        template: hash of the prompt it was asked with.
        possible: extreme statistics as columns too: what each null record could have had.
    """

    judge: str
    config: str
    protocol: str
    template: str
    metrics: tuple[MetricDef, ...]
    columns: Mapping[str, Array]
    possible: Sequence[Mapping[str, Array]] = field(default=())


def judge_columns(
    connection: duckdb.DuckDBPyConnection, cell: Mapping[str, str], records: Sequence[Row]
) -> list[JudgeColumns]:
    """Return the statistics of every judge that was asked to judge this cell.

    A judge's verdicts are those of the configuration, protocol and template it judged the cell with last:
    answers that these have not judged are null.
    """
    out = []
    for judging in judgings(connection, cell):
        protocol = judging.protocol
        items, found = verdicts_of(connection, judging, cell, records)
        rows = [{} if item is None else dict(protocol.aggregate(item, found)) for item in items]
        columns = _columns(rows, protocol.metrics())
        out.append(
            JudgeColumns(
                judging.judge, judging.config, protocol.name, protocol.template_hash, protocol.metrics(),
                columns, _extremes(protocol, items, found, columns["null"]),
            )
        )  # fmt: skip
    return out


def verdicts_of(
    connection: duckdb.DuckDBPyConnection, judging: Judging, cell: Mapping[str, str], records: Sequence[Row]
) -> tuple[list[Row | None], dict[str, Row]]:
    """Return each record's judge item, and the stored verdicts by item digest."""
    placed = [{**{name: cell[name] for name in CELL}, **record} for record in records]
    items = judging.protocol.items(with_needs(connection, judging.protocol, placed))[: len(records)]
    calls = [call for item in items if item is not None for call in judge_calls(item)]
    return items, _stored(connection, judging, sorted({call["item"] for call in calls}))


def judged_last(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str, ...], dict[tuple[str, str], list[Any]]]:
    """Return cell -> (judge, protocol) -> [configuration, protocol options], each as the cell was judged last.

    A record from before protocols had options names none: its protocol is "", for all that are stored.
    """
    found: dict[tuple[str, ...], dict[tuple[str, str], list[Any]]] = {}
    for row in stream(connection, "SELECT judged FROM runs WHERE judged IS NOT NULL ORDER BY committed_at"):
        judged = json.loads(row["judged"])
        for cell in map(tuple, judged["cells"]):
            asked = judged["protocols"].get(cell[CELL.index("task")]) if "protocols" in judged else ("", {})
            if asked is not None:
                protocol, options = asked
                found.setdefault(cell, {})[judged["judge"], protocol] = [judged["config"], options]
    return found


def judgings(connection: duckdb.DuckDBPyConnection, cell: Mapping[str, str]) -> list[Judging]:
    """Return every judge and protocol that judged a cell, each as it judged it last, sorted by judge and protocol."""
    found: dict[tuple[str, str], tuple[str, Mapping[str, Any]]] = {}
    asked = judged_last(connection).get(tuple(cell[name] for name in CELL), {})
    for (judge, named), (config, options) in asked.items():
        for name in [named] if named else _stored_protocols(connection, judge, config):
            found[judge, name] = (config, options)
    return [
        Judging(judge, config, _protocol(judge, name, options))
        for (judge, name), (config, options) in sorted(found.items(), key=lambda each: each[0])
    ]


def _protocol(judge: str, name: str, options: Mapping[str, Any]) -> JudgeProtocol:
    plugin = registry.load("judges", name)
    protocol: JudgeProtocol = plugin(plugin_options(plugin, options, f"judge {judge}, protocol {name}", plugin.Options))
    return protocol


def _stored_protocols(connection: duckdb.DuckDBPyConnection, judge: str, config: str) -> list[str]:
    sql = "SELECT DISTINCT protocol FROM all_verdicts WHERE judge = ? AND judge_config = ? ORDER BY 1"
    return [row["protocol"] for row in stream(connection, sql, [judge, config])]


def _stored(connection: duckdb.DuckDBPyConnection, judging: Judging, items: Sequence[str]) -> dict[str, Row]:
    """Return item -> verdict; an item is judged once, whichever task or model had it first, under whichever name.

    People have no configuration: they are told apart by name.
    """
    sql = (
        "SELECT item, status, label, score, label_probs, label_mass, decided_by, aspect FROM all_verdicts"
        " WHERE judge_config = ? AND (judge_config <> '' OR judge = ?) AND protocol = ?"
        " AND item IN (SELECT unnest(?::VARCHAR[]))"
    )
    asked = [judging.config, judging.judge, judging.protocol.name, list(items)]
    return {row["item"]: row for row in stream(connection, sql, asked)}


def _columns(rows: Sequence[Mapping[str, float]], metrics: Sequence[MetricDef]) -> dict[str, Array]:
    """Return the statistics as columns, those of every metric among them where no record has a verdict."""
    wanted = {name for metric in metrics for name in (metric.over, metric.hit) if name}
    names = sorted({name for row in rows for name in row} | wanted | {"null"})
    return {name: np.asarray([row.get(name, 0.0) for row in rows], dtype=float) for name in names}


def _extremes(
    protocol: JudgeProtocol, items: Sequence[Row | None], found: Mapping[str, Row], null: Array
) -> list[dict[str, Array]]:
    """Return each extreme of `protocol.extremes` as columns; rows that are not null hold nothing that is read."""
    own = {i: protocol.extremes(item, found) for i, item in enumerate(items) if item is not None and null[i]}
    out = []
    for number in range(len(protocol.possible())):
        columns: dict[str, Array] = {}
        for i, rows in own.items():
            for name, value in rows[number].items():
                columns.setdefault(name, np.zeros(len(items)))[i] = value
        out.append(columns)
    return out


def bounds(
    metric: MetricDef, columns: Statistics, possible: Sequence[Mapping[str, float | Array]], samples: Samples
) -> tuple[float | None, float | None]:
    """Return the least and the greatest value that a metric could have, whatever the null verdicts would have been.

    Rows of one sample are averaged first, as in the score itself. (None, None) where nothing says what a verdict
    could have been.
    """
    if not possible:
        return (None, None) if metric.hit is None else _missed_or_hit(metric, columns, samples)
    null = np.asarray(columns["null"], dtype=float) > 0
    values = []
    for row in possible:
        filled = {name: np.where(null, row.get(name, column), column) for name, column in columns.items()}
        filled |= {name: null * value for name, value in row.items() if name not in columns}
        values.append(_value(metric, filled, samples))
    known = [value for value in values if value is not None]
    return (min(known), max(known)) if known else (None, None)


def _value(metric: MetricDef, columns: Statistics, samples: Samples) -> float | None:
    """The metric over all rows, each sample counting once; None where its denominator is empty."""
    over = np.asarray(columns[metric.over], dtype=float)
    if metric.hit is None:
        shares = 1.0 / np.bincount(samples.inverse)[samples.inverse]
        value = float(metric.values(columns, shares[None])[0])
        return value if np.isfinite(value) else None
    counted = samples.mean((over > 0).astype(float), over).sum()
    return float(samples.mean(np.asarray(columns[metric.hit]), over).sum() / counted) if counted else None


def _missed_or_hit(metric: MetricDef, columns: Statistics, samples: Samples) -> tuple[float | None, float | None]:
    """The metric if every null verdict were a miss, and if every one were a hit."""
    assert metric.hit is not None
    over, null = np.asarray(columns[metric.over]), np.asarray(columns["null"])
    asked, hits = over + null, np.asarray(columns[metric.hit]) * over
    known, unknown = samples.mean(hits, asked).sum(), samples.mean(null, asked).sum()
    counted = samples.mean(np.ones(len(asked)), asked).sum()
    return null_bounds(float(known), float(counted - unknown), float(unknown))
