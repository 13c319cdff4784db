"""Where a request goes: the least loaded of a model's endpoints, when one may be asked again.

An endpoint that does not take connections, or lets several requests in a row time
out or end in a server error, is rested while others work; it then gets one request
to prove itself. Rows wait in one queue, first come first served, for whichever
endpoint has room.

    endpoint = await pool.take(cost=1200)
    try: ...
    finally: pool.give_back(endpoint)
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from raybench.models._openai_pace import Bucket, Window

__all__ = ["Endpoint", "Limits", "Pool"]

_REST_SECONDS, _LONGEST_REST_SECONDS = 1.0, 60.0
#: Time-outs and server errors in a row after which an endpoint is rested.
_FALTERS = 3


@dataclass(frozen=True)
class Limits:
    """Bounds of one endpoint: open requests (lowest, highest, at first) and allowances per minute."""

    low: int
    high: int
    start: int
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None


class Endpoint:
    """One base URL and how it fares.

    Attributes:
        open: requests under way.
        reached: it has answered something; `welcome`: and not that we may not or cannot use it.
    """

    def __init__(self, url: str, limits: Limits, now: float) -> None:
        self.url = url
        self.open, self.reached, self.welcome = 0, False, False
        self._window = Window(limits.low, limits.high, limits.start)
        self._requests = Bucket(limits.requests_per_minute, now) if limits.requests_per_minute else None
        self._tokens = Bucket(limits.tokens_per_minute, now) if limits.tokens_per_minute else None
        self._not_before = 0.0
        self._falters = self._losses = 0

    @property
    def limit(self) -> int:
        """How many requests may be open; one, for an endpoint that is to prove itself."""
        return 1 if self._losses else self._window.limit

    @property
    def sick(self) -> bool:
        """Its last request was lost."""
        return bool(self._losses)

    def wait_seconds(self, cost: float, now: float) -> float:
        """Return the seconds until its pause and its allowances permit a request."""
        wait = max(0.0, self._not_before - now)
        if self._requests is not None:
            wait = max(wait, self._requests.wait_seconds(1.0, now))
        if self._tokens is not None:
            wait = max(wait, self._tokens.wait_seconds(cost, now))
        return wait

    def begin(self, cost: float) -> None:
        """Count a request as sent."""
        self.open += 1
        if self._requests is not None:
            self._requests.take(1.0)
        if self._tokens is not None:
            self._tokens.take(cost)

    def answered(self) -> None:
        """Count an answer that is no server error: the endpoint lives."""
        self.reached = True
        self._losses = self._falters = 0

    def succeeded(self) -> None:
        """Count an answer of use."""
        self.welcome = True
        self._window.succeeded(self.open >= self._window.limit)

    def settle(self, cost: float, used: float) -> None:
        """Put the tokens that a request did use in place of those it was expected to."""
        if self._tokens is not None:
            self._tokens.take(used - cost)

    def throttled(self, sent_at: float, now: float, pause_seconds: float | None = None) -> None:
        """Send less; and nothing for as long as the endpoint asked."""
        self._window.throttled(sent_at, now)
        if pause_seconds:
            self._not_before = max(self._not_before, now + pause_seconds)

    def faltered(self, now: float) -> None:
        """Count a time-out or a server error; several in a row are a loss."""
        self._falters += 1
        if self._falters >= _FALTERS:
            self.lost(now)

    def lost(self, now: float) -> None:
        """Count a connection that failed, and rest: twice as long each time."""
        rest = min(_REST_SECONDS * 2.0 ** min(self._losses, 10), _LONGEST_REST_SECONDS)
        if now >= self._not_before:
            self._losses += 1
            self._not_before = now + rest


@dataclass
class _Waiting:
    future: asyncio.Future[Endpoint]
    cost: float
    avoid: Endpoint | None


class Pool:
    """A model's endpoints and the queue of those who wait for one; for one event loop."""

    def __init__(
        self, endpoints: Sequence[Endpoint], clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        self._clock, self._sleep = clock, sleep
        self.endpoints = endpoints
        self._queue: deque[_Waiting] = deque()
        self._timer: asyncio.Task[None] | None = None
        self._due = 0.0  # when the timer ends, if there is one

    async def take(self, cost: float = 0.0, avoid: Endpoint | None = None) -> Endpoint:
        """Return an endpoint that may be asked now, the least loaded.

        Args:
            avoid: taken only where no other has room; while it is sick, only where no other works.
        """
        if not self._queue:
            found = self._best(cost, avoid)
            if found is not None:
                found.begin(cost)
                return found
        waiting = _Waiting(asyncio.get_running_loop().create_future(), cost, avoid)
        self._queue.append(waiting)
        self._serve()
        try:
            return await waiting.future
        except asyncio.CancelledError:
            if waiting.future.done() and not waiting.future.cancelled():
                self.give_back(waiting.future.result())
            raise

    def give_back(self, endpoint: Endpoint) -> None:
        """Count a request as ended and serve who waits."""
        endpoint.open -= 1
        if self._queue:
            self._serve()

    def others_work(self, endpoint: Endpoint) -> bool:
        """Say whether another endpoint may be asked at once."""
        now = self._clock()
        return any(not one.sick and not one.wait_seconds(0.0, now) for one in self.endpoints if one is not endpoint)

    def close(self) -> None:
        """End the wait for a pause's end."""
        if self._timer is not None:
            self._timer.cancel()

    def _best(self, cost: float, avoid: Endpoint | None) -> Endpoint | None:
        if len(self.endpoints) == 1:
            only = self.endpoints[0]
            return only if only.open < only.limit and not only.wait_seconds(cost, self._clock()) else None
        now = self._clock()
        free = [one for one in self._open_to(avoid) if not one.wait_seconds(cost, now)]
        return min(free, key=lambda one: (one is avoid, one.sick, one.open / one.limit), default=None)

    def _open_to(self, avoid: Endpoint | None) -> list[Endpoint]:
        """Return the endpoints that have room for a row that `avoid` has just lost."""
        shunned = avoid if avoid is not None and avoid.sick and self.others_work(avoid) else None
        return [one for one in self.endpoints if one is not shunned and one.open < one.limit]

    def _serve(self) -> None:
        while self._queue:
            first = self._queue[0]
            if first.future.done():  # whoever waited has left
                self._queue.popleft()
                continue
            found = self._best(first.cost, first.avoid)
            if found is None:
                break
            self._queue.popleft()
            found.begin(first.cost)
            first.future.set_result(found)
        wait = self._pause_seconds(self._queue[0]) if self._queue else 0.0
        due = self._clock() + wait
        if wait and (self._timer is None or self._timer.done() or due < self._due):
            self.close()
            self._timer, self._due = asyncio.get_running_loop().create_task(self._serve_after(wait)), due

    def _pause_seconds(self, first: _Waiting) -> float:
        """Return the seconds until time alone lets an endpoint be asked; 0.0 where its open requests are the reason."""
        now = self._clock()
        waits = [one.wait_seconds(first.cost, now) for one in self._open_to(first.avoid)]
        return min(waits, default=0.0)

    async def _serve_after(self, seconds: float) -> None:
        await self._sleep(seconds)
        self._timer = None
        self._serve()
