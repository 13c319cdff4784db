"""The Ray Data graph: row groups of a to-do file -> images -> a pool of replicas -> counts.

One stream a model: the units of all its tasks go through one pool, so weights
load once. What a replica answers is durable before it is counted; the driver
sees counts only.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import ray

from raybench.engine.groups import read_group
from raybench.engine.limits import price_of
from raybench.engine.replicas import Replica
from raybench.engine.resources import fit_pool
from raybench.engine.stages import load_images
from raybench.engine.streams import takes_cpus
from raybench.engine.worker import Work
from raybench.errors import one_line
from raybench.schema import Row
from raybench.spec import open_plugin
from raybench.store import Store

__all__ = ["call", "call_all", "run_stream"]

_LOADED = pa.list_(
    pa.struct([("bytes", pa.large_binary()), ("media_type", pa.string()), ("width_px", pa.int64()),
               ("height_px", pa.int64())])
)  # fmt: skip
#: A reader hands on what it holds once its images take this much.
_LOADED_BYTES = 16 * 2**20
#: The share of its replicas' places that are taken when a pool grows; Ray's own, 1.75, counts places in a queue.
_GROWS_AT = 0.9
#: Blocks that one replica works on at once, at most; each is a thread.
_MOST_BLOCKS = 16


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Run one function as a Ray task and return its result; its own errors come out as they are."""
    return next(iter(call_all(function, [arguments])))


def call_all(function: Callable[..., Any], arguments: list[tuple[Any, ...]], at_once: int = 64) -> Iterator[Any]:
    """Run a function once for each tuple of arguments, `at_once` at a time; yield results as they come."""
    waiting: list[Any] = []
    try:
        for values in arguments:
            if len(waiting) >= at_once:
                done, waiting = ray.wait(waiting)
                yield ray.get(done[0])
            waiting.append(_do.remote(function, *values))
        while waiting:
            done, waiting = ray.wait(waiting)
            yield ray.get(done[0])
    except ray.exceptions.RayTaskError as error:
        raise error.cause if isinstance(error.cause, Exception) else error from None
    finally:
        for ref in waiting:
            ray.cancel(ref)
        if waiting:  # so that none of them writes a file after its fellows' files are deleted
            ray.wait(waiting, num_returns=len(waiting), timeout=60)


@ray.remote(num_cpus=1, max_retries=2)
def _do(function: Callable[..., Any], *arguments: Any) -> Any:
    """Run a function: one Ray task for all of them, so that calls in a row find the same process, its imports done."""
    return function(*arguments)


def run_stream(work: Work, todo: Row, ledger: Any, sharers: int = 1) -> str:
    """Answer every row of a to-do file; return "" or the reason why the model ended early.

    Args:
        todo: {"file", "rows", "block_rows"} as `plan.todo` returns it.
        sharers: pools at work at once, this one among them, whose replicas take CPUs.
    """
    ray.get(ledger.open_stream.remote(work.stream, todo["rows"], price_of(work.model.spec)))
    if not todo["rows"] or ray.get(ledger.halted.remote()):
        return ""
    dataset = _graph(work, todo, ledger, sharers)
    try:
        for _ in dataset.iter_internal_ref_bundles():
            if ray.get(ledger.halted.remote()) and ray.get(ledger.is_idle.remote(work.stream)):
                break  # a limit is reached and what was sent is stored
    except Exception as error:  # whatever ends the stream: the ledger may know the plain reason
        return str(ray.get(ledger.progress.remote())[work.stream]["error"] or one_line(error))
    finally:
        ray.get(ledger.close_stream.remote(work.stream))
    return str(ray.get(ledger.progress.remote())[work.stream]["error"])


def _graph(work: Work, todo: Row, ledger: Any, sharers: int) -> Any:
    spec = work.model.spec
    _quieten()
    blocks = -(-todo["rows"] // todo["block_rows"])
    plugin, options = open_plugin("models", spec.backend, spec)
    capabilities, cpus = plugin.capabilities, takes_cpus(spec)
    load = partial(_load_block, output=work.output, file=todo["file"], pixels=capabilities.pixels)
    low, high = fit_pool(spec, cpus, sharers)
    # A replica that computes has its next block ready; one that waits takes what fills its window and a block more,
    # so that no block's tail idles.
    calls = 2
    if capabilities.concurrent:
        fill = -(-plugin.open_rows(options) // todo["block_rows"])
        calls = max(2, min(1 + fill, -(-blocks // high), _MOST_BLOCKS))  # no more than its share
    pool = ray.data.ActorPoolStrategy(
        min_size=low, max_size=high, max_concurrent_calls_per_actor=calls,
        max_tasks_in_flight_per_actor=calls,
        enable_true_multi_threading=True,
    )  # fmt: skip
    # A replica that waits on a server reads its own rows and image files meanwhile: no other process holds them.
    waits = capabilities.concurrent and not capabilities.pixels
    if waits:
        groups = [{"id": group} for group in range(blocks)]
        source: ray.data.Dataset = ray.data.from_items(groups, override_num_blocks=blocks)
    else:
        source = ray.data.range(blocks, override_num_blocks=blocks).map_batches(load, batch_size=1, num_cpus=0.5)
    # Ray Data refuses GPUs without a number; the to-do file's own groups stay what they are.
    least = todo["block_rows"] if spec.gpus else None
    return source.map_batches(
        Replica,
        batch_size=1 if waits else least,
        batch_format="pyarrow",
        zero_copy_batch=True,
        fn_constructor_args=(work, ledger, todo["file"] if waits else None),
        compute=pool,
        num_cpus=cpus,
        num_gpus=spec.gpus or None,
    )


def _load_block(batch: dict[str, Any], output: str, file: str, pixels: bool) -> Iterator[pa.Table]:
    """Read one row group and its images, so many at a time as memory allows."""
    store = Store(output)
    for group in np.asarray(batch["id"]).tolist():
        loaded, held = list[Row](), 0
        for row in read_group(store, file, int(group)):
            loaded.append(load_images(row, pixels))
            held += sum(len(image["bytes"]) for image in loaded[-1]["loaded"])
            if held >= _LOADED_BYTES:
                yield _table(loaded)
                loaded, held = [], 0
        if loaded:
            yield _table(loaded)


def _table(rows: list[Row]) -> pa.Table:
    loaded = pa.array([row.pop("loaded") for row in rows], type=_LOADED)
    plain = pa.Table.from_pylist(rows)
    # A column that is empty in this block has no type of its own; blocks must agree.
    fields = [
        field if not pa.types.is_null(field.type) else pa.field(field.name, pa.string()) for field in plain.schema
    ]
    return plain.cast(pa.schema(fields)).append_column("loaded", loaded)


def _quieten() -> None:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    # A large block of a slow model, a weight download or a wait for spot nodes takes longer than Ray's half hour.
    context.execution_no_progress_timeout_s = -1
    # A replica is given no more blocks than it works on: a pool grows when nearly all of its places are taken.
    context.autoscaling_config.actor_pool_util_upscaling_threshold = _GROWS_AT
    # What ends a stream is told once, by the ledger's reason.
    for name in ("ray.data", "ray.data._internal", "ray.data.exceptions"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
