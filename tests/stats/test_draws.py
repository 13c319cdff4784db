"""Draws of clusters: multinomial however they are counted, and the same ones for every metric."""

import numpy as np
import pytest
from scipy.stats import chisquare, kstest

from raybench.stats import draws
from raybench.stats.draws import cluster_weights, drawn_sums, ratio_draws


def test_cluster_weights_are_bounded_chunks_of_one_stream(monkeypatch):
    whole = np.concatenate(list(cluster_weights(50, 400, seed=3)))
    monkeypatch.setattr(draws, "CELLS", 500)
    chunks = list(cluster_weights(50, 400, seed=3))
    assert len(chunks) == 40
    assert all(chunk.size <= 500 for chunk in chunks)
    assert (np.concatenate(chunks) == whole).all()
    assert whole.shape == (400, 50)
    assert (whole.sum(axis=1) == 50).all()
    assert not (whole == np.concatenate(list(cluster_weights(50, 400, seed=4)))).all()


def test_draws_of_many_clusters_do_not_depend_on_how_they_are_counted(monkeypatch):
    counted = np.concatenate(list(cluster_weights(5000, 20)))
    monkeypatch.setattr(draws, "_CACHED", 10**6)
    monkeypatch.setattr(draws, "CELLS", 5000 * 3)
    assert (counted == np.concatenate(list(cluster_weights(5000, 20)))).all()
    assert (counted.sum(axis=1) == 5000).all()


@pytest.mark.parametrize("rest", [0, 1, 9000])
def test_draws_counted_by_block_are_multinomial(rest):
    k = 2 * 2**16 + rest
    whole = np.concatenate(list(cluster_weights(k, 200)))
    assert (whole.sum(axis=1) == k).all()
    per_cluster = whole.sum(axis=0)
    assert chisquare(per_cluster).pvalue > 0.001, "every cluster is as likely"
    blocks = [whole[:, start : start + 2**16].sum(axis=1) for start in (0, 2**16)]
    share = 2**16 / k
    assert np.mean(blocks[0]) / k == pytest.approx(share, abs=4 * np.sqrt(share / k / 200))
    assert np.var(blocks[0]) == pytest.approx(k * share * (1 - share), rel=0.4), "blocks vary as binomials do"
    # A cluster's count is binomial(k, 1/k): variance 1 - 1/k; two clusters' counts have covariance -1/k.
    assert per_cluster.var() / 200 == pytest.approx(1, rel=0.03)


def test_blocks_and_one_by_one_have_one_distribution(monkeypatch):
    rng = np.random.default_rng(0)
    hits, over = rng.random(70_000), np.ones(70_000)
    (blocks,) = ratio_draws([hits], over, 1000)
    monkeypatch.setattr(draws, "_BLOCK", 10**6)
    (plain,) = ratio_draws([hits], over, 1000)
    assert not (blocks == plain).any()
    assert kstest(blocks, plain).pvalue > 0.001
    assert blocks.std() == pytest.approx(hits.std() / np.sqrt(70_000), rel=0.08)


@pytest.mark.parametrize("k", [300, 5000, 70_000])
def test_means_of_one_denominator_are_drawn_together(k):
    rng = np.random.default_rng(1)
    over = rng.integers(1, 4, k).astype(float)
    hits = [rng.random(k), rng.random(k), rng.integers(0, k, k) * over]
    together = ratio_draws(hits, over, 40)
    alone = [ratio_draws([each], over, 40)[0] for each in hits]
    assert all(a == pytest.approx(b, rel=1e-12) for a, b in zip(together, alone, strict=True))
    counts = np.concatenate(list(cluster_weights(k, 40)))
    assert together[0] == pytest.approx((counts @ hits[0]) / (counts @ over), rel=1e-12), "the draws of other metrics"


def test_sums_of_whole_numbers_are_exact():
    rng = np.random.default_rng(2)
    columns = np.stack([rng.integers(0, 2, 30_000), rng.integers(0, 90, 30_000)]).astype(float)
    counts = np.concatenate(list(cluster_weights(30_000, 30)))
    assert (drawn_sums(columns, 30) == (counts @ columns.T).T).all()
    large = columns * 1e6
    assert (drawn_sums(large, 30) == (counts @ large.T).T).all()
