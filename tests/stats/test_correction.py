"""Corrected scores: the shared figures, the textbook formula, and simulated coverage."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from raybench.stats.correction import ppi_mean, rogan_gladen


def test_the_formula_and_the_shared_example():
    # A judge with sensitivity and specificity 0.90 turns 3/25 into 2.5 % true (judging.md, section 0).
    found = rogan_gladen((3, 25), (9000, 10000), (9000, 10000))
    assert found.value == pytest.approx(0.025)
    assert found.low == 0.0
    assert rogan_gladen((3, 25), (90, 100), (85, 100)).value == 0.0  # -4 %, clipped
    assert rogan_gladen((52, 100), (90, 100), (85, 100)).value == pytest.approx((0.52 + 0.85 - 1) / 0.75)


@pytest.mark.parametrize(
    ("sensitivity", "specificity"),
    [((50, 100), (50, 100)), ((100, 100), (0, 100)), ((55, 100), (52, 100)), ((3, 4), (3, 4))],
)
def test_a_judge_that_tells_nothing_apart_is_refused(sensitivity, specificity):
    found = rogan_gladen((40, 100), sensitivity, specificity)
    assert found.value is None
    assert "is not clearly above 0" in found.refused
    assert rogan_gladen((0, 0), (9, 10), (9, 10)).refused == "nothing was counted"


def _coverage(trials, draw):
    covered = 0
    for seed in range(trials):
        truth, found = draw(np.random.default_rng(seed))
        covered += found.low <= truth <= found.high
    return covered / trials


@pytest.mark.parametrize("theta", [0.2, 0.6])
def test_rogan_gladen_covers(theta):
    def draw(rng):
        called = rng.binomial(300, theta * 0.9 + (1 - theta) * 0.15)
        card = (rng.binomial(150, 0.9), 150), (rng.binomial(150, 0.85), 150)
        return theta, rogan_gladen((called, 300), *card)

    assert _coverage(300, draw) == pytest.approx(0.95, abs=0.03)


def _run(rng, n=600, labels=150, bias=0.2):
    truth = (rng.random(n) < 0.6).astype(float)
    judge = np.where(truth == 1, rng.random(n) < 0.95, rng.random(n) < bias).astype(float)
    drawn = np.zeros(n, bool)
    drawn[rng.choice(n, labels, replace=False)] = True
    return truth, judge, drawn


def test_ppi_covers_and_is_narrower_than_the_labels_alone():
    def draw(rng):
        truth, judge, drawn = _run(rng)
        return 0.6, ppi_mean(judge, truth, drawn)

    assert _coverage(300, draw) == pytest.approx(0.95, abs=0.03)
    truth, judge, drawn = _run(np.random.default_rng(1))
    sharp, alone = ppi_mean(judge, truth, drawn), ppi_mean(np.full(600, 0.5), truth, drawn)
    assert alone.power == 0.0
    assert alone.value == pytest.approx(truth[drawn].mean())
    assert sharp.high - sharp.low < 0.85 * (alone.high - alone.low)


def test_lambda_is_the_regression_slope_and_the_mean_is_shifted_by_it():
    truth, judge, drawn = _run(np.random.default_rng(3))
    slope = LinearRegression().fit(judge[drawn, None], truth[drawn]).coef_[0]
    found = ppi_mean(judge, truth, drawn)
    assert found.power == pytest.approx(slope)
    assert found.value == pytest.approx(truth[drawn].mean() + slope * (judge.mean() - judge[drawn].mean()))


def test_strata_are_weighted_and_clusters_widen():
    rng = np.random.default_rng(5)
    truth, judge, _ = _run(rng, n=2000)
    chance = np.where(judge == 1, 0.05, 0.4)  # more labels where the judge says wrong
    drawn = rng.random(2000) < chance
    weighted = ppi_mean(judge, truth, drawn, weights=1 / chance)
    assert weighted.low <= truth.mean() <= weighted.high
    assert abs(weighted.value - truth.mean()) < abs(truth[drawn].mean() - truth.mean())
    repeated = np.repeat(np.arange(500), 4)
    one = ppi_mean(np.repeat(judge[:500], 4), np.repeat(truth[:500], 4), np.repeat(drawn[:500], 4))
    clustered = ppi_mean(
        np.repeat(judge[:500], 4), np.repeat(truth[:500], 4), np.repeat(drawn[:500], 4), clusters=repeated
    )
    assert clustered.high - clustered.low > 1.8 * (one.high - one.low)


def test_few_labels_are_refused_and_a_perfect_run_is_not_certain():
    truth, judge, drawn = _run(np.random.default_rng(2))
    drawn[np.flatnonzero(drawn)[9:]] = False
    assert ppi_mean(judge, truth, drawn).refused == "9 labels are too few; 10 at least"
    sure = ppi_mean(np.ones(100), np.ones(100), np.arange(100) < 40)
    assert sure.value == 1.0
    assert sure.low < 0.95
