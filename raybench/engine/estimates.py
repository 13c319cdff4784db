"""What a dry run can say before anything is sent: rows, image tokens, hours and money of each model.

Rates are measured where the folder holds answers of the model, else declared
(`rows_per_second` in its entry), else unknown: nothing is guessed. Token counts
are the mean of stored answers; without any, four characters are taken for a
token in and `max_tokens` for the answer, and the row says so.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import duckdb

from raybench.engine.limits import price_of
from raybench.engine.plan import PlannedModel, register_plan
from raybench.schema import Row
from raybench.spec import RunSpec, open_plugin
from raybench.store import Store, stream

__all__ = ["CHARACTERS_A_TOKEN", "estimate"]

#: The rule of thumb for English text where nothing is measured.
CHARACTERS_A_TOKEN = 4.0

_MISSING_SQL = """
CREATE TABLE missing AS SELECT p.* FROM plan p
    ANTI JOIN (SELECT key, count(*) AS turns FROM all_responses GROUP BY key) r USING (key, turns)
    QUALIFY row_number() OVER (PARTITION BY p.key, p.model ORDER BY p.ordinal) = 1
"""
#: One replica's rate: its rows over the time from its first request to its last answer, pauses between runs left out.
_RATE_SQL = """
SELECT (sum(n) / nullif(sum(seconds), 0))::DOUBLE AS rate, (sum(tokens_in) / sum(n))::DOUBLE AS tokens_in,
    (sum(tokens_out) / sum(n))::DOUBLE AS tokens_out FROM (
    SELECT count(*) AS n, sum(tokens_in) AS tokens_in, sum(tokens_out) AS tokens_out,
        epoch(max(committed_at::TIMESTAMP) - min(started_at::TIMESTAMP)) AS seconds
    FROM all_responses WHERE model = ? GROUP BY run_id, replica HAVING count(*) > 1)
"""
_ASKED_SQL = """
SELECT count(*) AS n, coalesce(sum(length(messages)), 0)::BIGINT AS characters,
    coalesce(sum((sampling::JSON->>'max_tokens')::BIGINT), 0)::BIGINT AS max_tokens FROM missing WHERE model = ?
"""
_SIZES_SQL = """
SELECT s.image_sizes AS sizes, count(*) AS n FROM missing m
JOIN plan_samples s USING (task, dataset, split, sample)
WHERE m.model = ? AND m.images IN ('with', 'shuffled') GROUP BY ALL
"""


def estimate(spec: RunSpec, models: Sequence[PlannedModel], cells: Sequence[Row], run_id: str) -> list[Row]:
    """Return one row a model.

    Returns:
        {"model", "planned", "cached", "missing", "images", "image_tokens", "rows_per_second" (of one replica),
        "rate" ("measured", "declared" or ""), "hours" (of wall time, with every replica at work), "gpu_hours",
        "tokens_in", "tokens_out", "tokens" ("measured", "about" or ""), "cost"}; what is unknown is None.
    """
    store, rows = Store(spec.output), []
    with store.connect(("responses",)) as connection:
        register_plan(connection, store, run_id)
        connection.execute(_MISSING_SQL)
        for model in models:
            own = [cell for cell in cells if cell["model"] == model.spec.name]
            planned, missing = (sum(cell[name] for cell in own) for name in ("planned", "missing"))
            row = {"model": model.spec.name, "planned": planned, "cached": planned - missing, "missing": missing}
            rows.append(row | _images(connection, model) | _costs(connection, model))
    return rows


def _costs(connection: duckdb.DuckDBPyConnection, model: PlannedModel) -> Row:
    entry = model.spec
    (seen,) = stream(connection, _RATE_SQL, [entry.name])
    (asked,) = stream(connection, _ASKED_SQL, [entry.name])
    rate = seen["rate"] or entry.rows_per_second
    row: Row = {"rows_per_second": rate, "rate": "measured" if seen["rate"] else "declared" if rate else ""}
    if seen["tokens_in"] is not None and seen["tokens_out"] is not None:
        row |= {kind: round(float(seen[kind]) * asked["n"]) for kind in ("tokens_in", "tokens_out")}
        row["tokens"] = "measured"
    else:
        text = round(asked["characters"] / CHARACTERS_A_TOKEN)
        images = _images(connection, model)["image_tokens"] or 0
        row |= {"tokens_in": text + images, "tokens_out": int(asked["max_tokens"]), "tokens": "about"}
    seconds = asked["n"] / rate if rate else None
    row["hours"] = None if seconds is None else seconds / entry.replicas[1] / 3600
    row["gpu_hours"] = None if seconds is None else seconds * entry.gpus / 3600
    row["cost"] = _money(model, seconds, (row["tokens_in"], row["tokens_out"]))
    return row


def _money(model: PlannedModel, seconds: float | None, tokens: tuple[float, float]) -> float | None:
    """Declared prices of the estimated work; None where no price, or no rate to go with it, is known."""
    entry = model.spec
    if entry.price_per_hour is None and entry.price_per_million_tokens is None:
        return None
    if entry.price_per_hour and seconds is None:
        return None
    return price_of(entry).of(seconds or 0.0, tokens)


def _images(connection: duckdb.DuckDBPyConnection, model: PlannedModel) -> Row:
    """How many images are to be sent, and their tokens where the backend can say."""
    backend, options = open_plugin("models", model.spec.backend, model.spec)
    images, tokens = 0, 0
    known: dict[tuple[int, int], int | None] = {}
    unknown = False
    for row in stream(connection, _SIZES_SQL, [model.spec.name]):
        sizes: list[Any] = json.loads(row["sizes"] or "[]")
        images += len(sizes) * row["n"]
        for size in sizes:
            if size is None:
                unknown = True
                continue
            if tuple(size) not in known:
                known[tuple(size)] = backend.image_tokens(options, *size)
            found = known[tuple(size)]
            unknown = unknown or found is None
            tokens += (found or 0) * row["n"]
    return {"images": images, "image_tokens": None if unknown else tokens}
