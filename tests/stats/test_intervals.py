"""Intervals against scipy and statsmodels, the shared figures, and coverage by simulation."""

import numpy as np
import pytest
from scipy.stats import binomtest
from statsmodels.stats.proportion import proportion_confint

from raybench.interfaces import MetricDef
from raybench.stats import draws, intervals
from raybench.stats.intervals import (
    bootstrap_values,
    clopper_pearson,
    cluster_bootstrap,
    design_effect,
    interval,
    reduced_intervals,
    wilson,
)

ACCURACY = MetricDef("accuracy", over="all", hit="hit")
SCORE = MetricDef("score", over="all", hit="hit", binary=False)
MEAN = MetricDef("mean", over="all", reduce=lambda s, w: (w @ s["hit"]) / w.sum(axis=1), binary=False)


def columns(hits):
    hits = np.asarray(hits, dtype=float)
    return {"all": np.ones(len(hits)), "hit": hits}


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        (3, 25, 0.042, 0.300),
        (11, 25, 0.267, 0.629),
        (6, 25, 0.115, 0.434),
        (16, 25, 0.445, 0.798),
        (64, 100, 0.542, 0.727),
    ],
)
def test_wilson_gives_the_figures_of_the_seed_study(k, n, low, high):
    assert wilson(k, n) == (pytest.approx(low, abs=5e-4), pytest.approx(high, abs=5e-4))


@pytest.mark.parametrize(("k", "n"), [(0, 7), (1, 7), (7, 7), (50, 451), (1, 1)])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_wilson_and_clopper_pearson_equal_scipy(k, n, confidence):
    for ours, method in ((wilson, "wilson"), (clopper_pearson, "exact")):
        theirs = binomtest(k, n).proportion_ci(confidence, method)
        assert ours(k, n, confidence) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_wilson_of_fractional_counts_equals_statsmodels():
    assert wilson(3.3, 12.7) == pytest.approx(proportion_confint(3.3, 12.7, method="wilson"), abs=1e-9)


def test_wilson_refuses_impossible_counts_and_knows_nothing_of_no_rows():
    assert wilson(0, 0) == (0.0, 1.0)
    for k, n in ((5, 4), (-1, 4)):
        with pytest.raises(ValueError, match="successes"):
            wilson(k, n)


def test_design_effect_by_hand():
    hits, clusters = [1, 1, 0, 0, 1, 0], ["a", "a", "b", "b", "c", "c"]
    # residual sums 1, -1, 0; (2/36) x 3/2 over (1.5/6/5)
    assert design_effect(hits, clusters) == pytest.approx((2 / 36 * 1.5) / (1.5 / 30))
    assert design_effect([1, 0, 1, 1], [1, 2, 3, 4]) == pytest.approx(1.0)
    assert design_effect([1, 0, 1, 0], [1, 1, 2, 2]) == 1.0, "clusters more alike than chance would have it: floor"
    assert design_effect([1, 1, 1, 1, 1], [1, 1, 1, 2, 2]) == pytest.approx(13 / 5), "no spread: worst case"
    assert design_effect([1, 0, 1], [7, 7, 7]) == 3.0


def test_design_effect_of_identical_rows_is_the_cluster_size():
    hits = np.repeat(np.random.default_rng(0).integers(0, 2, 200), 5)
    # 5 up to the n-1 of the naive variance
    assert design_effect(hits, np.repeat(np.arange(200), 5)) == pytest.approx(5, rel=0.01)


def test_one_row_a_cluster_is_wilson():
    found = interval(ACCURACY, columns([1] * 3 + [0] * 22), [f"p{i}" for i in range(25)])
    assert (found.value, found.n, found.n_clusters, found.flags) == (0.12, 25, 25, ())
    assert (found.low, found.high) == pytest.approx(wilson(3, 25))


def test_few_clusters_of_binary_hits_are_wilson_on_the_effective_n():
    hits, clusters = np.repeat([1, 0, 1, 1, 0], 4), np.repeat(np.arange(5), 4)
    hits[0] = 0
    effective = 20 / design_effect(hits, clusters)
    found = interval(ACCURACY, columns(hits), clusters)
    assert (found.low, found.high) == pytest.approx(wilson(hits.mean() * effective, effective))
    assert found.high - found.low > np.subtract(*wilson(hits.sum(), 20)[::-1]), "wider than 20 independent rows"
    assert found.flags == ()


def test_many_clusters_are_bootstrapped():
    rng = np.random.default_rng(5)
    clusters = rng.integers(0, 40, 300)
    hits = (rng.random(300) < 0.6).astype(float)
    found = interval(ACCURACY, columns(hits), clusters)
    assert (found.low, found.high) == cluster_bootstrap(ACCURACY, columns(hits), clusters)
    assert found.n == 300
    assert found.n_clusters == 40
    assert found.low < found.value < found.high


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("size", [1, 3])
def test_all_right_is_never_certain(value, size):
    clusters = np.repeat(np.arange(60), size)
    found = interval(ACCURACY, columns([value] * len(clusters)), clusters)
    assert found.value == value
    assert (found.low, found.high) == pytest.approx(wilson(value * 60, 60)), "whole clusters are taken to agree"
    assert found.flags == (), "Wilson by policy, no stand-in"


def test_averaged_repeats_are_not_binary():
    hits = np.full(20, 2 / 3)
    hits[:5] = 1 / 3
    found = interval(ACCURACY, columns(hits), np.arange(20))
    assert found.flags == ("few clusters",)
    assert (found.low, found.high) == cluster_bootstrap(ACCURACY, columns(hits), np.arange(20))


def test_other_metrics_without_spread_get_an_interval_and_say_so():
    for metric in (SCORE, MEAN):
        found = interval(metric, columns(np.ones(40)), np.arange(40))
        assert found.flags == ("no spread",)
        assert (found.low, found.high) == pytest.approx(wilson(40, 40))
    coefficient = MetricDef("mcc", over="all", reduce=lambda s, w: np.ones(len(w)), unit="coefficient", binary=False)
    assert interval(coefficient, columns(np.ones(40)), np.arange(40)).low == pytest.approx(2 * wilson(40, 40)[0] - 1)


def test_nothing_in_the_denominator_has_no_value():
    empty = {"all": np.zeros(3), "hit": np.ones(3)}
    assert interval(ACCURACY, empty, ["a", "b", "c"]) == intervals.Interval(None, None, None, 0, 0)
    assert interval(ACCURACY, columns([]), []).value is None
    undefined = MetricDef("f1", over="all", reduce=lambda s, w: np.full(len(w), np.nan), binary=False)
    found = interval(undefined, columns([1, 0]), ["a", "b"])
    assert (found.value, found.low, found.high, found.n) == (None, None, None, 2)


def test_only_rows_in_the_denominator_count():
    data = {"all": np.array([1.0, 1, 0, 0]), "hit": np.array([1.0, 0, 1, 1])}
    found = interval(ACCURACY, data, ["a", "b", "a", "c"])
    assert (found.value, found.n, found.n_clusters) == (0.5, 2, 2)
    assert (found.low, found.high) == pytest.approx(wilson(1, 2)), "one row a cluster among those that count"


def test_hits_outside_the_denominator_are_not_drawn():
    over = np.tile([1.0, 0.0], 50)
    outside = {"all": over, "hit": np.where(over == 1, np.arange(100) % 3 == 0, 1.0)}
    draws = bootstrap_values(ACCURACY, outside, np.arange(100))
    assert draws.mean() == pytest.approx(outside["hit"][::2].mean(), abs=0.01)


def test_row_order_changes_nothing():
    rng = np.random.default_rng(1)
    hits, clusters = rng.integers(0, 2, 200).astype(float), rng.integers(0, 50, 200).astype(str)
    order = rng.permutation(200)
    for metric in (ACCURACY, MEAN):
        mixed = interval(metric, columns(hits[order]), clusters[order])
        assert (mixed.low, mixed.high) == pytest.approx(
            (lambda i: (i.low, i.high))(interval(metric, columns(hits), clusters)), abs=1e-12
        )


def test_grouped_and_plain_draws_have_one_distribution():
    rng = np.random.default_rng(2)
    hits, clusters = rng.integers(0, 2, 900).astype(float), rng.integers(0, 300, 900)
    grouped = bootstrap_values(ACCURACY, columns(hits), clusters, draws=20_000)
    plain = bootstrap_values(MEAN, columns(hits), clusters, draws=20_000)
    assert grouped.mean() == pytest.approx(plain.mean(), abs=5e-4)
    assert grouped.std() == pytest.approx(plain.std(), rel=0.03)
    sums, sizes = np.bincount(clusters, hits, 300), np.bincount(clusters, minlength=300)
    linear = np.sqrt(np.sum((sums - hits.mean() * sizes) ** 2)) / 900
    assert grouped.std() == pytest.approx(linear, rel=0.03), "the delta-method standard error"


def test_a_callable_and_chunks_give_what_a_metric_gives(monkeypatch):
    rng = np.random.default_rng(3)
    data, clusters = columns(rng.random(120)), rng.integers(0, 40, 120)
    whole = bootstrap_values(MEAN, data, clusters, draws=100)
    monkeypatch.setattr(intervals, "CELLS", 700)
    monkeypatch.setattr(draws, "CELLS", 700)
    assert bootstrap_values(MEAN.values, data, clusters, draws=100) == pytest.approx(whole)


def test_a_hundred_thousand_rows_take_seconds():
    import time

    rng = np.random.default_rng(4)
    data, clusters = columns(rng.integers(0, 2, 100_000)), rng.integers(0, 30_000, 100_000)
    start = time.perf_counter()
    interval(ACCURACY, data, clusters)
    assert time.perf_counter() - start < 5


@pytest.mark.slow
@pytest.mark.parametrize(("n_clusters", "least"), [(15, 0.90), (60, 0.915)])
def test_intervals_cover_the_truth(n_clusters, least):
    """Beta-binomial clusters, intra-cluster correlation 0.3, about 6 rows each; nominal 95 %."""
    rng = np.random.default_rng(11)
    trials, covered, naive = 400, 0, 0
    for _ in range(trials):
        sizes = rng.integers(2, 11, n_clusters)
        rates = rng.beta(0.7 * 0.7 / 0.3, 0.3 * 0.7 / 0.3, n_clusters)
        hits = np.concatenate([rng.random(size) < rate for size, rate in zip(sizes, rates, strict=True)])
        found = interval(ACCURACY, columns(hits), np.repeat(np.arange(n_clusters), sizes))
        low, high = wilson(int(hits.sum()), len(hits))
        covered += found.low <= 0.7 <= found.high
        naive += low <= 0.7 <= high
    assert covered / trials >= least
    assert covered / trials <= 0.99
    assert naive / trials < 0.85, "the setting is one where ignoring clusters fails"


def _macro(statistics, weights):
    right, total = weights @ statistics["right"], weights @ statistics["one"]
    return (right / total) ** 2


def test_reduced_metrics_share_draws_and_sums_change_nothing():
    rng = np.random.default_rng(4)
    clusters = rng.integers(0, 60, 400)
    columns = {"one": np.ones(400), "right": rng.integers(0, 2, 400).astype(float)}
    metrics = [
        MetricDef("summed", over="one", reduce=_macro, additive=True, binary=False),
        MetricDef("gathered", over="one", reduce=_macro, binary=False),
    ]
    summed, gathered = reduced_intervals(metrics, columns, clusters)
    assert (summed.value, summed.low, summed.high) == pytest.approx((gathered.value, gathered.low, gathered.high))
    alone = interval(metrics[1], columns, clusters)
    assert (alone.low, alone.high) == pytest.approx((gathered.low, gathered.high))
    double = {name: np.repeat(column, 2) for name, column in columns.items()}
    halves = reduced_intervals(metrics, double, np.repeat(clusters, 2), np.full(800, 0.5))
    assert [each.low for each in halves] == pytest.approx([summed.low] * 2)


def test_many_clusters_with_few_different_sums_are_drawn_by_kind():
    rng = np.random.default_rng(3)
    clusters = rng.integers(0, 6000, 15_000)
    statistics = {"over": np.ones(15_000), "hit": (rng.random(15_000) < 0.3).astype(float)}

    def share(columns, weights):
        return (weights @ columns["hit"]) / (weights @ columns["over"])

    def square(columns, weights):
        return share(columns, weights) ** 2

    plain = interval(MetricDef("share", over="over", hit="hit", binary=False), statistics, clusters)
    summed = [
        MetricDef(each.__name__, over="over", reduce=each, additive=True, binary=False) for each in (share, square)
    ]
    found, squared = reduced_intervals(summed, statistics, clusters)
    assert (found.value, found.n_clusters) == (pytest.approx(plain.value), plain.n_clusters)
    # Other draws of the same distribution: at 2,000 of them a percentile is off by about 4 % of the width.
    width = plain.high - plain.low
    assert [found.low, found.high] == pytest.approx([plain.low, plain.high], abs=0.15 * width)
    assert [squared.low, squared.high] == pytest.approx([found.low**2, found.high**2], rel=1e-6)


def test_gathered_metrics_get_fewer_draws_over_many_rows():
    seen = []

    def reduce(statistics, weights):
        seen.append(len(weights))
        return weights.mean(axis=1)

    n = 100_000
    reduced_intervals([MetricDef("m", over="one", reduce=reduce, binary=False)], {"one": np.ones(n)}, np.arange(n) % 50)
    assert sum(seen) == 1 + 400


def test_nothing_to_count_is_no_interval():
    metric = MetricDef("m", over="one", reduce=_macro, binary=False)
    (found,) = reduced_intervals([metric], {"one": np.zeros(3), "right": np.zeros(3)}, ["a", "b", "c"])
    assert (found.value, found.n) == (None, 0)


def test_columns_that_no_metric_reads_change_no_interval():
    rng = np.random.default_rng(6)
    clusters = rng.integers(0, 6000, 15_000)
    columns = {"one": np.ones(15_000), "right": rng.integers(0, 2, 15_000).astype(float)}
    metric = MetricDef("m", over="one", reduce=_macro, additive=True, binary=False)
    (alone,) = reduced_intervals([metric], columns, clusters)
    (beside,) = reduced_intervals([metric], {**columns, "odds": rng.random(15_000)}, clusters)
    assert beside == alone

    def fickle(statistics, weights):
        extra = statistics["odds"] if len(weights) > 1 else np.zeros(1)
        return _macro(statistics, weights) + 0 * (weights @ extra if len(weights) > 1 else 0)

    odd = MetricDef("m", over="one", reduce=fickle, additive=True, binary=False)
    (found,) = reduced_intervals([odd], {**columns, "odds": rng.random(15_000)}, clusters)
    assert (found.value, found.low) == pytest.approx((alone.value, alone.low), abs=0.01)
