"""Clusters drawn with replacement: the counts that every bootstrap here weighs its rows by.

Draws depend only on the number of clusters and the seed, never on row order or on
chunking, so that all metrics of a cell see the same ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from raybench.interfaces import Array, Statistics

__all__ = [
    "CELLS",
    "DRAWS",
    "SEED",
    "alike",
    "cluster_codes",
    "cluster_weights",
    "distinct_rows",
    "drawn_sums",
    "grouped_weights",
    "ratio_draws",
]

#: Bootstrap draws and seed of every published interval.
DRAWS = 2000
SEED = 0
#: Cells (draws x columns) held at once: 2**21 counts of 8 bytes are 16 MiB, and up to 4 such arrays live together.
CELLS = 2**21
#: Above this many clusters draws are counted one by one: a draw's counts then fit a cache, a chunk's do not.
_CACHED = 2**12
#: Above this many clusters a draw is counted block by block: the counts of a block fit a cache where those of all
#: clusters do not. A power of two, so that random bits name a cluster of a block.
_BLOCK = 2**14
#: Whole numbers up to this are exact in 32 bits.
_EXACT = 2**24


def cluster_codes(clusters: Any) -> tuple[Array, int]:
    """Return (codes (n,) in 0..k-1 by sorted name, k); rows of one name share a code."""
    names, codes = np.unique(np.asarray(clusters), return_inverse=True)
    return codes.reshape(-1), len(names)


def cluster_weights(n_clusters: int, draws: int = DRAWS, seed: int = SEED) -> Iterator[Array]:
    """Yield (b, n_clusters) int64 counts of clusters drawn with replacement, `draws` rows in all.

    Each row sums to n_clusters (a multinomial draw). A chunk is at most 16 MiB
    (one row where that alone is more); the numbers do not depend on the chunking.
    """
    rng = _generator(n_clusters, seed)
    size = max(1, CELLS // max(n_clusters, 1))
    for start in range(0, draws, size):
        b = min(size, draws - start)
        if n_clusters > _CACHED:
            yield np.stack([np.concatenate(list(_blocks(rng, n_clusters))) for _ in range(b)])
            continue
        picks = rng.integers(0, n_clusters, size=(b, n_clusters))
        picks += np.arange(b)[:, None] * n_clusters
        yield np.bincount(picks.ravel(), minlength=b * n_clusters).reshape(b, n_clusters)


def _generator(n_clusters: int, seed: int) -> np.random.Generator:
    """Blocks take whole random words, which SFC64 gives twice as fast as numpy's default."""
    return np.random.Generator(np.random.SFC64(seed)) if n_clusters >= _BLOCK else np.random.default_rng(seed)


def _blocks(rng: np.random.Generator, n_clusters: int) -> Iterator[Array]:
    """Yield one draw's counts of the clusters, a block at a time.

    How many picks fall into each block is multinomial; within a block each cluster is as likely.
    """
    whole, rest = divmod(n_clusters, _BLOCK)
    if not whole:
        yield np.bincount(rng.integers(0, n_clusters, n_clusters), minlength=n_clusters)
        return
    sizes = np.asarray([_BLOCK] * whole + [rest] * (rest > 0))
    held = rng.multinomial(n_clusters, sizes / n_clusters)
    ends = np.cumsum(held[:whole])
    words = rng.integers(0, 2**64 - 1, int(ends[-1]) // 4 + 1, dtype=np.uint64, endpoint=True)
    picks = words.view(np.uint16) & np.uint16(_BLOCK - 1)
    for end, count in zip(ends, held, strict=False):
        yield np.bincount(picks[end - count : end], minlength=_BLOCK)
    if rest:
        yield np.bincount(rng.integers(0, rest, held[-1]), minlength=rest)


def grouped_weights(copies: Array, draws: int = DRAWS, seed: int = SEED) -> Iterator[Array]:
    """Yield (b, d) counts where clusters of d kinds are drawn: `copies` (d,) clusters of each kind."""
    rng = np.random.default_rng(seed)
    total = int(copies.sum())
    size = max(1, CELLS // len(copies))
    for start in range(0, draws, size):
        yield rng.multinomial(total, copies / total, size=min(size, draws - start))


def ratio_draws(hits: Sequence[Array], over: Array, draws: int = DRAWS, seed: int = SEED) -> list[Array]:
    """Bootstrap sum(hits)/sum(over) over clusters, given each cluster's sums; one (draws,) array for each of `hits`.

    Clusters with equal sums are interchangeable, so the counts of the distinct
    pairs are drawn: the same distribution at a cost that does not grow with n.
    Hits that differ from cluster to cluster are drawn together, by one pass over the draws.
    """
    found: dict[int, Array] = {}
    for i, column in enumerate(hits):
        if len(np.unique(column)) * 4 > len(column):  # nor are the pairs, whose sort costs more
            continue
        pairs, copies = np.unique(np.column_stack([column, over]), axis=0, return_counts=True)
        if len(pairs) * 4 <= len(column):
            weights = (counts.astype(float) for counts in grouped_weights(copies, draws, seed))
            found[i] = np.concatenate([_ratio(each @ pairs[:, 0], each @ pairs[:, 1]) for each in weights])
    left = [i for i in range(len(hits)) if i not in found]
    if left:
        sums_over, *sums_hits = drawn_sums(np.stack([over, *(hits[i] for i in left)]), draws, seed)
        found |= {i: _ratio(each, sums_over) for i, each in zip(left, sums_hits, strict=True)}
    return [found[i] for i in range(len(hits))]


def _ratio(hits: Array, over: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(hits / over)


def drawn_sums(columns: Array, draws: int = DRAWS, seed: int = SEED) -> Array:
    """Return (m, draws) sums of the (m, k) columns, weighted by each draw of `cluster_weights`."""
    n_clusters = columns.shape[1]
    if n_clusters <= _CACHED:
        weights = (counts.astype(float).T for counts in cluster_weights(n_clusters, draws, seed))
        return np.concatenate([columns @ each for each in weights], axis=1)
    whole = bool((columns == np.rint(columns)).all()) and float(np.abs(columns).max()) * n_clusters < _EXACT
    kind = np.float32 if whole else np.float64  # half the memory to read, and exact all the same
    narrow = columns.astype(kind)
    rng, out = _generator(n_clusters, seed), np.zeros((draws, len(columns)))
    for row in out:
        start = 0
        for counts in _blocks(rng, n_clusters):
            row += narrow[:, start : start + len(counts)] @ counts.astype(kind)
            start += len(counts)
    return out.T


def alike(sums: Statistics, k: int) -> tuple[dict[str, Array], Array] | None:
    """Return (the sums of each different cluster, how many clusters have them); None where few are alike.

    Clusters with equal sums are interchangeable, as in `ratio_draws`; many clusters only, since it takes a sort.
    """
    table = np.column_stack(list(sums.values())) if sums and k > _CACHED else np.zeros((0, 0))
    if not table.size or len(np.unique(table[:_CACHED], axis=0)) * 4 > 3 * _CACHED:
        return None
    first, copies = distinct_rows(table)
    return ({name: column[first] for name, column in sums.items()}, copies) if len(first) * 4 <= k else None


def distinct_rows(table: Array) -> tuple[Array, Array]:
    """Return where each different row of a table of numbers first stands, and how often it stands there."""
    clean = np.ascontiguousarray(table + 0.0)  # no negative zeros
    rows = clean.view(np.dtype((np.void, clean.itemsize * clean.shape[1]))).ravel()
    _, first, copies = np.unique(rows, return_index=True, return_counts=True)
    return first, copies
