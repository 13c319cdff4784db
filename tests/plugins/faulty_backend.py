"""A backend that answers at once and breaks on demand, found through an entry point like anybody's plugin."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from raybench.errors import ModelError
from raybench.interfaces import Backend, Capabilities, Options
from raybench.schema import Failure, Response, Row


class FaultyOptions(Options):
    """What breaks, and where each row that was sent is logged.

    Attributes:
        log: file that gets one line "<sample> <pid>" for each row sent, "load <pid>" for each start.
        load: "ok", "raise" (a ModelError), "bug" (any other error) or "die" (the process ends without a word).
        die_on, raise_on, fail_on: samples that end the process, raise, or fail.
        die_once: samples that end the process the first time only.
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

    @property
    def window(self) -> int:
        return int(self.options.rows_at_once)

    async def generate(self, rows: Sequence[Row]) -> AsyncIterator[tuple[str, Response | Failure]]:
        for row in rows:
            self._log(row["sample"])
        time.sleep(self.options.seconds * len(rows))  # noqa: ASYNC251 (a model that computes blocks)
        for row in rows:
            yield row["id"], self._answer(row)

    def _answer(self, row: Row) -> Response | Failure:
        sample, options = row["sample"], self.options
        once = Path(f"{options.log}.{sample}.died")
        if sample in options.die_on or (sample in options.die_once and not once.exists()):
            once.touch()
            os._exit(1)
        if options.raise_all or sample in options.raise_on:
            raise RuntimeError(f"the engine broke on {sample}")
        if sample in options.fail_on:
            return Failure("http_500", "the server said 500")
        return Response(options.answer, tokens_out=1, notes={"images": len(row["images"])})

    def _log(self, word: str) -> None:
        with open(self.options.log, "a", encoding="utf-8") as file:
            file.write(f"{word} {os.getpid()}\n")
