"""What this installation can do: versions, extras, hardware, credentials by name only."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from raybench.engine.resources import connected
from raybench.errors import EngineError, one_line

__all__ = ["Check", "examine"]

_CORE = ("ray", "duckdb", "pyarrow", "numpy", "scipy", "pydantic", "openai")
_EXTRAS = {
    "hf": ("torch", "transformers", "accelerate", "datasets"),
    "medical": ("pycocotools", "pydicom", "nibabel"),
    "dashboard": ("starlette", "uvicorn"),
}
_SECRETS = ("HF_TOKEN", "OPENAI_API_KEY")


@dataclass(frozen=True)
class Check:
    """One finding; `required` ones decide the exit code."""

    name: str
    ok: bool
    detail: str
    required: bool = False


def examine(address: str | None = None) -> list[Check]:
    """Return every check; with an address, also what that cluster offers."""
    checks = [Check("python", True, platform.python_version(), True)]
    checks += [_packages("core", _CORE, required=True)]
    checks += [_packages(f"extra {name}", packages, required=False) for name, packages in _EXTRAS.items()]
    checks += [_hardware(), _memory(), Check("disk here", True, f"{shutil.disk_usage('.').free / 1e9:.0f} GB free")]
    present = [name for name in _SECRETS if os.environ.get(name)]
    checks.append(Check("credentials", True, f"set: {', '.join(present) or 'none'} (of {', '.join(_SECRETS)})"))
    if address is not None:
        checks.append(_cluster(address))
    return checks


def _packages(name: str, packages: Sequence[str], required: bool) -> Check:
    found, missing = [], []
    for package in packages:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            missing.append(package)
    hint = "" if not missing else f"missing: {', '.join(missing)}"
    if missing and not required:
        hint += f" (pip install 'raybench[{name.removeprefix('extra ')}]')"
    return Check(name, not missing, "; ".join(part for part in (", ".join(found), hint) if part), required)


def _hardware() -> Check:
    if find_spec("torch") is None:
        return Check("GPUs", True, "unknown (torch is not installed)")
    import torch

    count = torch.cuda.device_count()
    names = ", ".join(torch.cuda.get_device_name(i) for i in range(count))
    return Check("GPUs", True, f"{count} ({names})" if count else f"none; {os.cpu_count()} CPUs")


def _memory() -> Check:
    import psutil

    memory = psutil.virtual_memory()
    return Check("memory", True, f"{memory.available / 1e9:.0f} of {memory.total / 1e9:.0f} GB free")


def _cluster(address: str) -> Check:
    import ray

    try:
        with connected(address, []):
            offered = ray.cluster_resources()
    except EngineError as error:
        return Check("cluster", False, one_line(error), True)
    shown = ", ".join(f"{name} {offered[name]:g}" for name in ("CPU", "GPU") if name in offered)
    return Check("cluster", True, f"{address}: {shown}", True)
