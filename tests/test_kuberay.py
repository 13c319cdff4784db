"""`jobs/kuberay.yaml` against what KubeRay and Kubernetes accept, and the script that fetches weights.

KubeRay's fields are a table of names and types, read from its API types (ray-project/kuberay, Apache-2.0:
ray-operator/apis/ray/v1); pods are checked by the models of the Kubernetes client. Where RAYBENCH_KUBERAY_CRD names
a copy of KubeRay's own CRD (ray.io_rayjobs.yaml), the manifest is validated against its whole schema too.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from kubernetes import client

from raybench import spec

ROOT = Path(__file__).parents[1]
_TEXTS, _POD, _ENV = {"type": "object", "additionalProperties": {"type": "string"}}, {"pod": True}, {"env": True}
_COUNT = {"type": "integer", "minimum": 0}


def _strict(required: tuple[str, ...] = (), **fields: Any) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(required), "additionalProperties": False}


_WORKERS = _strict(
    ("groupName", "minReplicas", "maxReplicas", "rayStartParams", "template"),
    groupName={"type": "string"}, replicas=_COUNT, minReplicas=_COUNT, maxReplicas=_COUNT, numOfHosts=_COUNT,
    idleTimeoutSeconds=_COUNT, suspend={"type": "boolean"}, rayStartParams=_TEXTS, template=_POD,
    scaleStrategy={"type": "object"},
)  # fmt: skip
_CLUSTER = _strict(
    ("headGroupSpec",),
    rayVersion={"type": "string"}, enableInTreeAutoscaling={"type": "boolean"}, suspend={"type": "boolean"},
    headServiceAnnotations=_TEXTS,
    autoscalerOptions=_strict(
        version={"enum": ["v1", "v2"]}, idleTimeoutSeconds=_COUNT,
        upscalingMode={"enum": ["Default", "Aggressive", "Conservative"]}, image={"type": "string"}, env=_ENV,
        imagePullPolicy={"type": "string"}, resources={"type": "object"},
    ),
    headGroupSpec=_strict(
        ("rayStartParams", "template"),
        serviceType={"enum": ["ClusterIP", "NodePort", "LoadBalancer"]}, enableIngress={"type": "boolean"},
        rayStartParams=_TEXTS, template=_POD,
    ),
    workerGroupSpecs={"type": "array", "items": _WORKERS},
)  # fmt: skip
SCHEMA = _strict(
    ("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "ray.io/v1"}, kind={"const": "RayJob"}, metadata={"type": "object"},
    spec=_strict(
        entrypoint={"type": "string"}, runtimeEnvYAML={"type": "string"}, jobId={"type": "string"},
        submissionMode={"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]},
        backoffLimit=_COUNT, activeDeadlineSeconds=_COUNT, shutdownAfterJobFinishes={"type": "boolean"},
        ttlSecondsAfterFinished=_COUNT, suspend={"type": "boolean"}, metadata=_TEXTS, clusterSelector=_TEXTS,
        entrypointNumCpus={"type": "number"}, entrypointNumGpus={"type": "number"},
        entrypointResources={"type": "string"}, submitterPodTemplate=_POD, rayClusterSpec=_CLUSTER,
    ),
)  # fmt: skip


def _pods(validator: Any, wanted: bool, instance: Any, schema: Any) -> Any:
    yield from (jsonschema.ValidationError(problem) for problem in _problems(instance, "V1PodTemplateSpec", "pod"))


def _variables(validator: Any, wanted: bool, instance: Any, schema: Any) -> Any:
    yield from (jsonschema.ValidationError(problem) for problem in _problems(instance, "list[V1EnvVar]", "env"))


def _problems(value: Any, kind: str, where: str) -> list[str]:
    """What the client's models do not know in a value: unknown fields, wrong kinds, missing names."""
    if match := re.fullmatch(r"list\[(\w+)\]", kind):
        if not isinstance(value, list):
            return [f"{where} is no list"]
        return [found for i, item in enumerate(value) for found in _problems(item, match[1], f"{where}[{i}]")]
    if match := re.fullmatch(r"dict\(str, (\w+)\)", kind):
        return [f"{where}.{key} is no text" for key, item in value.items() if not isinstance(item, str | int)]
    model = getattr(client, kind, None)
    if model is None:
        plain = {"str": str, "int": int, "bool": bool, "float": (int, float)}.get(kind)
        return [f"{where} is no {kind}"] if plain and not isinstance(value, plain) else []
    if not isinstance(value, Mapping):
        return [f"{where} is no {kind}"]
    fields = {written: name for name, written in model.attribute_map.items()}
    unknown = [f"{where}: {kind} has no {key}" for key in value if key not in fields]
    try:
        model(**{fields[key]: item for key, item in value.items() if key in fields})
    except ValueError as error:
        unknown.append(f"{where}: {error}")
    inner = ((key, item, model.openapi_types[fields[key]]) for key, item in value.items() if key in fields)
    return unknown + [found for key, item, of in inner for found in _problems(item, of, f"{where}.{key}")]


_VALIDATOR = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"pod": _pods, "env": _variables})


@pytest.fixture
def manifest() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "jobs/kuberay.yaml").read_text("utf-8"))
    return found


def _errors(manifest: dict[str, Any]) -> list[str]:
    return [error.message for error in _VALIDATOR(SCHEMA).iter_errors(manifest)]


def test_the_manifest_is_valid(manifest: dict[str, Any]) -> None:
    assert not _errors(manifest)
    if crd := os.environ.get("RAYBENCH_KUBERAY_CRD"):
        versions = yaml.safe_load(Path(crd).read_text("utf-8"))["spec"]["versions"]
        whole = next(v for v in versions if v["name"] == "v1")["schema"]["openAPIV3Schema"]
        jsonschema.validate(manifest, whole)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("spec", "entrypont"), "raybench run"),
        (("spec", "submissionMode"), "Http"),
        (("spec", "rayClusterSpec", "autoscalerOptions", "upscalingMode"), "Fast"),
        (("spec", "rayClusterSpec", "workerGroupSpecs", 0, "maxReplicas"), "eight"),
        (("spec", "rayClusterSpec", "headGroupSpec", "rayStartParams", "num-cpus"), 0),
        (("spec", "rayClusterSpec", "headGroupSpec", "template", "spec", "containers", 0, "envfrom"), []),
        (("spec", "rayClusterSpec", "headGroupSpec", "template", "spec", "containers", 0, "name"), None),
        (("spec", "rayClusterSpec", "autoscalerOptions", "env", 0, "valueFrom"), {"secretKeyRf": {}}),
    ],
)
def test_a_mistake_is_noticed(manifest: dict[str, Any], place: tuple[Any, ...], value: Any) -> None:
    wrong = deepcopy(manifest)
    inside = wrong
    for key in place[:-1]:
        inside = inside[key]
    inside[place[-1]] = value
    assert _errors(wrong)


def _containers(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    cluster = manifest["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    pods = [manifest["spec"]["submitterPodTemplate"], *(group["template"] for group in groups)]
    return {container["name"]: container for pod in pods for container in pod["spec"]["containers"]}


def test_every_ray_process_has_the_token_from_a_secret(manifest: dict[str, Any]) -> None:
    containers = _containers(manifest)
    assert set(containers) == {"ray-job-submitter", "ray-head", "ray-worker"}
    lists = [container["env"] for container in containers.values()]
    for env in [*lists, manifest["spec"]["rayClusterSpec"]["autoscalerOptions"]["env"]]:
        named = {variable["name"]: variable for variable in env}
        assert named["RAY_AUTH_MODE"]["value"] == "token"
        assert named["RAY_AUTH_TOKEN"]["valueFrom"]["secretKeyRef"] == {"name": "raybench-token", "key": "auth_token"}
        assert "value" not in named["RAY_AUTH_TOKEN"]
    assert "runtimeEnvYAML" not in manifest["spec"], "secrets could end up in it"


def test_gpu_workers_scale_from_none_and_carry_the_pinned_ray(manifest: dict[str, Any]) -> None:
    cluster = manifest["spec"]["rayClusterSpec"]
    assert cluster["enableInTreeAutoscaling"]
    assert f"ray=={cluster['rayVersion']}" in (ROOT / "constraints.txt").read_text("utf-8")
    assert f":{cluster['rayVersion']}-py311-gpu" in (ROOT / "jobs/Dockerfile").read_text("utf-8")
    for group in cluster["workerGroupSpecs"]:
        assert group["minReplicas"] == group["replicas"] == 0 < group["maxReplicas"]
        (container,) = group["template"]["spec"]["containers"]
        assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


def test_the_entrypoint_is_a_command_of_ours(manifest: dict[str, Any]) -> None:
    words = manifest["spec"]["entrypoint"].split()
    done = subprocess.run([sys.executable, "-m", "raybench.cli", "run", "--help"], capture_output=True, text=True)
    assert words[:2] == ["raybench", "run"]
    assert all(word in done.stdout for word in words if word.startswith("--"))
    output = words[words.index("--set") + 1]
    suite = spec.with_settings(spec.read(ROOT / "jobs/vqa_rad.yaml"), [output])
    assert spec.build(suite).output.startswith("s3://")


def _prefetch(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "jobs/prefetch.py"), *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "HF_HUB_OFFLINE": "1"}
    )


def test_weights_are_fetched_whole_and_once(tmp_path: Path) -> None:
    source, node = tmp_path / "bucket" / "tiny", tmp_path / "node"
    (source / "sub").mkdir(parents=True)
    (source / "config.json").write_text("{}")
    (source / "sub" / "model.safetensors").write_bytes(b"w" * 1000)
    (node / ".tiny.partial").mkdir(parents=True)  # what an interrupted fetch left
    (node / ".tiny.partial" / "stale").write_text("x")
    done = _prefetch("--to", str(node), f"file://{source}")
    assert (done.returncode, done.stderr) == (0, "")
    found = {path.relative_to(node / "tiny").as_posix() for path in (node / "tiny").rglob("*") if path.is_file()}
    assert found == {"config.json", "sub/model.safetensors"}
    (source / "config.json").write_text("changed")
    _prefetch("--to", str(node), f"file://{source}")
    assert (node / "tiny" / "config.json").read_text() == "{}", "fetched once"
    missing = _prefetch("--to", str(node), f"file://{tmp_path}/none", "owner/not-in-any-cache")
    assert missing.returncode == 1
    assert "no folder" in missing.stderr
    assert not (node / "none").exists()
