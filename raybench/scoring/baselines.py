"""What trivial systems would score on the same samples: answers made of the labels, or of nothing.

A score below the majority answer says little; every leaderboard shows it beside
the models, as rows of `kind: baseline`. A task names its baselines. `readers` are
people: each reader's own boxes, on the images he or she read.
"""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import duckdb

from raybench.parsing.boxes import render_boxes
from raybench.schema import CELL, Row
from raybench.store import stream

__all__ = ["BASELINES", "READERS", "Seen", "baseline_records"]

#: A system's answer to a row; None where it has none, as a reader who never saw the image.
Answers = Callable[[Row], str | None]
#: The sample context's key for readers' own boxes: JSON text, reader -> boxes as dicts of `Box`.
READERS = "readers"


@dataclass
class Seen:
    """What the rows of a cell have in common.

    Attributes:
        targets: kind of question -> its targets, counted without regard to case.
        spelled: such a target -> how it was first written.
        readers: readers -> images they read.
    """

    targets: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    spelled: dict[str, str] = field(default_factory=dict)
    readers: Counter[str] = field(default_factory=Counter)


_SQL = f"""
SELECT u.key, u.sample, u.repeat, s.sample_hash, s.cluster, s.slices, s.questions, s.targets, s.choices, s.context,
    s.boxes, s.image_sizes
FROM units u JOIN samples s USING (task, dataset, split, sample)
SEMI JOIN all_responses r USING (key)
WHERE {" AND ".join(f"u.{name} = ?" for name in CELL)}
QUALIFY row_number() OVER (PARTITION BY u.sample ORDER BY u.repeat) = 1 ORDER BY u.sample
"""


def baseline_records(
    connection: duckdb.DuckDBPyConnection, cell: Mapping[str, str], names: Sequence[str]
) -> dict[str, Iterator[Row]]:
    """Return baseline name -> rows to grade, over the samples of one cell that were answered.

    Args:
        names: of BASELINES; one of them may make several systems ("always yes", "always no").

    A system that has no answer to a row gives the row without "texts".
    """
    parameters = [cell[name] for name in CELL]
    seen = Seen()
    for row in stream(connection, _SQL, parameters):
        target = row["targets"][0].strip()
        seen.targets[_kind(row)][target.lower()] += 1
        seen.spelled.setdefault(target.lower(), target)
        seen.readers.update(list(_readings(row)))
    if not seen.targets:
        return {}

    def rows(answer: Answers) -> Iterator[Row]:
        for row in stream(connection, _SQL, parameters):
            text = answer(row)
            texts = None if text is None else [text] * len(row["questions"])
            yield {**row, "texts": texts, "label_logprobs": None, "reason": None}

    systems = {system: answer for name in names for system, answer in BASELINES[name](seen).items()}
    return {system: rows(answer) for system, answer in systems.items()}


def _majority(seen: Seen) -> dict[str, Answers]:
    """Answer each kind of question (closed, open) with its most common target."""
    best = {kind: seen.spelled[_most_common(counts)[0]] for kind, counts in seen.targets.items()}
    return {"majority": lambda row: best[_kind(row)]}


def _always(seen: Seen) -> dict[str, Answers]:
    """Give one of the two most common closed answers, or one class, throughout."""
    closed = [counts for kind, counts in seen.targets.items() if kind in ("closed", "")]
    common = {answer for counts in closed for answer in _most_common(counts)[:2]}
    return {f"always {answer}": _constant(answer) for answer in sorted(common)}


def _constant(answer: str) -> Answers:
    return lambda _row: answer


def _random_box(_seen: Seen) -> dict[str, Answers]:
    """Draw one box of a plausible size an image, seeded by the sample."""
    return {"random box": _drawn}


def _drawn(row: Row) -> str:
    generator = random.Random(f"{row['sample']}/box")
    width, height = generator.uniform(0.1, 0.4), generator.uniform(0.1, 0.4)
    x, y = generator.uniform(0, 1 - width), generator.uniform(0, 1 - height)
    label = generator.choice(row["choices"]) if row["choices"] else ""
    return f"{label} [{x:.3f}, {y:.3f}, {x + width:.3f}, {y + height:.3f}]".strip()


def _no_box(_seen: Seen) -> dict[str, Answers]:
    return {"no box": _constant("none")}


def _readers(seen: Seen) -> dict[str, Answers]:
    """Let each reader answer with his or her own boxes; the truth is fused of several readers', these among them."""
    return {f"reader {reader} (human)": _drawn_by(reader) for reader in sorted(seen.readers)}


def _drawn_by(reader: str) -> Answers:
    def answer(row: Row) -> str | None:
        boxes = _readings(row).get(reader)
        return None if boxes is None else render_boxes(boxes)

    return answer


def _readings(row: Row) -> dict[str, list[Row]]:
    """Return reader -> boxes of a row's context; {} where the task keeps none."""
    context = row["context"] or ""
    if f'"{READERS}"' not in context:
        return {}
    readings: dict[str, list[Row]] = json.loads(json.loads(context).get(READERS) or "{}")
    return readings


#: What a task may name: what the rows have in common -> system -> its answer to a row.
BASELINES: Mapping[str, Callable[[Seen], dict[str, Answers]]] = {
    "majority": _majority,
    "always": _always,
    "random_box": _random_box,
    "no_box": _no_box,
    "readers": _readers,
}


def _kind(row: Row) -> str:
    """What kind of question a row asks: its `answer_type`, else "" with choices and "open" without."""
    return str(json.loads(row["slices"]).get("answer_type", "" if row["choices"] else "open"))


def _most_common(counts: Counter[str]) -> list[str]:
    """Most common first; ties in alphabetical order, so that a baseline is reproducible."""
    return sorted(counts, key=lambda answer: (-counts[answer], answer))
