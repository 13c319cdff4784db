"""Names to plugins: a folder scan plus entry points, imported only when asked for.

A module `raybench/tasks/vqa_rad.py` is the task `vqa_rad`; hyphens and
underscores in a name are the same. A package of someone else's adds one with
an entry point in the group `raybench.tasks` (`.models`, `.judges`, `.metrics`).

>>> "vqa_rad" in names("tasks")
True
"""

from __future__ import annotations

import importlib
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from typing import Any

import yaml

from raybench.errors import SpecError, UnknownNameError

__all__ = ["KINDS", "catalogue", "load", "names"]

#: Plugin folder -> the word for one of its plugins in messages.
KINDS = {"tasks": "task", "models": "backend", "judges": "judge protocol", "metrics": "metric profile"}


@cache
def _entry_points(kind: str) -> dict[str, EntryPoint]:
    return {point.name.replace("-", "_"): point for point in entry_points(group=f"raybench.{kind}")}


@cache
def names(kind: str) -> tuple[str, ...]:
    """Return the sorted plugin names of a kind without importing any of them."""
    folder = files("raybench").joinpath(kind)
    own = {item.name.removesuffix(".py") for item in folder.iterdir() if item.name.endswith(".py")}
    own = {name for name in own if not name.startswith("_")}
    return tuple(sorted(own | set(_entry_points(kind))))


def load(kind: str, name: str) -> Any:
    """Return a plugin class by kind and name.

    Raises:
        UnknownNameError: no such plugin; the sentence names the nearest.
        SpecError: the module names no `PLUGIN`.
    """
    stem = name.replace("-", "_")
    if stem in _entry_points(kind):
        return _entry_points(kind)[stem].load()
    if stem not in names(kind):
        raise UnknownNameError(KINDS[kind], name, names(kind))
    module = importlib.import_module(f"raybench.{kind}.{stem}")
    if not hasattr(module, "PLUGIN"):
        raise SpecError(f"{module.__name__} is no plugin: it names no PLUGIN")
    return module.PLUGIN


@cache
def catalogue() -> dict[str, dict[str, Any]]:
    """Return model and judge entries by name: backend, model id, box convention, quirks."""
    folder = files("raybench").joinpath("models", "catalogue")
    entries = [yaml.safe_load(item.read_text("utf-8")) for item in folder.iterdir() if item.name.endswith(".yaml")]
    return {entry["name"]: entry for entry in sorted(entries, key=lambda entry: str(entry["name"]))}
