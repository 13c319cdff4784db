"""What each named box convention would read of a model's stored answers: a diagnosis for people, never for scores.

A convention that belongs to a model puts most boxes inside the image and, if the
model sees anything, on the true boxes. Which one scores use is declared in the
model's entry (`boxes`) and stays so whatever this shows: a reading chosen by the
truth would be a score chosen by the truth.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import duckdb

from raybench import registry
from raybench.errors import StoreError, nearest
from raybench.metrics._detection_matching import ImageBoxes, optimal_iou
from raybench.parsing.boxes import CONVENTIONS, diagnose, read_boxes
from raybench.schema import Answer, Row
from raybench.scoring.inputs import stored_conventions
from raybench.store import Store, stream

__all__ = ["box_readings"]

#: Treatments of a box that mean: under this reading it is no place in the image.
_OUT_OF_RANGE = ("dropped_out_of_range", "dropped_outside")

_SQL = """
SELECT r.text, s.image_sizes, s.choices, s.boxes
FROM units u
JOIN samples s USING (task, dataset, split, sample, input_hash)
JOIN all_responses r USING (key)
WHERE r.turn = 0 AND u.task = ? AND u.model = ?
"""


@dataclass
class _Tally:
    """Sums over answers under one reading."""

    with_boxes: int = 0
    boxes: int = 0
    out_of_range: int = 0
    iou: float = 0.0

    def add(self, answer: Answer, true: ImageBoxes) -> None:
        notes, value = answer.notes, answer.value if answer.outcome == "answered" else []
        self.with_boxes += bool(value)
        self.boxes += len(value)
        self.out_of_range += sum(int(notes.get(name, 0)) for name in _OUT_OF_RANGE)
        self.iou += optimal_iou(ImageBoxes.of(value), true)[1]


def box_readings(store: Store, task: str, model: str, limit: int | None = None) -> list[Row]:
    """Return one row a convention, the model's declared one first.

    Returns:
        {"reading", "declared", "answers", "with_boxes" (answers that give a box), "boxes", "in_range" (share of
        boxes that lie in the image, None without any), "mean_iou" (of the optimal matching over true boxes,
        labels ignored, None where nothing is true)}.

    Raises:
        StoreError: no answers of that task and model, or a task that reads no boxes.
    """
    with store.connect(("units", "samples", "responses", "runs")) as connection:
        _check(connection, store.name, task, model)
        declared = stored_conventions(connection).get(model, "") or "xyxy-norm"
        tallies = {name: _Tally() for name in dict.fromkeys((declared, *CONVENTIONS))}
        answers = truths = 0
        for row in stream(connection, _SQL + (f" LIMIT {int(limit)}" if limit else ""), [task, model]):
            true = ImageBoxes.of(json.loads(row["boxes"] or "[]"))
            answers, truths = answers + 1, truths + len(true)
            for name, answer in _read(row, declared).items():
                tallies[name].add(answer, true)
    return [
        {
            "reading": name, "declared": name == declared, "answers": answers,
            "with_boxes": tally.with_boxes, "boxes": tally.boxes,
            "in_range": tally.boxes / total if (total := tally.boxes + tally.out_of_range) else None,
            "mean_iou": tally.iou / truths if truths else None,
        }
        for name, tally in tallies.items()
    ]  # fmt: skip


def _check(connection: duckdb.DuckDBPyConnection, folder: str, task: str, model: str) -> None:
    sql = "SELECT DISTINCT u.task, u.model FROM units u SEMI JOIN all_responses r USING (key) ORDER BY ALL"
    known = [(row["task"], row["model"]) for row in stream(connection, sql)]
    if (task, model) not in known:
        pairs = [" / ".join(pair) for pair in known]
        close = nearest(f"{task} / {model}", pairs)
        raise StoreError(f"{folder} has no answers of {task} / {model}{close}; it has: {', '.join(pairs) or 'none'}")
    if "detection" not in registry.load("tasks", task).profiles:
        raise StoreError(f"task {task} reads no boxes")


def _read(row: Row, declared: str) -> Mapping[str, Answer]:
    sizes = json.loads(row["image_sizes"] or "[]")
    size = (int(sizes[0][0]), int(sizes[0][1])) if sizes and sizes[0] else None
    text, labels = row["text"] or "", list(row["choices"])
    found = diagnose(text, size, labels)
    return found if declared in found else {**found, declared: read_boxes(text, declared, size, labels)}
