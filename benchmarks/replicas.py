"""How near to ideal four replicas work: 50 ms a batch of 16, 60 s of ideal work, fixed pool and one that grows.

Ideal is batches x 50 ms / 4; measured is from the first row's start to the last
row's end. The pool that starts with one replica is measured from the moment
the fourth has begun. Budgets: 95 % at the median, worst of five 90 %.

    python benchmarks/replicas.py [--repeats 5] [--seconds 60]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from datetime import datetime
from pathlib import Path

import pandas as pd

import raybench

sys.path.insert(0, str(Path(__file__).parent))
from _faulty import start
from _trials import Machine, tell

BATCH, BATCH_SECONDS, REPLICAS = 16, 0.05, 4
MEDIAN_BUDGET, WORST_BUDGET = 0.95, 0.90


def responses(ideal_seconds: float, replicas: int | list[int]) -> pd.DataFrame:
    """Run enough rows for `ideal_seconds` on four replicas; return the stored answers."""
    rows = round(ideal_seconds * REPLICAS / BATCH_SECONDS) * BATCH
    with tempfile.TemporaryDirectory() as folder:
        run = start(Path(folder), rows, replicas=replicas, seconds=BATCH_SECONDS / BATCH, rows_at_once=BATCH, cpus=0.5)
        if run.wait():
            raise SystemExit("the run failed")
        return raybench.load(f"{folder}/out").responses


def share_of_ideal(rows: pd.DataFrame, since: str | None = None) -> float:
    """Return ideal over measured seconds of the rows that began at or after `since`."""
    kept = rows if since is None else rows[rows["started_at"] >= since]
    began, ended = (datetime.fromisoformat(at) for at in (kept["started_at"].min(), kept["committed_at"].max()))
    return len(kept) / BATCH * BATCH_SECONDS / REPLICAS / (ended - began).total_seconds()


def main() -> int:
    """Interleave both pools, print medians, return 1 under a budget."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60.0)
    given = parser.parse_args()
    machine, fixed, grown = Machine(), [], []
    for _ in range(given.repeats):
        fixed.append(share_of_ideal(responses(given.seconds, REPLICAS)))
        rows = responses(given.seconds, [1, REPLICAS])
        first = rows.groupby("replica")["started_at"].min().sort_values()
        if len(first) == REPLICAS:
            grown.append(share_of_ideal(rows, first.iloc[-1]))
            machine.look(fixed[-1], grown[-1])
        else:
            print(f"the pool grew to {len(first)} replicas only")
            machine.look(fixed[-1])
    tell("fixed pool, share of ideal", fixed, f">= {MEDIAN_BUDGET}, worst {WORST_BUDGET}", machine)
    if grown:
        tell("grown pool, share of ideal after growth", grown, f">= {MEDIAN_BUDGET}, worst {WORST_BUDGET}", machine)
    kept = all(statistics.median(v) >= MEDIAN_BUDGET and min(v) >= WORST_BUDGET for v in (fixed, grown) if v)
    return 0 if kept and len(grown) == given.repeats else 1


if __name__ == "__main__":
    sys.exit(main())
