"""Records to scores: what a number is made of, with its interval, counts and recipe."""

from raybench.scoring.cells import score_store, stored_tasks

__all__ = ["score_store", "stored_tasks"]
