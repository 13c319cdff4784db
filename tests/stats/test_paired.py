"""Paired tests against statsmodels, scipy's binomial and the shared figures."""

import itertools

import numpy as np
import pytest
from scipy.stats import bootstrap, permutation_test
from sklearn.metrics import f1_score
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from raybench.interfaces import MetricDef
from raybench.stats import paired
from raybench.stats.intervals import wilson
from raybench.stats.paired import (
    holm,
    mcnemar_exact,
    mde,
    metric_test,
    null_bounds,
    paired_difference,
    paired_metric,
    paired_test,
    sign_flip,
)


@pytest.mark.parametrize(("b", "c", "p"), [(1, 4, 0.375), (5, 15, 0.041), (0, 8, 0.0078), (3, 11, 0.057), (0, 0, 1.0)])
def test_mcnemar_gives_the_shared_figures(b, c, p):
    assert mcnemar_exact(b, c) == pytest.approx(p, abs=5e-4)
    assert mcnemar_exact(c, b) == mcnemar_exact(b, c)


@pytest.mark.parametrize(("b", "c"), list(itertools.product([0, 1, 4, 5, 30], repeat=2)))
def test_mcnemar_equals_statsmodels(b, c):
    if b + c:
        assert mcnemar_exact(b, c) == pytest.approx(mcnemar([[9, b], [c, 9]], exact=True).pvalue)


def test_mcnemar_refuses_negative_counts():
    with pytest.raises(ValueError, match="negative"):
        mcnemar_exact(-1, 4)


def test_sign_flips_of_single_rows_are_mcnemar():
    assert sign_flip([1, -1, -1, -1, -1, 0, 0]) == pytest.approx(mcnemar_exact(1, 4))
    assert sign_flip([1] * 5 + [-1] * 15 + [0] * 50) == pytest.approx(mcnemar_exact(5, 15), abs=0.005)
    assert sign_flip([0, 0]) == 1.0


def test_sign_flips_by_hand():
    # 8 sign patterns of 1, 2, 4: only +++ and --- reach 7
    assert sign_flip([1, 2, 4]) == 0.25
    # |1 + 2 - 4| = 1 is the least possible: every pattern is as extreme
    assert sign_flip([1, 2, -4]) == 1.0


def test_drawn_sign_flips_agree_with_all_of_them(monkeypatch):
    sums = np.random.default_rng(0).normal(0.4, 1, 14)
    exact = sign_flip(sums)
    monkeypatch.setattr(paired, "_EXACT", 3)
    assert sign_flip(sums) == pytest.approx(exact, abs=0.015)
    assert sign_flip(sums) == sign_flip(sums), "seeded"
    assert sign_flip(np.ones(200)) == pytest.approx(1 / (1 + paired.FLIPS)), "never 0"


def test_the_seed_study_pair():
    a = np.array([1] * 1 + [0] * 4 + [1] * 15 + [0] * 5)
    b = np.array([0] * 1 + [1] * 4 + [1] * 15 + [0] * 5)
    found = paired_difference(a, b, range(25))
    assert found.value == pytest.approx(-0.12)
    assert (found.only_a, found.only_b, found.test, found.n) == (1, 4, "mcnemar_exact", 25)
    assert found.p == pytest.approx(0.375)
    assert found.low < -0.12 < found.high
    assert found.flags == ("few clusters",)


def test_the_paired_interval_is_that_of_the_differences():
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 2, 2000), rng.integers(0, 2, 2000)
    found = paired_difference(a, b, np.arange(2000))
    se = (a - b).std() / np.sqrt(2000)
    assert found.low == pytest.approx(found.value - 1.96 * se, abs=0.004)
    assert found.high == pytest.approx(found.value + 1.96 * se, abs=0.004)


def test_clustered_rows_or_fractions_use_sign_flips():
    a, b = [1, 1, 0, 1, 1, 0], [0, 0, 0, 0, 1, 1]
    clustered = paired_difference(a, b, ["x", "x", "y", "y", "z", "z"])
    assert (clustered.test, clustered.n_clusters) == ("sign_flip", 3)
    assert clustered.p == sign_flip([2, 1, -1])
    fractions = paired_difference([0.5, 1, 0], [0, 0, 0], [1, 2, 3])
    assert (fractions.test, fractions.only_a, fractions.only_b) == ("sign_flip", 2, 0)


def test_models_that_never_differ_are_not_proven_equal():
    found = paired_difference(np.ones(50), np.ones(50), np.arange(50))
    assert (found.value, found.p, found.flags) == (0.0, 1.0, ("no spread",))
    assert found.high == pytest.approx(wilson(0, 50)[1])
    assert found.low == -found.high


def test_pairs_must_match_and_none_is_no_value():
    assert paired_difference([], [], []).value is None
    with pytest.raises(ValueError, match="same rows"):
        paired_difference([1, 0], [1], [1, 2])


def _f1(statistics, weights):
    right, true, predicted = (weights @ statistics[name] for name in ("right", "true", "predicted"))
    return 2 * right / (true + predicted)


F1 = MetricDef("f1", over="all", reduce=_f1, binary=False)


def _sides(rng, quality, n=150):
    true = rng.integers(0, 2, n)
    columns = []
    for share in quality:
        predicted = np.where(rng.random(n) < share, true, 1 - true)
        columns.append({"true": true, "predicted": predicted, "right": true * predicted, "all": np.ones(n)})
    stacked = {name: np.concatenate([side[name] for side in columns]).astype(float) for name in columns[0]}
    return stacked, np.repeat([0, 1], n), columns


def test_a_metric_that_is_no_mean_is_compared_by_permutation():
    stacked, sides, columns = _sides(np.random.default_rng(2), (0.85, 0.75))
    n = len(sides) // 2
    found, values = paired_metric(F1, stacked, sides, np.tile(np.arange(n), 2), np.ones(2 * n))
    points = [f1_score(side["true"], side["predicted"]) for side in columns]
    assert values == pytest.approx(points)
    assert found.value == pytest.approx(points[0] - points[1])
    assert (found.test, found.n, found.n_clusters, found.only_a, found.only_b) == ("permutation", n, n, None, None)

    true = columns[0]["true"]

    def statistic(a, b, axis=-1):
        scores = [2 * (side * true).sum(axis) / (side + true).sum(axis) for side in (a, b)]
        return scores[0] - scores[1]

    assert statistic(*(side["predicted"] for side in columns)) == pytest.approx(points[0] - points[1])

    pair = (columns[0]["predicted"], columns[1]["predicted"])
    expected = permutation_test(pair, statistic, permutation_type="samples", n_resamples=2000, rng=3)
    assert found.p == pytest.approx(expected.pvalue, abs=0.03)
    spread = bootstrap(pair, statistic, paired=True, method="percentile", n_resamples=1000, rng=4)
    assert found.low == pytest.approx(spread.confidence_interval.low, abs=0.06)
    assert found.high == pytest.approx(spread.confidence_interval.high, abs=0.06)


def test_repeats_share_the_weight_of_their_sample():
    stacked, sides, _ = _sides(np.random.default_rng(5), (0.9, 0.7))
    n = len(sides) // 2
    clusters = np.tile(np.arange(n), 2)
    once = paired_metric(F1, stacked, sides, clusters, np.ones(2 * n))
    double = {name: np.repeat(column, 2) for name, column in stacked.items()}
    twice = paired_metric(F1, double, np.repeat(sides, 2), np.repeat(clusters, 2), np.full(4 * n, 0.5))
    assert twice[1] == pytest.approx(once[1])
    assert (twice[0].n, twice[0].low, twice[0].high) == pytest.approx((n, once[0].low, once[0].high), abs=0.02)
    assert once[0].p < 0.01


def test_nothing_shared_is_no_difference():
    empty = np.zeros(0)
    found, values = paired_metric(F1, {"all": empty}, np.zeros(0, int), np.zeros(0, int), empty)
    assert (found.value, found.p, values) == (None, None, (None, None))


def test_holm_equals_statsmodels():
    p = [0.04, 0.001, 0.03, 0.2, 0.03, 0.9]
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    assert holm([]) == []


@pytest.mark.parametrize(("n", "points"), [(25, 25), (100, 12.5), (451, 5.9), (1061, 3.8), (6761, 1.5)])
def test_mde_gives_the_shared_table(n, points):
    assert 100 * mde(n, 0.2) == pytest.approx(points, abs=0.06)


def test_mde_grows_with_clusters_and_has_its_inverse():
    assert mde(1744, 0.2) == pytest.approx(0.03, abs=1e-4)
    assert mde(100, 0.2, deff=4) == pytest.approx(2 * mde(100, 0.2))
    assert mde(0, 0.2) == np.inf


def test_null_bounds():
    assert null_bounds(3, 20, 5) == (0.12, 0.32)
    assert null_bounds(0, 0, 0) == (None, None)


def test_cluster_sums_and_kinds_of_clusters_change_nothing():
    stacked, sides, _ = _sides(np.random.default_rng(7), (0.85, 0.78), n=400)
    added = MetricDef("f1", over="all", reduce=_f1, additive=True, binary=False)
    pairs = np.tile(np.arange(400) // 2, 2)
    for clusters, like in ((pairs, 0.04), (np.tile(np.arange(400), 2), 0.04), (np.tile(np.arange(400) // 80, 2), 1e-9)):
        plain, values = paired_metric(F1, stacked, sides, clusters, np.ones(800))
        found, same = paired_metric(added, stacked, sides, clusters, np.ones(800))
        assert same == pytest.approx(values)
        assert found.p == pytest.approx(plain.p, abs=like)
        assert (found.low, found.high) == pytest.approx((plain.low, plain.high), abs=like / 4 + 1e-9)
        assert (found.n, found.n_clusters) == (plain.n, plain.n_clusters)


def test_a_test_without_its_interval_is_the_same_test():
    rng = np.random.default_rng(8)
    a, b = rng.integers(0, 2, 300), rng.integers(0, 2, 300)
    for clusters in (np.arange(300), np.arange(300) // 3):
        whole = paired_difference(a, b, clusters)
        assert paired_test(a, b, clusters) == (whole.value, whole.p)
    assert paired_test([], [], []) == (None, None)
    stacked, sides, _ = _sides(rng, (0.9, 0.7))
    clusters, shares = np.tile(np.arange(150), 2), np.ones(300)
    whole, _ = paired_metric(F1, stacked, sides, clusters, shares)
    assert metric_test(F1, stacked, sides, clusters, shares) == (whole.value, whole.p)
    nothing = {name: column[:0] for name, column in stacked.items()}
    assert metric_test(F1, nothing, sides[:0], clusters[:0], shares[:0]) == (None, None)
