"""How a backend that waits on others answers several rows: all at once, each given out when it is done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from raybench.schema import Result, Row

__all__ = ["as_answered"]


async def as_answered(rows: Sequence[Row], answer: Callable[[Row], Awaitable[Result]]) -> AsyncIterator[Result]:
    """Yield the results of rows as they complete; whatever ends the iteration early cancels the rest."""
    if len(rows) == 1:
        yield await answer(rows[0])
        return
    tasks = [asyncio.ensure_future(answer(row)) for row in rows]
    try:
        for done in asyncio.as_completed(tasks):
            yield await done
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
