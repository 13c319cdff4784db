"""What timed benchmarks share: pinned to some cores, repeated, medians with their spread and the machine's state.

machine = Machine()
for _ in range(repeats):
    values.append(...)
    machine.look(values[-1])
tell("rows/s", values, ">= 100", machine)
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence

import psutil

__all__ = ["Machine", "tell"]


class Machine:
    """The machine during a benchmark: this process and its children are kept to the first `cores` cores.

    A load above the number of cores makes a timing worthless, and so does CPU time that a
    virtual machine asked for and its host gave to another ("stolen"): Linux alone tells of it.
    """

    def __init__(self, cores: int = 4) -> None:
        allowed = sorted(os.sched_getaffinity(0))
        if len(allowed) > cores:
            os.sched_setaffinity(0, set(allowed[:cores]))
        print(f"on cores {', '.join(map(str, allowed[:cores]))}", flush=True)
        self._loads: list[float] = []
        self._stolen: list[float] = []
        self._then = psutil.cpu_times()

    def look(self, *values: float) -> str:
        """Note the load of the last minute and the share of wanted CPU time stolen since the last look; say both.

        Values, those of one repeat, are printed with them: a benchmark that is cut off has said something.
        """
        then, self._then = self._then, psutil.cpu_times()
        stolen = getattr(self._then, "steal", 0.0) - getattr(then, "steal", 0.0)
        idle = self._then.idle - then.idle + getattr(self._then, "iowait", 0.0) - getattr(then, "iowait", 0.0)
        wanted = sum(self._then[:8]) - sum(then[:8]) - idle  # guests' time, after the first eight, is counted in "user"
        self._loads.append(os.getloadavg()[0])
        self._stolen.append(stolen / wanted if wanted > 0 else 0.0)
        seen = f"load {self._loads[-1]:.1f}, {self._stolen[-1]:.0%} stolen"
        if values:
            print(f"  {', '.join(f'{value:.3f}' for value in values)}; {seen}", flush=True)
        return seen

    def __str__(self) -> str:
        """Say what all looks have seen."""
        return (
            f"load {min(self._loads):.1f} to {max(self._loads):.1f} on {os.cpu_count()} cores,"
            f" {min(self._stolen):.0%} to {max(self._stolen):.0%} stolen"
        )


def tell(name: str, values: Sequence[float], budget: str, machine: Machine) -> None:
    """Print one line: median, spread, budget and the machine's state."""
    low, high = min(values), max(values)
    print(
        f"{name}: median {statistics.median(values):.3f}, {low:.3f} to {high:.3f} in {len(values)} runs"
        f" (budget {budget}); {machine}",
        flush=True,
    )
