"""Which models share one load of weights, and which streams are at work at once.

A stream is one pool of replicas. Models that differ in name and sampling only
(a matrix over temperatures) go through one stream, so their weights load once.
Streams run side by side while the cluster has room for the whole pool of each,
otherwise one after another; Ray Data then divides what is left between them.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import ray

from raybench import registry
from raybench.engine.plan import PlannedModel
from raybench.schema import canonical_json
from raybench.spec import ModelSpec

__all__ = ["MOST_AT_ONCE", "Stream", "grouped", "need_of", "room_now", "run_side_by_side", "sharers", "takes_cpus"]

#: Streams at work at once unless the spec asks for more: each has a driver thread of its own.
MOST_AT_ONCE = 4
_OWN = {"name", "generation", "swept", "notes", "licence", "rows_per_second", "price_per_hour"}


@dataclass(frozen=True)
class Stream:
    """Models that one pool of replicas answers for; `name` is the first one's."""

    models: tuple[PlannedModel, ...]

    @property
    def name(self) -> str:
        """The stream's name in the ledger and on the screen."""
        return self.models[0].spec.name

    @property
    def names(self) -> list[str]:
        """The names of its models."""
        return [model.spec.name for model in self.models]


def grouped(models: Sequence[PlannedModel]) -> list[Stream]:
    """Return the streams of a run in the order of its models: one for each load of weights."""
    found: dict[str, list[PlannedModel]] = {}
    for model in models:
        own = model.spec.model_dump(mode="json", exclude=_OWN)
        found.setdefault(canonical_json([own, model.identity]), []).append(model)
    return [Stream(tuple(members)) for members in found.values()]


def takes_cpus(spec: ModelSpec) -> float:
    """Return the CPUs that Ray sets aside for one replica: none where it has GPUs or waits on a server."""
    concurrent = registry.load("models", spec.backend).capabilities.concurrent
    return 0.0 if spec.gpus or concurrent else spec.cpus


def need_of(spec: ModelSpec) -> dict[str, float]:
    """Return what a model's largest pool takes: {"CPU", "GPU"}."""
    return {"CPU": takes_cpus(spec) * spec.replicas[1], "GPU": spec.gpus * spec.replicas[1]}


def sharers(streams: Sequence[Stream], overlapping: Sequence[ModelSpec], most: int | None) -> int:
    """Return how many pools share the cluster's CPUs, for pools that may begin without room for the whole of each.

    Args:
        overlapping: judges at work beside the models.
        most: streams at once that the spec asks for; with None a stream that does not fit beside others waits.
    """
    judges = sum(takes_cpus(judge) > 0 for judge in overlapping)
    if most is None and not judges:
        return 1
    models = sum(takes_cpus(stream.models[0].spec) > 0 for stream in streams)
    return max(min(models, most or MOST_AT_ONCE) + judges, 1)


def room_now() -> dict[str, float]:
    """Return what replicas may take of the cluster as it is: real cores here, less one for reading."""
    here = ray.get_runtime_context().get_node_id()
    room = {"CPU": -1.0, "GPU": 0.0}
    for node in ray.nodes():
        if node["Alive"]:
            cpus = node["Resources"].get("CPU", 0.0)
            # A local Ray is given more logical CPUs than the machine has cores.
            room["CPU"] += min(cpus, os.cpu_count() or 1) if node["NodeID"] == here else cpus
            room["GPU"] += node["Resources"].get("GPU", 0.0)
    return room


def run_side_by_side(
    streams: Sequence[Stream], do: Callable[[Stream], None], most: int | None, room: Callable[[], dict[str, float]]
) -> None:
    """Do every stream: `most` at once, or with None as many as there is room for.

    A stream that alone wants more than there is runs when nothing else uses that resource.
    What a stream raises is raised here, and ends the wait for the others.
    """
    waiting, running = list(streams), list[Stream]()
    ended: queue.SimpleQueue[tuple[Stream, BaseException | None]] = queue.SimpleQueue()
    while waiting or running:
        for stream in list(waiting):
            if running and not (len(running) < most if most else _fits(stream, running, room())):
                continue
            waiting.remove(stream)
            if not running and not waiting:
                do(stream)  # the last one needs no thread of its own
                return
            running.append(stream)
            threading.Thread(target=_report, args=(do, stream, ended), daemon=True).start()
        stream, error = ended.get()
        running.remove(stream)
        if error is not None:
            raise error


def _fits(stream: Stream, running: Sequence[Stream], room: dict[str, float]) -> bool:
    if len(running) >= MOST_AT_ONCE:
        return False
    used = [need_of(other.models[0].spec) for other in running]
    for kind, wanted in need_of(stream.models[0].spec).items():
        taken = sum(other[kind] for other in used)
        if wanted and taken and wanted > room[kind] - taken:
            return False
    return True


def _report(
    do: Callable[[Stream], None], stream: Stream, ended: queue.SimpleQueue[tuple[Stream, BaseException | None]]
) -> None:
    try:
        do(stream)
    except BaseException as error:  # raised again by the thread that waits
        ended.put((stream, error))
    else:
        ended.put((stream, None))
