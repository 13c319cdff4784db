"""What a run is doing, for people and for files: polled from the ledger, never from Ray's bars."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from raybench.schema import Row, canonical_json
from raybench.store import Store, now, unwell

__all__ = ["FILE_SECONDS", "RATE_SECONDS", "Progress"]

#: How often `runs/<run_id>/progress.json` is rewritten.
FILE_SECONDS = 10.0
#: Rates are of the last minute: a stream that slows down says so.
RATE_SECONDS = 60.0
_SETTLED_SECONDS = 10.0


class Progress:
    """Polls a source every second; hands each state to a callback and, every 10 s, to the run's file.

    Args:
        source: returns {stream: {"total", "counts", "replicas", ...}}.
        show: called with what `state` returns; may be None.
    """

    def __init__(self, store: Store, run_id: str, show: Callable[[Row], None] | None) -> None:
        self.phase = "planning"
        self.source: Callable[[], dict[str, Any]] | None = None
        self._store, self._run_id, self._show = store, run_id, show
        self._seen: dict[str, deque[tuple[float, int]]] = {}
        self._began = time.monotonic()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(timeout=5)
        state = {**self.state(), "ended": True}
        if self._show is not None:
            self._show(state)
        self._write(state)

    def state(self) -> Row:
        """Return {"run_id", "phase", "at", "seconds", "eta_seconds", "streams"}; null where nothing is known yet.

        Each stream has "total", "counts" by outcome, "rows_per_second" of the last
        minute and "eta_seconds"; the run's own ETA counts the rows of models that
        have not begun, at the rate of those at work.
        """
        streams = self.source() if self.source is not None else {}
        for name, stream in streams.items():
            done = sum(stream["counts"].values())
            rate = self._rate(name, done, stream)
            left = max(stream["total"] - done, 0)
            stream["rows_per_second"] = rate
            stream["eta_seconds"] = 0.0 if not left and stream["total"] else left / rate if rate else None
        seconds = round(time.monotonic() - self._began, 1)
        state = {"run_id": self._run_id, "phase": self.phase, "at": now(), "seconds": seconds}
        return {**state, "eta_seconds": _run_eta(streams), "streams": streams}

    def _rate(self, name: str, done: int, stream: Row) -> float | None:
        """Rows a second over the last minute; over the stream's whole time at its beginning and once it is done."""
        seen, at = self._seen.setdefault(name, deque()), time.monotonic()
        if not done or (seen and done < seen[-1][1]):
            seen.clear()  # nothing yet, or a stream of this name began anew
        seen.append((at, done))
        while len(seen) > 2 and at - seen[1][0] >= RATE_SECONDS:
            seen.popleft()
        first, before = seen[0]
        if at - first >= _SETTLED_SECONDS and done < stream["total"]:
            return (done - before) / (at - first)
        return done / stream["seconds"] if stream["seconds"] > 0 else None

    def _poll(self) -> None:
        written = 0.0
        while not self._stopped.wait(1.0):
            state = self.state()  # asked each second, shown or not: rates and gauges live on it
            if self._show is not None:
                self._show(state)
            if time.monotonic() - written >= FILE_SECONDS:
                self._write(state)
                written = time.monotonic()

    def _write(self, state: Row) -> None:
        """Write the file for others to read; a store that is unwell now may be well the next time."""
        with suppress(*unwell()):
            self._store.files.write(f"runs/{self._run_id}/progress.json", canonical_json(state).encode())


def _run_eta(streams: dict[str, Any]) -> float | None:
    working = [s for s in streams.values() if s["rows_per_second"] and s["eta_seconds"]]
    left = sum(max(s["total"] - sum(s["counts"].values()), 0) for s in streams.values() if not s["error"])
    if not left:
        return 0.0 if streams else None
    rate = sum(s["rows_per_second"] for s in working)
    return left / rate if rate else None
