"""`raybench label`: draw a stratified sample of answers, take people's ratings, score again.

Raters see a question, its reference, an answer and where the image lies. Models and verdicts are never shown, and
answers come in an order that follows from their content, so that an unfinished sample is still a random one.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import duckdb

from raybench.data.images import open_image
from raybench.data.tables import read_rows
from raybench.errors import DataError, nearest
from raybench.schema import CELL, Row, Verdict, digest
from raybench.scoring import score_store, stored_tasks
from raybench.scoring.cards import Card, card_key, find_card, suite_of
from raybench.scoring.labels import (
    HUMAN,
    NONE,
    PER_CLASS,
    RIGHT,
    WRONG,
    Draw,
    HumanLabel,
    Stratum,
    Unit,
    allocate,
    guessed_spread,
    human_item,
    human_labels,
    newest_draw,
    rated_strata,
    write_draw,
)
from raybench.scoring.verdicts import Judging, judgings, verdicts_of
from raybench.stats.agreement import alpha
from raybench.store import Store, now, stream

__all__ = ["Labelling", "Labels", "ToRate"]

_LABELS = {"c": "CORRECT", "i": "INCORRECT", "n": "NOT_ATTEMPTED"}
_COLUMNS = ("id", "question", "reference", "answer", "images", "rating")
_RECORDS_SQL = f"""
SELECT {", ".join(f"r.{name}" for name in CELL)}, r.sample, r.turn, r.repeat, r.question, r.target, r.text, r.outcome,
    s.choices, s.images AS image_refs
FROM records r LEFT JOIN samples s USING (task, dataset, split, sample)
WHERE r.outcome <> 'failed' AND (? IS NULL OR r.task = ?) ORDER BY ALL
"""


@dataclass(frozen=True)
class ToRate:
    """An answer as a rater sees it; `id` says nothing of whose it is. `refs` are the image references of a sample."""

    id: str
    item: str
    question: str
    reference: str
    answer: str
    refs: tuple[Row, ...]
    place: Row

    @property
    def images(self) -> tuple[str, ...]:
        """Where the images lie."""
        return tuple(str(each["uri"]) for each in self.refs)

    def text(self) -> str:
        """Return it for a terminal."""
        return (
            f"question   {self.question}\nreference  {self.reference}\nanswer     {self.answer or '(empty)'}\n"
            f"image      {', '.join(self.images) or '-'}"
        )

    def write_images(self, folder: str) -> list[str]:
        """Write the images as files that any viewer opens, as a model is shown them; return their paths.

        Raises:
            DataError: an image cannot be read.
        """
        paths = []
        for number, ref in enumerate(self.refs, 1):
            image = open_image(ref, pixels=False)
            kind = str(image["media_type"]).rpartition("/")[2].replace("jpeg", "jpg")
            paths.append(os.path.join(folder, f"{self.id}-{number}.{kind}"))
            with open(paths[-1], "wb") as file:
                file.write(image["bytes"])
        return paths


@dataclass(frozen=True)
class Labels:
    """How far labelling is: strata with what is rated, ratings by rater, disputes, alpha between raters."""

    draw: str
    strata: tuple[Stratum, ...]
    raters: Mapping[str, int]
    disputed: int
    between: float | None


class Labelling:
    """Labelling at work on one folder.

    Args:
        folder: a result folder.
        task, judge, budget, seed: how a sample is drawn where there is none yet, or `fresh` asks for another.

    Raises:
        DataError: nothing to label, no such task or judge, or several judges and none named.
    """

    def __init__(
        self, folder: str, *, task: str | None = None, judge: str | None = None, budget: int | None = None,
        seed: int = 0, fresh: bool = False,
    ) -> None:  # fmt: skip
        self._store, self._rated = Store(folder, must_exist=True), 0
        with self._store.connect() as connection:
            draw = None if fresh else newest_draw(self._store)
            if draw is None:
                draw = _draw(self._store, connection, (task, judge), budget, seed)
                write_draw(self._store, draw)
            self.draw = draw
            self._answers = _answers(connection, draw)

    def waiting(self, rater: str, adjudicate: bool = False) -> list[ToRate]:
        """Return what this rater has not rated yet; with `adjudicate` what raters dispute."""
        labels = self._labels()
        if adjudicate:
            return [each for each in self._answers if each.item in labels and labels[each.item].disputed]
        return [each for each in self._answers if rater not in _raters(labels.get(each.item))]

    def rate(self, answer: ToRate, rater: str, label: str, adjudicate: bool = False) -> None:
        """Store one rating; it is durable when this returns."""
        self._write([_rating(answer, rater, label, adjudicate)])

    def export(self, path: str, rater: str | None, adjudicate: bool) -> int:
        """Write what is to be rated as CSV, the rating empty; return the number of rows."""
        chosen = self.waiting(rater or "", adjudicate) if rater or adjudicate else self._answers
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(_COLUMNS)
            for each in chosen:
                writer.writerow([each.id, each.question, each.reference, each.answer, " ".join(each.images), ""])
        return len(chosen)

    def import_ratings(self, path: str, rater: str | None, adjudicate: bool) -> int:
        """Store the ratings of a CSV; rows without a rating are left out. Return how many were stored.

        Raises:
            DataError: an unknown id or rating, or no rater.
        """
        if not os.path.exists(path):
            raise DataError(f"--import {path}: no such file")
        known, rows = {each.id: each for each in self._answers}, []
        for line, row in enumerate(read_rows(path), 2):
            rating, who = str(row.get("rating") or "").strip(), str(row.get("rater") or rater or "").strip()
            if not rating:
                continue
            answer = known.get(str(row.get("id")))
            if answer is None:
                raise DataError(f"{path}, line {line}: id {row.get('id')!r} is not in the sample {self.draw.name}")
            label = _LABELS.get(rating.lower(), rating.upper().replace(" ", "_"))
            if label not in _LABELS.values():
                allowed = ", ".join(f"{key} or {label}" for key, label in _LABELS.items())
                raise DataError(f"{path}, line {line}: rating {rating!r}: allowed are {allowed}")
            if not who:
                raise DataError(f"{path}, line {line}: no rater; give the column rater, or --rater ID")
            rows.append(_rating(answer, who, label, adjudicate))
        self._write(rows)
        return len(rows)

    def finish(self) -> Labels:
        """Score again what new ratings change; return how far labelling is."""
        if self._rated:
            cells = {unit.cell for unit in self.draw.units}
            score_store(self._store, [dict(zip(CELL, cell, strict=True)) for cell in sorted(cells)], only_stale=True)
        labels = self._labels()
        drawn = {each.item for each in self._answers}
        own = {item: label for item, label in labels.items() if item in drawn}
        raters = sorted({rater for label in own.values() for rater in label.ratings})
        counts = rated_strata(self.draw, own)
        strata = tuple(replace(stratum, rated=count) for stratum, count in zip(self.draw.strata, counts, strict=True))
        pairs = [[label.ratings.get(rater) for rater in raters] for label in own.values()]
        between = alpha(pairs) if len(raters) > 1 else None
        return Labels(
            self.draw.name, strata, {rater: sum(rater in label.ratings for label in own.values()) for rater in raters},
            sum(label.disputed for label in own.values()), None if between is None or between != between else between,
        )  # fmt: skip

    def _labels(self) -> dict[str, HumanLabel]:
        with self._store.connect(("verdicts",)) as connection:
            return human_labels(connection)

    def _write(self, rows: Sequence[Row]) -> None:
        self._store.write("verdicts", rows)
        self._rated += len(rows)


def _raters(label: HumanLabel | None) -> Sequence[str]:
    return list(label.ratings) if label else ()


def _rating(answer: ToRate, rater: str, label: str, adjudicate: bool) -> Row:
    verdict, at = Verdict("ok", label=label, score=float(label == "CORRECT")), now()
    return {
        "key": digest(["human", rater, answer.item, adjudicate, at]), "item": answer.item, "judge": f"{HUMAN}{rater}",
        "judge_config": "", "protocol": "reference_verdict", "template": "", **answer.place,
        "question": answer.question, "reference": answer.reference, "candidate": answer.answer,
        "status": verdict.status, "label": verdict.label, "score": verdict.score,
        "decided_by": "adjudicator" if adjudicate else "human",
    }  # fmt: skip


def _draw(
    store: Store, connection: duckdb.DuckDBPyConnection, named: tuple[str | None, str | None], budget: int | None,
    seed: int,
) -> Draw:  # fmt: skip
    """Draw a sample: strata of cells and verdicts, 139 of each verdict class, or `budget` shared out by Neyman."""
    task, judge = named
    cells: dict[tuple[str, ...], list[Row]] = {}
    for row in stream(connection, _RECORDS_SQL, [task, task]):
        cells.setdefault(tuple(row[name] for name in CELL), []).append(row)
    judged = {key: _judging(connection, dict(zip(CELL, key, strict=True)), judge) for key in cells}
    chosen = _one_judge([each for found in judged.values() for each in found], judge, store.name)
    tasks = stored_tasks(connection)
    strata, spreads, members = list[Stratum](), list[float](), list[list[Row]]()
    for key, records in cells.items():
        judging = next((each for each in judged[key] if each.judge == chosen), None)
        if chosen and judging is None:
            continue
        groups = _called(connection, judging, key, records)
        called = len(groups.get(RIGHT, ())) / len(records)
        card = _card(store, judging, tasks.get((key[0], key[1], key[2])))
        for verdict, own in groups.items():
            strata.append(Stratum(key, verdict, len(own), 0))
            spreads.append(guessed_spread(verdict, called, card))
            members.append(own)
    if not strata:
        raise DataError(f"{store.name}: nothing to label for task {task or 'any'}, judge {judge or 'any'}")
    sizes = [stratum.population for stratum in strata]
    counts = allocate(sizes, spreads, budget) if budget else [min(PER_CLASS, size) for size in sizes]
    strata = [replace(stratum, drawn=count) for stratum, count in zip(strata, counts, strict=True)]
    units = [
        _unit(strata[number].cell, row, number)
        for number, (own, count) in enumerate(zip(members, counts, strict=True))
        for row in sorted(own, key=lambda row: digest([seed, *(row[name] for name in (*CELL, *_ROW))]))[:count]
    ]
    at = now()
    name = f"draw-{at.replace(':', '').replace('-', '').replace('.', '')}"
    return Draw(name, seed, chosen or "", at, tuple(strata), tuple(units))


_ROW = ("sample", "turn", "repeat")


def _unit(cell: tuple[str, ...], row: Row, stratum: int) -> Unit:
    item = human_item(str(row["question"]), str(row["target"]), str(row["text"] or ""))
    return Unit(cell, str(row["sample"]), int(row["turn"] or 0), int(row["repeat"] or 0), item, stratum)


def _judging(connection: duckdb.DuckDBPyConnection, cell: Row, judge: str | None) -> list[Judging]:
    """The judges whose words on a cell are right or wrong, so that they can make strata."""
    return [
        each for each in judgings(connection, cell)
        if judge in (None, each.judge) and any(metric.name == "judge_accuracy" for metric in each.protocol.metrics())
    ]  # fmt: skip


def _one_judge(found: Sequence[Judging], named: str | None, folder: str) -> str | None:
    names = sorted({each.judge for each in found})
    if named is not None and named not in names:
        raise DataError(
            f"{folder}: no judge {named!r} judged here{nearest(named, names)}; there are: {names or 'none'}"
        )
    if len(names) > 1:
        raise DataError(f"{folder}: several judges judged here, choose whose verdicts make the strata with --judge:"
                        f" {', '.join(names)}")  # fmt: skip
    return names[0] if names else None


def _called(
    connection: duckdb.DuckDBPyConnection, judging: Judging | None, key: tuple[str, ...], records: Sequence[Row]
) -> dict[str, list[Row]]:
    """Records by what the judge called them; all of them "no verdict" where nobody judged."""
    groups: dict[str, list[Row]] = {}
    if judging is None:
        return {NONE: list(records)}
    items, found = verdicts_of(connection, judging, dict(zip(CELL, key, strict=True)), records)
    for record, item in zip(records, items, strict=True):
        said = judging.protocol.aggregate(item, found) if item is not None else {}
        name = NONE if not said.get("judged") else RIGHT if said.get("correct") else WRONG
        groups.setdefault(name, []).append(record)
    return groups


def _card(store: Store, judging: Judging | None, task: object) -> Card | None:
    if judging is None or task is None:
        return None
    key = card_key(judging.config, judging.protocol.name, judging.protocol.template_hash)
    return find_card(store, key, suite_of(task))  # type: ignore[arg-type]


def _answers(connection: duckdb.DuckDBPyConnection, draw: Draw) -> list[ToRate]:
    """The distinct answers of a draw, in an order that tells nothing; one whose text has changed is left out."""
    wanted = {(unit.cell, unit.sample, unit.turn, unit.repeat): unit for unit in draw.units}
    found: dict[str, ToRate] = {}
    for row in stream(connection, _RECORDS_SQL, [None, None]):
        key = (tuple(row[name] for name in CELL), row["sample"], int(row["turn"] or 0), int(row["repeat"] or 0))
        unit = wanted.get(key)
        if unit is None or unit.item in found or _unit(key[0], row, 0).item != unit.item:
            continue
        refs = tuple(json.loads(row["image_refs"] or "[]"))
        place = {name: row[name] for name in ("task", "dataset", "split", "sample", "model")}
        found[unit.item] = ToRate(
            digest([draw.name, unit.item], 12), unit.item, str(row["question"]), str(row["target"]),
            str(row["text"] or ""), refs, place,
        )  # fmt: skip
    return sorted(found.values(), key=lambda each: each.id)
