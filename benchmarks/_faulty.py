"""Runs of the tests' faulty backend through the real command line, for benchmarks."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

__all__ = ["ROOT", "environment", "start", "write_questions"]

ROOT = Path(__file__).parent.parent


def write_questions(path: Path, rows: int) -> Path:
    """Write a table of `rows` text-only yes/no questions."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "question", "answer"])
        writer.writerows([i, f"Is number {i} shown?", "yes" if i % 2 else "no"] for i in range(rows))
    return path


def environment() -> dict[str, str]:
    """Return an environment in which drivers and workers find the test plugins."""
    parts = [str(ROOT / "tests" / "plugins"), str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(part for part in parts if part)}


def start(folder: Path, rows: int, **model: Any) -> subprocess.Popen[bytes]:
    """Start `raybench run` on `rows` questions with the faulty backend; results go to `folder/out`."""
    folder.mkdir(parents=True, exist_ok=True)
    data = write_questions(folder / "questions.csv", rows)
    entry = {"name": "faulty", "backend": "faulty", "log": str(folder / "sent.log"), **model}
    spec = {"output": str(folder / "out"), "tasks": [{"task": "vqa", "data": str(data)}], "models": [entry]}
    (folder / "spec.yaml").write_text(yaml.safe_dump(spec), "utf-8")
    command = [sys.executable, "-m", "raybench.cli", "run", str(folder / "spec.yaml")]
    return subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
