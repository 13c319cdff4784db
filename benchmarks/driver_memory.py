"""Peak memory of the driver process at 100,000 rows against 2,000.

Budget: within 15 %; the driver holds file names and counts, never rows.

    python benchmarks/driver_memory.py
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parent))
from _faulty import start

SMALL, LARGE, BUDGET = 2_000, 100_000, 1.15


def peak(rows: int) -> tuple[int, float]:
    """Return the driver's peak resident bytes and the seconds of a whole run of `rows`."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        driver = start(Path(folder), rows, replicas=2, rows_at_once=64, cpus=0.5)
        process, highest = psutil.Process(driver.pid), 0
        while driver.poll() is None:
            try:
                highest = max(highest, process.memory_info().rss)
            except psutil.NoSuchProcess:
                break
            time.sleep(0.1)
        if driver.wait():
            raise SystemExit(f"the run of {rows} rows failed")
        return highest, time.monotonic() - began


def main() -> int:
    """Run both sizes, print the ratio, return 1 if it is over the budget."""
    (small, quick), (large, slow) = peak(SMALL), peak(LARGE)
    ratio = large / small
    for rows, size, seconds in ((SMALL, small, quick), (LARGE, large, slow)):
        print(f"{rows} rows: {size / 2**20:.0f} MiB in {seconds:.0f} s")
    print(f"ratio {ratio:.3f} (budget {BUDGET})")
    return 0 if ratio <= BUDGET else 1


if __name__ == "__main__":
    sys.exit(main())
