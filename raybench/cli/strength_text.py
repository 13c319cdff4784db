"""Bradley-Terry strengths as text and as JSON: what pairwise verdicts make of a folder's models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from raybench.cli.render import table
from raybench.schema import Row

if TYPE_CHECKING:
    from raybench.leaderboard.strengths import StrengthBoard

__all__ = ["strength_rows", "strengths"]


def strengths(found: Sequence[StrengthBoard], style: str) -> str:
    """Return the boards as "table", "markdown" or "latex", each after an empty line; "" without any."""
    return "".join("\n" + _board(board, style) for board in found)


def _board(board: StrengthBoard, style: str) -> str:
    place, flags = board.place, f" ({', '.join(board.flags)})" if board.flags else ""
    where = f"{place['task']} on {place['dataset']}/{place['split']} ({place['variant']}, images {place['images']})"
    absent = f", {board.missing} without a verdict" if board.missing else ""
    title = (
        f"{where}: Bradley-Terry strengths by {board.judge}{flags}, log odds around the mean [95 % interval],"
        f" {board.n} contests{absent}"
    )
    rows = [[line.name, f"{line.value:+.2f} [{line.low:+.2f}, {line.high:+.2f}]", str(line.n)] for line in board.lines]
    return table(["model", "strength", "contests"], rows, style, title)


def strength_rows(found: Sequence[StrengthBoard]) -> list[Row]:
    """Return the boards for a JSON document: one entry a judge and place, its models the strongest first."""
    return [
        {
            **board.place, "judge": board.judge, "contests": board.n, "missing": board.missing,
            "flags": list(board.flags), "unit": "log odds",
            "strengths": [
                {("model" if name == "name" else name): value for name, value in asdict(line).items()}
                for line in board.lines
            ],
        }
        for board in found
    ]  # fmt: skip
