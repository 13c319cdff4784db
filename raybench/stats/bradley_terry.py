"""Strengths of models from who beat whom (Bradley & Terry 1952), with intervals over a bootstrap of clusters.

P(a beats b) = 1/(1 + exp(s_b - s_a)); a tie is half a win for each. Strengths are
fitted at once, not match by match as Elo ratings are, so their order does not
hang on the order of the matches.

>>> wins = [[0, 3], [1, 0]]
>>> [round(s, 4) for s in strengths(wins, prior=0)]
[0.5493, -0.5493]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from raybench.interfaces import Array
from raybench.stats.draws import DRAWS, SEED, cluster_codes, cluster_weights

__all__ = ["Strength", "strength_intervals", "strengths"]

_STEPS, _TOLERANCE = 200, 1e-10
#: Half a tie between every two that met keeps one who never lost at a finite strength.
PRIOR = 0.5


@dataclass(frozen=True)
class Strength:
    """One model's strength as log odds around the mean of all, with its 95 % interval and the contests it was in."""

    name: str
    value: float
    low: float
    high: float
    n: int


def strengths(wins: Any, prior: float = PRIOR) -> list[float]:
    """Return the maximum-likelihood strengths of a table of wins, by Newton's method; their mean is 0.

    Args:
        wins: (k, k), row beats column; a tie is 0.5 in both places.
        prior: ties added between every two that met; 0 for plain maximum likelihood, which is
            infinite for one who won (or lost) every contest.
    """
    table = np.asarray(wins, dtype=float)
    met = table + table.T
    table = table + 0.5 * prior * (met > 0)
    met = table + table.T
    k, found = len(table), np.zeros(len(table))
    for _ in range(_STEPS):
        chance = 1.0 / (1.0 + np.exp(found[None, :] - found[:, None]))
        gradient = (table - met * chance).sum(axis=1)
        information = met * chance * (1 - chance)
        hessian = np.diag(information.sum(axis=1)) - information
        # The strengths' mean is free: pin it, or the matrix has no inverse.
        step = np.linalg.lstsq(hessian + np.ones((k, k)) / k, gradient, rcond=None)[0]
        found = found + np.clip(step, -2.0, 2.0)
        found -= found.mean()
        if np.abs(step).max() < _TOLERANCE:
            break
    return [float(value) for value in found]


def strength_intervals(
    names: Sequence[str], contests: Sequence[tuple[int, int, float]], clusters: Sequence[Any], prior: float = PRIOR,
    draws: int = DRAWS,
) -> list[Strength]:  # fmt: skip
    """Return each model's strength with its percentile interval over a bootstrap of clusters (samples, patients).

    Args:
        contests: (a, b, points of a: 1, 0.5 or 0), a and b places in `names`.
        clusters: what the contests' rows share; contests on one sample are drawn together.
    """
    k = len(names)
    first, second, points = (np.asarray(column) for column in zip(*contests, strict=True))
    codes, count = cluster_codes(clusters)
    value = strengths(_table(first, second, points, np.ones(len(points)), k), prior)
    drawn = [
        strengths(_table(first, second, points, row[codes].astype(float), k), prior)
        for chunk in cluster_weights(count, draws, SEED)
        for row in chunk
    ]
    low, high = np.quantile(np.asarray(drawn), [0.025, 0.975], axis=0)
    played = np.bincount(np.concatenate([first, second]), minlength=k)
    return [
        Strength(name, value[i], float(low[i]), float(high[i]), int(played[i])) for i, name in enumerate(names)
    ]  # fmt: skip


def _table(first: Array, second: Array, points: Array, weights: Array, k: int) -> Array:
    table = np.bincount(first * k + second, weights * points, k * k) + np.bincount(
        second * k + first, weights * (1 - points), k * k
    )
    return np.asarray(table.reshape(k, k))
