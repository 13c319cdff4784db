"""How fast an endpoint may be asked: an adaptive window of open requests, and limits per minute.

Plain bookkeeping without sleeping or a clock of its own: every call is told the
time, in seconds, so that a minute of a rate limit is tested in no time.

>>> window = Window(1, 8)
>>> window.succeeded(True)
... window.limit
2
"""

from __future__ import annotations

__all__ = ["Bucket", "Window"]

#: What a throttled window shrinks to.
DECREASE = 0.7
#: Part of a minute's allowance that may be spent at once.
BURST_SHARE = 0.1


class Window:
    """Open requests of one endpoint: additive increase, multiplicative decrease between two bounds.

    It starts at the lower bound and grows by one a success until the endpoint first
    complains; from then on by one a windowful of successes. Source: Chiu & Jain 1989,
    https://doi.org/10.1016/0169-7552(89)90019-6, with the slow start of RFC 5681.
    """

    def __init__(self, low: int, high: int, start: int | None = None) -> None:
        self._low, self._high = low, high
        self._limit = float(low if start is None else start)
        self._throttled_at: float | None = None

    @property
    def limit(self) -> int:
        """How many requests may be open now."""
        return int(self._limit)

    def succeeded(self, full: bool) -> None:
        """Count an answer; only a window that was `full` says that more would have been sent."""
        if full and self._limit < self._high:
            grown = self._limit + (1.0 if self._throttled_at is None else 1.0 / self._limit)
            self._limit = min(grown, float(self._high))

    def throttled(self, sent_at: float, now: float) -> None:
        """Shrink, once for all requests that were already under way when it last shrank."""
        if self._throttled_at is None or sent_at >= self._throttled_at:
            self._limit = max(float(self._low), self._limit * DECREASE)
            self._throttled_at = now


class Bucket:
    """A limit per minute as a token bucket: no 60 seconds see more than the limit.

    A tenth of the minute's allowance may go at once; what costs more than that
    goes when the bucket is full, and leaves a debt.
    """

    def __init__(self, per_minute: float, now: float) -> None:
        self._capacity = max(1.0, per_minute * BURST_SHARE)
        # Of a full bucket's first unit the next one is a minute away at most: it does not count towards the minute.
        self._rate = (per_minute - self._capacity + 1.0 if self._capacity < per_minute else per_minute) / 60.0
        self._level, self._at = self._capacity, now

    def wait_seconds(self, cost: float, now: float) -> float:
        """Return the seconds until `cost` may be taken; 0.0 for at once."""
        self._level = min(self._capacity, self._level + (now - self._at) * self._rate)
        self._at = now
        short = min(cost, self._capacity) - self._level
        return short / self._rate if short > 1e-9 else 0.0

    def take(self, cost: float) -> None:
        """Take `cost`; a negative one gives back what was taken too much."""
        self._level = min(self._capacity, self._level - cost)
