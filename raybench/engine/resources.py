"""Ray itself: connecting, sizing pools to the cluster, and a ledger that answers like a plain object."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raybench.errors import EngineError, one_line
from raybench.spec import ModelSpec

__all__ = ["connected", "fit_pool", "ledger_proxy", "remote_ledger"]


@contextmanager
def connected(address: str | None, specs: Sequence[ModelSpec]) -> Iterator[None]:
    """Connect to a cluster, or start a local Ray; leave as it was found.

    A local Ray gets more logical CPUs than the largest pool takes, since actors
    that take every CPU starve the tasks that feed them.

    Args:
        address: "auto", "host:port" or "ray://..."; "local" starts one here. None is
            RAY_ADDRESS where it is set (as in a submitted job), else "local".
    """
    if ray.is_initialized():
        yield
        return
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    options: dict[str, Any] = {"address": address, "logging_level": logging.ERROR, "log_to_driver": False}
    if address == "local":
        actors = max((spec.cpus * spec.replicas[1] for spec in specs), default=0)
        options |= {"num_cpus": max(os.cpu_count() or 1, 2) + int(actors + 1), "include_dashboard": False}
    _start(options)
    try:
        yield
    finally:
        ray.shutdown()


def _start(options: dict[str, Any]) -> None:
    """Start or join Ray without its native log lines on stderr.

    Raises:
        EngineError: no cluster there, or a start that timed out; one sentence.
    """
    # Ray's C++ side writes every lost worker to stderr; the ledger reports what matters of it.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")  # what ends a stream is told once, by the ledger
    kept = os.dup(2)
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        os.dup2(nowhere.fileno(), 2)  # native code says so on stderr, whatever Python's logging is set to
    try:
        ray.init(**options)
    except Exception as error:
        raise EngineError(f"cannot start or reach Ray ({options['address']}): {one_line(error)}") from error
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def fit_pool(spec: ModelSpec, cpus: float) -> tuple[int, int]:
    """Return (min, max) replicas of a pool whose replicas take `cpus` each.

    Pools that take CPUs are held to what the cluster has now, less one CPU for the
    tasks that feed them: a pool that takes every CPU starves them and hangs. Pools
    on GPUs, and those that wait on a server, may grow onto nodes that join.
    """
    low, high = spec.replicas
    if not cpus:
        return low, high
    room = int((ray.cluster_resources().get("CPU", 1) - 1) // cpus)
    high = max(1, min(high, room))
    return min(low, high), high


def remote_ledger() -> Any:
    """Start the run's ledger actor beside the driver, whose life it shares; it takes no CPU."""
    from raybench.engine.ledger import Ledger

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(Ledger).options(num_cpus=0, max_restarts=0, scheduling_strategy=here).remote()


class _Proxy:
    """Calls an actor's methods as if it were here: waits for each, save for what is told after the fact."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._actor, name)
        if name == "durable":  # calls of one caller keep their order, so nothing later overtakes it
            return lambda *values: method.remote(*values)
        return lambda *values: ray.get(method.remote(*values))


def ledger_proxy(actor: Any) -> Any:
    """Return the ledger actor as a plain object with blocking methods."""
    return _Proxy(actor)
