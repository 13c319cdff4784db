"""Seconds from the command to the first stored row, with a model that loads in no time, beside a bare `ray.init`.

Budget: 12 s.

    python benchmarks/start.py [--repeats 5]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import raybench

sys.path.insert(0, str(Path(__file__).parent))
from _faulty import start
from _trials import Machine, tell

BUDGET_SECONDS = 12.0
BARE = "import ray; ray.init(include_dashboard=False, log_to_driver=False, logging_level=40)"


def first_row_seconds() -> float:
    """Return the seconds from starting the command to the first row's commit."""
    with tempfile.TemporaryDirectory() as folder:
        began = datetime.now(UTC)
        if start(Path(folder), 100, replicas=1, cpus=0.5).wait():
            raise SystemExit("the run failed")
        first = raybench.load(f"{folder}/out").responses["committed_at"].min()
    return (datetime.fromisoformat(first) - began).total_seconds()


def bare_seconds() -> float:
    """Return the seconds of a process that only starts Ray."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", BARE], check=True, stderr=subprocess.DEVNULL)
    return time.monotonic() - began


def main() -> int:
    """Interleave both, print medians, return 1 over the budget."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    machine, first, bare = Machine(), [], []
    for _ in range(repeats):
        bare.append(bare_seconds())
        first.append(first_row_seconds())
        machine.look(bare[-1], first[-1])
    tell("first row, seconds", first, f"{BUDGET_SECONDS:g}", machine)
    tell("bare ray.init, seconds", bare, "none", machine)
    tell("first row / bare ray.init", [a / b for a, b in zip(first, bare, strict=True)], "none", machine)
    return 0 if statistics.median(first) <= BUDGET_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
