"""A cell's rows as columns, and the views of them (all rows, each slice) that scores cover."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from raybench.interfaces import Array
from raybench.schema import Row, digest

__all__ = ["Cell", "View", "append", "views"]

#: A slice column with more values than this is an identifier, not a slice.
_MAX_SLICE_VALUES = 100


@dataclass
class Cell:
    """One cell's rows as columns: what its scores are made of.

    Attributes:
        keys: the cell columns.
        prompt: hash of the prompt template.
        pending: slices of the planned units that were never asked: counted, not failed.
        samples, hashes, clusters, outcomes: one entry a row.
        slices: slice column -> value of each row.
        statistics: profile -> column -> numbers, one a row (0 for failed rows).
    """

    keys: Row
    prompt: str = ""
    pending: list[dict[str, str]] = field(default_factory=list)
    samples: list[str] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)
    clusters: list[str] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    slices: list[dict[str, str]] = field(default_factory=list)
    statistics: dict[str, list[Mapping[str, float]]] = field(default_factory=dict)
    records: list[Row] = field(default_factory=list)


def append(cell: Cell, record: Row) -> None:
    cell.samples.append(record["sample"])
    cell.hashes.append(record["sample_hash"])
    cell.clusters.append(record["cluster"])
    cell.outcomes.append(record["outcome"])
    cell.slices.append(json.loads(record["slices"]))
    for profile, columns in json.loads(record["statistics"]).items():
        # Failed rows have no statistics: pad, so that every column stays one entry a row.
        entries = cell.statistics.setdefault(profile, [])
        entries += [{}] * (len(cell.samples) - 1 - len(entries))
        entries.append(columns)
    kept = ("sample", "outcome", "question", "target", "text", "choices", "slices")
    cell.records.append({name: record[name] for name in kept})


@dataclass(frozen=True)
class View:
    """The rows of a cell that one score covers, averaged within the sample."""

    cell: Cell
    rows: Array
    slice: str

    def counts(self) -> Row:
        outcomes = np.asarray(self.cell.outcomes, dtype=object)[self.rows]
        found = {name: int((outcomes == name).sum()) for name in ("answered", "refused", "unparsed", "failed")}
        name, _, value = self.slice.partition("=")
        pending = sum(self.slice == "all" or slices.get(name) == value for slices in self.cell.pending)
        planned, scored = len(outcomes) + pending, len(outcomes) - found["failed"]
        return {**found, "planned": planned, "coverage": scored / planned if planned else None}

    def scored(self) -> Array:
        """Indices of the rows that are not failed."""
        return np.asarray([i for i in self.rows if self.cell.outcomes[i] != "failed"], dtype=int)

    def sample_set(self) -> str:
        pairs = sorted({(self.cell.samples[i], self.cell.hashes[i]) for i in self.scored()})
        return digest([list(pair) for pair in pairs], 12)


def views(cell: Cell) -> list[View]:
    views = [View(cell, np.arange(len(cell.samples)), "all")]
    for name in sorted({name for slices in cell.slices for name in slices}):
        values = np.asarray([slices.get(name, "") for slices in cell.slices], dtype=object)
        distinct = sorted({str(value) for value in values if value})
        if len(distinct) <= _MAX_SLICE_VALUES:
            views += [View(cell, np.flatnonzero(values == value), f"{name}={value}") for value in distinct]
    return views
