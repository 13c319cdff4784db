"""Three models on five tasks with two prompts each, on two replicas: loads of weights, and time over generation time.

Budgets: each replica loads its model once for all tasks and prompts; from the first row's start to the last row's end
at most 1.1 of the sum of the models' ideal generation times.

    python benchmarks/many_tasks.py [--repeats 5] [--seconds 60]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path

import yaml

import raybench

sys.path.insert(0, str(Path(__file__).parent))
from _faulty import environment, write_questions
from _trials import Machine, tell

MODELS, TASKS, PROMPTS, REPLICAS, ROW_SECONDS, BUDGET = 3, 5, ("short", "plain"), 2, 0.02, 1.1


def trial(folder: Path, seconds: float) -> tuple[float, int]:
    """Run it with `seconds` of ideal work a model; return (time over ideal, loads)."""
    rows = max(round(seconds * REPLICAS / ROW_SECONDS / TASKS / len(PROMPTS)), 1)
    tables = [write_questions(folder / f"questions-{i}.csv", rows) for i in range(TASKS)]
    common = {"backend": "faulty", "replicas": REPLICAS, "seconds": ROW_SECONDS, "cpus": 0.5}
    spec = {
        "output": str(folder / "out"),
        "tasks": [{"task": "vqa", "data": str(table), "prompts": list(PROMPTS)} for table in tables],
        "models": [
            {"name": f"m{i}", "version": str(i), "log": str(folder / "sent.log"), **common} for i in range(MODELS)
        ],
    }
    (folder / "spec.yaml").write_text(yaml.safe_dump(spec), "utf-8")
    command = [sys.executable, "-m", "raybench.cli", "run", str(folder / "spec.yaml")]
    subprocess.run(command, env=environment(), stderr=subprocess.DEVNULL, check=True)
    loads = (folder / "sent.log").read_text("utf-8").count("load ")
    found = raybench.load(folder / "out").responses
    began, ended = (datetime.fromisoformat(at) for at in (found["started_at"].min(), found["committed_at"].max()))
    return (ended - began).total_seconds() / (len(found) * ROW_SECONDS / REPLICAS), loads


def main() -> int:
    """Print both, return 1 over a budget."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60.0)
    given = parser.parse_args()
    machine, ratios, counts = Machine(), [], []
    for _ in range(given.repeats):
        with tempfile.TemporaryDirectory() as folder:
            ratio, count = trial(Path(folder), given.seconds)
        ratios.append(ratio)
        counts.append(count)
        machine.look(ratio)
    tell("time / sum of generation times", ratios, f"<= {BUDGET}", machine)
    print(f"loads of weights: {counts} ({MODELS} models x {REPLICAS} replicas = {MODELS * REPLICAS})")
    return 0 if statistics.median(ratios) <= BUDGET and set(counts) == {MODELS * REPLICAS} else 1


if __name__ == "__main__":
    sys.exit(main())
