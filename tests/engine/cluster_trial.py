"""One run on a cluster of real raylets on this machine, with nodes that come and go; prints what happened as JSON.

A program of its own, since a process has one Ray:

    python -m tests.engine.cluster_trial DATA OUT LOG --join-at 20 --kill-at 60
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import ray
from ray.cluster_utils import Cluster

from raybench.engine.run import run
from raybench.spec import build

GPUS_A_NODE = 1


def _rows(log: Path) -> list[str]:
    """The replica of each row that was sent, in order."""
    lines = log.read_text("utf-8").splitlines() if log.exists() else []
    return [line.split()[1] for line in lines if not line.startswith("load")]


def _upset(cluster: Cluster, first: Any, log: Path, join_at: int, kill_at: int, ended: threading.Event) -> None:
    """Add a node once `join_at` rows are sent, and kill the first worker node once `kill_at` are."""
    steps = [(join_at, lambda: cluster.add_node(num_cpus=1, num_gpus=GPUS_A_NODE, wait=False))] if join_at else []
    steps += [(kill_at, lambda: cluster.remove_node(first, allow_graceful=False))] if kill_at else []
    for at, step in sorted(steps, key=lambda pair: pair[0]):
        while len(_rows(log)) < at and not ended.wait(0.05):
            pass
        if not ended.is_set():
            step()


def main() -> int:
    """Run it; the exit code is the run's."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("output")
    parser.add_argument("log", type=Path)
    parser.add_argument("--join-at", type=int, default=0)
    parser.add_argument("--kill-at", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0.25)
    given = parser.parse_args()
    # The driver's node stays; it has no GPU, so replicas are on the others only.
    cluster = Cluster(
        initialize_head=True, shutdown_at_exit=False, head_node_args={"num_cpus": 4, "include_dashboard": False}
    )
    first = cluster.add_node(num_cpus=1, num_gpus=GPUS_A_NODE)
    if given.kill_at and not given.join_at:
        cluster.add_node(num_cpus=1, num_gpus=GPUS_A_NODE)
    ray.init(address=cluster.address, logging_level="ERROR", log_to_driver=False)
    model = {
        "name": "faulty", "backend": "faulty", "log": str(given.log), "gpus": 1, "replicas": [1, 2],
        "rows_at_once": 2, "seconds": given.seconds,
    }  # fmt: skip
    spec = build({"output": given.output, "tasks": [{"task": "vqa", "data": given.data}], "models": [model]})
    ended = threading.Event()
    upset = threading.Thread(
        target=_upset, args=(cluster, first, given.log, given.join_at, given.kill_at, ended), daemon=True
    )
    upset.start()
    began = time.monotonic()
    result = run(spec)
    ended.set()
    upset.join()
    sent = _rows(given.log)
    print(json.dumps({
        "exit_code": result.exit_code, "generated": result.generated, "seconds": round(time.monotonic() - began, 1),
        "sent": len(sent), "replicas": len(set(sent)), "last_replica_rows": sent.count(sent[-1]),
    }))  # fmt: skip
    ray.shutdown()
    cluster.shutdown()
    return result.exit_code


if __name__ == "__main__":
    sys.exit(main())
