"""Durable before counted: what a killed writer leaves behind, and who may take it."""

from __future__ import annotations

import fcntl
import gc
import json
import os
import signal
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest

from raybench.schema import TABLES
from raybench.store import Files, Store, Writer, writer
from raybench.store.writer import OPEN_SUFFIX, open_rows, seal_orphans


def row(i, **more):
    return {"key": f"k{i}", "sample": f"s{i}", "turn": 0, "text": f"text {i}", "seconds": 0.5, **more}


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "results"))


def opened(store, table="responses"):
    return [name for name in store.files.names(table) if name.endswith(OPEN_SUFFIX)]


def sealed(store, table="responses"):
    return [name for name in store.files.names(table) if name.endswith(".parquet")]


def texts(store):
    return sorted(found["text"] for found in store.query("SELECT text FROM all_responses"))


def test_each_append_is_a_whole_line_on_disk(store):
    appender = store.writer("responses", run_id="r1")
    for i in range(3):
        appender.append(row(i))
        (name,) = opened(store)
        lines = store.files.read(f"responses/{name}").split(b"\n")
        assert lines[-1] == b""
        assert len(lines) == i + 2
        assert json.loads(lines[i])["text"] == f"text {i}"
    assert json.loads(lines[0])["run_id"] == "r1"
    assert texts(store) == ["text 0", "text 1", "text 2"]
    appender.close()
    assert opened(store) == []
    assert texts(store) == ["text 0", "text 1", "text 2"]


def test_a_torn_last_line_is_left_out(store):
    os.makedirs(f"{store.files.root}/responses")
    path = f"{store.files.root}/responses/torn{OPEN_SUFFIX}"
    whole = json.dumps(row(0, committed_at="2026-01-01T00:00:00.000000Z"))
    with open(path, "w") as file:
        file.write(whole + "\n" + whole[:20])
    assert texts(store) == ["text 0"]
    assert seal_orphans(store.files, "responses") == 1
    assert sealed(store) == ["torn.parquet"]
    assert texts(store) == ["text 0"]


def test_rows_of_a_vanished_writer_are_sealed_by_the_next_run(store):
    appender = store.writer("responses")
    appender.append(row(1))
    (name,) = opened(store)
    del appender
    gc.collect()
    assert store.seal_orphans() == 1
    assert sealed(store) == [name.removesuffix(OPEN_SUFFIX) + ".parquet"]
    assert opened(store) == []
    again = store.writer("responses")
    again.append(row(2))
    assert texts(store) == ["text 1", "text 2"]


KEEPER = """
import sys, time
from raybench.store import Store
writer = Store(sys.argv[1]).writer("responses")
writer.append({"key": "k", "sample": "s", "turn": 0, "text": "mine"})
print("ready", flush=True)
time.sleep(60)
"""


def test_a_living_writer_keeps_its_file_and_a_killed_one_loses_no_row(store):
    keeper = subprocess.Popen([sys.executable, "-c", KEEPER, store.files.root], stdout=subprocess.PIPE, text=True)
    try:
        assert keeper.stdout is not None
        assert keeper.stdout.readline() == "ready\n"
        assert store.seal_orphans() == 0
        assert len(opened(store)) == 1
        assert texts(store) == ["mine"]
        keeper.send_signal(signal.SIGKILL)
        keeper.wait()
        assert store.seal_orphans() == 1
    finally:
        keeper.kill()
        keeper.wait()
        keeper.stdout.close()
    assert opened(store) == []
    assert texts(store) == ["mine"]


def test_an_open_file_is_locked_before_it_has_its_name(store, monkeypatch):
    seen = []

    def rename(source, target):
        with open(source) as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        seen.append(os.path.basename(target))
        real(source, target)

    real = os.rename
    monkeypatch.setattr(writer.os, "rename", rename)
    store.writer("responses").append(row(0))
    assert [name for name in seen if name.endswith(OPEN_SUFFIX)]


def test_a_file_sealed_while_others_look_for_orphans_is_left_alone(store, monkeypatch):
    """Its writer seals it between the orphan hunter's open and its lock."""
    appender = store.writer("responses")
    appender.append(row(0))
    real = fcntl.flock

    def flock(handle, how):
        if how & fcntl.LOCK_NB:
            appender.close()
        real(handle, how)

    monkeypatch.setattr(writer.fcntl, "flock", flock)
    assert seal_orphans(store.files, "responses") == 0
    assert texts(store) == ["text 0"]


def test_no_more_than_so_many_rows_are_unsynced_and_many_are_sealed(store, monkeypatch):
    safe, real = [0], os.fsync

    def fsync(file):
        if OPEN_SUFFIX in os.readlink(f"/proc/self/fd/{file}"):
            with open(f"/proc/self/fd/{file}", "rb") as lines:
                rows = sum(1 for _ in lines)
            real(file)
            safe[0] = rows

    monkeypatch.setattr(writer.os, "fsync", fsync)
    appender = store.writer("responses")
    for i in range(writer.LOCAL_SEAL_ROWS - 1):
        appender.append(row(i))
        assert i + 1 - safe[0] <= writer.SYNC_ROWS
    assert safe[0] >= writer.LOCAL_SEAL_ROWS - writer.SYNC_ROWS
    for i in range(writer.LOCAL_SEAL_ROWS - 1, writer.LOCAL_SEAL_ROWS + writer.SYNC_ROWS):
        appender.append(row(i))  # the next file's first sync waits for the part of this one
    (part,) = sealed(store)
    assert pq.read_metadata(f"{store.files.root}/responses/{part}").num_rows == writer.LOCAL_SEAL_ROWS
    assert len(open_rows(store.files, "responses", opened(store)[0])) == writer.SYNC_ROWS
    assert len(texts(store)) == writer.LOCAL_SEAL_ROWS + writer.SYNC_ROWS


def test_what_goes_wrong_behind_is_raised_and_loses_no_row(store, monkeypatch):
    def refuse(*_, **__):
        raise OSError("no space left on device")

    def append_many():
        for i in range(2 * writer.LOCAL_SEAL_ROWS):
            appended.append(i)
            appender.append(row(i))

    appender, appended = store.writer("responses"), []
    with monkeypatch.context() as full:
        full.setattr(writer.pq, "write_table", refuse)
        with pytest.raises(OSError, match="no space"):
            append_many()
    appender.close()
    assert len(texts(store)) == len(appended)
    seal_orphans(store.files, "responses")
    assert opened(store) == []
    assert len(texts(store)) == len(appended)


def test_sealing_by_time(store, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(writer.time, "monotonic", lambda: clock[0])
    appender = store.writer("responses")
    appender.append(row(0))
    clock[0] += 9.9
    appender.append(row(1))
    assert len(opened(store)) == 1
    clock[0] += 0.2
    appender.append(row(2))
    appender.append(row(3))
    appender.close()
    sizes = sorted(pq.read_metadata(f"{store.files.root}/responses/{part}").num_rows for part in sealed(store))
    assert sizes == [1, 3]


def test_an_object_store_gets_parts_within_the_time(monkeypatch):
    files = Files("memory://raybench-writer-time")
    monkeypatch.setattr(writer, "SEAL_SECONDS", 0.2)
    appender = Writer(files, "responses")
    appender.append(row(0))
    assert files.names("responses") == []
    deadline = time.monotonic() + 10
    while not files.names("responses") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [name.endswith(".parquet") for name in files.names("responses")] == [True]
    appender.close()


def test_a_part_carries_the_whole_schema(store):
    store.write("responses", [row(0, unknown="dropped")])
    (part,) = sealed(store)
    found = pq.read_schema(f"{store.files.root}/responses/{part}")
    assert found.names == TABLES["responses"].names
    assert found.metadata[b"raybench_schema"] == b"1"


def test_half_a_surrogate_pair_does_not_stop_a_run(store):
    appender = store.writer("responses")
    appender.append(row(0, text="bad \ud83d, good 😀 肺"))
    assert texts(store) == ["bad ?, good 😀 肺"]
    appender.close()
    assert texts(store) == ["bad ?, good 😀 肺"]


def test_a_failed_write_leaves_nothing(store):
    def fail():
        with store.files.staged("responses/x.parquet") as path:
            with open(path, "wb") as file:
                file.write(b"half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert store.files.names("responses") == []


@pytest.mark.parametrize("root", ["local", "memory://raybench-create-only"])
def test_create_only_has_one_winner(root, tmp_path):
    files = Files(str(tmp_path) if root == "local" else root)
    assert files.create("t/snapshot-1.json", b"one")
    assert not files.create("t/snapshot-1.json", b"two")
    assert files.read("t/snapshot-1.json") == b"one"
    assert files.names("t") == ["snapshot-1.json"]
    files.delete("t/snapshot-1.json")
    files.delete("t/snapshot-1.json")
    assert not files.exists("t/snapshot-1.json")


def test_odd_values_are_the_same_in_an_open_file_and_in_a_part(store):
    """JSON has no NaN and no infinity, and a part is parsed from its lines."""
    odd = {"text": 'NUL \0, "quotes", \u2028 and a\nline', "mean_logprob": float("-inf"), "seconds": float("nan")}
    appender = store.writer("responses")
    appender.append({**row(0), **odd, "no column": 1})
    columns = "SELECT text, mean_logprob, isnan(seconds) AS nan, tokens_in FROM raw_responses"
    (before,) = store.query(columns, (), ("responses",))
    appender.close()
    (after,) = store.query(columns, (), ("responses",))
    assert len(sealed(store)) == 1
    assert before == after == {"text": odd["text"], "mean_logprob": float("-inf"), "nan": True, "tokens_in": None}
