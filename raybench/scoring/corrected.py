"""What people and judge cards make of a judged score: human-only, judge-error-corrected, and how far they agree.

With human labels of a random part of this run, PPI++ corrects the judge without assuming anything about it. With a
card only, Rogan-Gladen undoes the sensitivity and specificity that the card measured, which is as good as the suite
resembles the answers. Neither is given where the judge tells right from wrong no better than chance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import duckdb
import numpy as np

from raybench.interfaces import Array, Task
from raybench.schema import CELL, Row, Score
from raybench.scoring.cards import UNCALIBRATED, Card, card_key, cards, suite_of
from raybench.scoring.columns import View
from raybench.scoring.labels import Draw, HumanLabel, human_item, human_labels, newest_draw
from raybench.scoring.verdicts import JudgeColumns
from raybench.stats.agreement import Rate
from raybench.stats.correction import Corrected, ppi_mean, rogan_gladen
from raybench.stats.draws import DRAWS, SEED, cluster_codes, cluster_weights
from raybench.stats.intervals import design_effect
from raybench.store import Store

__all__ = [
    "CORRECTED",
    "HUMAN_ACCURACY",
    "HUMAN_JUDGE",
    "Evidence",
    "agreement",
    "evidence",
    "human_scores",
    "trusted_scores",
]

#: Metric names beside `judge_accuracy`; the human-only score stands under a judge of its own.
CORRECTED, HUMAN_ACCURACY, HUMAN_JUDGE = "judge_accuracy_corrected", "human_accuracy", "human"
_JUDGED = "judge_accuracy"
_FEW = 30


@dataclass(frozen=True)
class Evidence:
    """What is known of a folder's judges from outside their verdicts: cards, the newest draw, people's labels."""

    cards: Mapping[tuple[str, str], Card]
    draw: Draw | None
    labels: Mapping[str, HumanLabel]

    def card(self, judge: JudgeColumns, task: Task) -> Card | None:
        """Return the card of a judge as it judged, valid for the task's suite."""
        return self.cards.get((card_key(judge.config, judge.protocol, judge.template), suite_of(task)))

    def flags(self, judge: JudgeColumns, task: Task) -> tuple[str, ...]:
        """Return what every score of this judge must say: uncalibrated, unsupported, or nothing."""
        card = self.card(judge, task)
        return (UNCALIBRATED,) if card is None else card.flags


def evidence(store: Store, connection: duckdb.DuckDBPyConnection) -> Evidence:
    """Read cards, the newest draw and human labels of a folder; the folder's own cards come before the package's."""
    found: dict[tuple[str, str], Card] = {}
    for card in cards(store):
        found.setdefault((card.key, card.suite), card)
    draw = newest_draw(store)
    return Evidence(found, draw, human_labels(connection) if draw else {})


@dataclass(frozen=True)
class _Rows:
    """One cell's judged rows as columns of length n.

    Attributes:
        f: 1 where the judge called the answer right (0 for a null verdict too); `judged`: 1 where it has a verdict.
        y: the human label, 0-1; `labelled`: rows of the draw with one; `weights`: inverse inclusion probabilities.
        missing: strata of the draw in which nothing is rated yet.
    """

    f: Array
    judged: Array
    y: Array
    labelled: Array
    weights: Array
    clusters: Array
    missing: tuple[str, ...]


def trusted_scores(
    known: Evidence, judge: JudgeColumns, view: View, scores: Sequence[Score], task: Task
) -> list[Score]:
    """Return the corrected score and the agreement with people, beside a judge's own scores.

    Args:
        scores: the judge's scores of this view; nothing is added unless `judge_accuracy` is among them.
    """
    own = next((score for score in scores if score.metric == _JUDGED), None)
    if own is None or view.slice != "all":
        return []
    rows, card = _rows(known, judge, view), known.card(judge, task)
    out = _agreement_scores(own, rows) if rows.labelled.any() else []
    corrected, recipe = _corrected(rows, card)
    if corrected is not None:
        out.append(_score(own, CORRECTED, corrected, recipe))
    return out


def human_scores(known: Evidence, view: View, common: Row) -> list[Score]:
    """Return the accuracy that people's labels alone give, weighted by inclusion; [] without labels of this cell."""
    rows = _rows(known, None, view)
    if view.slice != "all" or not rows.labelled.any():
        return []
    found = _refused(rows) or ppi_mean(rows.f, rows.y, rows.labelled, rows.weights, rows.clusters)
    labels = int(rows.labelled.sum())
    flags = [*(["few labels"] if labels < _FEW else []), *([f"refused: {found.refused}"] if found.refused else [])]
    return [
        Score(**{
            **common, "metric": HUMAN_ACCURACY, "profile": "judge", "judge": HUMAN_JUDGE,
            "protocol": "reference_verdict",
            "value": found.value, "low": found.low, "high": found.high, "n": labels,
            "n_clusters": len(np.unique(rows.clusters[rows.labelled])), "null_verdicts": 0, "flags": tuple(flags),
            "signature": f"{common['signature']}|metric:{HUMAN_ACCURACY}|labels:{labels}|draw:{_draw(known)}",
        })
    ]  # fmt: skip


def _draw(known: Evidence) -> str:
    return known.draw.name if known.draw else ""


def _rows(known: Evidence, judge: JudgeColumns | None, view: View) -> _Rows:
    chosen = view.scored()
    records = [view.cell.records[i] for i in chosen]
    y, weights, missing = _labels(known, view.cell.keys, records)
    labelled, nothing = ~np.isnan(y), np.zeros(len(view.cell.records))
    columns = judge.columns if judge else {"correct": nothing, "judged": nothing}
    called, judged = (np.asarray(columns[name], dtype=float)[chosen] for name in ("correct", "judged"))
    clusters = view.cell.cluster_codes[chosen]
    return _Rows(called, judged, np.where(labelled, y, 0.0), labelled, weights, clusters, missing)


def _labels(known: Evidence, cell: Row, records: Sequence[Row]) -> tuple[Array, Array, tuple[str, ...]]:
    """Return each row's human label (NaN without one), its weight, and the strata that nobody has rated yet.

    Only rows that were drawn count: a label that another model's equal answer earned was not drawn here.
    """
    y, weights = np.full(len(records), np.nan), np.zeros(len(records))
    key = tuple(str(cell[name]) for name in CELL)
    if known.draw is None:
        return y, weights, ()
    units = {(unit.sample, unit.turn, unit.repeat): unit for unit in known.draw.units if unit.cell == key}
    rated: dict[int, int] = {}
    for i, record in enumerate(records):
        unit = units.get((record["sample"], int(record["turn"] or 0), int(record["repeat"] or 0)))
        if unit is None or unit.item not in known.labels:
            continue
        # An answer given since the draw is another item: its old label does not count for it.
        if unit.item != human_item(str(record["question"]), str(record["target"]), str(record["text"] or "")):
            continue
        y[i], weights[i] = known.labels[unit.item].correct, unit.stratum
        rated[unit.stratum] = rated.get(unit.stratum, 0) + 1
    for i in np.flatnonzero(~np.isnan(y)).tolist():
        stratum = int(weights[i])
        weights[i] = known.draw.strata[stratum].population / rated[stratum]
    missing = [
        stratum.verdict for number, stratum in enumerate(known.draw.strata)
        if stratum.cell == key and stratum.population and number not in rated
    ]  # fmt: skip
    return y, weights, tuple(missing)


def _refused(rows: _Rows) -> Corrected | None:
    if rows.missing:
        return Corrected(None, None, None, f"nothing is rated yet of: {', '.join(rows.missing)}")
    return None


def _corrected(rows: _Rows, card: Card | None) -> tuple[Corrected | None, str]:
    """Return the corrected rate and its recipe: PPI++ with labels of this run, Rogan-Gladen with only a card."""
    if rows.labelled.any():
        found = _refused(rows) or _worse_than_chance(rows)
        found = found or ppi_mean(rows.f, rows.y, rows.labelled, rows.weights, rows.clusters)
        return found, f"ppi++|labels:{int(rows.labelled.sum())}"
    if card is None:
        return None, ""
    known = rows.judged > 0
    hits, n = rows.f[known], int(known.sum())
    if not n:
        return None, ""
    shrink = design_effect(hits, rows.clusters[known])
    pairs = [_counts(each) for each in (card.used_sensitivity, card.used_specificity)]
    found = rogan_gladen((float(hits.sum()) / shrink, n / shrink), pairs[0], pairs[1])
    return found, f"rogan-gladen|card:{card.key}"


def _counts(rate: Rate) -> tuple[float, float]:
    return ((rate.value or 0.0) * rate.n, float(rate.n))


def _worse_than_chance(rows: _Rows) -> Corrected | None:
    """Refuse where, by the labels themselves, sensitivity + specificity - 1 is not clearly above 0."""
    found = agreement(rows.y, rows.f, rows.labelled, rows.weights, rows.clusters)
    youden = found["youden"]
    if youden.value is None or youden.low is None:
        return None  # people found only right, or only wrong answers: nothing speaks against the judge
    if youden.low > 0:
        return None
    return Corrected(None, None, None, f"sensitivity + specificity - 1 = {youden.value:.2f} is not clearly above 0")


def _agreement_scores(own: Score, rows: _Rows) -> list[Score]:
    """Scores of how a judge agrees with people on this subject model's answers."""
    found = agreement(rows.y, rows.f, rows.labelled, rows.weights, rows.clusters)
    found.pop("youden")
    out = []
    for name, each in found.items():
        unit = "coefficient" if name in ("kappa", "alpha") else "fraction"
        score = _score(own, f"judge_{name}", Corrected(each.value, each.low, each.high), "against human labels")
        flags = score.flags if each.n >= _FEW else (*score.flags, "few labels")
        out.append(replace(score, unit=unit, n=each.n, flags=flags))
    return [score for score in out if score.value is not None]


def _score(own: Score, metric: str, found: Corrected, recipe: str) -> Score:
    flags = list(own.flags)
    if found.refused:
        flags.append(f"refused: {found.refused}")
    return replace(
        own, metric=metric, value=found.value, low=found.low, high=found.high, headline=False, bound_low=None,
        bound_high=None, flags=tuple(flags), signature=f"{own.signature}|corrected:{metric}|{recipe}",
    )  # fmt: skip


def agreement(y: Array, f: Array, labelled: Array, weights: Array, clusters: Array) -> dict[str, Rate]:
    """Return how a judge agrees with people, weighted to the whole run: accuracy, kappa, alpha, Se, Sp, youden.

    Only settled labels count (0 or 1). Intervals are percentiles over a bootstrap of clusters.

    Args:
        y: (n,) human labels, read where `labelled`. f: (n,) the judge's 0/1 words. weights: inverse inclusion.
    """
    own = labelled & ((y == 0) | (y == 1))
    names = ("agreement", "kappa", "alpha", "sensitivity", "specificity", "youden")
    n = int(own.sum())
    if not n:
        return dict.fromkeys(names, Rate(None, None, None, 0))
    cells = (2 * y[own] + f[own]).astype(int)  # 0 neither, 1 judge only, 2 person only, 3 both
    codes, k = cluster_codes(clusters[own])
    points = _coefficients(_table(cells, weights[own]), n)
    drawn = np.asarray([
        _coefficients(_table(cells, weights[own] * draw[codes]), n) for chunk in cluster_weights(k, DRAWS, SEED)
        for draw in chunk
    ])  # fmt: skip
    return {name: _rate(points[i], drawn[:, i], n) for i, name in enumerate(names)}


def _rate(value: float, drawn: Array, n: int) -> Rate:
    known = drawn[np.isfinite(drawn)]
    if not math.isfinite(value) or not len(known):
        return Rate(None, None, None, n)
    low, high = np.quantile(known, [0.025, 0.975])
    return Rate(float(value), min(float(low), float(value)), max(float(high), float(value)), n)


def _table(cells: Array, weights: Array) -> Array:
    return np.bincount(cells, weights, 4)


def _coefficients(table: Array, n: int) -> tuple[float, ...]:
    """Accuracy, Cohen's kappa, Krippendorff's alpha, Se, Sp and Se + Sp - 1 of a weighted 2 x 2 table of n pairs."""
    total = float(table.sum())
    if total <= 0:
        return (math.nan,) * 6
    neither, judge, person, both = (float(each) / total for each in table)
    agree, called, right = neither + both, judge + both, person + both
    chance = called * right + (1 - called) * (1 - right)
    pooled = (called + right) / 2
    # Krippendorff (2004): 2n ratings, drawn in pairs without replacement.
    expected = 2 * pooled * (1 - pooled) * 2 * n / (2 * n - 1)
    se = both / right if right > 0 else math.nan
    sp = neither / (1 - right) if right < 1 else math.nan
    kappa = (agree - chance) / (1 - chance) if chance < 1 else math.nan
    alpha = 1 - (1 - agree) / expected if expected > 0 else math.nan
    return agree, kappa, alpha, se, sp, se + sp - 1
