"""How near to ideal a pool keeps its replicas busy: 100 rows of 2 s on 4 replicas.

Ideal is rows x seconds / replicas; measured is from the first row's start to the
last row's end. Budget: at least 85 % of ideal.

    python benchmarks/pipeline_efficiency.py
"""

from __future__ import annotations

import sys
import tempfile
from datetime import datetime
from pathlib import Path

import raybench

sys.path.insert(0, str(Path(__file__).parent))
from _faulty import start
from _trials import load

ROWS, SECONDS, REPLICAS, BUDGET = 100, 2.0, 4, 0.85


def main() -> int:
    """Run it, print the ratio, return 1 if it is under the budget."""
    with tempfile.TemporaryDirectory() as folder:
        if start(Path(folder), ROWS, replicas=REPLICAS, seconds=SECONDS, rows_at_once=1, cpus=0.5).wait():
            return 1
        rows = raybench.load(f"{folder}/out").responses
    began, ended = (datetime.fromisoformat(time) for time in (rows["started_at"].min(), rows["committed_at"].max()))
    measured = (ended - began).total_seconds()
    ideal = ROWS * SECONDS / REPLICAS
    print(
        f"{len(rows)} rows in {measured:.1f} s, ideal {ideal:.1f} s: {ideal / measured:.1%}",
        f"(budget {BUDGET:.0%}; load {load():.1f})",
    )
    return 0 if ideal / measured >= BUDGET else 1


if __name__ == "__main__":
    sys.exit(main())
