"""Scores corrected for a judge's errors: Rogan-Gladen from a judge card, PPI++ from labels of the same run.

A judge that calls some wrong answers right (specificity under 1) and some right
ones wrong (sensitivity under 1) shifts every score it makes. With both known
from a card, theta = (p + Sp - 1)/(Se + Sp - 1) undoes the shift (Rogan & Gladen
1978). With human labels on a random part of this run, PPI++ (Angelopoulos,
Duchi & Zrnic 2023) uses the judge to sharpen the human mean and needs no
assumption about the judge.

>>> round(rogan_gladen((52, 100), (90, 100), (85, 100)).value, 3)
0.493
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy  # its parts load when they are first used

from raybench.interfaces import Array
from raybench.stats.draws import SEED, cluster_codes
from raybench.stats.intervals import wilson

__all__ = ["Corrected", "ppi_mean", "rogan_gladen"]

_DRAWS = 20_000


@dataclass(frozen=True)
class Corrected:
    """A corrected rate (0-1) with its 95 % interval, or why there is none.

    Attributes:
        value, low, high: None where the correction is refused.
        refused: "" or the reason.
        power: the share of the judge's words that PPI++ uses (lambda); None for Rogan-Gladen.
    """

    value: float | None
    low: float | None
    high: float | None
    refused: str = ""
    power: float | None = None


def rogan_gladen(
    judged: tuple[float, float], sensitivity: tuple[float, float], specificity: tuple[float, float], seed: int = SEED
) -> Corrected:
    """Correct a judged rate by a judge card's sensitivity and specificity.

    The interval draws all three rates from Jeffreys posteriors Beta(x + 1/2, n - x + 1/2).

    Args:
        judged: (called right, judged); divide both by the design effect where rows are clustered.
        sensitivity: (called right, human right). specificity: (called wrong, human wrong).

    Returns:
        A value clipped to 0-1; refused where Se + Sp - 1 is not clearly above 0.
    """
    counts = [np.asarray(pair, dtype=float) for pair in (judged, sensitivity, specificity)]
    if any(n <= 0 for _, n in counts):
        return Corrected(None, None, None, "nothing was counted")
    (x, n), (x1, m1), (x0, m0) = counts
    youden = x1 / m1 + x0 / m0 - 1
    rng = np.random.default_rng(seed)
    p, se, sp = (rng.beta(hits + 0.5, total - hits + 0.5, _DRAWS) for hits, total in counts)
    if float(np.quantile(se + sp - 1, 0.025)) <= 0.02:
        return Corrected(None, None, None, f"sensitivity + specificity - 1 = {youden:.2f} is not clearly above 0")
    value = (x / n + x0 / m0 - 1) / youden
    with np.errstate(divide="ignore", invalid="ignore"):
        drawn = np.clip((p + sp - 1) / (se + sp - 1), 0, 1)
    low, high = np.quantile(drawn[np.isfinite(drawn)], [0.025, 0.975])
    clipped = min(1.0, max(0.0, float(value)))
    return Corrected(clipped, min(float(low), clipped), max(float(high), clipped))


def ppi_mean(
    judge: Any, human: Any, labelled: Any, weights: Any | None = None, clusters: Any | None = None
) -> Corrected:
    """Return the PPI++ mean of human labels, sharpened by the judge's word on every row.

    Args:
        judge: (n,) the judge's score of each row, 0-1.
        human: (n,) the human label of each row, 0-1; read only where `labelled`.
        labelled: (n,) which rows were drawn for labelling, at random.
        weights: (n,) inverse inclusion probabilities of the labelled rows; default equal.
        clusters: (n,) names; rows of one name are not independent.

    Returns:
        The mean with a t interval on the linearised cluster variance; refused under 10 labels.
    """
    f, drawn = np.asarray(judge, dtype=float), np.asarray(labelled, dtype=bool)
    n, labels = len(f), int(drawn.sum())
    if labels < 10:
        return Corrected(None, None, None, f"{labels} labels are too few; 10 at least")
    y = np.asarray(human, dtype=float)[drawn]
    w = np.ones(labels) if weights is None else np.asarray(weights, dtype=float)[drawn]
    w = w / w.sum()
    f_labelled, f_mean = f[drawn], float(f.mean())
    power = _power(y, f_labelled, w)
    value = min(1.0, max(0.0, float(w @ y + power * (f_mean - w @ f_labelled))))
    # One influence a row: what is left of the label beside the judge, and the judge's own spread over all rows.
    influence = power * (f - f_mean) / n
    influence[drawn] += w * (y - w @ y - power * (f_labelled - w @ f_labelled))
    codes, k = cluster_codes(clusters if clusters is not None else np.arange(n))
    groups = len(np.unique(codes[drawn]))
    sums = np.bincount(codes, influence, minlength=k)
    se = math.sqrt(float(sums @ sums) * groups / max(groups - 1, 1))
    if se < 1e-12:
        low, high = wilson(value * labels, labels)
        return Corrected(value, low, high, power=power)
    half = float(scipy.special.stdtrit(max(groups - 1, 1), 0.975)) * se
    return Corrected(value, max(0.0, value - half), min(1.0, value + half), power=power)


def _power(y: Array, f: Array, w: Array) -> float:
    """Return lambda, the weight of the judge that makes the variance least, within 0-1.

    With the judge's mean over all rows, the labelled ones among them, the variance is
    var(y)/n - 2 lambda cov(y, f)(1/n - 1/N) + lambda^2 var(f)(1/n - 1/N): least at cov/var.
    """
    spread = float(w @ (f - w @ f) ** 2)
    if spread < 1e-12:
        return 0.0
    together = float(w @ ((f - w @ f) * (y - w @ y)))
    return min(1.0, max(0.0, together / spread))
