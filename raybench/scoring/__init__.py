"""Records to scores: what a number is made of, with its interval, counts and recipe."""

from raybench.scoring.caveats import caveats
from raybench.scoring.cells import score_store
from raybench.scoring.facts import stored_facts
from raybench.scoring.grading import read_answer
from raybench.scoring.inputs import box_convention, planned_task, stored_tasks
from raybench.scoring.readings import box_readings

__all__ = [
    "box_convention",
    "box_readings",
    "caveats",
    "planned_task",
    "read_answer",
    "score_store",
    "stored_facts",
    "stored_tasks",
]
