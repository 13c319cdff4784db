"""What durable rows cost: one replica's worker with its writer, and with one that keeps nothing.

20,000 text rows, 64 in flight over the lean transport, a server on another core that
answers after 20 ms; in one process without Ray, so that nothing else differs.
Budget: at least 95 % of the throughput without.

    python benchmarks/durability.py [--repeats 5] [--rows 20000]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from _fake_server import running
from _faulty import write_questions
from _trials import Machine, tell

from raybench.engine.groups import read_group
from raybench.engine.ledger import Ledger
from raybench.engine.plan import list_samples, plan_chunk, plan_model, todo
from raybench.engine.worker import Work, Worker
from raybench.schema import Row
from raybench.spec import build, open_plugin
from raybench.store import Store
from raybench.store.writer import Writer

IN_FLIGHT, DELAY_SECONDS, BUDGET = 64, 0.02, 0.95


def planned(folder: Path, rows: int, url: str) -> tuple[Work, list[list[Row]]]:
    """Plan `rows` questions; return the work and its blocks."""
    data = write_questions(folder / "questions.csv", rows)
    entry = {"name": "served", "backend": "openai", "base_url": url, "model": "fake", "concurrency": IN_FLIGHT}
    spec = build({"output": str(folder / "out"), "tasks": [{"task": "vqa", "data": str(data)}], "models": [entry]})
    model = plan_model(spec.models[0])
    name, count, _ = list_samples(spec, 0, "r")
    for group in range(-(-count // 1024)):
        plan_chunk(spec, 0, [model], "r", name, group)
    file = todo(spec, [model], "r")["todo"]["served"]
    store = Store(spec.output)
    blocks = [read_group(store, file["file"], i) for i in range(-(-file["rows"] // file["block_rows"]))]
    return Work("served", model, spec.output, "r", "responses", spec.tasks), blocks


class Side:
    """One worker of the two, with the seconds that its blocks took."""

    def __init__(self, work: Work, rows: int, durable: bool) -> None:
        ledger = Ledger()
        ledger.open_stream("served", rows)
        plugin, options = open_plugin("models", "openai", work.model.spec)
        self._worker = Worker(work, plugin(options), ledger, "replica", lambda: None)
        self._extend = Writer.extend if durable else (lambda *_: None)
        self.seconds = 0.0

    async def answer(self, block: list[Row]) -> None:
        """Answer one block."""
        Writer.extend = self._extend  # type: ignore[method-assign, assignment]
        began = time.perf_counter()
        await self._worker.answer([{**row, "loaded": [], "error": ""} for row in block])
        self.seconds += time.perf_counter() - began

    def close(self) -> None:
        """Seal what is open, which takes its time too."""
        began = time.perf_counter()
        self._worker.close()
        self.seconds += time.perf_counter() - began


async def race(work: Work, blocks: list[list[Row]]) -> tuple[float, float]:
    """Return rows a second with and without durable rows, block by block in turn: a machine's pace changes."""
    rows = sum(map(len, blocks))
    sides = Side(work, rows, durable=True), Side(work, rows, durable=False)
    for number, block in enumerate(blocks):
        for side in sides if number % 2 else sides[::-1]:
            await side.answer(block)
    for side in sides:
        side.close()
    return rows / sides[0].seconds, rows / sides[1].seconds


def main() -> int:
    """Repeat the race, print medians, return 1 under the budget."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rows", type=int, default=20_000)
    given = parser.parse_args()
    machine, durable, forgetful, extend = Machine(), list[float](), list[float](), Writer.extend
    with tempfile.TemporaryDirectory() as folder, running(DELAY_SECONDS) as url:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # the server is on the first core
        work, blocks = planned(Path(folder), given.rows, url)
        for turn in range(given.repeats + 1):
            rates = asyncio.run(race(work, blocks if turn else blocks[:1]))  # the first opens what is opened once
            Writer.extend = extend  # type: ignore[method-assign]
            if turn:
                durable.append(rates[0])
                forgetful.append(rates[1])
                machine.look(*rates)
    tell("durable, rows/s", durable, "none", machine)
    tell("nothing kept, rows/s", forgetful, "none", machine)
    ratios = [a / b for a, b in zip(durable, forgetful, strict=True)]
    tell("durable / nothing kept", ratios, f">= {BUDGET}", machine)
    return 0 if statistics.median(ratios) >= BUDGET else 1


if __name__ == "__main__":
    sys.exit(main())
