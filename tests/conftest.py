"""Fixtures that every test may use: real data if it is there, and one local Ray for the whole session."""

from __future__ import annotations

import csv
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

PLUGINS = Path(__file__).parent / "plugins"
sys.path.insert(0, str(PLUGINS))


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real data named by RAYBENCH_TEST_DATA."""
    folder = os.environ.get("RAYBENCH_TEST_DATA")
    if not folder:
        pytest.skip("RAYBENCH_TEST_DATA names no folder of real data")
    return Path(folder)


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    """One Ray of 8 logical CPUs, whose workers find the test plugins and this package's tests."""
    import logging

    import ray

    root = Path(__file__).parent.parent
    os.environ["PYTHONPATH"] = os.pathsep.join(
        part for part in (str(PLUGINS), str(root), os.environ.get("PYTHONPATH", "")) if part
    )
    ray.init(
        address="local", num_cpus=8, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False,
        object_store_memory=256 * 2**20,
    )  # fmt: skip
    yield
    ray.shutdown()


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Path]:
    """A maker of small VQA tables: `table(20)` is a CSV of 20 questions over 5 images, answers yes and no by turns."""

    def make(rows: int, name: str = "questions", images: int = 5, corrupt: tuple[int, ...] = ()) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        for i in range(images):
            Image.new("RGB", (16, 12), (40 * i, 90, 10)).save(folder / f"{i}.png")
        for i in corrupt:
            (folder / f"{i}.png").write_bytes((folder / f"{i}.png").read_bytes()[:40])
        path = folder / f"{name}.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "image", "question", "answer"])
            for i in range(rows):
                writer.writerow([i, f"{i % images}.png", f"Is {name} number {i} shown?", "yes" if i % 2 else "no"])
        return path

    return make


@pytest.fixture
def sent(tmp_path: Path) -> Callable[[], Counter[str]]:
    """A reader of the faulty backend's log: sample -> times sent; "load" -> starts."""

    def read() -> Counter[str]:
        log = tmp_path / "sent.log"
        lines = log.read_text("utf-8").splitlines() if log.exists() else []
        return Counter(line.split()[0] for line in lines)

    return read


@pytest.fixture
def faulty_spec(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """A maker of specs that run the faulty backend on a table: `faulty_spec(path, die_on=["3"])`."""

    def make(path: Path, *, replicas: Any = 1, limit: int | None = None, **options: Any) -> dict[str, Any]:
        task: dict[str, Any] = {"task": "vqa", "data": str(path)} | ({"limit": limit} if limit else {})
        log = str(tmp_path / "sent.log")
        model = {"name": "faulty", "backend": "faulty", "replicas": replicas, "log": log, **options}
        return {"output": str(tmp_path / "out"), "tasks": [task], "models": [model]}

    return make
