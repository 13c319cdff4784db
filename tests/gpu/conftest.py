"""What every GPU test needs: CUDA, or one sentence why it is skipped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


def gpus() -> int:
    """Return the CUDA devices that torch sees."""
    try:
        import torch
    except ImportError:
        return 0
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


@pytest.fixture(autouse=True)
def _has_gpus(request: pytest.FixtureRequest) -> None:
    mark = request.node.get_closest_marker("gpu")
    wanted = mark.kwargs.get("count", 1) if mark else 1
    if gpus() < wanted:
        pytest.skip(f"needs {wanted} CUDA device(s); torch sees {gpus()}")


@pytest.fixture
def checkpoint(request: pytest.FixtureRequest) -> str:
    """A model folder named by the environment variable that the test asks for by `indirect` parameter."""
    folder = os.environ.get(request.param)
    if not folder:
        pytest.skip(f"{request.param} names no model folder")
    assert (Path(folder) / "config.json").is_file(), f"{request.param}={folder} holds no config.json"
    return folder


@pytest.fixture(scope="module")
def gpu_ray() -> Iterator[None]:
    """A local Ray that knows of this machine's GPUs."""
    import ray

    ray.shutdown()
    ray.init(address="local", num_cpus=8, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()
