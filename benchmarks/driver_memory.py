"""Peak memory of the driver process at 1,000,000 rows against 2,000.

Budgets: within 15 %, and under 300 MB; the driver holds file names and counts, never rows.

    python benchmarks/driver_memory.py [--rows 1000000]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parent))
from _faulty import start
from _trials import Machine

SMALL, LARGE, RATIO_BUDGET, BYTES_BUDGET = 2_000, 1_000_000, 1.15, 300e6


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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=LARGE)
    rows = parser.parse_args().rows
    machine = Machine()
    (small, quick), (large, slow) = peak(SMALL), peak(rows)
    ratio = large / small
    for count, size, seconds in ((SMALL, small, quick), (rows, large, slow)):
        print(f"{count} rows: {size / 1e6:.0f} MB in {seconds:.0f} s")
    print(f"ratio {ratio:.3f} (budgets: {RATIO_BUDGET}, and {BYTES_BUDGET / 1e6:.0f} MB); {machine.look()}")
    return 0 if ratio <= RATIO_BUDGET and large <= BYTES_BUDGET else 1


if __name__ == "__main__":
    sys.exit(main())
