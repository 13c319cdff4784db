"""Kish's effective number of judges, by hand and against numpy's correlations."""

import math

import numpy as np
import pytest

from raybench.stats.panel import effective_judges


def n_eff(scores, weights=None):
    weights = np.ones((1, len(scores))) if weights is None else np.asarray([weights])
    return float(effective_judges(np.asarray(scores, dtype=float), weights)[0])


def test_judges_who_always_agree_are_one():
    assert n_eff([[1, 1, 1], [0, 0, 0], [1, 1, 1], [0, 0, 0]]) == pytest.approx(1.0)


def test_independent_judges_count_in_full():
    scores = [[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)]
    assert n_eff(scores) == pytest.approx(3.0)


def test_by_hand():
    """phi = 1/3 for two judges who agree on 4 of 6 with even margins: 2/(1 + 1/3) = 1.5."""
    assert n_eff([[1, 1], [1, 1], [1, 0], [0, 1], [0, 0], [0, 0]]) == pytest.approx(1.5)


def test_against_numpy():
    rng = np.random.default_rng(1)
    shared = rng.normal(size=(500, 1))
    scores = 0.8 * shared + rng.normal(size=(500, 5))
    r = np.corrcoef(scores.T)[np.triu_indices(5, 1)].mean()
    assert n_eff(scores) == pytest.approx(5 / (1 + 4 * r))
    weights = rng.integers(0, 4, 500)
    again = np.repeat(scores, weights, axis=0)
    r = np.corrcoef(again.T)[np.triu_indices(5, 1)].mean()
    assert n_eff(scores, weights) == pytest.approx(5 / (1 + 4 * r))


def test_opposed_judges_are_no_more_than_there_are_and_constant_ones_are_left_out():
    assert n_eff([[1, 0], [0, 1], [1, 0], [0, 1]]) == pytest.approx(2.0)
    assert n_eff([[1, 1, 1], [0, 0, 1], [1, 1, 1], [0, 0, 1]]) == pytest.approx(1.0)
    assert math.isnan(n_eff([[1, 1], [1, 1]]))
