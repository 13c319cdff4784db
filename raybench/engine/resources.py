"""Ray itself: connecting, sizing pools to the cluster, and a ledger that answers like a plain object."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raybench.engine.limits import UNLIMITED, Limits
from raybench.errors import EngineError, one_line
from raybench.spec import ModelSpec

__all__ = ["connected", "fit_pool", "is_local", "ledger_proxy", "remote_ledger"]

#: Models that read their images at once on a local Ray.
_READERS = 4


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
    if is_local(address):
        actors = max((spec.cpus * spec.replicas[1] for spec in specs), default=0)
        others = 2 * (min(len(specs), _READERS) - 1)  # models side by side read at the same time
        cpus = max(os.cpu_count() or 1, 2) + int(actors + 1) + max(others, 0)
        options |= {"num_cpus": cpus, "include_dashboard": False}
        # Nothing can join a Ray of this machine's own: without claims on whole nodes, its CPUs are divided evenly.
        os.environ.setdefault("RAY_DATA_CLUSTER_SCALING_UP_UTIL_THRESHOLD", "1000")
    _start(options)
    try:
        yield
    finally:
        ray.shutdown()


def is_local(address: str | None) -> bool:
    """Return whether an address means a Ray started here, whose workers see this machine's folders."""
    return (address or os.environ.get("RAY_ADDRESS") or "local") == "local"


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
        at = options["address"]
        raise EngineError(f"cannot start or reach Ray ({at}): {one_line(error)}{_token_hint(at)}") from error
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _token_hint(address: str) -> str:
    """Ray itself says nothing of tokens: a head that found a token file wants one, and its clients seem cut off."""
    if address == "local" or os.environ.get("RAY_AUTH_MODE"):
        return ""
    return "; if its head was started with a token (or where a token file lies), set RAY_AUTH_MODE=token here too"


def fit_pool(spec: ModelSpec, cpus: float, sharers: int = 1) -> tuple[int, int]:
    """Return (min, max) replicas of a pool whose replicas take `cpus` each, where so many pools share the cluster.

    Replicas that take CPUs begin with their share of what the cluster has now, less one
    CPU for the tasks that feed them: pools that take every CPU from the start starve them
    and hang. A pool with bounds grows onto nodes that join; Ray Data leaves the readers
    their share. One of a fixed size stays at what it began with.
    """
    low, high = spec.replicas
    if not cpus:
        return low, high
    room = max(1, int((ray.cluster_resources().get("CPU", 1) - 1) / sharers // cpus))
    return min(low, room), high if high > low else min(high, room)


def remote_ledger(run_id: str, judges: Sequence[str] = (), limits: Limits = UNLIMITED) -> Any:
    """Start the run's ledger actor beside the driver, whose life it shares; it takes no CPU."""
    from raybench.engine.metrics import MeteredLedger

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor = ray.remote(MeteredLedger).options(num_cpus=0, max_restarts=0, scheduling_strategy=here)
    return actor.remote(run_id, tuple(judges), limits=limits)


class _Proxy:
    """Calls an actor's methods as if it were here: waits for each, save for what is told after the fact."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._actor, name)
        if name in ("durable", "measured"):  # calls of one caller keep their order, so nothing later overtakes it
            return lambda *values: method.remote(*values)
        return lambda *values: ray.get(method.remote(*values))


def ledger_proxy(actor: Any) -> Any:
    """Return the ledger actor as a plain object with blocking methods."""
    return _Proxy(actor)
