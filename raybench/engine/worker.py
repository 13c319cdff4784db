"""What a replica does with its rows, without Ray: blocks in, durable rows out.

A worker claims a block from the ledger, sends rows in micro-batches (or a window of
open requests), makes each answer durable and reports it. A model that computes has a
thread of its own: while a micro-batch is there, the next is made ready and the last is
counted.
"""

from __future__ import annotations

import asyncio
import os
import platform
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from typing import Protocol

from raybench import registry
from raybench.engine.metrics import Usage
from raybench.engine.plan import PlannedModel
from raybench.engine.stages import (
    attempt_row,
    load_images,
    next_turn,
    request,
    response_row,
    second_attempt,
    verdict_row,
)
from raybench.errors import EngineError, ModelError, RaybenchError, one_line
from raybench.interfaces import Backend, JudgeProtocol, Task
from raybench.schema import Failure, Response, Result, Row
from raybench.scoring import box_convention, read_answer
from raybench.spec import JudgeSpec, ModelSpec, TaskSpec, protocol_of, task_of
from raybench.store import Store, now

__all__ = ["Accounts", "Work", "Worker"]

#: Rows of a concurrent backend reported in one call before they are sent: half a window, or more (up to this many)
#: while a lot is gone within this time, as a call costs as much as the work on ten answers. Two lots wait at most.
_ANNOUNCED, _ANNOUNCED_SECONDS = 256, 0.1
#: Durable rows are reported together: this many, or what came within this time.
_CONFIRM_ROWS, _CONFIRM_SECONDS = 256, 0.5


@dataclass(frozen=True)
class Work:
    """What a stream's replicas do; plain data.

    Attributes:
        stream: name in the ledger.
        table: "responses" or "verdicts".
        tasks: the run's tasks, to count refused and unparsed answers as they come.
    """

    stream: str
    model: PlannedModel
    output: str
    run_id: str
    table: str
    tasks: tuple[TaskSpec, ...] = ()


@dataclass(frozen=True)
class _Kept:
    """What one result leaves: a unit's rows of one table, and the word it counts as, found when there is time."""

    table: str
    rows: list[Row]
    outcome: Callable[[], str]


class Accounts(Protocol):
    """The ledger as a worker sees it: every call returns when the ledger has it."""

    def claim(self, stream: str, keys: Sequence[str], replica: str) -> Row: ...
    def has_answered(self, stream: str) -> bool: ...
    def sending(self, stream: str, keys: Sequence[str]) -> bool: ...
    def durable(self, stream: str, outcomes: Sequence[tuple[str, str]], tokens: tuple[int, int] = ...) -> None: ...
    def measured(self, stream: str, report: Row) -> None: ...
    def release(self, stream: str, keys: Sequence[str]) -> None: ...
    def dying(self, stream: str, replica: str, reason: str) -> None: ...
    def stop(self, stream: str, reason: str) -> None: ...


class Worker:
    """Answers blocks of rows with one loaded backend.

    Args:
        die: called when the engine itself breaks; ends the process, so that the
            pool replaces it and the ledger isolates the row.
    """

    def __init__(self, work: Work, backend: Backend, accounts: Accounts, replica: str, die: Callable[[], None]) -> None:
        self._work, self._backend, self._accounts, self._replica, self._die = work, backend, accounts, replica, die
        store = Store(work.output)
        self._writers = {name: store.writer(name, run_id=work.run_id) for name in (work.table, "attempts")}
        self._tasks: list[Task] = [task_of(task) for task in work.tasks]
        self._protocols: dict[str, JudgeProtocol] = {}
        self._uncounted: deque[_Kept] = deque()  # filled by the model's thread, too, and emptied here
        self._unconfirmed: list[tuple[str, str]] = []
        self._usage = Usage()
        self._tokens, self._adding = (0, 0), threading.Lock()
        #: Open requests, or micro-batches under way: one at the model and one made ready.
        self._places = backend.window if backend.capabilities.concurrent else 2
        self._window, self._apart, self._block = asyncio.Semaphore(self._places), asyncio.Lock(), asyncio.Lock()
        self._readers = ThreadPoolExecutor(min(32, (os.cpu_count() or 1) + 4))  # reports must not wait for images
        # A model that computes has a thread of its own, and answers one micro-batch after another there.
        self._computing, self._computing_loop = ThreadPoolExecutor(1), asyncio.new_event_loop()
        self._confirmed_at = 0.0
        self._store = store
        versions = {**backend.versions(), "backend": type(backend).__name__, "python": platform.python_version()}
        self._stamp = {"replica": replica, "node": platform.node(), "pinned": work.model.pinned}
        self._convention = box_convention(work.model.spec.model_dump())
        self._stamp["versions"] = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))

    async def answer(self, rows: Sequence[Row]) -> int:
        """Answer one block; return the rows accounted for.

        Raises:
            ModelError: the model cannot answer anything; its stream ends.
        """
        by_key = {row["key"]: row for row in rows}
        left = self._accounts.claim(self._work.stream, list(by_key), self._replica)
        durable = self._durable([*left["given_up"], *(key for group in left["again"] for key in group)])
        for key, failure in left["given_up"].items():
            if key not in durable:
                self._fail(by_key[key], failure)
        fresh = [by_key[key] for key in left["fresh"]]
        for row in [row for row in fresh if row.get("error")]:
            self._fail(row, Failure("image", row["error"]))
        try:
            await self._answer_fresh([row for row in fresh if not row.get("error")])
            for group in left["again"]:
                await self._send_apart([by_key[key] for key in group if key not in durable])
        except (RaybenchError, OSError, LookupError, TypeError, ValueError) as error:
            self._accounts.stop(self._work.stream, str(error) if isinstance(error, ModelError) else one_line(error))
            raise
        self._confirm()
        self._report(at_once=True)
        self._accounts.release(self._work.stream, list(by_key))
        return len(rows)

    def close(self) -> None:
        """Seal what was written and release the model."""
        with ExitStack() as closing:
            closing.callback(self._backend.close)
            closing.callback(self._readers.shutdown)
            closing.callback(self._computing_loop.close)
            closing.callback(self._computing.shutdown)
            for writer in self._writers.values():
                closing.callback(writer.close)

    async def _answer_fresh(self, rows: Sequence[Row]) -> None:
        send = self._send_announced if self._backend.capabilities.concurrent else self._send_in_turn
        try:
            async with asyncio.TaskGroup() as group:
                await send(rows, group)
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from errors

    async def _send_in_turn(self, rows: Sequence[Row], group: asyncio.TaskGroup) -> None:
        """Send micro-batches: while one is at the model, the next is made ready and the one before is counted."""
        size = self._backend.window
        async with self._block:  # the next block's follow when the last of this one's is made ready
            for start in range(0, len(rows), size):
                await self._window.acquire()
                task = group.create_task(self._send(rows[start : start + size]))
                task.add_done_callback(lambda _: self._window.release())

    async def _send_announced(self, rows: Sequence[Row], group: asyncio.TaskGroup) -> None:
        """Report rows some time before the window has room for them: a call a row would halve the rate."""
        least = size = max(1, self._backend.window // 2)
        ahead = asyncio.Semaphore(2)  # lots that are reported and wait for the window
        ready: deque[tuple[Row, bool]] = deque()
        senders = list[asyncio.Task[None]]()
        start, reported_at = 0, float("-inf")
        while start < len(rows):
            await ahead.acquire()
            took, reported_at = time.monotonic() - reported_at, time.monotonic()
            size = min(2 * size, max(least, _ANNOUNCED)) if took < _ANNOUNCED_SECONDS else max(least, size // 2)
            part = rows[start : start + size]
            start += size
            keys = [row["key"] for row in part]
            if not await asyncio.to_thread(self._accounts.sending, self._work.stream, keys):
                ready.clear()  # the run has reached a limit: what is not sent waits for the next one
                return
            ready.extend((row, row is part[-1]) for row in part)
            senders = [one for one in senders if not one.done()]
            more = min(len(part), self._backend.window - len(senders))
            senders += [group.create_task(self._send_ready(ready, ahead)) for _ in range(more)]

    async def _send_ready(self, ready: deque[tuple[Row, bool]], ahead: asyncio.Semaphore) -> None:
        """Send reported rows one after another, as one of the window's open requests."""
        while ready:
            async with self._apart:
                pass  # somebody had the replica to themselves
            async with self._window:
                while ready and not self._apart.locked():
                    row, ends_lot = ready.popleft()
                    if ends_lot:
                        ahead.release()
                    await self._send([row], announced=True)

    async def _send_apart(self, rows: Sequence[Row]) -> None:
        """Send rows during which a replica died when nothing else of this replica is at the model."""
        async with self._apart, AsyncExitStack() as taken:
            for _ in range(self._places):
                await taken.enter_async_context(self._window)
            for start in range(0, len(rows), self._backend.window):
                await self._send(rows[start : start + self._backend.window])
                self._confirm()  # should the next group kill, these are not to blame

    async def _send(self, rows: Sequence[Row], announced: bool = False) -> None:
        """Send rows to the model and make each answer durable as it comes."""
        begun = any(row.get("written") for row in rows)  # a conversation that has begun is ended
        keys = [row["key"] for row in rows]
        if not announced and not await asyncio.to_thread(self._accounts.sending, self._work.stream, keys) and not begun:
            return  # the run has reached a limit: these rows wait for the next one
        rows = await self._with_images(rows)  # once they are reported: an image may be what kills
        if not rows:
            return
        requests = [request(row) for row in rows]
        if self._backend.capabilities.concurrent:
            again = await self._generate(rows, requests)
        else:
            home = asyncio.get_running_loop()
            again = await home.run_in_executor(self._computing, self._compute, rows, requests)
        self._count()
        if again:
            await self._send(again)

    def _compute(self, rows: Sequence[Row], requests: Sequence[Row]) -> list[Row]:
        """Do `_generate` in the model's thread."""
        return self._computing_loop.run_until_complete(self._generate(rows, requests))

    async def _generate(self, rows: Sequence[Row], requests: Sequence[Row]) -> list[Row]:
        """Have the model answer rows and store each answer as it comes; return those that are to be sent again."""
        waiting, again = {row["key"]: row for row in rows}, list[Row]()
        started, results = now(), self._backend.generate(requests)
        lots = _one_by_one(results) if len(rows) == 1 else _together(results)
        while True:
            try:
                lot = await anext(lots)
            except StopAsyncIteration:
                break
            except ModelError as error:
                if not self._accounts.has_answered(self._work.stream):
                    raise
                failure = Failure("model", str(error))  # the model worked before: these rows fail, not the model
                self._write([_failed(row, failure) for row in waiting.values()])
                return []
            except Exception as error:  # the engine broke: a fresh process, and the ledger isolates the row
                self._accounts.dying(self._work.stream, self._replica, one_line(error))
                self._die()
                raise
            kept = [self._keep(waiting.pop(key), result, started, len(rows)) for key, result in lot]
            again += [one for one in kept if not isinstance(one, _Kept)]
            self._write([one for one in kept if isinstance(one, _Kept)])
        if waiting:
            raise EngineError(f"the backend gave no answer to {len(waiting)} of {len(rows)} rows")
        return again

    async def _with_images(self, rows: Sequence[Row]) -> list[Row]:
        """Return rows with their images where no reader before this replica has read them; the unreadable fail."""
        loaded = list[Row]()
        for row in rows:
            if "loaded" not in row and (row.get("image_refs") or "[]") != "[]":
                row = await asyncio.get_running_loop().run_in_executor(self._readers, load_images, row, False)
                if row["error"]:
                    self._fail(row, Failure("image", row["error"]))
                    continue
            loaded.append(row)
        return loaded

    def _keep(self, row: Row, result: Response | Failure, started: str, batch: int) -> Row | _Kept:
        """Return what one result leaves, or the row that asks a conversation's next turn, if there is one."""
        if isinstance(result, Failure):
            return _failed(row, result)
        with self._adding:
            self._tokens = (self._tokens[0] + (result.tokens_in or 0), self._tokens[1] + (result.tokens_out or 0))
        run = {**self._stamp, "started_at": started, "batch_size": batch}
        if self._work.table == "verdicts":
            if row["protocol"] not in self._protocols:
                self._protocols[row["protocol"]] = _protocol(self._work.model.spec, row["protocol"])
            protocol = self._protocols[row["protocol"]]
            found = verdict_row(row, protocol, result, run)
            again = second_attempt(row, protocol, result, str(found["status"]))
            return again or _Kept(self._work.table, [found], lambda: str(found["status"]))
        answers, written = [*row.get("answers", []), result], row.get("written", [])
        written = [*written, response_row(row, result, run, turn=len(written))]
        following = next_turn(row, answers)
        if following is not None:
            return {**following, "answers": answers, "written": written}
        sizes = [[image["width_px"], image["height_px"]] for image in row.get("loaded") or []]
        reading = {"image_sizes": sizes, "box_convention": self._convention}
        seen = {**row, **reading, "questions": row["questions"][-1:]}
        task = self._tasks[row["task_index"]]
        # A conversation reaches the disk whole.
        return _Kept(self._work.table, written, lambda: read_answer(task, seen, result.text).outcome)

    def _fail(self, row: Row, failure: Failure) -> None:
        self._write([_failed(row, failure)])
        self._count()

    def _write(self, kept: Sequence[_Kept]) -> None:
        """Write units' rows: durable at once on local disk, else with their part."""
        for table, writer in self._writers.items():
            rows = [row for one in kept if one.table == table for row in one.rows]
            if rows:
                writer.extend(rows)
        self._uncounted.extend(kept)

    def _count(self) -> None:
        """Count what is written, and report it now and then."""
        while self._uncounted:
            one = self._uncounted.popleft()
            outcome = one.outcome()
            self._unconfirmed.append((one.rows[0]["key"], outcome))
            self._usage.add(one.table, one.rows, outcome)
        fast = time.monotonic() - self._confirmed_at < _CONFIRM_SECONDS
        if self._store.files.is_local and not (fast and len(self._unconfirmed) < _CONFIRM_ROWS):
            self._confirm()

    def _confirm(self) -> None:
        """Make what is written durable, then report it.

        A row that is on disk and not yet reported is found there should its replica die.
        """
        started = self._confirmed_at = time.monotonic()
        for writer in self._writers.values():
            writer.flush()
        if self._unconfirmed:
            self._usage.committed(time.monotonic() - started)
            with self._adding:
                tokens, self._tokens = self._tokens, (0, 0)
            self._accounts.durable(self._work.stream, self._unconfirmed, tokens)
            self._unconfirmed = []
        self._report()

    def _report(self, at_once: bool = False) -> None:
        """Tell the ledger what was used since the last report; it exports it."""
        report = self._usage.take(at_once)
        if report is not None:
            self._accounts.measured(self._work.stream, report)

    def _durable(self, keys: Sequence[str]) -> set[str]:
        """Return, of rows that were running when a replica died, those whose answer had been stored; report them."""
        if not keys:
            return set()
        found = self._store.query(
            f"SELECT DISTINCT key FROM raw_{self._work.table} WHERE list_contains(?, key)", [keys],
            (self._work.table,),
        )  # fmt: skip
        durable = {row["key"] for row in found}
        self._accounts.durable(self._work.stream, [(key, "answered") for key in keys if key in durable])
        return durable


async def _one_by_one(results: AsyncIterator[Result]) -> AsyncIterator[list[Result]]:
    async for one in results:
        yield [one]


async def _together(results: AsyncIterator[Result]) -> AsyncIterator[list[Result]]:
    """Yield results in lots, each of what came without a pause: a lot is one write."""
    lot = list[Result]()
    while True:
        coming = asyncio.ensure_future(anext(results))
        await asyncio.sleep(0)
        ended = coming.done() and coming.exception() is not None
        if lot and (ended or not coming.done()):
            yield lot
            lot = []
        try:
            lot.append(await coming)
        except StopAsyncIteration:
            return


def _failed(row: Row, failure: Failure) -> _Kept:
    return _Kept("attempts", [attempt_row(row, failure)], lambda: f"failed:{failure.reason}")


def _protocol(spec: ModelSpec, name: str) -> JudgeProtocol:
    plugin = registry.load("judges", name)
    protocol: JudgeProtocol = protocol_of(spec, name) if isinstance(spec, JudgeSpec) else plugin(plugin.Options())
    return protocol
