"""What judging would take: prompt tokens and time, known where they can be, and said to be a guess where not.

Tokens are counted with the judge's own tokeniser where it can be read without
its weights, on at most 256 prompts spread over the to-do file. The rate is that
of this judge's stored verdicts in the folder; without any, time is unknown.
"""

from __future__ import annotations

import json

import duckdb

from raybench.engine.groups import read_columns
from raybench.engine.plan import PlannedModel
from raybench.schema import Row
from raybench.spec import open_plugin
from raybench.store import Store, stream

__all__ = ["CHARACTERS_A_TOKEN", "judge_estimate"]

#: The rule of thumb for English text.
CHARACTERS_A_TOKEN = 4.0
_COUNTED = 256

_RATE_SQL = """
SELECT sum(n) / nullif(sum(seconds), 0) AS rate FROM (
    SELECT count(*) AS n, epoch(max(committed_at::TIMESTAMP) - min(started_at::TIMESTAMP)) AS seconds
    FROM all_verdicts WHERE judge_config = ? AND decided_by = 'judge' AND started_at IS NOT NULL
    GROUP BY run_id, replica HAVING count(*) > 1)
"""


def judge_estimate(store: Store, connection: duckdb.DuckDBPyConnection, judge: PlannedModel, todo: Row) -> Row:
    """Return what a to-do file of judge rows would take.

    Returns:
        {"tokens_in", "tokens_out" (at most), "counted" (prompts whose tokens were counted; 0 for the rule of
        thumb), "rows_per_second" (of one replica, measured; None if unknown), "seconds" (wall time, None if unknown)}
    """
    rows = read_columns(store, todo["file"], ["messages", "sampling", "labels"]) if todo["rows"] else []
    plugin, options = open_plugin("models", judge.spec.backend, judge.spec)
    step = -(-len(rows) // _COUNTED) or 1
    chosen = [json.loads(row["messages"]) for row in rows[::step]]
    counts = plugin.count_tokens(options, chosen) if rows else []
    characters = sum(_characters(json.loads(row["messages"])) for row in rows)
    tokens = characters / CHARACTERS_A_TOKEN if counts is None else sum(counts) / max(len(counts), 1) * len(rows)
    forces = plugin.capabilities.label_logprobs
    tokens_out = sum(1 if forces and row["labels"] else json.loads(row["sampling"])["max_tokens"] for row in rows)
    (measured,) = stream(connection, _RATE_SQL, [judge.config])
    rate = measured["rate"]
    return {
        "tokens_in": round(tokens), "tokens_out": tokens_out, "counted": len(counts or ()),
        "rows_per_second": rate, "seconds": len(rows) / rate / judge.spec.replicas[1] if rate else None,
    }  # fmt: skip


def _characters(chat: list[Row]) -> int:
    contents = (turn["content"] for turn in chat)
    return sum(
        len(content) if isinstance(content, str) else sum(len(part.get("text") or "") for part in content)
        for content in contents
    )
