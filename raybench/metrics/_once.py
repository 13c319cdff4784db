"""Work on a column that every bootstrap draw would repeat, done once while the column lives."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

from raybench.interfaces import Array

__all__ = ["OncePerColumn"]

Result = TypeVar("Result")


class OncePerColumn(Generic[Result]):
    """A function of one column that remembers its last result, by the column's identity.

    `MetricDef.reduce` is called once a chunk of draws with the same columns; at a
    million rows sorting them each time would cost minutes. Columns are never changed in place.
    """

    def __init__(self, work: Callable[[Array], Result]) -> None:
        self._work = work
        self._last: tuple[weakref.ref[Array], Result] | None = None

    def __call__(self, column: Array) -> Result:
        last = self._last
        if last is not None and last[0]() is column:
            return last[1]
        result = self._work(column)
        self._last = weakref.ref(column, self._forget), result
        return result

    def _forget(self, gone: weakref.ref[Array]) -> None:
        if self._last is not None and self._last[0] is gone:
            self._last = None
