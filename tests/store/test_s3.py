"""The store on a real S3-compatible server (moto's): parts, views, create-only, retries, a crash and resume."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from raybench.store import Store, now
from raybench.store.compact import compact
from raybench.store.writer import SYNC_ROWS
from tests.engine.test_kill import ROOT, ROWS, _Server, _until
from tests.servers import free_port

pytest.importorskip("s3fs")
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """A server of its own with an empty bucket; every S3 client of this process and its children finds it."""
    from s3fs import S3FileSystem

    port = free_port()
    before = {name: os.environ.get(name) for name in (*ENVIRONMENT, "AWS_ENDPOINT_URL")}
    os.environ.update(ENVIRONMENT, AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}")
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _until(lambda: _answers(port), "the S3 server answers", 60)
        S3FileSystem.clear_instance_cache()
        fsspec.filesystem("s3").mkdir("raybench-test")
        yield "s3://raybench-test"
    finally:
        process.terminate()
        process.wait()
        S3FileSystem.clear_instance_cache()
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def _answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/").close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def _attempt(number: int) -> dict[str, Any]:
    return {"key": f"k{number}", "reason": "timeout", "detail": "slow", "attempts": 1, "committed_at": now()}


def test_rows_are_durable_at_256_and_at_a_flush(bucket: str) -> None:
    store = Store(f"{bucket}/writer")
    writer = store.writer("attempts", run_id="r")
    for number in range(SYNC_ROWS - 1):
        writer.append(_attempt(number))
    assert store.parts("attempts") == [], "an object store has no append"
    writer.append(_attempt(SYNC_ROWS - 1))
    assert len(store.parts("attempts")) == 1
    writer.append(_attempt(SYNC_ROWS))  # dies with its writer: at most 255 rows do
    assert store.query("SELECT count(*) AS n FROM attempts", (), ("attempts",)) == [{"n": SYNC_ROWS}]
    writer.flush()
    assert len(store.parts("attempts")) == 2
    writer.close()
    assert store.seal_orphans() == 0


def test_views_snapshots_and_create_only(bucket: str) -> None:
    store = Store(f"{bucket}/compact")
    for number in range(5):
        store.write("attempts", [_attempt(number)], run_id="r")
    assert compact(store) == {"attempts": (5, 1)}
    assert len(store.parts("attempts")) == 1
    found = store.query("SELECT key FROM attempts ORDER BY key", (), ("attempts",))
    assert [row["key"] for row in found] == ["k0", "k1", "k2", "k3", "k4"]
    name = "attempts/snapshot-00000009.json"
    assert store.files.create(name, b"first")
    store.files.fs.invalidate_cache()
    assert not Store(f"{bucket}/compact").files.create(name, b"second")
    assert store.files.read(name) == b"first"


def test_a_failed_put_is_tried_again(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.exceptions import EndpointConnectionError

    store = Store(f"{bucket}/retry")
    real, pauses = store.files.fs.pipe_file, list[float]()
    troubles: list[Exception] = [OSError("503 Slow Down"), EndpointConnectionError(endpoint_url="http://s3")]

    def unwell(path: str, data: bytes, **options: Any) -> Any:
        if troubles:
            raise troubles.pop()
        return real(path, data, **options)

    monkeypatch.setattr(store.files.fs, "pipe_file", unwell)
    monkeypatch.setattr("raybench.store.files.time.sleep", pauses.append)
    store.write("attempts", [_attempt(1)], run_id="r")
    assert len(store.parts("attempts")) == 1
    assert len(pauses) == 2
    assert 0.25 <= pauses[0] <= 0.75 <= 1.5 * pauses[1], "pauses grow, with jitter"

    troubles[:] = [PermissionError("Access Denied")]
    with pytest.raises(PermissionError):
        store.write("attempts", [_attempt(2)], run_id="r")
    assert len(pauses) == 2, "a closed bucket is not tried again"
    troubles[:] = [OSError("503")] * 99
    with pytest.raises(OSError, match="503"):
        store.write("attempts", [_attempt(3)], run_id="r")
    assert len(pauses) == 2 + 5


@pytest.mark.slow
def test_a_run_killed_on_an_object_store_goes_on(bucket: str, tmp_path: Path, table: Callable[..., Path]) -> None:
    """kill -9 of the driver at half way; the second run re-does at most 256 rows or 10 s of work a replica."""
    import yaml

    server = _Server(tmp_path)
    model = {
        "name": "served", "backend": "openai", "base_url": f"http://127.0.0.1:{server.port}/v1", "model": "fake",
        "concurrency": 16, "replicas": 1,
    }  # fmt: skip
    spec = {"output": f"{bucket}/killed", "tasks": [{"task": "vqa", "data": str(table(ROWS))}], "models": [model]}
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(spec), "utf-8")
    command = [sys.executable, "-m", "raybench.cli", "run", str(path)]
    try:
        first = subprocess.Popen(command, cwd=ROOT)
        _until(lambda: server.stats()["requests"] >= ROWS // 2, "half the rows are sent", 300)
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        assert subprocess.run(command, cwd=ROOT, check=False, timeout=550).returncode == 0
        stats = server.stats()
        store = Store(f"{bucket}/killed", must_exist=True)
        (rows,) = store.query("SELECT count(*) AS n, count(DISTINCT key) AS keys FROM responses")
        assert rows == {"n": ROWS, "keys": ROWS}
        assert stats["distinct"] == ROWS
        again = stats["requests"] - ROWS
        print(f"{again} rows sent again, at most {SYNC_ROWS} or 10 s of work allowed")
        assert again <= SYNC_ROWS + 16, "unsealed rows, and what was in flight"
        status = subprocess.run(
            [sys.executable, "-m", "raybench.cli", "status", f"{bucket}/killed"],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert status.returncode == 0
        assert "done" in status.stdout
    finally:
        server.process.terminate()
        server.process.wait()


@pytest.mark.slow
def test_a_row_that_kills_its_replica_takes_no_other_along(
    bucket: str, tmp_path: Path, table: Callable[..., Path], faulty_spec: Callable[..., dict[str, Any]]
) -> None:
    import yaml

    spec = {**faulty_spec(table(48), die_on=["5"], rows_at_once=4), "output": f"{bucket}/poison"}
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(spec), "utf-8")
    command = [sys.executable, "-m", "raybench.cli", "run", str(path)]
    plugins = os.pathsep.join([str(ROOT / "tests" / "plugins"), str(ROOT)])
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": plugins}, check=False, timeout=300)
    assert done.returncode == 1
    store = Store(f"{bucket}/poison", must_exist=True)
    failed = store.query("SELECT DISTINCT sample, reason FROM attempts")
    assert failed == [{"sample": "5", "reason": "replica_died"}]
    (rows,) = store.query("SELECT count(*) AS n, count(DISTINCT key) AS keys FROM responses")
    assert rows == {"n": 47, "keys": 47}
