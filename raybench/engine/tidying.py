"""A run's working folder `runs/<run_id>/plan/`: its owner removes it, and a killed owner's goes with the next run."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

from raybench.store import Store

__all__ = ["DEAD_AFTER", "claim_plan", "sweep_plans"]

#: On an object store nothing tells that a process has died but its silence: progress is rewritten every 10 s.
DEAD_AFTER = timedelta(hours=1)
_LOCK = "owner.lock"


@contextmanager
def claim_plan(store: Store, run_id: str) -> Iterator[None]:
    """Hold a run's working folder; its files are deleted at the end. The kernel frees a dead owner's hold."""
    folder = f"runs/{run_id}/plan"
    lock = None
    if store.files.is_local:
        os.makedirs(f"{store.files.root}/{folder}", exist_ok=True)
        lock = open(f"{store.files.root}/{folder}/{_LOCK}", "w", encoding="utf-8")  # noqa: SIM115
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield
    finally:
        _remove(store, folder)
        if lock is not None:
            lock.close()


def sweep_plans(store: Store) -> int:
    """Delete the working files of runs whose process has died; return how many runs there were."""
    swept = 0
    for run_id in store.files.names("runs"):
        folder = f"runs/{run_id}/plan"
        if run_id.endswith((".parquet", ".json", ".open", ".tmp")) or not store.files.names(folder):
            continue
        if _is_dead(store, run_id):
            _remove(store, folder)
            swept += 1
    return swept


def _is_dead(store: Store, run_id: str) -> bool:
    if store.files.is_local:
        try:
            with open(f"{store.files.root}/runs/{run_id}/plan/{_LOCK}", "rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False  # its owner lives
        except FileNotFoundError:
            return _is_silent(store, run_id)
        return True
    return _is_silent(store, run_id)


def _is_silent(store: Store, run_id: str) -> bool:
    """Whether a run has not reported for an hour; one that never reported is judged by the time in its name."""
    try:
        said = json.loads(store.files.read(f"runs/{run_id}/progress.json"))["at"]
        heard = datetime.fromisoformat(said)
    except (FileNotFoundError, ValueError, KeyError):
        try:
            heard = datetime.strptime(run_id[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
        except ValueError:
            return False  # no run of ours
    return datetime.now(UTC) - heard > DEAD_AFTER


def _remove(store: Store, folder: str) -> None:
    for name in store.files.names(folder):
        store.files.delete(f"{folder}/{name}")
    if store.files.is_local:
        with suppress(OSError):
            shutil.rmtree(f"{store.files.root}/{folder}")
