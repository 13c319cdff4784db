"""Text questions through the openai backend, against bare clients on the same server in the same run.

20,000 questions, 64 in flight, a server that answers after 20 ms and one after 2 ms.
Bars: each transport at least 0.90 of the same bare client, and the lean one at least
0.75 of bare aiohttp, with content keys, the ledger and durable rows on.

    python benchmarks/transport_text.py [--rows 20000] [--repeats 5] [--delays 0.02 0.002] [--transports lean client]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import ray

sys.path.insert(0, str(Path(__file__).parent))
from _fake_server import running
from _faulty import write_questions
from _transports import BARE, Bar, Load, judge, measure

BARS = (Bar("raybench lean", "bare aiohttp", 0.75), Bar("raybench client", "bare client", 0.90))


def main() -> int:
    """Measure both delays; return 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--delays", type=float, nargs="+", default=[0.02, 0.002])
    parser.add_argument("--transports", nargs="+", choices=BARE, default=list(BARE))
    given = parser.parse_args()
    ray.init(num_cpus=max(os.cpu_count() or 1, 4), include_dashboard=False, log_to_driver=False)
    reached = True
    with tempfile.TemporaryDirectory() as folder:
        load = Load(given.rows, 64, write_questions(Path(folder) / "questions.csv", given.rows))
        for delay in given.delays:
            print(f"{given.rows} rows, 64 in flight, {delay * 1000:g} ms")
            with running(delay) as url:
                reached = judge(measure(url, load, given.repeats, given.transports), BARS) and reached
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
