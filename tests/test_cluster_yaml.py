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


def _chosen(config: dict[str, Any], demand: list[dict[str, float]], lost: dict[str, float]) -> list[str]:
    """The node types that Ray's own scheduler would launch for a demand; `lost`: availability after failed launches."""
    from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig
    from ray.autoscaler.v2.scheduler import ResourceDemandScheduler, SchedulingRequest
    from ray.autoscaler.v2.utils import ResourceRequestUtil

    types = AutoscalingConfig(config, skip_content_hash=True).get_node_type_configs()
    request = SchedulingRequest(
        node_type_configs=types,
        max_num_nodes=config["max_workers"],
        resource_requests=[ResourceRequestUtil.group_by_count([ResourceRequestUtil.make(each)])[0] for each in demand],
        recoverable_resource_availabilities=lost,
        cloud_resource_availabilities=lost,
        disable_launch_config_check=True,
    )
    reply = ResourceDemandScheduler(event_logger=None).schedule(request)
    return sorted(launch.instance_type for launch in reply.to_launch if launch.count)


def test_spot_comes_first_and_on_demand_where_there_is_none(config: dict[str, Any]) -> None:
    one, four = [{"GPU": 1.0}], [{"GPU": 4.0}]
    assert _chosen(config, one, {}) == ["gpu_spot"]
    assert _chosen(config, one, {"gpu_spot": 0.0}) == ["gpu_on_demand"]
    assert _chosen(config, four, {}) == ["gpu4_spot"]
    assert _chosen(config, four, {"gpu4_spot": 0.0}) == ["gpu4_on_demand"]
    for kind in ("gpu", "gpu4"):
        spot, fallback = (config["available_node_types"][f"{kind}_{market}"] for market in ("spot", "on_demand"))
        assert spot["resources"] == fallback["resources"]
        assert spot["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
        assert "InstanceMarketOptions" not in fallback["node_config"]


def test_the_dashboard_is_bound_to_loopback(written: dict[str, Any]) -> None:
    head = " ".join(written["head_start_ray_commands"])
    assert "--dashboard-host=127.0.0.1" in head
    assert "0.0.0.0" not in head


def test_weights_are_fetched_once_a_node(written: dict[str, Any]) -> None:
    (command,) = written["worker_setup_commands"]
    assert "jobs/prefetch.py --to /home/ray/weights " in command
    assert "--env=HF_HOME=/home/ray/weights" in written["docker"]["run_options"]


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
    given = [option for option in written["docker"]["run_options"] if option.startswith("--env=")]
    options = dict(option.removeprefix("--env=").split("=") for option in given)
    assert options["RAY_AUTH_MODE"] == "token"
    assert options["RAY_AUTH_TOKEN_PATH"] in mounts
    for commands in ("head_start_ray_commands", "worker_start_ray_commands"):
        assert any(". /home/ray/raybench.env;" in command for command in written[commands]), commands
    assert "/home/ray/raybench.env" in mounts
