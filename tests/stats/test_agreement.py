"""Agreement against scikit-learn, and alpha against Krippendorff's own worked example."""

import math

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from raybench.stats.agreement import alpha, kappa, kappa_interval, rate, sensitivity_specificity
from raybench.stats.intervals import wilson


@pytest.mark.parametrize("seed", range(5))
def test_kappa_equals_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    a = rng.integers(1, 6, 80)
    b = np.where(rng.random(80) < 0.6, a, rng.integers(1, 6, 80))
    assert kappa(a.tolist(), b.tolist()) == pytest.approx(cohen_kappa_score(a, b))
    weighted = kappa(a.tolist(), b.tolist(), "quadratic", order=[1, 2, 3, 4, 5])
    assert weighted == pytest.approx(cohen_kappa_score(a, b, weights="quadratic", labels=[1, 2, 3, 4, 5]))


def test_an_always_incorrect_judge_has_no_kappa():
    truth = ["CORRECT"] * 3 + ["INCORRECT"] * 22
    assert kappa(truth, ["INCORRECT"] * 25) == 0.0
    assert math.isnan(kappa(["x"] * 5, ["x"] * 5))
    assert kappa_interval(["x"] * 5, ["x"] * 5).value is None
    assert kappa_interval([], []).n == 0


def test_the_interval_of_kappa_covers():
    rng = np.random.default_rng(7)
    population = []
    for _ in range(60):
        truth = rng.random(150) < 0.4
        said = np.where(rng.random(150) < 0.85, truth, ~truth)
        population.append((truth.tolist(), said.tolist()))
    big = rng.random(200_000) < 0.4
    true = kappa(big.tolist(), np.where(rng.random(200_000) < 0.85, big, ~big).tolist())
    found = [kappa_interval(a, b) for a, b in population[:25]]
    assert sum(each.low <= true <= each.high for each in found) >= 21


def test_alpha_gives_the_published_example():
    # Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), example C: nominal .743, interval .849.
    rows = [
        [1, 1, None, 1], [2, 2, 3, 2], [3, 3, 3, 3], [3, 3, 3, 3], [2, 2, 2, 2], [1, 2, 3, 4], [4, 4, 4, 4],
        [1, 1, 2, 1], [2, 2, 2, 2], [None, 5, 5, 5], [None, None, 1, 1], [None, None, 3, None],
    ]  # fmt: skip
    assert alpha(rows) == pytest.approx(0.743, abs=5e-4)
    assert alpha(rows, "interval") == pytest.approx(0.849, abs=5e-4)
    assert math.isnan(alpha([["a", "a"], ["a", None]]))
    assert alpha([["a", "a"], ["b", "b"]]) == 1.0


def test_rates_are_wilsons_and_clusters_widen_them():
    assert (rate([1] * 3 + [0] * 22).low, rate([1] * 3 + [0] * 22).high) == pytest.approx(wilson(3, 25))
    lone = rate([1, 1, 0, 0] * 10)
    grouped = rate([1, 1, 0, 0] * 10, [i // 2 for i in range(40)])
    assert grouped.high - grouped.low > lone.high - lone.low
    assert rate([]).value is None


def test_each_class_has_its_own_rate():
    sensitivity, specificity = sensitivity_specificity([1, 1, 1, 1, 0, 0], [1, 1, 1, 0, 0, 1])
    assert (sensitivity.value, sensitivity.n, specificity.value, specificity.n) == (0.75, 4, 0.5, 2)
