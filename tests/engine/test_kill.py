"""Processes killed half way through 2,000 rows against a server that counts requests. Run by `make test-slow`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

import raybench
from tests.servers import free_port

pytestmark = pytest.mark.slow

ROWS, REPLICAS, WINDOW = 2000, 2, 16
ROOT = Path(__file__).parent.parent.parent


class _Server:
    """The fake server as a process of its own, which outlives the clients that are killed."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "tests.servers", "--port", str(self.port), "--delay-seconds", "0.08"]
        self.process = subprocess.Popen([*command, "--log", str(folder / "requests.jsonl")], cwd=ROOT)
        _until(self.answers, "the fake server answers")

    def stats(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/stats") as reply:
            found: dict[str, Any] = json.load(reply)
        return found

    def answers(self) -> bool:
        try:
            return bool(self.stats())
        except OSError:
            return False


@pytest.fixture
def server(tmp_path: Path) -> Iterator[_Server]:
    running = _Server(tmp_path)
    yield running
    running.process.terminate()
    running.process.wait()


def _until(condition: Callable[[], bool], what: str, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s until {what}"
        time.sleep(0.05)


def _start(tmp_path: Path, table: Callable[..., Path], server: _Server, output: str = "out") -> subprocess.Popen[bytes]:
    model = {
        "name": "served", "backend": "openai", "base_url": f"http://127.0.0.1:{server.port}/v1", "model": "fake",
        "concurrency": WINDOW, "replicas": REPLICAS,
    }  # fmt: skip
    data = str(table(ROWS)) if not (tmp_path / "questions").exists() else str(tmp_path / "questions" / "questions.csv")
    spec = {"output": str(tmp_path / output), "tasks": [{"task": "vqa", "data": data}], "models": [model]}
    path = tmp_path / f"{output}.yaml"
    path.write_text(yaml.safe_dump(spec), "utf-8")
    return subprocess.Popen([sys.executable, "-m", "raybench.cli", "run", str(path)], cwd=ROOT)


def _check(output: Path, server: _Server, most_resent: int) -> None:
    results = raybench.load(output)
    assert len(results.responses) == results.responses["key"].nunique() == results.responses["sample"].nunique() == ROWS
    assert (results.records["outcome"] == "answered").all()
    stats = server.stats()
    assert stats["distinct"] == ROWS
    resent = stats["requests"] - ROWS
    print(f"{resent} rows sent again, at most {most_resent} allowed")
    assert resent <= most_resent


def _scores(output: Path) -> list[tuple[Any, ...]]:
    scores = raybench.load(output).scores
    columns = ["kind", "model", "profile", "metric", "slice", "sample_set", "value", "low", "high", "n"]
    return sorted(map(tuple, scores[columns].itertuples(index=False, name=None)))


def test_kill_the_driver_then_a_replica(tmp_path: Path, table: Callable[..., Path], server: _Server) -> None:
    first = _start(tmp_path, table, server)
    _until(lambda: server.stats()["requests"] >= ROWS // 2, "half the rows are sent")
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert _start(tmp_path, table, server).wait() == 0
    _check(tmp_path / "out", server, most_resent=REPLICAS * WINDOW)

    other = _Server(tmp_path / "questions")
    try:
        run = _start(tmp_path, table, other, "second")
        _until(lambda: other.stats()["requests"] >= ROWS // 2, "half the rows are sent")
        children = psutil.Process(run.pid).children(recursive=True)
        os.kill(next(child.pid for child in children if "MapWorker" in child.name()), signal.SIGKILL)
        assert run.wait() == 0
        _check(tmp_path / "second", other, most_resent=WINDOW)
        undisturbed = _start(tmp_path, table, other, "third")
        assert undisturbed.wait() == 0
    finally:
        other.process.terminate()
        other.process.wait()
    assert _scores(tmp_path / "out") == _scores(tmp_path / "second") == _scores(tmp_path / "third")


def test_two_runs_write_to_one_folder_at_once(tmp_path: Path, table: Callable[..., Path], server: _Server) -> None:
    both = [_start(tmp_path, table, server), _start(tmp_path, table, server)]
    assert [run.wait() for run in both] == [0, 0]
    results = raybench.load(tmp_path / "out")
    assert len(results.responses) == len(results.records) == ROWS
    assert not results.scores.duplicated(["model", "metric", "profile", "slice", "kind"]).any()
