"""The worst-group gap of a cell's headline metric over each slice column, as scores of their own.

A gap is one number a column (`slice` is "sex=*"): how far the best group's value
lies above the worst one's, in the metric's own unit, lower being better. It is
never negative and grows with noise, so its flags name the two groups and the gap
that the same rows give when groups are dealt out at random.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from raybench.interfaces import Array, MetricDef, Statistics
from raybench.scoring.columns import Cell, View
from raybench.scoring.samples import Samples
from raybench.stats.draws import DRAWS
from raybench.stats.groups import GroupGap, worst_group_gap
from raybench.stats.intervals import FEW_CLUSTERS, Interval

__all__ = ["GAP", "Gap", "gaps"]

GAP = "worst_group_gap"
#: Groups that a column may have, and the samples that each of them needs.
_FEWEST_GROUPS, _MOST_GROUPS, _FEWEST_ROWS = 2, 20, 10
#: Sums times groups times draws that one gap may cost (about 2 s), and the fewest draws an interval is made of.
_CELLS, _FEWEST_DRAWS = 10**8, 200


@dataclass(frozen=True)
class _Table:
    """What a gap is computed of: columns whose rows are drawn by cluster, each in one group."""

    metric: MetricDef
    columns: Statistics
    groups: Array
    clusters: Array


@dataclass(frozen=True)
class Gap:
    """One column's gap: the view of the rows that are in a group, and the number with what to know of it."""

    view: View
    found: Interval


def gaps(cell: Cell, profile: str, metric: MetricDef) -> list[Gap]:
    """Return the gap over each slice column of 2 to 20 values with at least 10 samples in each."""
    rows = View(cell, np.arange(len(cell.samples)), "all").scored()
    named = sorted({name for each in cell.slices for name in each})
    marked = {name: groups for name in named if (groups := _groups(cell, name, rows)) is not None}
    if not marked:
        return []
    columns = cell.columns(profile, rows)
    samples, clusters = cell.sample_codes[rows], cell.cluster_codes[rows]
    out = []
    for name, groups in marked.items():
        found = _gap(_Table(metric, columns, groups, clusters), samples) if metric.over in columns else None
        if found is not None:
            covered = np.flatnonzero([bool(slices.get(name)) for slices in cell.slices])
            out.append(Gap(View(cell, covered, f"{name}=*"), found))
    return out


def _groups(cell: Cell, name: str, rows: Array) -> Array | None:
    """Return each row's value of a slice column; None if the column has too few values, or too many."""
    values = [str(cell.slices[i].get(name) or "") for i in rows]
    return np.asarray(values) if _FEWEST_GROUPS <= len(set(values) - {""}) <= _MOST_GROUPS else None


def _gap(table: _Table, samples: Array) -> Interval | None:
    """Return one column's gap; None where some group has too few samples, or fewer than two have a value.

    Args:
        samples: (n,) codes of what counts once.
    """
    kept = np.flatnonzero(table.groups != "")
    columns, groups, clusters = _taken(table.columns, kept), table.groups[kept], table.clusters[kept]
    names, marks = np.unique(groups, return_inverse=True)
    counted = np.asarray(columns[table.metric.over], dtype=float) > 0
    pairs = np.unique(samples[kept][counted] * len(names) + marks.reshape(-1)[counted])
    sizes = np.bincount(pairs % len(names), minlength=len(names))
    if sizes.min() < _FEWEST_ROWS:
        return None
    found, flags = _measured(_summed(_Table(table.metric, columns, groups, clusters), samples[kept]), len(names))
    if found.value is None:
        return None
    n_clusters = len(np.unique(clusters[counted]))
    flags += ("few clusters",) if n_clusters < FEW_CLUSTERS else ()
    flags += (f"best {found.best}", f"worst {found.worst}")
    flags += () if found.shuffled is None else (f"by chance {found.shuffled:.4f}",)
    return Interval(found.value, found.low, found.high, int(sizes.sum()), n_clusters, flags)


def _taken(columns: Statistics, rows: Array) -> dict[str, Array]:
    return {name: column[rows] for name, column in columns.items()}


def _summed(table: _Table, names: Array) -> _Table:
    """Return sums over the rows of each cluster and group where the metric is made of sums; else the rows.

    Each sample weighs 1, however often it was repeated: as in the metric's own score.
    """
    metric, columns, groups, clusters = table.metric, table.columns, table.groups, table.clusters
    samples = Samples.of(names)
    if metric.hit is not None and metric.reduce is None:
        over, hits = (np.asarray(columns[name], dtype=float) for name in (metric.over, metric.hit))
        if len(samples.first) < len(samples.inverse):
            hits, over = samples.mean(hits, over), samples.mean((over > 0).astype(float), over)
            groups, clusters = groups[samples.first], clusters[samples.first]
        metric = replace(metric, hit=None, reduce=partial(_ratio, over=metric.over, hit=metric.hit), additive=True)
        plain = {table.metric.over: over, str(table.metric.hit): hits * over}
    elif metric.additive:
        shares = 1.0 / np.bincount(samples.inverse)[samples.inverse]
        plain = {name: column * shares for name, column in columns.items() if column.dtype != object}
    else:
        return table
    marks = np.unique(groups, return_inverse=True)[1].reshape(-1)
    pairs, first, inverse = np.unique(clusters * (marks.max() + 1) + marks, return_index=True, return_inverse=True)
    inverse = inverse.reshape(-1)
    order = np.argsort(first)
    sums = {name: np.bincount(inverse, column, minlength=len(pairs))[order] for name, column in plain.items()}
    return _Table(metric, sums, groups[first[order]], clusters[first[order]])


def _ratio(statistics: Statistics, weights: Array, over: str, hit: str) -> Array:
    total = weights @ statistics[over]
    return np.asarray(np.divide(weights @ statistics[hit], total, out=np.full(len(weights), np.nan), where=total > 0))


def _measured(table: _Table, groups: int) -> tuple[GroupGap, tuple[str, ...]]:
    """Return the gap with an interval of as many draws as its size allows; of the largest tables the value alone."""
    draws = min(DRAWS, _CELLS // (len(table.groups) * groups))
    if draws >= _FEWEST_DRAWS:
        found = worst_group_gap(table.metric, table.columns, table.groups, table.clusters, draws)
        known = found.low is not None and math.isfinite(found.low)
        return (found, ()) if known else (replace(found, low=None, high=None), ())
    values = {
        str(group): float(table.metric.values(table.columns, (table.groups == group).astype(float)[None])[0])
        for group in np.unique(table.groups)
    }
    ranked = sorted(
        (group for group in values if math.isfinite(values[group])),
        key=values.__getitem__, reverse=table.metric.higher_is_better,
    )  # fmt: skip
    if len(ranked) < 2:
        return GroupGap(None, None, None, "", "", values, {}, None), ()
    value = abs(values[ranked[0]] - values[ranked[-1]])
    return GroupGap(value, None, None, ranked[0], ranked[-1], values, {}, None), ("too many rows for an interval",)
