"""Bradley-Terry strengths of a folder's models, from the pairwise verdicts that it holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import duckdb

from raybench.schema import CELL, Row
from raybench.scoring.cards import UNCALIBRATED, UNSUPPORTED
from raybench.scoring.verdicts import judgings, verdicts_of
from raybench.stats.bradley_terry import Strength, strength_intervals
from raybench.store import Store, stream

__all__ = ["StrengthBoard", "strength_boards"]

_PLACE = tuple(name for name in CELL if name not in ("model", "config"))


@dataclass(frozen=True)
class StrengthBoard:
    """One judge's ranking of the models of one task by pairs.

    Attributes:
        lines: strengths, the greatest first; log odds around the mean of all.
        n: contests; `missing` those without a verdict, which count nowhere.
        flags: what the judge's scores say of it: uncalibrated, unsupported.
    """

    place: Row
    judge: str
    lines: Sequence[Strength]
    n: int
    missing: int
    flags: tuple[str, ...] = ()


def strength_boards(store: Store, task: str | None = None) -> list[StrengthBoard]:
    """Return one board for each judge and place (task, data set, split, prompt, images) with pairwise verdicts.

    Intervals are over a bootstrap of clusters: all contests on one patient's (or image's) samples are drawn together.
    """
    flags = _judged_pairs(store, task)
    boards: list[StrengthBoard] = []
    if not flags:  # most folders: their records are not looked through
        return boards
    with store.connect(("records", "scores", "verdicts", "runs", "samples")) as connection:
        columns = ", ".join(CELL)
        cells = list(stream(connection, f"SELECT DISTINCT {columns} FROM records ORDER BY ALL"))
        for place in sorted({place for place, _ in flags}):
            own = [cell for cell in cells if tuple(cell[name] for name in _PLACE) == place]
            found = _boards(connection, dict(zip(_PLACE, place, strict=True)), own)
            boards += [replace(board, flags=flags.get((place, board.judge), ())) for board in found]
    return boards


def _judged_pairs(store: Store, task: str | None) -> dict[tuple[tuple[str, ...], str], tuple[str, ...]]:
    """Return (place, judge) -> flags of the judge, of every pairwise score."""
    rows = store.query(
        f"SELECT {', '.join(_PLACE)}, judge, flags FROM scores"
        " WHERE protocol = 'pairwise' AND slice = 'all' AND (? IS NULL OR task = ?) ORDER BY ALL",
        [task, task], ("scores",),
    )  # fmt: skip
    return {
        (tuple(row[name] for name in _PLACE), row["judge"]): tuple(
            flag for flag in row["flags"] or () if flag in (UNCALIBRATED, UNSUPPORTED)
        )
        for row in rows
    }


def _boards(connection: duckdb.DuckDBPyConnection, place: Row, cells: Sequence[Row]) -> Iterator[StrengthBoard]:
    played: dict[str, list[tuple[str, str, float | None, str]]] = {}
    for cell in cells:
        for judge, contest in _contests(connection, cell):
            played.setdefault(judge, []).append(contest)
    for judge, contests in sorted(played.items()):
        # Each pair is seen from both of its models: keep the one that is named first.
        once = [contest for contest in contests if contest[0] < contest[1]]
        known = [contest for contest in once if contest[2] is not None]
        names = sorted({name for one, other, *_ in known for name in (one, other)})
        if not known:
            continue
        places = {name: i for i, name in enumerate(names)}
        pairs = [(places[one], places[other], float(points or 0.0)) for one, other, points, _ in known]
        lines = strength_intervals(names, pairs, [cluster for *_, cluster in known])
        ranked = sorted(lines, key=lambda line: -line.value)
        yield StrengthBoard(place, judge, ranked, len(known), len(once) - len(known))


def _contests(
    connection: duckdb.DuckDBPyConnection, cell: Row
) -> Iterator[tuple[str, tuple[str, str, float | None, str]]]:
    """Yield (judge, (model, opponent, points, cluster)) of every contest of a cell's records."""
    judging = [each for each in judgings(connection, cell) if each.protocol.name == "pairwise"]
    if not judging:
        return
    where = " AND ".join(f"{name} = ?" for name in CELL)
    records = list(stream(connection, f"SELECT * FROM records WHERE {where}", [cell[name] for name in CELL]))
    for each in judging:
        protocol: Any = each.protocol
        items, found = verdicts_of(connection, each, cell, records)
        for record, item in zip(records, items, strict=True):
            for opponent, points, _ in protocol.contests(item, found) if item is not None else ():
                yield each.judge, (str(cell["model"]), opponent, points, str(record["cluster"]))
