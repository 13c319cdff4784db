"""A cell's rows as columns, and the views of them (all rows, each slice) that scores cover."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from raybench.interfaces import Array
from raybench.schema import Row, digest

__all__ = ["Cell", "View", "append", "scored_name", "stacked", "views"]

#: A slice column with more values than this is an identifier, not a slice.
_MAX_SLICE_VALUES = 100


@dataclass
class Cell:
    """One cell's rows as columns: what its scores are made of. Arrays are made once, when all rows are there.

    Attributes:
        keys: the cell columns.
        prompt: hash of the prompt template.
        pending: slices of the planned units that were never asked: counted, not failed.
        samples, hashes, clusters, outcomes: one entry a row.
        slices: slice column -> value of each row.
        statistics: profile -> column -> a number or a list of numbers a row (none for failed rows).
    """

    keys: Row
    prompt: str = ""
    pending: list[dict[str, str]] = field(default_factory=list)
    samples: list[str] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)
    clusters: list[str] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    slices: list[dict[str, str]] = field(default_factory=list)
    statistics: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    records: list[Row] = field(default_factory=list)
    _stacked: dict[str, dict[str, Array]] = field(default_factory=dict, repr=False)

    @cached_property
    def failed(self) -> Array:
        """(n,) whether each row failed."""
        return np.asarray([outcome == "failed" for outcome in self.outcomes], dtype=bool)

    @cached_property
    def sample_codes(self) -> Array:
        """(n,) numbers in the order of the samples' names."""
        return _codes(self.samples)

    @cached_property
    def cluster_codes(self) -> Array:
        """(n,) numbers in the order of the clusters' names."""
        return _codes(self.clusters)

    def columns(self, profile: str, rows: Array) -> dict[str, Array]:
        """Return a profile's statistics of some rows, as `stacked` does of all."""
        if profile not in self._stacked:
            entries = self.statistics.get(profile, [])
            self._stacked[profile] = stacked([*entries, *[{}] * (len(self.samples) - len(entries))])
        return {name: column[rows] for name, column in self._stacked[profile].items()}


def _codes(names: Sequence[str]) -> Array:
    ranks = {name: rank for rank, name in enumerate(sorted(set(names)))}
    return np.asarray([ranks[name] for name in names], dtype=int)


def scored_name(record: Row) -> str:
    """Return what a score counts once: a sample, or one later turn of a conversation."""
    return f"{record['sample']}#{record['turn'] + 1}" if record.get("turn") else str(record["sample"])


def append(cell: Cell, record: Row) -> None:
    cell.samples.append(scored_name(record))
    cell.hashes.append(record["sample_hash"])
    cell.clusters.append(record["cluster"])
    cell.outcomes.append(record["outcome"])
    cell.slices.append(json.loads(record["slices"]))
    for profile, columns in json.loads(record["statistics"]).items():
        # Failed rows have no statistics: pad, so that every column stays one entry a row.
        entries = cell.statistics.setdefault(profile, [])
        entries += [{}] * (len(cell.samples) - 1 - len(entries))
        entries.append(columns)
    kept = ("sample", "turn", "repeat", "outcome", "question", "target", "text", "choices", "slices")
    cell.records.append({name: record[name] for name in kept})


@dataclass(frozen=True)
class View:
    """The rows of a cell that one score covers, averaged within the sample.

    Attributes:
        slice: "all", "COLUMN=VALUE", or "COLUMN=*" for the rows that have any value of the column.
    """

    cell: Cell
    rows: Array
    slice: str

    def counts(self) -> Row:
        outcomes = np.asarray(self.cell.outcomes, dtype=object)[self.rows]
        found = {name: int((outcomes == name).sum()) for name in ("answered", "refused", "unparsed", "failed")}
        name, _, value = self.slice.partition("=")
        wanted = (slices.get(name) or None for slices in self.cell.pending)
        pending = sum(self.slice == "all" or each == value or (value == "*" and each is not None) for each in wanted)
        planned, scored = len(outcomes) + pending, len(outcomes) - found["failed"]
        return {**found, "planned": planned, "coverage": scored / planned if planned else None}

    def scored(self) -> Array:
        """Indices of the rows that are not failed."""
        return np.asarray(self.rows[~self.cell.failed[self.rows]])

    def sample_set(self) -> str:
        pairs = sorted({(self.cell.samples[i], self.cell.hashes[i]) for i in self.scored()})
        return digest([list(pair) for pair in pairs], 12)


def stacked(entries: Sequence[Mapping[str, Any]]) -> dict[str, Array]:
    """Return the statistics of rows as columns; what a row lacks is 0, or empty among lists."""
    names = sorted({name for entry in entries for name in entry})
    return {name: _column([entry.get(name) for entry in entries]) for name in names}


def _column(values: Sequence[Any]) -> Array:
    if not any(isinstance(value, list) for value in values):
        return np.asarray([value or 0.0 for value in values], dtype=float)
    column = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        column[i] = np.asarray(value or [], dtype=float)
    return column


def views(cell: Cell) -> list[View]:
    views = [View(cell, np.arange(len(cell.samples)), "all")]
    for name in sorted({name for slices in cell.slices for name in slices}):
        values = np.asarray([slices.get(name, "") for slices in cell.slices], dtype=object)
        distinct = sorted({str(value) for value in values if value})
        if len(distinct) <= _MAX_SLICE_VALUES:
            views += [View(cell, np.flatnonzero(values == value), f"{name}={value}") for value in distinct]
    return views
