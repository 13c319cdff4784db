"""One stored answer to its record: parsed by the task, given statistics by each scorer profile."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from raybench import registry
from raybench.interfaces import Profile, Task
from raybench.schema import CELL, Answer, Row, canonical_json
from raybench.scoring.baselines import READERS

__all__ = ["CONTRACT", "grade", "profiles_of", "read_answer"]

CONTRACT = "contract"


def grade(row: Row, task: Task, profiles: Sequence[Profile]) -> Iterator[Row]:
    """Yield the records of one unit joined with its sample and responses (see the `records` table): one a turn.

    A unit without a response is `failed`: it has a reason and no statistics.
    """
    targets, single = row["targets"], len(row["questions"]) == 1
    for turn, question in enumerate(row["questions"]):
        asked = {**row, "questions": [question], "targets": targets if single else targets[turn : turn + 1]}
        text = row["texts"][turn] if row["texts"] else None
        yield _grade_turn({**asked, "turn": turn, "text": text}, task, profiles)


def _grade_turn(row: Row, task: Task, profiles: Sequence[Profile]) -> Row:
    context = json.loads(row["context"] or "{}")
    record = {
        **{name: row[name] for name in ("key", *CELL, "sample", "repeat", "sample_hash", "cluster", "slices", "turn")},
        "question": row["questions"][0], "target": row["targets"][0], "choices": row["choices"],
        "text": row["text"], "reason": row["reason"],
    }  # fmt: skip
    if not row["texts"]:
        missing = {"extractor": None, "format": None, "value": None, "notes": None, "statistics": "{}"}
        return {**record, "outcome": "failed", **missing}
    answer = read_answer(task, row, row["text"] or "")
    record |= {"outcome": answer.outcome, "extractor": answer.extractor, "format": answer.format, "reason": None}
    logprobs = json.loads(row["label_logprobs"]) if row.get("label_logprobs") else None
    seen = {
        **record, "value": answer.value, "notes": dict(answer.notes), "slices": json.loads(row["slices"]),
        "targets": row["targets"], "boxes": json.loads(row["boxes"] or "[]"), "context": context,
        "positive": context.get("positive"), "label_logprobs": logprobs,
    }  # fmt: skip
    statistics = {profile.name: dict(profile.statistics(seen)) for profile in profiles}
    notes = canonical_json(dict(answer.notes)) if answer.notes else None
    return {**record, "value": canonical_json(answer.value), "notes": notes, "statistics": canonical_json(statistics)}


def read_answer(task: Task, row: Row, text: str) -> Answer:
    """Return what the task's parser reads; a parser that breaks on a text leaves it unparsed, and says so.

    The parser is shown the question and how to read the model, never the truth.
    """
    sizes = row.get("image_sizes")
    seen = {
        **{name: row[name] for name in ("questions", "choices")},
        "context": _without_readers(row["context"]),
        "box_convention": row.get("box_convention") or "",
        "image_sizes": json.loads(sizes) if isinstance(sizes, str) else sizes or [],
    }
    try:
        return task.parse(seen, text)
    except Exception as error:
        return Answer("unparsed", None, f"parser_error:{type(error).__name__}", "unrecoverable")


def _without_readers(context: str | None) -> str | None:
    """The context a parser sees: people's own boxes are what the truth is made of."""
    if not context or f'"{READERS}"' not in context:
        return context
    return canonical_json({name: value for name, value in json.loads(context).items() if name != READERS})


def profiles_of(task: Task) -> list[Profile]:
    """Return a task's scorer profiles and the output contract, which every task has."""
    return [registry.load("metrics", name)() for name in (*task.profiles, CONTRACT)]
