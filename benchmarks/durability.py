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
from _trials import load, tell

from raybench.engine.groups import read_group
from raybench.engine.ledger import Ledger
from raybench.engine.plan import list_samples, plan_chunk, plan_model, todo
from raybench.engine.replicas import Work, Worker
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


def rate(work: Work, blocks: list[list[Row]], durable: bool) -> float:
    """Return rows a second of one worker over all blocks."""
    ledger, kept = Ledger(), Writer.extend
    ledger.open_stream("served", sum(map(len, blocks)))
    Writer.extend = kept if durable else (lambda *_: None)  # type: ignore[method-assign]
    try:
        plugin, options = open_plugin("models", "openai", work.model.spec)
        worker = Worker(work, plugin(options), ledger, "replica", lambda: None)

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
    durable, forgetful, loads = [], [], []
    with tempfile.TemporaryDirectory() as folder, running(DELAY_SECONDS) as url:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # the server is on the first core
        work, blocks = planned(Path(folder), given.rows, url)
        rate(work, blocks[:1], durable=False)  # opens what is opened once
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
