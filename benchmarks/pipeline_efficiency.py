"""How near to ideal a pool keeps its replicas busy: 100 rows of 2 s on 4 replicas.

Ideal is rows x seconds / replicas; measured is from the first row's start to the
last row's end. Budget: at least 85 % of ideal.

    python benchmarks/pipeline_efficiency.py [--repeats 5]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from datetime import datetime
from pathlib import Path

import raybench

sys.path.insert(0, str(Path(__file__).parent))
from _faulty import start
from _trials import Machine, tell

ROWS, SECONDS, REPLICAS, BUDGET = 100, 2.0, 4, 0.85


def share_of_ideal() -> float:
    """Run it once; return ideal over measured seconds."""
    with tempfile.TemporaryDirectory() as folder:
        if start(Path(folder), ROWS, replicas=REPLICAS, seconds=SECONDS, rows_at_once=1, cpus=0.5).wait():
            raise SystemExit("the run failed")
        rows = raybench.load(f"{folder}/out").responses
    assert len(rows) == ROWS, f"{len(rows)} of {ROWS} rows"
    began, ended = (datetime.fromisoformat(time) for time in (rows["started_at"].min(), rows["committed_at"].max()))
    return ROWS * SECONDS / REPLICAS / (ended - began).total_seconds()


def main() -> int:
    """Print the median, return 1 if it is under the budget."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    machine, shares = Machine(), []
    for _ in range(repeats):
        shares.append(share_of_ideal())
        machine.look(shares[-1])
    tell("share of ideal", shares, f">= {BUDGET}", machine)
    return 0 if statistics.median(shares) >= BUDGET else 1


if __name__ == "__main__":
    sys.exit(main())
