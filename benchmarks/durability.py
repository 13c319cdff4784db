"""What durable rows cost: one replica's worker with its writer, and with one that keeps nothing.

64 requests in flight at 20 ms, 20,000 rows, in one process without Ray, so that
nothing else differs. Budget: at least 95 % of the throughput without.

    python benchmarks/durability.py [--repeats 5] [--rows 20000]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).parent))
from _faulty import environment, write_questions
from _trials import load, pin, tell

from raybench.engine.groups import read_group
from raybench.engine.ledger import Ledger
from raybench.engine.plan import list_samples, plan_chunk, plan_model, todo
from raybench.engine.replicas import Work, Worker
from raybench.interfaces import Backend, Capabilities
from raybench.schema import Response, Row
from raybench.spec import build
from raybench.store import Store
from raybench.store.writer import Writer

IN_FLIGHT, DELAY_SECONDS, BUDGET = 64, 0.02, 0.95


class Waiting(Backend):
    """Answers "yes" after a pause, as a server would."""

    capabilities: ClassVar = Capabilities(concurrent=True)
    window = IN_FLIGHT  # type: ignore[assignment]

    @classmethod
    def identity(cls, options: Any) -> Row:  # noqa: ARG003
        return {"model": "waiting"}

    def __init__(self, options: Any) -> None:
        self.options = options

    async def generate(self, rows: Sequence[Row]) -> AsyncIterator[tuple[str, Response]]:
        await asyncio.sleep(DELAY_SECONDS)
        for row in rows:
            yield row["id"], Response("yes", tokens_in=20, tokens_out=1, seconds=DELAY_SECONDS)


def planned(folder: Path, rows: int) -> tuple[Work, list[list[Row]]]:
    """Plan `rows` questions; return the work and its blocks."""
    data = write_questions(folder / "questions.csv", rows)
    entry = {"name": "faulty", "backend": "faulty", "log": str(folder / "log")}
    spec = build({"output": str(folder / "out"), "tasks": [{"task": "vqa", "data": str(data)}], "models": [entry]})
    model = plan_model(spec.models[0])
    name, count, _ = list_samples(spec, 0, "r")
    for group in range(-(-count // 1024)):
        plan_chunk(spec, 0, [model], "r", name, group)
    file = todo(spec, [model], "r")["todo"]["faulty"]
    store = Store(spec.output)
    blocks = [read_group(store, file["file"], i) for i in range(-(-file["rows"] // file["block_rows"]))]
    return Work("faulty", model, spec.output, "r", "responses", spec.tasks), blocks


def rate(work: Work, blocks: list[list[Row]], durable: bool) -> float:
    """Return rows a second of one worker over all blocks."""
    ledger, kept = Ledger(), Writer.extend
    ledger.open_stream("faulty", sum(map(len, blocks)))
    Writer.extend = kept if durable else (lambda *_: None)  # type: ignore[method-assign]
    try:
        worker = Worker(work, Waiting(None), ledger, "replica", lambda: None)

        async def answer() -> int:
            return sum([await worker.answer([{**row, "loaded": [], "error": ""} for row in block]) for block in blocks])

        began = time.perf_counter()
        count = asyncio.run(answer())
        worker.close()
        return count / (time.perf_counter() - began)
    finally:
        Writer.extend = kept  # type: ignore[method-assign]


def main() -> int:
    """Interleave both, print medians, return 1 under the budget."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rows", type=int, default=20_000)
    given = parser.parse_args()
    sys.path += environment()["PYTHONPATH"].split(":")
    print(pin(1))
    durable, forgetful, loads = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        work, blocks = planned(Path(folder), given.rows)
        for _ in range(given.repeats):
            durable.append(rate(work, blocks, durable=True))
            forgetful.append(rate(work, blocks, durable=False))
            loads.append(load())
    tell("durable, rows/s", durable, "none", loads)
    tell("nothing kept, rows/s", forgetful, "none", loads)
    ratios = [a / b for a, b in zip(durable, forgetful, strict=True)]
    tell("durable / nothing kept", ratios, f">= {BUDGET}", loads)
    return 0 if statistics.median(ratios) >= BUDGET else 1


if __name__ == "__main__":
    sys.exit(main())
