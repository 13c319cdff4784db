"""Bradley-Terry strengths against an independent fit by scipy, and against numbers worked out by hand."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_expit

from raybench.stats.bradley_terry import PRIOR, strength_intervals, strengths

RNG = np.random.default_rng(7)


def by_scipy(wins, prior):
    """Maximise the likelihood directly: sum of wins x log sigmoid(difference), a prior tie as half a win each."""
    wins = np.asarray(wins, dtype=float)
    wins = wins + prior / 2 * ((wins + wins.T) > 0)

    def loss(s):
        return -np.sum(wins * log_expit(s[:, None] - s[None, :])) + (s.mean()) ** 2

    found = minimize(loss, np.zeros(len(wins)), method="BFGS", options={"gtol": 1e-10}).x
    return found - found.mean()


def table(k, n):
    truth = RNG.normal(0, 1, k)
    wins = np.zeros((k, k))
    for i in range(k):
        for j in range(i):
            won = RNG.binomial(n, 1 / (1 + math.exp(truth[j] - truth[i])))
            wins[i, j], wins[j, i] = won, n - won
    return wins


@pytest.mark.parametrize(("k", "n"), [(2, 10), (3, 20), (6, 12), (12, 30)])
@pytest.mark.parametrize("prior", [0.0, PRIOR])
def test_the_fit_is_the_maximum_of_the_likelihood(k, n, prior):
    wins = table(k, n) + 0.5 * (1 - np.eye(k))
    assert strengths(wins, prior) == pytest.approx(by_scipy(wins, prior), abs=1e-5)


def test_two_models_have_the_log_odds_of_their_wins():
    one, other = strengths([[0, 3], [1, 0]], prior=0)
    assert one - other == pytest.approx(math.log(3))
    assert one + other == pytest.approx(0)


def test_ties_and_order_of_models_change_nothing_that_they_should_not():
    assert strengths([[0, 5], [5, 0]], prior=0) == pytest.approx([0, 0])
    wins = table(4, 25) + 1.0
    order = [2, 0, 3, 1]
    moved = strengths(wins[np.ix_(order, order)], 0)
    assert moved == pytest.approx([strengths(wins, 0)[i] for i in order], abs=1e-9)


def test_one_who_never_lost_stays_finite():
    values = strengths([[0, 30, 30], [0, 0, 15], [0, 15, 0]])
    assert all(math.isfinite(value) for value in values)
    assert values[0] > 3 > values[1] == pytest.approx(values[2])


def test_models_that_never_met_anyone_have_the_mean():
    values = strengths([[0, 3, 0], [1, 0, 0], [0, 0, 0]], prior=0)
    assert values[0] - values[1] == pytest.approx(math.log(3))


def test_intervals_hold_the_truth_and_draw_clusters_together():
    truth = np.array([0.8, 0.0, -0.8])
    contests, clusters = [], []
    for sample in range(120):
        for i, j in ((0, 1), (0, 2), (1, 2)):
            contests.append((i, j, float(RNG.random() < 1 / (1 + math.exp(truth[j] - truth[i])))))
            clusters.append(f"s{sample}")
    lines = strength_intervals(["a", "b", "c"], contests, clusters, draws=400)
    assert [line.name for line in lines] == ["a", "b", "c"]
    assert all(line.low < value < line.high for line, value in zip(lines, truth, strict=True))
    assert [line.n for line in lines] == [240, 240, 240]
    twice = strength_intervals(["a", "b", "c"], contests * 2, clusters * 2, draws=400)
    widths = [(line.high - line.low) / (other.high - other.low) for line, other in zip(lines, twice, strict=True)]
    assert widths == pytest.approx([1, 1, 1], rel=0.1), "a copy of every contest in its own cluster is no more evidence"
