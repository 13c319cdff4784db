"""A backend that answers at once and breaks on demand, found through an entry point like anybody's plugin."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from raybench.errors import ModelError
from raybench.interfaces import Backend, Capabilities, Options
from raybench.schema import Failure, Response, Row


class FaultyOptions(Options):
    """What breaks, and where each row that was sent is logged.

    Attributes:
        log: file that gets one line "<sample> <pid>" for each row sent, "load <pid>" for each start.
        load: "ok", "raise" (a ModelError), "bug" (any other error) or "die" (the process ends without a word).
        die_on, raise_on, fail_on: samples that end the process, raise, or fail.
        die_once, kill_once: samples that end the process (by exit, by SIGKILL) the first time only.
        oom_once: samples on which memory runs out, the first time only.
        clock_jumps: sample -> seconds by which the process's wall clock jumps when it is answered.
        full_while: a file; while it exists, the disk is full for this process from its 5th row on.
    """

    log: str
    version: str = "1"
    load: str = "ok"
    answer: str = "yes"
    seconds: float = 0.0
    rows_at_once: int = 4
    pixels_seen: bool = False
    die_on: tuple[str, ...] = ()
    die_once: tuple[str, ...] = ()
    kill_once: tuple[str, ...] = ()
    oom_once: tuple[str, ...] = ()
    clock_jumps: dict[str, float] = Field(default_factory=dict)
    full_while: str = ""
    raise_on: tuple[str, ...] = ()
    raise_all: bool = False
    fail_on: tuple[str, ...] = ()


class Faulty(Backend):
    """Answers `answer` to everything it does not break on."""

    Options = FaultyOptions
    capabilities: ClassVar = Capabilities(pixels=True)

    @classmethod
    def identity(cls, options: Any) -> Row:
        return {"model": "faulty", "revision": options.version, "pinned": True, "answer": options.answer}

    def __init__(self, options: Any) -> None:
        self.options = options
        self._log("load")
        if options.load == "raise":
            raise ModelError("the weights of faulty are not here")
        if options.load == "bug":
            raise KeyError("language_model.layers")
        if options.load == "die":
            os._exit(1)
        if options.full_while:
            _fill_disk(Path(options.full_while), after=4)

    @property
    def window(self) -> int:
        return int(self.options.rows_at_once)

    async def generate(self, rows: Sequence[Row]) -> AsyncIterator[tuple[str, Response | Failure]]:
        self._log(*(row["sample"] for row in rows))
        time.sleep(self.options.seconds * len(rows))  # noqa: ASYNC251 (a model that computes blocks)
        for row in rows:
            yield row["id"], self._answer(row)

    def _answer(self, row: Row) -> Response | Failure:
        sample, options = row["sample"], self.options
        if sample in options.die_on or (sample in options.die_once and self._first(sample, "died")):
            os._exit(1)
        if sample in options.kill_once and self._first(sample, "killed"):
            os.kill(os.getpid(), signal.SIGKILL)
        if sample in options.oom_once and self._first(sample, "oom"):
            raise MemoryError("cannot allocate 3.00 GiB")
        if sample in options.clock_jumps:
            _shift_clock(options.clock_jumps[sample])
        if options.raise_all or sample in options.raise_on:
            raise RuntimeError(f"the engine broke on {sample}")
        if sample in options.fail_on:
            return Failure("http_500", "the server said 500")
        return Response(options.answer, tokens_out=1, notes={"images": len(row["images"])})

    def _first(self, sample: str, what: str) -> bool:
        """Whether this happens to the sample for the first time, in any process."""
        try:
            Path(f"{self.options.log}.{sample}.{what}").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def _log(self, *words: str) -> None:
        with open(self.options.log, "a", encoding="utf-8") as file:
            file.write("".join(f"{word} {os.getpid()}\n" for word in words))


def _shift_clock(seconds: float) -> None:
    """Let the wall clock of this process jump, as an operator or NTP may."""
    from datetime import UTC, datetime, timedelta

    from raybench.engine import worker
    from raybench.store import writer

    def shifted() -> str:
        return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    for module in (worker, writer):
        module.now = shifted  # type: ignore[attr-defined]


def _fill_disk(while_exists: Path, after: int) -> None:
    """Let this process's writes fail as on a full disk, half a line in, once `after` writes have gone well."""
    from raybench.store import writer

    whole, written = writer.Writer.extend, 0

    def extend(self: Any, rows: Sequence[Row]) -> None:
        nonlocal written
        written += 1
        if written <= after or not while_exists.exists():
            whole(self, rows)
            return
        if self._open is not None:
            self._open.write(b'{"key": "half a li')
            self._open.flush()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    writer.Writer.extend = extend  # type: ignore[method-assign, assignment]
