"""Image questions through the openai backend, against bare clients on a server that discards what it is sent.

400 questions about one 0.65 MB PNG, 64 in flight, 200 ms. Bars: each transport at least
0.90 of the same bare client; all processes together at most idle Ray + 500 MB (PSS: what
several processes share is counted once). Beside it stands what a Ray Data pipeline takes that
hands one number to one actor that does nothing.

    python benchmarks/transport_images.py [--rows 400] [--repeats 5]
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import ray
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from _fake_server import running
from _transports import BARE, Bar, Load, judge, measure

BARS = (Bar("raybench lean", "bare aiohttp", 0.90), Bar("raybench client", "bare client", 0.90))
MOST_MB = 500


class Memory:
    """The largest proportional set size of this process and all its children, looked at twice a second."""

    def __init__(self) -> None:
        self.most_bytes = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.5):
            self.most_bytes = max(self.most_bytes, pss_bytes())


def pss_bytes() -> int:
    """Return the proportional set size of this process and all its children."""
    total, me = 0, psutil.Process()
    for process in [me, *me.children(recursive=True)]:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue  # it has ended
    return total


class Nothing:
    """An actor that returns what it is given."""

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the batch, a second later, so that it is seen."""
        time.sleep(1)
        return batch


def do_nothing() -> None:
    """Run the least pipeline of Ray Data that has an actor in it."""
    numbers = ray.data.from_items([{"number": 1}])
    for _ in numbers.map_batches(Nothing, compute=ray.data.ActorPoolStrategy(size=1), num_cpus=0).iter_batches():
        pass


def write_table(folder: Path, rows: int) -> tuple[Path, Path]:
    """Write a noisy PNG of about 0.65 MB and a table of questions about it."""
    noise = np.random.default_rng(0).integers(0, 256, (465, 465, 3), dtype=np.uint8)
    image = folder / "image.png"
    Image.fromarray(noise).save(image)
    table = folder / "questions.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "image", "question", "answer"])
        writer.writerows([n, image.name, f"Is number {n} shown?", "yes"] for n in range(rows))
    return table, image


def main() -> int:
    """Measure; return 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    ray.init(num_cpus=max(os.cpu_count() or 1, 4), include_dashboard=False, log_to_driver=False)
    with tempfile.TemporaryDirectory() as folder, running(0.2) as url:
        table, image = write_table(Path(folder), given.rows)
        print(f"{given.rows} rows, a PNG of {image.stat().st_size / 1e6:.2f} MB, 64 in flight, 200 ms")
        idle = pss_bytes()
        with Memory() as empty:
            do_nothing()
        with Memory() as memory:
            reached = judge(measure(url, Load(given.rows, 64, table, image), given.repeats, list(BARE)), BARS)
        print(f"an empty Ray Data pipeline: {(empty.most_bytes - idle) / 1e6:.0f} MB above idle Ray")
        more = (memory.most_bytes - idle) / 1e6
        print(f"memory of all processes: {more:.0f} MB above idle Ray (at most {MOST_MB})")
    return 0 if reached and more <= MOST_MB else 1


if __name__ == "__main__":
    sys.exit(main())
