"""One run's account of what was started, finished and lost: the bounds that Ray's endless retries lack.

A replica reports each start before it loads, each row before it is sent and
each row that is durable. When Ray retries a block, the ledger says what is left:
rows once started and not finished run one by one, and a row that kills twice is
given up. Kept in memory by one actor; it holds the open blocks only, so its
size does not grow with the run.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from raybench.schema import Row

__all__ = ["MAX_BARREN_DEATHS", "MAX_KILLS", "MAX_SILENT_STARTS", "Ledger"]

#: A row during which a replica died this often is failed.
MAX_KILLS = 2
#: A stream whose engine broke this often in a row, with no answer between, is given up.
MAX_BARREN_DEATHS = 6
#: A replica that began this often without ever becoming ready is given up.
MAX_SILENT_STARTS = 3


@dataclass
class _Key:
    running: bool = False
    kills: int = 0
    done: bool = False


@dataclass
class _Stream:
    """One model's (or judge's) stream."""

    total: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    replicas: set[str] = field(default_factory=set)
    error: str = ""
    barren: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    first_start: float | None = None
    last_end: float | None = None


class Ledger:
    """See the module; runs as a Ray actor, and as a plain object in tests."""

    def __init__(self) -> None:
        self._streams: dict[str, _Stream] = {}
        self._keys: dict[str, _Key] = {}
        self._released: set[str] = set()
        self._silent: Counter[str] = Counter()
        self._deaths: dict[str, str] = {}

    def open_stream(self, name: str, total: int) -> None:
        """Begin to count for one model or judge; `total` rows are to be done."""
        self._streams[name] = _Stream(total=total)
        self._released.clear()

    def starting(self, stream: str, replica: str) -> str:
        """Report that a replica begins to load; return why it must not, or ""."""
        if self._streams[stream].error:
            return self._streams[stream].error
        if self._silent[replica] >= MAX_SILENT_STARTS:
            reason = f"its process died {MAX_SILENT_STARTS} times while loading, without a message (out of memory?)"
            self._streams[stream].error = reason
            return reason
        self._silent[replica] += 1
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
        self._barren(stream, reason)

    def has_answered(self, stream: str) -> bool:
        """Return whether the stream's model has answered anything yet."""
        return any(count for word, count in self._streams[stream].counts.items() if word != "failed")

    def claim(self, stream: str, keys: Sequence[str], replica: str) -> Row:
        """Take a block; return what of it is left.

        Returns:
            {"fresh": keys never started, "alone": keys to run one by one,
            "given_up": {key: reason}}; finished keys are in none of them.
        """
        if keys and keys[0] in self._released:
            return {"fresh": [], "alone": [], "given_up": {}}
        fresh, alone, given_up = [], [], {}
        if replica not in self._deaths and any(key in self._keys and self._keys[key].running for key in keys):
            self._barren(stream, "its process died without a word (out of memory?)")
        reason = self._deaths.pop(replica, "")
        for key in keys:
            state = self._keys.setdefault(key, _Key())
            if state.running:
                state.running, state.kills = False, state.kills + 1
            if state.done:
                continue
            if state.kills >= MAX_KILLS:
                given_up[key] = reason or f"the replica's process died {state.kills} times on this row"
            elif state.kills:
                alone.append(key)
            else:
                fresh.append(key)
        return {"fresh": fresh, "alone": alone, "given_up": given_up}

    def sending(self, stream: str, keys: Sequence[str]) -> None:
        """Report rows that are about to be sent to the model."""
        state = self._streams[stream]
        state.first_start = state.first_start or time.time()
        for key in keys:
            self._keys.setdefault(key, _Key()).running = True

    def durable(self, stream: str, outcomes: Sequence[tuple[str, str]]) -> None:
        """Report (key, outcome) of rows that are durable; outcome "failed" carries ":reason"."""
        state = self._streams[stream]
        state.last_end = time.time()
        for key, outcome in outcomes:
            word, _, reason = outcome.partition(":")
            state.counts[word] += 1
            state.barren = 0 if word != "failed" else state.barren
            if reason:
                state.reasons[reason] += 1
            found = self._keys.setdefault(key, _Key())
            found.done, found.running = True, False

    def _barren(self, stream: str, reason: str) -> None:
        state = self._streams[stream]
        state.barren += 1
        if state.barren >= MAX_BARREN_DEATHS:
            self.stop(stream, f"its engine broke {state.barren} times in a row without an answer between: {reason}")

    def release(self, keys: Sequence[str]) -> None:
        """Forget a finished block's keys (and remember that the block is finished)."""
        if keys:
            self._released.add(keys[0])
        for key in keys:
            self._keys.pop(key, None)

    def progress(self) -> dict[str, Row]:
        """Return {stream: {"total", "counts", "reasons", "replicas", "error", "seconds"}}."""
        return {name: _view(stream) for name, stream in self._streams.items()}


def _view(stream: _Stream) -> dict[str, Any]:
    seconds = (stream.last_end or 0.0) - (stream.first_start or 0.0)
    return {
        "total": stream.total, "counts": dict(stream.counts), "reasons": dict(stream.reasons),
        "replicas": len(stream.replicas), "error": stream.error, "seconds": max(seconds, 0.0),
    }  # fmt: skip
