"""Scores to ranked boards, comparisons of two models, and published numbers beside them."""

from raybench.leaderboard.boards import Board, Line, boards, score_rows
from raybench.leaderboard.compare import Comparison, Flip, compare

__all__ = ["Board", "Comparison", "Flip", "Line", "boards", "compare", "score_rows"]
