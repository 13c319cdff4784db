"""One sample with everything that was answered to it, read and said of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from raybench.dashboard.correct import headline_of, hits_of
from raybench.dashboard.folder import LIVE_RECORDS, View
from raybench.dashboard.pictures import describe
from raybench.dashboard.samples import correct_of, record_verdicts
from raybench.dashboard.words import shown, without_identity, without_paths
from raybench.errors import StoreError
from raybench.schema import Row

__all__ = ["image_refs", "sample_document"]

_PLACE = ("task", "dataset", "split")
_ANSWER = ("model", "config", "variant", "images", "repeat", "turn")


def sample_document(view: View, asked: Mapping[str, str]) -> Row:
    """Return `/api/sample`: the sample, its answers, and its neighbours in the data set's order.

    Raises:
        StoreError: no such sample.
    """
    place = [asked[name] for name in (*_PLACE, "sample")]
    sample = _stored(view, place, "*")
    return {
        "sample": _sample(sample),
        "answers": _answers(view, place),
        **_neighbours(view, place[:3], sample["ordinal"]),
    }


def _stored(view: View, place: list[str], columns: str) -> Row:
    """Return the newest reading of a sample, as the view `samples` does."""
    sql = (
        f"SELECT {columns} FROM raw_samples WHERE task = ? AND dataset = ? AND split = ? AND sample = ?"
        " ORDER BY committed_at DESC, part DESC LIMIT 1"
    )
    rows = view.rows(sql, place)
    if not rows:
        raise StoreError(f"no sample {place[3]!r} in {place[0]} on {place[1]}/{place[2]}")
    return rows[0]


def _neighbours(view: View, place: list[str], ordinal: int | None) -> Row:
    """Return the samples before and after; ordinals next to this one, which few groups of rows hold, come first."""
    if ordinal is None:
        return {"previous": None, "next": None}
    sql = (
        "SELECT arg_max(sample, ordinal) FILTER (ordinal < ?) AS previous,"
        " arg_min(sample, ordinal) FILTER (ordinal > ?) AS next"
        " FROM raw_samples WHERE task = ? AND dataset = ? AND split = ?"
    )
    asked = [ordinal, ordinal, *place]
    (row,) = view.rows(f"{sql} AND ordinal BETWEEN ? AND ?", [*asked, ordinal - 1, ordinal + 1])
    if None in row.values():  # the first or the last, or ordinals with gaps
        (row,) = view.rows(sql, asked)
    return {name: None if sample is None else {"sample": sample} for name, sample in row.items()}


def image_refs(view: View, asked: Mapping[str, str]) -> list[Row]:
    """Return a stored sample's image references; never shown, only opened.

    Raises:
        StoreError: no such sample.
    """
    place = tuple(asked[name] for name in (*_PLACE, "sample"))
    found: list[Row] = json.loads(_stored(view, list(place), "images")["images"] or "[]")
    return found


def _sample(row: Row) -> Row:
    references = json.loads(row["images"] or "[]")
    sizes = json.loads(row["image_sizes"] or "[]")
    return {
        "id": row["sample"], "questions": row["questions"], "targets": row["targets"], "choices": row["choices"],
        "boxes": json.loads(row["boxes"] or "[]"), "slices": without_identity(json.loads(row["slices"] or "{}")),
        "context": shown(without_identity(json.loads(row["context"] or "{}"))),
        "images": [
            describe(reference, n, sizes[n] if n < len(sizes) else None) for n, reference in enumerate(references)
        ],
    }  # fmt: skip


def _answers(view: View, place: list[str]) -> list[Row]:
    where = "r.task = ? AND r.dataset = ? AND r.split = ? AND r.sample = ?"
    records = view.rows(
        f"SELECT DISTINCT r.* EXCLUDE (part, generation, committed_at, slices, cluster) FROM {LIVE_RECORDS}"
        f" WHERE {where} ORDER BY r.model, r.config, r.variant, r.images, r.repeat, r.turn",
        place,
    )
    hits = hits_of(headline_of(view, *place[:3]))
    calls = _calls(view, place, records)
    verdicts = record_verdicts(view, records)
    return [
        {
            **{name: row[name] for name in _ANSWER}, "outcome": row["outcome"], "correct": correct_of(row, hits),
            "text": row["text"], "value": _parsed(row["value"]), "extractor": row["extractor"],
            "format": row["format"], "notes": _parsed(row["notes"]), "statistics": _parsed(row["statistics"]),
            "reason": row["reason"], **calls.get((row["key"], row["turn"]), {}),
            "verdicts": [_verdict(each) for each in found],
        }
        for row, found in zip(records, verdicts, strict=True)
    ]  # fmt: skip


def _calls(view: View, place: list[str], records: list[Row]) -> dict[tuple[str, int], Row]:
    """What the call itself says, by content key and turn: the prompt as sent, reasoning, tokens, time.

    Calls of equal content share a response, stored under the first unit that had it: those that are not found under
    this sample are looked for by key.
    """
    names = "key, turn, messages, reasoning, finish_reason, tokens_in, tokens_out, seconds, label_logprobs, notes"
    first = " QUALIFY row_number() OVER (PARTITION BY key, turn ORDER BY committed_at, part) = 1"
    where = "task = ? AND dataset = ? AND split = ? AND sample = ?"
    rows = view.rows(f"SELECT {names} FROM raw_responses WHERE {where}{first}", place)
    missing = sorted({row["key"] for row in records if row["outcome"] != "failed"} - {row["key"] for row in rows})
    if missing:
        marks = ", ".join("?" * len(missing))
        rows += view.rows(f"SELECT {names} FROM raw_responses WHERE key IN ({marks}){first}", missing)
    return {
        (row["key"], row["turn"]): {
            "messages": _parsed(row["messages"]), "reasoning": row["reasoning"] or "",
            "finish_reason": row["finish_reason"], "seconds": row["seconds"],
            "tokens": {"in": row["tokens_in"], "out": row["tokens_out"]},
            "label_logprobs": _parsed(row["label_logprobs"]), "call_notes": shown(_parsed(row["notes"])),
        }
        for row in rows
    }  # fmt: skip


def _verdict(row: Row) -> Row:
    kept = ("judge", "protocol", "label", "status", "decided_by")
    return {
        **{name: row[name] for name in kept}, "label_probs": _parsed(row["label_probs"]),
        "rationale": without_paths(row["rationale"] or ""),
    }  # fmt: skip


def _parsed(text: str | None) -> Any:
    """Stored JSON; text that is none stays text."""
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text
