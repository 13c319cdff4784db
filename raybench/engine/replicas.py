"""A replica: the Ray Data actor that loads one model and answers blocks with a `Worker`."""

from __future__ import annotations

import asyncio
import os
import threading
import warnings
from collections.abc import Coroutine
from typing import Any

import pyarrow as pa
import ray
import uvloop

from raybench.engine.groups import read_group
from raybench.engine.resources import ledger_proxy
from raybench.engine.worker import Accounts, Work, Worker
from raybench.errors import ModelError, UserError, one_line
from raybench.interfaces import Backend
from raybench.parsing.refusal import refusal
from raybench.spec import open_plugin
from raybench.store import Store

__all__ = ["Replica"]


class Replica:
    """The Ray Data actor: loads the model when it starts and answers blocks until the pool ends.

    Args:
        file: the to-do file, where blocks are numbers of its row groups and no reader comes before this replica.
    """

    def __init__(self, work: Work, ledger: Any, file: str | None = None) -> None:
        self._accounts = ledger_proxy(ledger)
        self._store, self._file = Store(work.output), file
        if file is not None:  # readers of images in several threads restore each other's filters
            warnings.simplefilter("ignore")
        replica = ray.get_runtime_context().get_actor_id() or "local"
        reason = self._accounts.starting(work.stream, replica)
        if reason:
            raise ModelError(reason)
        if work.table == "responses":  # the rules compile when they are first used, and would hold up the first answers
            refusal("any text")
        backend = _load(work, self._accounts)
        self._worker = Worker(work, backend, self._accounts, replica, lambda: os._exit(1))
        self._loop = uvloop.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._accounts.ready(work.stream, replica)

    def __call__(self, batch: pa.Table) -> dict[str, list[int]]:
        """Answer one block; return {"rows": [count]}."""
        if self._file is None:
            return {"rows": [self._wait(self._worker.answer(batch.to_pylist()))]}
        groups = [read_group(self._store, self._file, group) for group in batch["id"].to_pylist()]
        return {"rows": [self._wait(self._worker.answer(rows)) for rows in groups]}

    def _wait(self, work: Coroutine[Any, Any, int]) -> int:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def __del__(self) -> None:
        worker = getattr(self, "_worker", None)
        if worker is not None:
            worker.close()


def _load(work: Work, accounts: Accounts) -> Backend:
    spec = work.model.spec
    try:
        plugin, options = open_plugin("models", spec.backend, spec)
        loaded: Backend = plugin(options)
    except Exception as error:  # told before it is raised: the driver only sees that an actor died
        accounts.stop(work.stream, str(error) if isinstance(error, UserError) else one_line(error))
        raise
    return loaded
