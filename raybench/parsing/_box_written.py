"""Boxes as written in a text, before any convention gives their numbers a meaning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from raybench.parsing._box_conventions import Order
from raybench.parsing._box_labels import says_none
from raybench.parsing._box_scan import numeral

__all__ = ["Found", "Written"]


@dataclass(frozen=True)
class Written:
    """One box as written: four numbers, not yet interpreted.

    Attributes:
        order: what the text itself says the numbers are; None leaves it to the convention.
        label: as written; "" if there is none.
        point: the first two numbers, repeated, are a point.
    """

    numbers: tuple[float, ...]
    order: Order | None = None
    label: str = ""
    score: float | None = None
    point: bool = False


@dataclass
class Found:
    """What a text holds.

    Attributes:
        rule: the form that was read: json, list, pairs, named, bare, tokens; "" if none was.
        truncated: objects that the end of the text cut off.
        malformed: boxes with another count of numbers than four.
        empty: places where the text says in so many brackets that there is no box.
        none_labelled: boxes labelled "none" or "no finding", which are no boxes.
        exact: nothing stands around the boxes that the form does not ask for.
        open_end: the text ended before a bracket was closed.
    """

    boxes: list[Written] = field(default_factory=list)
    rule: str = ""
    truncated: int = 0
    malformed: int = 0
    empty: int = 0
    none_labelled: int = 0
    exact: bool = False
    open_end: bool = False

    def add(self, numbers: Sequence[float], label: Any, order: Order | None = None, score: Any = None) -> None:
        """Take one box, unless its label says that there is none."""
        if isinstance(label, str) and says_none(label):
            self.none_labelled += 1
            return
        certainty = numeral(score)
        certainty = certainty if certainty is not None and 0 <= certainty <= 1 else None
        self.boxes.append(Written(tuple(numbers), order, label if isinstance(label, str) else "", certainty))

    def seen(self) -> tuple[int, ...]:
        """Return counts that change with anything that is read."""
        return len(self.boxes), self.empty, self.none_labelled, self.truncated, self.malformed
