"""Records to scores: what a number is made of, with its interval, counts and recipe."""

from raybench.scoring.cells import score_store
from raybench.scoring.grading import read_answer
from raybench.scoring.inputs import box_convention, stored_tasks

__all__ = ["box_convention", "read_answer", "score_store", "stored_tasks"]
