"""Which stored tasks hold restricted data: those are shown on loopback and exported to local disk only."""

from __future__ import annotations

import json

from raybench import registry
from raybench.dashboard.folder import View
from raybench.errors import PolicyError, RaybenchError
from raybench.schema import Row
from raybench.spec import TaskSpec, open_plugin

__all__ = ["check_local", "restricted_tasks"]


def restricted_tasks(view: View) -> list[str]:
    """Return the restricted tasks of a folder, by the task's own word or its options'.

    A task whose plugin or options cannot be read counts as restricted: nobody here can say that it is not.
    """
    found: list[str] = view.once("restricted", lambda: _restricted(view))
    return found


def check_local(view: View, is_local: bool, where: str) -> None:
    """Let restricted data be shown here only if `is_local`.

    Raises:
        PolicyError: the folder holds restricted data and this would send it elsewhere.
    """
    found = [] if is_local else restricted_tasks(view)
    if found:
        raise PolicyError(
            f"task {found[0]} holds restricted data: it may be shown on loopback and exported to local disk,"
            f" not {where}"
        )


def _restricted(view: View) -> list[str]:
    found = set()
    names = {row["task"] for row in view.scores("SELECT DISTINCT task FROM counted")}
    for run in view.scores("SELECT DISTINCT spec FROM runs WHERE spec IS NOT NULL"):
        for entry in json.loads(run["spec"]).get("tasks", []):
            names.add(str(entry.get("task")))
            if _is_restricted(entry):
                found.add(str(entry.get("task")))
    return sorted(found | {name for name in names if _is_restricted({"task": name})})


def _is_restricted(entry: Row) -> bool:
    try:
        plugin = registry.load("tasks", str(entry["task"]))
        if plugin.restricted:
            return True
        if set(entry) == {"task"}:
            return False
        spec = TaskSpec.model_validate(entry)
        _, options = open_plugin("tasks", spec.task, spec)
    except (RaybenchError, ValueError, ImportError):
        return True
    return bool(getattr(options, "restricted", False))
