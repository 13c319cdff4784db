"""The worst-group gap against accuracies worked out by hand and a simulated coverage."""

import numpy as np
import pytest

from raybench.interfaces import MetricDef
from raybench.stats.groups import worst_group_gap

ACCURACY = MetricDef("accuracy", over="all", hit="hit")
ERRORS = MetricDef("errors", over="all", hit="hit", higher_is_better=False)


def table(hits):
    return {"all": np.ones(len(hits)), "hit": np.asarray(hits, dtype=float)}


def test_the_gap_is_that_of_the_best_and_the_worst_group():
    hits = [1, 1, 1, 0, 1, 0, 0, 0, 1, 1, 0, 0, 0]
    groups = ["F"] * 4 + ["M"] * 4 + ["X"] * 4 + [""]
    found = worst_group_gap(ACCURACY, table(hits), groups, np.arange(13), draws=200)
    assert found.value == pytest.approx(0.5)
    assert (found.best, found.worst) == ("F", "M")
    assert found.values == pytest.approx({"F": 0.75, "M": 0.25, "X": 0.5})
    assert found.counts == {"F": 4, "M": 4, "X": 4}
    assert worst_group_gap(ERRORS, table(hits), groups, np.arange(13), draws=50).best == "M"


def test_one_group_has_no_gap():
    found = worst_group_gap(ACCURACY, table([1, 0]), ["F", ""], [0, 1])
    assert (found.value, found.low, found.high, found.shuffled) == (None, None, None, None)
    assert found.values == {"F": 1.0}


def test_rows_outside_the_denominator_make_no_group():
    columns = {"all": np.array([1.0, 1.0, 0.0]), "hit": np.array([1.0, 0.0, 1.0])}
    found = worst_group_gap(ACCURACY, columns, ["F", "M", "X"], [0, 1, 2], draws=50)
    assert sorted(found.values) == ["F", "M"]


def test_a_gap_of_pure_noise_is_no_more_than_a_shuffled_one():
    rng = np.random.default_rng(0)
    groups, clusters = rng.choice(["a", "b", "c", "d"], 400), np.arange(400)
    found = worst_group_gap(ACCURACY, table(rng.random(400) < 0.7), groups, clusters, draws=200)
    assert found.value < 2.5 * found.shuffled
    real = worst_group_gap(ACCURACY, table(rng.random(400) < np.where(groups == "a", 0.3, 0.8)), groups, clusters, 200)
    assert real.value > 3 * real.shuffled
    assert real.worst == "a"


def test_the_interval_covers_a_large_true_gap():
    rng, covered = np.random.default_rng(1), 0
    for _ in range(100):
        groups = np.repeat(["F", "M"], 150)
        hits = rng.random(300) < np.where(groups == "F", 0.9, 0.5)
        found = worst_group_gap(ACCURACY, table(hits), groups, np.arange(300), draws=200)
        covered += found.low <= 0.4 <= found.high
    assert 88 <= covered <= 100
