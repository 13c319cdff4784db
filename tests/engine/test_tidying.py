"""Working folders of runs: kept while their owner lives, removed by it or, if it was killed, by the next run."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from raybench.engine.tidying import DEAD_AFTER, claim_plan, sweep_plans
from raybench.store import Store

HELD = """
import sys
from raybench.engine.tidying import claim_plan
from raybench.store import Store
store = Store(sys.argv[1])
with claim_plan(store, "killed"):
    store.files.write("runs/killed/plan/todo-1.parquet", b"x")
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_living_owner_keeps_its_folder_and_removes_it_at_the_end(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    with claim_plan(store, "r"):
        store.files.write("runs/r/plan/todo-1.parquet", b"x")
        assert sweep_plans(store) == 0
        assert store.files.names("runs/r/plan") == ["owner.lock", "todo-1.parquet"]
    assert not (tmp_path / "runs" / "r" / "plan").exists()


def test_a_killed_owner_s_folder_goes_with_the_next_run(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HELD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "held\n"
        store = Store(str(tmp_path))
        assert sweep_plans(store) == 0
        owner.kill()
        owner.wait()
        store.files.write("runs/killed/progress.json", b"{}")
        assert sweep_plans(store) == 1
    assert os.listdir(tmp_path / "runs" / "killed") == ["progress.json"]


def test_on_an_object_store_silence_decides() -> None:
    store = Store("memory://tidying")
    now = datetime.now(UTC)
    heard = {"silent": now - 2 * DEAD_AFTER, "alive": now}
    for name, at in heard.items():
        store.files.write(f"runs/{name}/plan/todo-1.parquet", b"x")
        store.files.write(f"runs/{name}/progress.json", b'{"at": "%s"}' % at.isoformat().encode())
    old, young = f"{now - 2 * DEAD_AFTER:%Y%m%d-%H%M%S}-aaaaaa", f"{now:%Y%m%d-%H%M%S}-bbbbbb"
    for name in (old, young):
        store.files.write(f"runs/{name}/plan/todo-1.parquet", b"x")
    assert sweep_plans(store) == 2
    left = [name for name in (*heard, old, young) if store.files.names(f"runs/{name}/plan")]
    assert left == ["alive", young]


@pytest.mark.parametrize("name", ["0123.parquet", "snapshot-00000001.json"])
def test_parts_of_the_runs_table_are_no_runs(name: str, tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.files.write(f"runs/{name}", b"x")
    assert sweep_plans(store) == 0
