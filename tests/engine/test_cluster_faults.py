"""Nodes that join and die in the middle of a run, as real raylets on this machine. Run by `make test-slow`."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import raybench
from tests.engine.test_kill import ROOT

pytestmark = pytest.mark.slow
ROWS, AT_ONCE = 240, 2


def _trial(tmp_path: Path, table: Callable[..., Path], *more: str) -> dict[str, Any]:
    path = [str(ROOT / "tests" / "plugins"), str(ROOT), os.environ.get("PYTHONPATH", "")]
    fast = {f"RAY_health_check_{name}": value for name, value in (
        ("period_ms", "1000"), ("timeout_ms", "1000"), ("failure_threshold", "3"))}  # fmt: skip
    command = [sys.executable, "-m", "tests.engine.cluster_trial", str(table(ROWS)), str(tmp_path / "out")]
    done = subprocess.run(
        [*command, str(tmp_path / "sent.log"), *more], cwd=ROOT, capture_output=True, text=True, timeout=600,
        env={**os.environ, **fast, "PYTHONPATH": os.pathsep.join(path)}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(found)
    return found


def _check(output: Path) -> None:
    results = raybench.load(output)
    assert len(results.responses) == results.responses["key"].nunique() == ROWS
    assert set(results.records["outcome"]) == {"answered"}


def test_a_node_that_joins_is_used(tmp_path: Path, table: Callable[..., Path]) -> None:
    found = _trial(tmp_path, table, "--join-at", "8", "--seconds", "0.5")
    _check(tmp_path / "out")
    assert found["replicas"] == 2
    assert found["sent"] == ROWS  # nothing was disturbed


@pytest.mark.parametrize("seed", range(20))
def test_a_node_that_dies_loses_nothing(seed: int, tmp_path: Path, table: Callable[..., Path]) -> None:
    at = random.Random(seed).randint(4, ROWS // 2)
    found = _trial(tmp_path, table, "--kill-at", str(at))
    _check(tmp_path / "out")
    assert found["sent"] - ROWS <= AT_ONCE  # what the dead node had open


def test_a_node_is_replaced_by_one_that_joins(tmp_path: Path, table: Callable[..., Path]) -> None:
    found = _trial(tmp_path, table, "--join-at", "20", "--kill-at", "60")
    _check(tmp_path / "out")
    assert found["replicas"] >= 2
    assert found["sent"] - ROWS <= AT_ONCE
