"""Rows for people: single samples, cells, runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from raybench.errors import StoreError, nearest
from raybench.schema import CELL, Row
from raybench.store import Store

__all__ = ["LOST_SECONDS", "cell_rows", "run_rows", "sample_rows"]

#: A run reports every 10 s; after this long without a word it is taken for dead.
LOST_SECONDS = 60.0
_ENDED = ("done", "incomplete", "failed", "interrupted")


def sample_rows(store: Store, task: str, model: str, outcome: str | None, limit: int) -> list[Row]:
    """Return up to `limit` records of one task and model, each with its verdicts under "verdicts".

    Raises:
        StoreError: the folder has no records of that task and model.
    """
    with store.connect(("records", "scores", "verdicts", "samples", "attempts")) as connection:
        known = connection.execute("SELECT DISTINCT task, model FROM records").fetchall()
        if (task, model) not in known:
            pairs = [f"{t} / {m}" for t, m in sorted(known)]
            close = nearest(f"{task} / {model}", pairs)
            raise StoreError(
                f"{store.name} has no records of {task} / {model}{close}; it has: {', '.join(pairs) or 'none'}"
            )
        sql = (
            "SELECT r.*, s.images AS image_refs, s.ordinal, a.detail FROM records r"
            " LEFT JOIN (SELECT key, arg_max(detail, committed_at) AS detail FROM attempts GROUP BY key) a"
            " ON r.key = a.key AND r.outcome = 'failed'"
            " LEFT JOIN samples s USING (task, dataset, split, sample)"
            " WHERE r.task = ? AND r.model = ? AND (? IS NULL OR r.outcome = ?)"
            " ORDER BY r.variant, s.ordinal, r.sample, r.repeat LIMIT ?"
        )
        rows: list[Row] = (
            connection.sql(sql, params=[task, model, outcome, outcome, limit]).to_arrow_table().to_pylist()
        )
        found = connection.sql(
            "SELECT question, reference, candidate, judge, protocol, label, status, label_probs, decided_by"
            " FROM verdicts WHERE candidate IN (SELECT unnest(?::VARCHAR[]))"
            # Repeats and checks of rules tell of the judge, not of the answer.
            """ AND coalesce(aspect, '') NOT LIKE '%"repeat":%' AND coalesce(aspect, '') NOT LIKE '%"audit":%'"""
            " ORDER BY judge, protocol, aspect",
            params=[[row["text"] or "" for row in rows]],
        )
        verdicts = found.to_arrow_table().to_pylist()
    for row in rows:
        row["image_uris"] = [image["uri"] for image in json.loads(row.pop("image_refs") or "[]")]
        row["verdicts"] = [
            verdict for verdict in verdicts
            if row["outcome"] != "failed"  # identical items are judged once, under the first sample that has them
            and (verdict["question"], verdict["reference"], verdict["candidate"])
            == (row["question"], row["target"], row["text"] or "")
        ]  # fmt: skip
    return rows


def cell_rows(store: Store) -> list[Row]:
    """Return one row a cell: planned units and how they ended; what no scoring has seen yet is "pending"."""
    names = ", ".join(f"u.{name}" for name in CELL)
    return store.query(
        f"SELECT {names}, count(*) AS planned, count(r.key) AS responses,"
        " count(*) FILTER (c.outcome = 'answered') AS answered, count(*) FILTER (c.outcome = 'refused') AS refused,"
        " count(*) FILTER (c.outcome = 'unparsed') AS unparsed, count(*) FILTER (c.outcome = 'failed') AS failed,"
        " count(*) FILTER (c.outcome IS NULL) AS pending"
        " FROM units u LEFT JOIN (SELECT DISTINCT key FROM all_responses) r USING (key)"
        f" LEFT JOIN records c USING ({', '.join(CELL)}, sample, repeat)"
        f" GROUP BY ALL ORDER BY {names}",
        (), ("units", "responses", "records", "scores"),
    )  # fmt: skip


def run_rows(store: Store) -> list[Row]:
    """Return one row a run, oldest first: its newest status, when it began, and its last progress.

    A run that was killed cannot say so: one that has not reported for a minute is "lost".
    """
    rows = store.query(
        "SELECT run_id, arg_max(status, committed_at) AS status, min(committed_at) AS began,"
        " max(committed_at) AS at, arg_max_null(detail, committed_at) AS detail"
        " FROM runs WHERE status IS NOT NULL GROUP BY run_id ORDER BY began",
        (), ("runs",),
    )  # fmt: skip
    for row in rows:
        try:
            row["progress"] = json.loads(store.files.read(f"runs/{row['run_id']}/progress.json"))
        except FileNotFoundError:
            row["progress"] = None
        heard = str(row["progress"]["at"] if row["progress"] else row["at"])
        if row["status"] not in _ENDED and _seconds_since(heard) > LOST_SECONDS:
            row["status"] = "lost"
    return rows


def _seconds_since(at: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds()
