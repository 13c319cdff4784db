"""Processor seconds that reading a leaderboard of ten million records takes, and what keeping its tests costs once.

Budget: `boards`, which is all that `raybench leaderboard` reads, under 0.5 processor seconds in a process that has
imported it, whatever the number of records. Paired tests of every two models are made when scores are stored; the
seconds of that are printed beside, without a budget. The rows are made by script, page caches are warm.

    python benchmarks/leaderboard.py [ROWS] [FOLDER]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

ROWS, READS = 10_000_000, 5
BUDGET_SECONDS = 0.5


def main() -> int:
    """Make the folder unless one of an earlier call is given, measure, return 1 over budget."""
    from raybench.leaderboard import boards
    from raybench.scoring.pairs import write_pairs
    from raybench.store import Store
    from tests.dashboard.synthetic import synthetic

    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with tempfile.TemporaryDirectory() as scratch:
        folder = sys.argv[2] if len(sys.argv) > 2 else f"{scratch}/results"
        if not Path(folder).exists():
            synthetic(folder, rows, judged=False)
        began = time.process_time()
        write_pairs(Store(folder))
        print(f"paired tests of all boards, once: {time.process_time() - began:.1f} CPU s", flush=True)
        seconds = []
        for _ in range(READS):
            began = time.process_time()
            found = boards(Store(folder, must_exist=True))
            seconds.append(time.process_time() - began)
        lines = sum(line.ranks is not None for board in found for line in board.lines)
        median = sorted(seconds)[READS // 2]
        print(
            f"{rows:,} records, {len(found)} boards, {lines} ranked lines: {median:.2f} CPU s "
            f"({min(seconds):.2f} to {max(seconds):.2f}; limit {BUDGET_SECONDS:g}; ratio {median / BUDGET_SECONDS:.2f})"
        )
    return 0 if median < BUDGET_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
