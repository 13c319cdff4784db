"""`cluster.yaml` passes the checks that `ray up` runs before it calls AWS, and agrees with the repository."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parents[1]


@pytest.fixture
def written() -> dict[str, Any]:
    """The file as it stands."""
    return yaml.safe_load((ROOT / "cluster.yaml").read_text("utf-8"))


@pytest.fixture
def config(written: dict[str, Any]) -> dict[str, Any]:
    """The file with Ray's defaults filled in."""
    return prepare_config(written)


def test_ray_accepts_it(config: dict[str, Any]) -> None:
    validate_config(config)


@pytest.mark.parametrize(
    ("key", "value", "error"),
    [("idle_minutes", 5, jsonschema.ValidationError), ("head_node_type", "haed", ValueError)],
)
def test_ray_refuses_a_misspelling(written: dict[str, Any], key: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        validate_config(prepare_config({**written, key: value}))


def test_gpu_workers_scale_from_none(config: dict[str, Any]) -> None:
    types = config["available_node_types"]
    head = config["head_node_type"]
    assert head in types
    assert types[head]["max_workers"] == 0
    gpu = {name: node for name, node in types.items() if node["resources"].get("GPU", 0) > 0}
    assert gpu, "no node type has a GPU"
    assert head not in gpu
    for name, node in gpu.items():
        assert node["min_workers"] == 0, name
        assert 0 < node["max_workers"] <= config["max_workers"], name
    assert 0 < config["idle_timeout_minutes"] <= 15


def test_images_carry_the_pinned_ray(written: dict[str, Any]) -> None:
    pins = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    ray = next(pin.removeprefix("ray==") for pin in pins if pin.startswith("ray=="))
    for key in ("image", "head_image"):
        assert f":{ray}-py311" in written["docker"][key], key


def test_mounted_files_exist(written: dict[str, Any]) -> None:
    mounts = written["file_mounts"]
    for remote, local in mounts.items():
        assert local.startswith("~/") or (ROOT / local).exists(), f"{remote}: no {local} in the repository"
    setup = " ".join(written["setup_commands"])
    assert "-c constraints.txt" in setup
    installed = setup.partition(".[")[2].partition("]")[0].split(",")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert set(installed) <= set(extras)


def test_token_and_secrets_come_from_the_node(written: dict[str, Any]) -> None:
    mounts = written["file_mounts"]
    options = dict(option.removeprefix("--env=").split("=") for option in written["docker"]["run_options"])
    assert options["RAY_AUTH_MODE"] == "token"
    assert options["RAY_AUTH_TOKEN_PATH"] in mounts
    for commands in ("head_start_ray_commands", "worker_start_ray_commands"):
        assert any(". /home/ray/raybench.env;" in command for command in written[commands]), commands
    assert "/home/ray/raybench.env" in mounts
