"""One run's account of what was started, finished and lost: the bounds that Ray's endless retries lack.

A replica reports each start before it loads, each row before it is sent and each row
that is durable. When Ray retries a block, the ledger says what is left: rows once
started and not finished run again in small groups, in the end one by one, and a row
that kills once more when it is alone is given up. It also holds the run to its limits
of time and money: once one is reached, nothing more is sent. Kept in memory by one
actor; it holds the open blocks only, so its size does not grow with the run.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from raybench.engine.limits import FREE, UNLIMITED, Limits, Price
from raybench.schema import Failure, Row

__all__ = ["MAX_BARREN_DEATHS", "MAX_KILLS", "MAX_SILENT_STARTS", "Ledger"]

#: A row during which a replica died this often, the last time with no other row at work, is failed.
MAX_KILLS = 2
#: What was running when a replica died runs again in this many groups at most, one after another.
_GROUPS = 16
#: A stream one of whose replicas broke this often in a row, with no answer of any between, is given up.
MAX_BARREN_DEATHS = 6
#: A replica that began this often without ever becoming ready is given up.
MAX_SILENT_STARTS = 3


@dataclass
class _Key:
    running: bool = False
    kills: int = 0
    group: int = 0  # rows that it may run with after a replica died with it; 0: any
    done: bool = False


@dataclass
class _Stream:
    """One model's (or judge's) stream."""

    total: int = 0
    price: Price = FREE
    counts: Counter[str] = field(default_factory=Counter)
    keys: dict[str, _Key] = field(default_factory=dict)
    released: set[str] = field(default_factory=set)
    replicas: set[str] = field(default_factory=set)
    began: dict[str, float] = field(default_factory=dict)
    tokens: tuple[int, int] = (0, 0)
    spent: float | None = None
    error: str = ""
    barren: Counter[str] = field(default_factory=Counter)  # replica -> deaths since the stream's last answer
    reasons: Counter[str] = field(default_factory=Counter)
    first_start: float | None = None
    last_end: float | None = None


class Ledger:
    """See the module; runs as a Ray actor, and as a plain object in tests.

    Args:
        clock: seconds that only go forward, whatever is done to the wall clock.
    """

    def __init__(self, limits: Limits = UNLIMITED, clock: Callable[[], float] = time.monotonic) -> None:
        self._streams: dict[str, _Stream] = {}
        self._silent: Counter[str] = Counter()
        self._deaths: dict[str, str] = {}  # replica -> why it ends its process, until it starts again
        self._ended: dict[str, str] = {}  # replica -> why its process before this one ended; "" unknown
        self._limits, self._clock, self._opened_at = limits, clock, clock()
        self._past_spent = 0.0
        self._halted = ""

    def open_stream(self, name: str, total: int, price: Price = FREE) -> None:
        """Begin to count for one model or judge; `total` rows are to be done."""
        self.close_stream(name)
        if name in self._streams:
            self._past_spent += self._streams[name].spent or 0.0
        self._streams[name] = _Stream(total=total, price=price)

    def close_stream(self, name: str) -> None:
        """Report that a stream's replicas are gone, and with them what they cost."""
        if name in self._streams and self._streams[name].spent is None:
            self._streams[name].spent = self._spent_by(self._streams[name])

    def halt(self, reason: str) -> None:
        """Send nothing more, in any stream; what was sent is still taken in."""
        self._halted = self._halted or reason

    def halted(self) -> str:
        """Return why nothing more is sent, or ""."""
        return self._halted

    def is_idle(self, stream: str) -> bool:
        """Return whether none of a stream's rows is at a model now."""
        return not any(key.running for key in self._streams[stream].keys.values())

    def spent(self) -> float:
        """Return the money spent so far, by the prices that the spec declares."""
        now = [self._spent_by(s) if s.spent is None else s.spent for s in self._streams.values()]
        return self._past_spent + sum(now)

    def starting(self, stream: str, replica: str) -> str:
        """Report that a replica begins to load; return why it must not, or ""."""
        self._streams[stream].began.setdefault(replica, self._clock())
        if self._streams[stream].error:
            return self._streams[stream].error
        if self._silent[replica] >= MAX_SILENT_STARTS:
            reason = f"its process died {MAX_SILENT_STARTS} times while loading, without a message (out of memory?)"
            self._streams[stream].error = reason
            return reason
        self._silent[replica] += 1
        self._ended.pop(replica, None)
        if replica in self._deaths:
            self._ended[replica] = self._deaths.pop(replica)
        return ""

    def ready(self, stream: str, replica: str) -> None:
        """Report that a replica has loaded."""
        self._silent[replica] = 0
        self._streams[stream].replicas.add(replica)

    def stop(self, stream: str, reason: str) -> None:
        """Report an error that ends the stream's model: it cannot load, or its server refuses everything."""
        self._streams[stream].error = self._streams[stream].error or reason

    def dying(self, stream: str, replica: str, reason: str) -> None:
        """Report why a replica is about to end its process; too many in a row with nothing answered end the stream."""
        self._deaths[replica] = reason
        self._ended.pop(replica, None)
        self._barren(stream, replica, reason)

    def has_answered(self, stream: str) -> bool:
        """Return whether the stream's model has answered anything yet."""
        return any(count for word, count in self._streams[stream].counts.items() if word != "failed")

    def claim(self, stream: str, keys: Sequence[str], replica: str) -> Row:
        """Take a block; return what of it is left.

        Returns:
            {"fresh": keys never started, "again": groups of keys to run one after another
            with nothing beside them, "given_up": {key: its failure}}; finished keys are in none of them.
        """
        known, given_up = self._streams[stream].keys, dict[str, Failure]()
        fresh, suspects = list[str](), list[str]()
        if self._halted or (keys and keys[0] in self._streams[stream].released):
            return {"fresh": [], "again": [], "given_up": {}}
        lost = [key for key in keys if key in known and known[key].running]
        if lost and replica not in self._ended:  # the first of its blocks tells of the death for all
            self._ended[replica] = self._deaths.pop(replica, "")
            if not self._ended[replica]:
                self._barren(stream, replica, "its process died without a word (out of memory?)")
        reason = self._ended.get(replica, "")
        for key in lost:
            state = known[key]
            state.running, state.kills = False, state.kills + 1
            if state.kills >= MAX_KILLS and state.group == 1:
                detail = reason or f"the replica's process died {state.kills} times on this row"
                given_up[key] = Failure("replica_died", detail, attempts=state.kills)
            state.group = -(-len(lost) // _GROUPS)
        for key in keys:
            state = known.setdefault(key, _Key())
            if not state.done and key not in given_up:
                (suspects if state.group else fresh).append(key)
        return {"fresh": fresh, "again": _grouped(known, suspects), "given_up": given_up}

    def sending(self, stream: str, keys: Sequence[str]) -> bool:
        """Report rows that are about to be sent to the model; False: the run is over, send nothing."""
        self._check_limits()
        if self._halted:
            return False
        state = self._streams[stream]
        state.first_start = state.first_start or self._clock()
        for key in keys:
            state.keys.setdefault(key, _Key()).running = True
        return True

    def durable(self, stream: str, outcomes: Sequence[tuple[str, str]], tokens: tuple[int, int] = (0, 0)) -> None:
        """Report (key, outcome) of rows that are durable; outcome "failed" carries ":reason".

        Args:
            tokens: tokens in and out of these rows.
        """
        state = self._streams[stream]
        state.last_end = self._clock()
        state.tokens = (state.tokens[0] + tokens[0], state.tokens[1] + tokens[1])
        for key, outcome in outcomes:
            word, _, reason = outcome.partition(":")
            state.counts[word] += 1
            if word != "failed":
                state.barren.clear()
            if reason:
                state.reasons[reason] += 1
            found = state.keys.setdefault(key, _Key())
            found.done, found.running = True, False

    def _check_limits(self) -> None:
        if not self._halted:
            self._halted = self._limits.exceeded(self._clock() - self._opened_at, self.spent)

    def _spent_by(self, state: _Stream) -> float:
        seconds = sum(self._clock() - began for began in state.began.values())
        return state.price.of(seconds, state.tokens)

    def measured(self, stream: str, report: Row) -> None:
        """Take a replica's `Usage` report; a ledger without instruments keeps none of it."""

    def _barren(self, stream: str, replica: str, reason: str) -> None:
        """Count a death by replica: a node that is lost takes all of its replicas at once."""
        deaths = self._streams[stream].barren
        deaths[replica] += 1
        if deaths[replica] >= MAX_BARREN_DEATHS:
            self.stop(stream, f"its engine broke {deaths[replica]} times in a row without an answer between: {reason}")

    def release(self, stream: str, keys: Sequence[str]) -> None:
        """Forget a finished block's keys (and remember that the block is finished)."""
        state = self._streams[stream]
        if keys and not self._halted:
            state.released.add(keys[0])
        for key in keys:
            state.keys.pop(key, None)

    def progress(self) -> dict[str, Row]:
        """Return {stream: {"total", "counts", "reasons", "replicas", "error", "seconds"}}."""
        return {name: _view(stream) for name, stream in self._streams.items()}


def _grouped(known: Mapping[str, _Key], suspects: Sequence[str]) -> list[list[str]]:
    """Return neighbours that may run in groups of the same size, in groups of that size."""
    groups = list[list[str]]()
    for size, found in groupby(suspects, lambda key: known[key].group):
        keys = list(found)
        groups += [keys[start : start + size] for start in range(0, len(keys), size)]
    return groups


def _view(stream: _Stream) -> dict[str, Any]:
    seconds = (stream.last_end or 0.0) - (stream.first_start or 0.0)
    return {
        "total": stream.total, "counts": dict(stream.counts), "reasons": dict(stream.reasons),
        "replicas": len(stream.replicas), "error": stream.error, "seconds": max(seconds, 0.0),
    }  # fmt: skip
