"""Human labels: a stratified random sample of answers, people's ratings of it, and what they make together.

A *draw* is a sample of a folder's answers with the inclusion probability of each: strata are one subject model's
answers (one cell) that a judge called right, wrong, or gave no verdict on. A draw is a file `labels/draw-*.json`;
the newest counts. Ratings are rows of the verdicts table, judge `human:ID`; they belong to the question, the
reference and the answer, so that equal answers are rated once.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import duckdb

from raybench.errors import StoreError
from raybench.schema import CELL, Row, canonical_json, digest
from raybench.scoring.cards import Card
from raybench.store import Store, stream

__all__ = [
    "HUMAN", "PER_CLASS", "Draw", "HumanLabel", "Stratum", "Unit", "allocate", "draw_name", "guessed_spread",
    "human_item", "human_labels", "newest_draw", "write_draw",
]  # fmt: skip

#: How a person's name stands in the verdicts' `judge`.
HUMAN = "human:"
FOLDER = "labels"
#: Labels of a class for +-5 points on a sensitivity near 0.9: 1.96^2 * 0.9 * 0.1 / 0.05^2 = 138.3.
PER_CLASS = 139
LEAST = 2
#: What a judge without a card is taken for when labels are shared out; any value keeps the estimate unbiased.
_GUESS = 0.85
RIGHT, WRONG, NONE = "called right", "called wrong", "no verdict"


@dataclass(frozen=True)
class Stratum:
    """Answers of one cell with one kind of verdict: how many there are, were drawn and are rated."""

    cell: tuple[str, ...]
    verdict: str
    population: int
    drawn: int
    rated: int = 0

    @property
    def name(self) -> str:
        """What a table calls it; labelling itself never shows it."""
        cell = dict(zip(CELL, self.cell, strict=True))
        return f"{cell['model']} on {cell['task']} ({cell['variant']}, {cell['config']}): {self.verdict}"

    @property
    def inclusion(self) -> float:
        """The probability that an answer of this stratum was drawn."""
        return self.drawn / self.population if self.population else 0.0


@dataclass(frozen=True)
class Unit:
    """One drawn answer. `item` is what a rating belongs to; `stratum` is an index into `Draw.strata`."""

    cell: tuple[str, ...]
    sample: str
    turn: int
    repeat: int
    item: str
    stratum: int


@dataclass(frozen=True)
class Draw:
    """A stratified random sample; every stratum is sampled without replacement with equal probabilities."""

    name: str
    seed: int
    judge: str
    created_at: str
    strata: tuple[Stratum, ...]
    units: tuple[Unit, ...] = field(default=())


@dataclass
class HumanLabel:
    """What people said of one answer: rater -> label, and an adjudicator's word, which decides."""

    ratings: dict[str, str] = field(default_factory=dict)
    adjudicated: str | None = None

    @property
    def disputed(self) -> bool:
        """Whether raters differ on CORRECT and nobody has decided."""
        return self.adjudicated is None and len({label == "CORRECT" for label in self.ratings.values()}) > 1

    @property
    def correct(self) -> float:
        """1 for CORRECT, 0 for anything else; the raters' mean where they differ and nobody has decided."""
        if self.adjudicated is not None:
            return float(self.adjudicated == "CORRECT")
        return sum(label == "CORRECT" for label in self.ratings.values()) / len(self.ratings)


def human_item(question: str, reference: str, candidate: str) -> str:
    """Return what a person's rating belongs to: no judge's prompt, no model, only what was shown."""
    return digest(["human", question, reference, candidate])


def human_labels(connection: duckdb.DuckDBPyConnection) -> dict[str, HumanLabel]:
    """Return item -> what people said of it; a rater's newest rating counts."""
    sql = (
        "SELECT item, judge, decided_by, arg_max(label, committed_at) AS label FROM all_verdicts"
        f" WHERE judge LIKE '{HUMAN}%' AND status = 'ok' GROUP BY ALL ORDER BY max(committed_at)"
    )
    found: dict[str, HumanLabel] = {}
    for row in stream(connection, sql):
        label = found.setdefault(row["item"], HumanLabel())
        if row["decided_by"] == "adjudicator":
            label.adjudicated = row["label"]
        else:
            label.ratings[row["judge"].removeprefix(HUMAN)] = row["label"]
    return found


def draw_name(store: Store) -> str | None:
    """Return the newest draw's file name; None without one."""
    names = [name for name in store.files.names(FOLDER) if name.startswith("draw-") and name.endswith(".json")]
    return max(names) if names else None


def newest_draw(store: Store) -> Draw | None:
    """Return the draw that counts.

    Raises:
        StoreError: the file is damaged.
    """
    name = draw_name(store)
    if name is None:
        return None
    try:
        document: Row = json.loads(store.files.read(f"{FOLDER}/{name}"))
        strata = tuple(Stratum(**{**each, "cell": tuple(each["cell"])}) for each in document.pop("strata"))
        units = tuple(Unit(**{**each, "cell": tuple(each["cell"])}) for each in document.pop("units"))
        return Draw(**document, strata=strata, units=units)
    except (ValueError, TypeError, KeyError) as error:
        raise StoreError(f"{store.name}/{FOLDER}/{name} cannot be read: {error}") from error


def write_draw(store: Store, draw: Draw) -> None:
    """Store a draw; from then on it is the one that counts."""
    store.files.write(f"{FOLDER}/{draw.name}.json", canonical_json(asdict(draw)).encode())


def allocate(sizes: Sequence[int], spreads: Sequence[float], budget: int) -> list[int]:
    """Share labels out over strata by Neyman (1934): in proportion to size times spread, never more than there are.

    Args:
        sizes: answers of each stratum. spreads: standard deviation of the human label within it.
        budget: labels in all; each stratum gets at least two (or all it has), so that it can be estimated.
    """
    weights = [size * max(spread, 0.01) for size, spread in zip(sizes, spreads, strict=True)]
    least = [min(size, LEAST) for size in sizes]
    settled: dict[int, int] = {}
    while True:
        free = [i for i in range(len(sizes)) if i not in settled]
        left = max(0, min(budget, sum(sizes)) - sum(settled.values()))
        total = sum(weights[i] for i in free) or 1.0
        ideal = {i: left * weights[i] / total for i in free}
        bound = {i: sizes[i] for i in free if ideal[i] > sizes[i]} or {i: least[i] for i in free if ideal[i] < least[i]}
        if not bound:
            return _rounded(sizes, settled, ideal, left)
        settled |= bound


def _rounded(sizes: Sequence[int], settled: Mapping[int, int], ideal: Mapping[int, float], left: int) -> list[int]:
    """Whole counts: what is settled, and the rest rounded down, with what remains to the largest remainders."""
    whole = {i: math.floor(each + 1e-9) for i, each in ideal.items()}
    order = sorted(ideal, key=lambda i: whole[i] - ideal[i])
    for i in order[: max(0, left - sum(whole.values()))]:
        whole[i] = min(whole[i] + 1, sizes[i])
    return [settled[i] if i in settled else whole[i] for i in range(len(sizes))]


def guessed_spread(verdict: str, called: float, card: Card | None) -> float:
    """Return the expected standard deviation of the human label in a stratum, by the judge's card or a guess.

    Args:
        called: share of the cell's answers that the judge called right.
    """
    se = card.used_sensitivity.value if card else None
    sp = card.used_specificity.value if card else None
    se, sp = se if se is not None else _GUESS, sp if sp is not None else _GUESS
    if verdict == NONE or se + sp <= 1:
        return 0.5
    truth = min(0.99, max(0.01, (called + sp - 1) / (se + sp - 1)))
    share = se * truth / (se * truth + (1 - sp) * (1 - truth) or 1)
    if verdict == WRONG:
        share = (1 - se) * truth / ((1 - se) * truth + sp * (1 - truth) or 1)
    return math.sqrt(share * (1 - share))


def rated_strata(draw: Draw, labels: Mapping[str, HumanLabel], items: Iterable[Unit] | None = None) -> list[int]:
    """Return how many drawn answers of each stratum are rated."""
    counts = [0] * len(draw.strata)
    for unit in draw.units if items is None else items:
        counts[unit.stratum] += unit.item in labels
    return counts
