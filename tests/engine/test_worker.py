"""How a replica sends reported rows: every one of them once, no more at a time than the window, none after a limit.

Rows during which a replica died are sent when nothing else is at the model.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from raybench.engine import worker as worker_module
from raybench.engine.worker import Worker
from raybench.schema import Failure, Row


class _Accounts:
    """A ledger that takes a moment, and says after `limit` rows that nothing more is to be sent."""

    def __init__(self, limit: int) -> None:
        self.left = limit

    def sending(self, stream: str, keys: Sequence[str]) -> bool:
        self.left -= len(keys)
        return self.left >= 0


def _sent(window: int, rows: int, seed: int, limit: int = 10**6) -> tuple[list[str], int]:
    """Return the rows sent, and the most that were at a model at once."""
    chance, sent, now = random.Random(seed), list[str](), [0, 0]

    async def send(some: Sequence[Row], announced: bool) -> None:
        now[0] += 1
        now[1] = max(now)
        sent.extend(row["key"] for row in some)
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
        now[0] -= 1

    async def main() -> None:
        await _worker(window, send, limit)._answer_fresh(_rows(range(rows)))

    asyncio.run(main())
    return sent, now[1]


def _worker(window: int, send: Any, limit: int = 10**6, concurrent: bool = True) -> Any:
    worker: Any = object.__new__(Worker)
    worker._backend = SimpleNamespace(window=window, capabilities=SimpleNamespace(concurrent=concurrent))
    worker._accounts, worker._work = _Accounts(limit), SimpleNamespace(stream="m")
    worker._places, worker._send = window if concurrent else 2, send
    worker._window, worker._apart, worker._block = asyncio.Semaphore(worker._places), asyncio.Lock(), asyncio.Lock()
    worker._confirm = lambda: None
    return worker


def _rows(numbers: Sequence[int]) -> list[Row]:
    return [{"key": str(n)} for n in numbers]


@pytest.mark.parametrize("window", [1, 2, 4])
def test_every_reported_row_is_sent_once_and_the_window_holds(window: int) -> None:
    for seed in range(150):  # senders end and rows are reported in any order
        sent, most = _sent(window, 2 * window + seed % 3, seed)
        assert sorted(sent, key=int) == [str(n) for n in range(2 * window + seed % 3)]
        assert most <= window


def test_after_a_limit_no_more_is_sent_than_was_reported() -> None:
    for seed in range(20):
        sent, _ = _sent(8, 100, seed, limit=40)
        assert sent == [str(n) for n in range(len(sent))]
        assert len(sent) <= 40


@pytest.mark.parametrize("concurrent", [True, False])
@pytest.mark.parametrize("window", [1, 3])
def test_suspects_are_sent_when_nothing_else_is_at_the_model(window: int, concurrent: bool) -> None:
    for seed in range(40):
        chance, sent, open_now = random.Random(seed), list[str](), list[str]()

        async def send(
            some: Sequence[Row], announced: bool = False, chance: Any = chance, sent: Any = sent, now: Any = open_now
        ) -> None:
            keys = [row["key"] for row in some]
            apart = bool({"50", "51", "52"} & set(keys))
            now += keys
            sent += keys
            for _ in range(chance.randrange(4)):
                assert now == keys if apart else not {"50", "51", "52"} & set(now)
                await asyncio.sleep(0)
            for key in keys:
                now.remove(key)

        async def main(send: Any = send) -> None:
            worker = _worker(window, send, concurrent=concurrent)
            apart = [worker._send_apart(_rows(group)) for group in ([50, 51], [52])]
            await asyncio.gather(worker._answer_fresh(_rows(range(20))), *apart, worker._answer_fresh(_rows([60, 61])))

        asyncio.run(main())
        assert sorted(sent, key=int) == [str(n) for n in [*range(20), 50, 51, 52, 60, 61]]


def test_a_row_is_reported_before_its_image_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = list[str]()

    def read(row: Row, pixels: bool) -> Row:
        seen.append("read")
        return {**row, "loaded": [], "error": "no such file"}

    async def main() -> None:
        worker = _worker(1, None)
        del worker._send
        worker._readers = ThreadPoolExecutor(1)
        worker._accounts.sending = lambda *_: seen.append("reported") or True
        worker._fail = lambda row, failure: seen.append(failure.reason)
        await worker._send_apart([{"key": "a", "image_refs": '[{"uri": "a.png"}]'}])

    monkeypatch.setattr(worker_module, "load_images", read)
    asyncio.run(main())
    assert seen == ["reported", "read", "image"]


def test_suspects_that_were_answered_are_stored_before_the_next_are_sent() -> None:
    seen = list[str]()

    async def send(rows: Sequence[Row]) -> None:
        seen.extend(row["key"] for row in rows)

    async def main() -> None:
        worker = _worker(2, send)
        worker._confirm = lambda: seen.append("stored")
        await worker._send_apart(_rows(range(5)))

    asyncio.run(main())
    assert seen == ["0", "1", "stored", "2", "3", "stored", "4", "stored"]


def test_a_stored_row_is_neither_given_up_nor_sent_again() -> None:
    seen = list[tuple[str, list[str]]]()

    async def send(rows: Sequence[Row]) -> None:
        seen.append(("sent", [row["key"] for row in rows]))

    async def main() -> None:
        worker = _worker(8, send)
        given_up = {key: Failure("replica_died", "boom", attempts=2) for key in ("0", "1")}
        left = {"fresh": [], "again": [["2", "3"]], "given_up": given_up}
        worker._accounts = SimpleNamespace(claim=lambda *_: left, release=lambda *_: None)
        worker._replica, worker._report = "r", lambda at_once: None
        worker._durable = lambda keys: {"1", "3"} & set(keys)
        worker._fail = lambda row, failure: seen.append((failure.reason, [row["key"]]))
        await worker.answer(_rows(range(4)))

    asyncio.run(main())
    assert seen == [("replica_died", ["0"]), ("sent", ["2"])]
