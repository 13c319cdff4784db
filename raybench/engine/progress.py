"""What a run is doing, for people and for files: polled from the ledger, never from Ray's bars."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from raybench.schema import Row, canonical_json
from raybench.store import Store, now

__all__ = ["FILE_SECONDS", "Progress"]

#: How often `runs/<run_id>/progress.json` is rewritten.
FILE_SECONDS = 10.0


class Progress:
    """Polls a source every second; hands each state to a callback and, every 10 s, to the run's file.

    Args:
        source: returns {stream: {"total", "counts", "replicas", ...}}.
        show: called with {"run_id", "phase", "streams": {...}}; may be None.
    """

    def __init__(self, store: Store, run_id: str, show: Callable[[Row], None] | None) -> None:
        self.phase = "planning"
        self.source: Callable[[], dict[str, Any]] | None = None
        self._store, self._run_id, self._show = store, run_id, show
        self._rates: dict[str, float] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(timeout=5)
        self._write()

    def state(self) -> Row:
        """Return {"run_id", "phase", "at", "streams": {name: counts, rows_per_second, eta_seconds}}."""
        streams = self.source() if self.source is not None else {}
        for stream in streams.values():
            done = sum(stream["counts"].values())
            rate = done / stream["seconds"] if stream["seconds"] > 0 else None
            stream["rows_per_second"] = rate
            stream["eta_seconds"] = (stream["total"] - done) / rate if rate else None
        return {"run_id": self._run_id, "phase": self.phase, "at": now(), "streams": streams}

    def _poll(self) -> None:
        written = 0.0
        while not self._stopped.wait(1.0):
            if self._show is not None:
                self._show(self.state())
            if time.monotonic() - written >= FILE_SECONDS:
                self._write()
                written = time.monotonic()

    def _write(self) -> None:
        self._store.files.write(f"runs/{self._run_id}/progress.json", canonical_json(self.state()).encode())
