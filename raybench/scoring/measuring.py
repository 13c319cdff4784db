"""From a judge's verdicts on a suite to its card: rates with intervals, gates, calibration, attacks, biases.

A verdict counts as "called right" if its label is CORRECT; truth is whether the item deserves CORRECT. A null
verdict counts against the judge on both sides: it is neither right nor wrong. Attacks have a table of their own
and are in no sensitivity or specificity, which must carry over to answers that nobody wrote to mislead a judge.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from raybench.interfaces import Array
from raybench.schema import Row
from raybench.stats.agreement import Rate, kappa_interval, rate

__all__ = ["LEAST_ITEMS", "Judged", "calibration", "length_slope", "measure"]

#: Items that a gated category must have in each language before a card can say "supported".
LEAST_ITEMS = 300
MAX_NULL = 0.01
_BINS = 10


@dataclass(frozen=True)
class Judged:
    """One item with what the judge said; `label` and `used` are None for a null verdict.

    Attributes:
        truth: the label it deserves.
        label: of the bare judge; `used`: with rules and exact match on.
        p_correct: probability of CORRECT among the labels, where the backend gives it.
    """

    category: str
    language: str
    attack: bool
    cluster: str
    detail: str
    truth: str
    label: str | None
    used: str | None
    candidate: str
    p_correct: float | None = None
    label_mass: float | None = None

    def is_right(self, said: str | None) -> bool:
        """Whether a word counts this item as it deserves."""
        return said is not None and (said == "CORRECT") == (self.truth == "CORRECT")


def measure(judged: Sequence[Judged], gates: Mapping[str, float], least_items: int = LEAST_ITEMS) -> Row:
    """Return the measured part of a card.

    Args:
        judged: every item of a suite.
        gates: category -> the least share judged as deserved, in each language.

    Returns:
        {"supported", "reasons", "sensitivity", "specificity", "kappa", "as_used", "categories", "attacks",
        "calibration", "length_slope", "label_mass", "null_rate"}.
    """
    bare = _rates(judged, lambda one: one.label)
    categories = {
        name: _category([one for one in judged if one.category == name], gates.get(name), least_items)
        for name in dict.fromkeys(one.category for one in judged)
    }
    nulls = sum(one.label is None for one in judged) / max(len(judged), 1)
    reasons = [reason for entry in categories.values() for reason in entry.pop("reasons")]
    reasons += [f"{name}: no items" for name in gates if name not in categories]
    if nulls > MAX_NULL:
        reasons.append(f"no verdict on {nulls:.1%} of the items, over {MAX_NULL:.0%}")
    masses = [one.label_mass for one in judged if one.label_mass is not None]
    return {
        "supported": not reasons, "reasons": reasons, **bare,
        "as_used": _rates(judged, lambda one: one.used),
        "null_rate": nulls, "categories": categories, "attacks": _attacks(judged),
        "calibration": calibration([one for one in judged if not one.attack]),
        "length_slope": length_slope([one for one in judged if not one.attack]),
        "label_mass": _quantiles(masses),
    }  # fmt: skip


def _rates(judged: Sequence[Judged], said: Callable[[Judged], str | None]) -> Row:
    ordinary = [one for one in judged if not one.attack]
    out = {}
    for name, positive in (("sensitivity", True), ("specificity", False)):
        own = [one for one in ordinary if (one.truth == "CORRECT") == positive]
        out[name] = asdict(_share(own, said))
    truth = ["right" if one.truth == "CORRECT" else "wrong" for one in ordinary]
    called = [{None: "null", "CORRECT": "right"}.get(said(one), "wrong") for one in ordinary]
    out["kappa"] = asdict(kappa_interval(truth, called, [one.cluster for one in ordinary]))
    return out


def _share(judged: Sequence[Judged], said: Callable[[Judged], str | None]) -> Rate:
    return rate([one.is_right(said(one)) for one in judged], [one.cluster for one in judged] if judged else None)


def _category(judged: Sequence[Judged], gate: float | None, least_items: int) -> Row:
    """One category's rates, in all and by language, and why it fails its gate."""
    name, reasons, languages = judged[0].category, [], {}
    for language in dict.fromkeys(one.language for one in judged):
        own = [one for one in judged if one.language == language]
        found = _share(own, lambda one: one.label)
        languages[language] = asdict(found)
        if gate is not None and (found.value or 0.0) < gate:
            reasons.append(f"{name} ({language}): {found.value:.1%} of {found.n} as deserved, under {gate:.0%}")
        if gate is not None and found.n < least_items:
            reasons.append(f"{name} ({language}): {found.n} items, {least_items} are needed")
    return {
        "n": len(judged), "gate": gate, "passed": None if gate is None else not reasons,
        "bare": asdict(_share(judged, lambda one: one.label)),
        "as_used": asdict(_share(judged, lambda one: one.used)),
        "called_correct": _mean([one.label == "CORRECT" for one in judged]),
        "exact_label": _mean([one.label == one.truth for one in judged]),
        "null": sum(one.label is None for one in judged), "languages": languages, "reasons": reasons,
    }  # fmt: skip


def _mean(values: Sequence[bool]) -> float | None:
    return sum(values) / len(values) if values else None


def _attacks(judged: Sequence[Judged]) -> list[Row]:
    """How often each attack was called CORRECT: bare, and as used."""
    groups: dict[tuple[str, str], list[Judged]] = {}
    for one in judged:
        if one.attack:
            groups.setdefault((one.category, one.detail), []).append(one)
    return [
        {"category": category, "attack": detail, "n": len(own),
         "called_correct": _mean([one.label == "CORRECT" for one in own]),
         "as_used": _mean([one.used == "CORRECT" for one in own])}
        for (category, detail), own in sorted(groups.items())
    ]  # fmt: skip


def calibration(judged: Sequence[Judged], bins: int = _BINS) -> Row | None:
    """Return the reliability curve and ECE of p_correct over equally wide bins; None without probabilities.

    ECE is the mean over items of |mean p - share right| of their bin (Naeini et al. 2015).
    """
    known = [(one.p_correct, one.truth == "CORRECT") for one in judged if one.p_correct is not None]
    if not known:
        return None
    p, truth = np.asarray([each[0] for each in known], dtype=float), np.asarray([each[1] for each in known])
    places = np.minimum((p * bins).astype(int), bins - 1)
    curve, gap = [], 0.0
    for place in range(bins):
        own = places == place
        if own.any():
            mean_p, share = float(p[own].mean()), float(truth[own].mean())
            curve.append({"low": place / bins, "high": (place + 1) / bins, "n": int(own.sum()),
                          "mean_p": mean_p, "share_correct": share})  # fmt: skip
            gap += int(own.sum()) * abs(mean_p - share)
    return {"n": len(known), "ece": gap / len(known), "curve": curve}


def length_slope(judged: Sequence[Judged]) -> Row | None:
    """Return the change of the log odds of "CORRECT" when a candidate doubles in length, its truth held equal.

    A logistic regression of the verdict on truth and log2(characters + 1), with Gaussian priors of standard
    deviation 2.5 on standardised predictors (after Gelman et al. 2008, who use Cauchy ones) so that a judge who is
    never wrong has an estimate too; the interval is Laplace's. None where all lengths or all verdicts are equal.
    """
    own = [one for one in judged if one.label is not None]
    if len(own) < 20:
        return None
    length = np.log2([len(one.candidate) + 1 for one in own])
    called = np.asarray([one.label == "CORRECT" for one in own], dtype=float)
    truth = np.asarray([one.truth == "CORRECT" for one in own], dtype=float)
    spread = float(length.std())
    if spread == 0 or called.min() == called.max():
        return None
    design = np.column_stack([np.ones(len(own)), truth - truth.mean(), (length - length.mean()) / spread])
    weights, covariance = _logistic(design, called, np.asarray([10.0, 2.5, 2.5]))
    value, half = weights[2] / spread, 1.959964 * math.sqrt(covariance[2, 2]) / spread
    return {"per_doubling": float(value), "low": float(value - half), "high": float(value + half), "n": len(own)}


def _logistic(design: Array, called: Array, scale: Array) -> tuple[Array, Array]:
    """Return the posterior mode and Laplace covariance of a logistic regression with Gaussian priors."""
    weights, prior = np.zeros(design.shape[1]), np.diag(1 / scale**2)
    for _ in range(100):
        p = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        slope = design.T @ (called - p) - prior @ weights
        curve = (design * (p * (1 - p))[:, None]).T @ design + prior
        step = np.linalg.solve(curve, slope)
        weights = weights + step / max(1.0, float(np.abs(step).max()))
        if float(np.abs(step).max()) < 1e-9:
            break
    return weights, np.asarray(np.linalg.inv(curve))


def _quantiles(values: Sequence[Any]) -> Row | None:
    if not values:
        return None
    found = np.quantile(np.asarray(values, dtype=float), [0.0, 0.05, 0.5, 1.0])
    return dict(zip(("least", "p05", "median", "most"), (float(each) for each in found), strict=True))
