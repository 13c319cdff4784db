"""What every timed benchmark does: runs pinned to some cores, repeated, medians with their spread and the load."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence

__all__ = ["load", "pin", "tell"]


def pin(cores: int) -> str:
    """Keep this process and its children to the first `cores` cores, where there are more; say which."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) > cores:
        os.sched_setaffinity(0, set(allowed[:cores]))
        allowed = allowed[:cores]
    return f"cores {allowed[0]}-{allowed[-1]}" if len(allowed) > 1 else f"core {allowed[0]}"


def load() -> float:
    """Return the machine's load of the last minute: above the number of cores, a timing says little."""
    return os.getloadavg()[0]


def tell(name: str, values: Sequence[float], budget: str, loads: Sequence[float]) -> None:
    """Print one line: median, spread, budget and load."""
    low, high = min(values), max(values)
    print(
        f"{name}: median {statistics.median(values):.3f}, {low:.3f} to {high:.3f} in {len(values)} runs"
        f" (budget {budget}); load {min(loads):.1f} to {max(loads):.1f} on {os.cpu_count()} cores",
        flush=True,
    )
