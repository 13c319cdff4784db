"""Scores corrected with human labels: against scikit-learn, krippendorff's formula, and simulated coverage."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from raybench.scoring.corrected import agreement
from raybench.scoring.labels import PER_CLASS, RIGHT, WRONG, allocate, guessed_spread, human_item
from raybench.stats.agreement import alpha
from raybench.stats.correction import ppi_mean


def test_agreement_with_equal_weights_is_what_others_compute() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 80).astype(float)
    f = np.where(rng.random(80) < 0.8, y, 1 - y)
    found = agreement(y, f, np.ones(80, dtype=bool), np.full(80, 3.0), np.arange(80))
    assert found["agreement"].value == pytest.approx((y == f).mean())
    assert found["kappa"].value == pytest.approx(cohen_kappa_score(y, f))
    assert found["alpha"].value == pytest.approx(alpha(list(zip(y, f, strict=True))))
    assert found["sensitivity"].value == pytest.approx(f[y == 1].mean())
    assert found["specificity"].value == pytest.approx(1 - f[y == 0].mean())
    assert found["kappa"].low < found["kappa"].value < found["kappa"].high  # type: ignore[operator]


def test_weights_undo_a_sample_that_is_not_equal() -> None:
    """100 called right (90 really so), 900 called wrong (90 of them right); 50 of each are labelled."""
    f = np.repeat([1.0, 0.0], [50, 50])
    y = np.concatenate([np.repeat([1.0, 0.0], [45, 5]), np.repeat([1.0, 0.0], [5, 45])])
    weights = np.repeat([100 / 50, 900 / 50], [50, 50])
    found = agreement(y, f, np.ones(100, dtype=bool), weights, np.arange(100))
    assert found["sensitivity"].value == pytest.approx(90 / 180)
    assert found["specificity"].value == pytest.approx(810 / 820)


def test_unsettled_labels_are_in_no_agreement() -> None:
    y, f = np.asarray([1, 0, 0.5, 1]), np.asarray([1.0, 0, 1, 0])
    assert agreement(y, f, np.ones(4, dtype=bool), np.ones(4), np.arange(4))["agreement"].n == 3


def test_neyman_shares_by_size_and_spread_and_keeps_two_of_each() -> None:
    assert allocate([1000, 1000], [0.4, 0.1], 100) == [80, 20]
    assert allocate([500, 3, 1], [0.3, 0.3, 0.3], 40) == [37, 2, 1]
    assert allocate([5, 5], [0.5, 0.5], 100) == [5, 5]
    assert sum(allocate([400, 300, 200], [0.5, 0.2, 0.35], 101)) == 101


def test_139_labels_give_five_points_at_ninety_percent() -> None:
    assert np.ceil(1.959964**2 * 0.9 * 0.1 / 0.05**2) == PER_CLASS


def test_spread_is_of_what_a_verdict_leaves_open() -> None:
    assert guessed_spread(RIGHT, 0.5, None) == pytest.approx(np.sqrt(0.85 * 0.15))
    assert guessed_spread(WRONG, 0.5, None) == pytest.approx(np.sqrt(0.85 * 0.15))
    assert guessed_spread(RIGHT, 0.16, None) > guessed_spread(WRONG, 0.16, None)


def test_a_rating_belongs_to_what_was_shown() -> None:
    assert human_item("q", "r", "a") == human_item("q", "r", "a") != human_item("q", "r", "b")


def draws(rng: np.random.Generator, population: int, labels: int) -> tuple[bool, bool]:
    """One run of a biased judge (Se 0.9, Sp 0.8), labels stratified by verdict: whether truth is covered."""
    y = (rng.random(population) < 0.4).astype(float)
    f = np.where(y == 1, rng.random(population) < 0.9, rng.random(population) < 0.2).astype(float)
    labelled, weights = np.zeros(population, dtype=bool), np.zeros(population)
    for word in (0.0, 1.0):
        members = np.flatnonzero(f == word)
        chosen = rng.choice(members, labels // 2, replace=False)
        labelled[chosen], weights[chosen] = True, len(members) / len(chosen)
    found = ppi_mean(f, y, labelled, weights)
    plain = ppi_mean(np.zeros(population), y, labelled, weights)
    return found.low <= 0.4 <= found.high, plain.low <= 0.4 <= plain.high  # type: ignore[operator]


@pytest.mark.slow
def test_coverage_of_stratified_labels() -> None:
    """Nominal 95 % for a superpopulation's rate at n = 300 labels of 3,000 answers."""
    rng = np.random.default_rng(5)
    covered = np.mean([draws(rng, 3000, 300) for _ in range(1500)], axis=0)
    assert covered[0] == pytest.approx(0.95, abs=0.02)
    assert covered[1] >= 0.94  # stratification is not credited to the plain mean: it may cover more
