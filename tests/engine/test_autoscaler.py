"""A real autoscaler on Ray's fake multi-node provider: GPU nodes 0 -> 3 -> 0 for a run, a preempted one replaced."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

import raybench
from tests.engine.test_submit import STOP
from tests.servers import free_port

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
ROWS, NODES = 600, 3
#: What every cluster file has in the end; the fake provider's own defaults are not in Ray's wheel.
_DEFAULTS: dict[str, Any] = {
    **{name: {} for name in ("auth", "docker", "file_mounts")},
    **{name: [] for name in (
        "cluster_synced_files", "initialization_commands", "setup_commands", "head_setup_commands",
        "worker_setup_commands", "head_start_ray_commands", "worker_start_ray_commands", "rsync_exclude",
        "rsync_filter",
    )},
    "file_mounts_sync_continuously": False,
}  # fmt: skip
#: Prints the ids of the GPU nodes that live, once a second.
WATCH = """
import json, sys, time, ray
ray.init(address=sys.argv[1], logging_level="ERROR", log_to_driver=False)
while True:
    alive = [n for n in ray.nodes() if n["Alive"] and n["Resources"].get("GPU")]
    print(json.dumps(sorted(n["NodeID"] for n in alive)), flush=True)
    time.sleep(1)
"""


class _Cluster:
    """A CPU head whose autoscaler may add GPU nodes, all on this machine; keeps what was seen of them."""

    def __init__(self, folder: Path, config: Path) -> None:
        import ray._private.services as services

        self.folder, port = folder, free_port()
        self.address = f"{services.get_node_ip_address()}:{port}"
        gpu = {"resources": {"CPU": 2, "GPU": 1}, "node_config": {}, "min_workers": 0, "max_workers": NODES}
        config.write_text(json.dumps({
            "cluster_name": "fake", "max_workers": NODES, "idle_timeout_minutes": 0.25, "upscaling_speed": 100,
            "provider": {
                "type": "external", "module": "preempting_provider.PreemptingProvider",
                "gcs_address": self.address, "use_node_id_as_ip": True,
                "disable_node_updaters": True, "disable_launch_config_check": True,
            },
            "available_node_types": {
                "ray.head.default": {"resources": {"CPU": 6}, "node_config": {}, "max_workers": 0}, "gpu": gpu,
            },
            "head_node_type": "ray.head.default", **_DEFAULTS,
        }))  # fmt: skip
        clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        paths = os.pathsep.join([str(ROOT / "tests/plugins"), str(ROOT), clean.get("PYTHONPATH", "")])
        self.env = clean | {
            "PYTHONPATH": paths, "RAY_FAKE_CLUSTER": "1", "RAY_AUTH_MODE": "disabled", "RAY_enable_autoscaler_v2": "0",
            "AUTOSCALER_UPDATE_INTERVAL_S": "1", "AUTOSCALER_HEARTBEAT_TIMEOUT_S": "10",
            "RAY_health_check_period_ms": "1000", "RAY_health_check_failure_threshold": "5",
        }  # fmt: skip
        start = [str(Path(sys.executable).parent / "ray"), "start", "--head", "--num-cpus=6", f"--temp-dir={folder}",
                 f"--port={port}", f"--dashboard-port={free_port()}", f"--ray-client-server-port={free_port()}",
                 f"--autoscaling-config={config}"]  # fmt: skip
        done = subprocess.run(start, env=self.env, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        self.seen: list[list[str]] = []
        self._watch = subprocess.Popen(
            [sys.executable, "-c", WATCH, self.address], env=self.env, stdout=subprocess.PIPE, text=True
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._watch.stdout is not None
        self.seen.extend(json.loads(line) for line in self._watch.stdout if line.startswith("["))

    def until(self, condition: Callable[[list[str]], bool], what: str, seconds: float = 300) -> list[str]:
        """Wait for a set of living GPU nodes; return it."""
        deadline = time.monotonic() + seconds
        while not (self.seen and condition(self.seen[-1])):
            assert time.monotonic() < deadline, f"waited {seconds} s until {what}; last seen {self.seen[-1:]}"
            time.sleep(0.2)
        return self.seen[-1]

    def preempt_one(self) -> None:
        """Kill the raylet of one GPU node, and all that runs below it."""
        raylets = [
            process
            for process in psutil.process_iter(["name", "cmdline"])
            if process.info["name"] == "raylet"
            and any(str(self.folder) in part for part in process.info["cmdline"] or [])
            and any("GPU" in part for part in process.info["cmdline"] or [])
        ]
        for process in [*raylets[0].children(recursive=True), raylets[0]]:
            try:
                process.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue

    def stop(self) -> None:
        self._watch.kill()
        subprocess.run([sys.executable, "-c", STOP, str(self.folder)], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[_Cluster]:
    folder = Path("/dev/shm") / f"ra{os.getpid()}"  # Ray's sockets have long names: its folder must be short
    started: _Cluster | None = None
    try:
        started = _Cluster(folder, tmp_path / "cluster.json")
        yield started
    finally:
        if started is not None:
            started.stop()


def test_gpu_nodes_come_for_a_run_one_is_preempted_and_all_go(
    cluster: _Cluster, tmp_path: Path, table: Callable[..., Path], faulty_spec: Callable[..., dict[str, Any]]
) -> None:
    cluster.until(lambda nodes: nodes == [], "the cluster has no GPU node")
    spec = faulty_spec(table(ROWS), replicas=[1, NODES], gpus=1, seconds=0.5)
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(spec), "utf-8")
    run = subprocess.Popen(
        [sys.executable, "-m", "raybench.cli", "run", str(path), "--address", cluster.address],
        env=cluster.env,
        cwd=ROOT,
    )
    try:
        first = cluster.until(lambda nodes: len(nodes) == NODES, "three GPU nodes have come")
        cluster.preempt_one()
        left = cluster.until(lambda nodes: len(nodes) < NODES, "one is gone")
        again = cluster.until(lambda nodes: len(nodes) == NODES, "it is replaced")
        assert set(left) < set(first)
        assert len(set(again) - set(first)) == 1, "the replacement is a new node"
        assert run.wait(timeout=600) == 0
        cluster.until(lambda nodes: nodes == [], "idle nodes have gone", 180)
    finally:
        run.kill()
    results = raybench.load(spec["output"])
    assert len(results.responses) == results.responses["key"].nunique() == ROWS
    assert (results.records["outcome"] == "answered").all()
    assert results.responses["replica"].nunique() >= NODES
