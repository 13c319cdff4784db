"""Bare clients and whole runs against one fake server, by turns: what `transport_text` and `transport_images` share.

A rate is taken where it cannot be flattered: at the server, from the first request's
arrival to the last answer's departure. Start-up, planning and scoring are outside it;
keys, the ledger and a durable row for each answer are inside it.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import raybench

sys.path.insert(0, str(Path(__file__).parent))
from _fake_server import stats
from _trials import Machine

__all__ = ["BARE", "Bar", "Load", "judge", "measure"]

#: The bare client that each transport is measured against.
BARE = {"lean": "aiohttp", "client": "client"}


@dataclass(frozen=True)
class Load:
    """What is asked: `rows` questions of a table, `window` at once; `image` is the file each of them shows."""

    rows: int
    window: int
    table: Path
    image: Path | None = None


@dataclass(frozen=True)
class Bar:
    """A ratio of two medians that has to reach `least`."""

    above: str
    below: str
    least: float


def measure(url: str, load: Load, repeats: int, transports: Sequence[str]) -> dict[str, list[float]]:
    """Return rows per second of each transport's bare client and of runs over it, by turns."""
    kinds: dict[str, Callable[[], None]] = {}
    for transport in transports:
        kinds[f"bare {BARE[transport]}"] = partial(_bare, BARE[transport], url, load)
        kinds[f"raybench {transport}"] = partial(_run, transport, url, load)
    rates: dict[str, list[float]] = {name: [] for name in kinds}
    machine = Machine()
    for turn in range(repeats):
        for name, work in kinds.items():
            stats(url, reset=True)
            work()
            seen = stats(url)
            assert seen["answered"] == load.rows, f"{name}: {seen['answered']} of {load.rows} requests"
            rates[name].append(load.rows / (seen["last"] - seen["first"]))
            shown = f"{rates[name][-1]:8.1f} rows/s, {seen['most_open']} open, {machine.look()}"
            print(f"  {turn + 1}/{repeats} {name:16} {shown}", flush=True)
    return rates


def judge(rates: Mapping[str, Sequence[float]], bars: Sequence[Bar]) -> bool:
    """Print medians, spread and ratios; return whether every bar is reached."""
    middle = {name: statistics.median(values) for name, values in rates.items()}
    for name, values in rates.items():
        print(f"{name:16} median {middle[name]:8.1f} rows/s ({min(values):.1f} to {max(values):.1f})")
    reached = True
    for bar in (bar for bar in bars if bar.above in rates):
        ratio = middle[bar.above] / middle[bar.below]
        reached = reached and ratio >= bar.least
        turns = [above / below for above, below in zip(rates[bar.above], rates[bar.below], strict=True)]
        spread = f"{min(turns):.2f} to {max(turns):.2f} by turns"
        print(f"{bar.above} / {bar.below}: {ratio:.2f}, {spread} (at least {bar.least:.2f})")
    return reached


def _bare(kind: str, url: str, load: Load) -> None:
    command = [sys.executable, str(Path(__file__).with_name("_bare_client.py")), kind, url, str(load.rows)]
    image = [str(load.image)] if load.image else []
    subprocess.run([*command, str(load.window), *image], check=True)


def _run(transport: str, url: str, load: Load) -> None:
    with tempfile.TemporaryDirectory() as folder:
        model: dict[str, Any] = {
            "name": "served", "backend": "openai", "base_url": url, "model": "fake",
            "concurrency": load.window, "transport": transport,
        }  # fmt: skip
        task = {"task": "vqa", "data": str(load.table)}
        result = raybench.run({"output": folder, "tasks": [task], "models": [model]})
        assert not result.problems, result.problems
        assert not result.errors, result.errors
