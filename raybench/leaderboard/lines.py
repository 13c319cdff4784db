"""What a leaderboard is made of: lines with their scores, and boards of lines."""

from __future__ import annotations

from dataclasses import dataclass, field

from raybench.schema import Row

__all__ = ["Board", "Line"]


@dataclass
class Line:
    """One row of a board.

    Attributes:
        ranks: (best, worst) rank; None for baselines, published numbers and partial sets.
        headline: the headline score; `scores`: (profile, metric) -> score at slice "all".
    """

    model: str
    kind: str
    headline: Row
    scores: dict[tuple[str, str], Row] = field(default_factory=dict)
    ranks: tuple[int, int] | None = None
    partial: bool = False


@dataclass
class Board:
    """One task on one data set.

    Attributes:
        columns: (profile, metric) of the numbers beside the headline: each profile's
            overall_accuracy, else its first metric.
        mde: the smallest paired difference found with 80 % power at 20 % discordant
            rows, as a fraction; None without rows.
    """

    task: str
    dataset: str
    split: str
    metric: tuple[str, str]
    lines: list[Line]
    columns: list[tuple[str, str]]
    mde: float | None = None
