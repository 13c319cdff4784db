"""What must be said wherever a task's numbers are shown: that its data are made up, or known to leak.

Scores carry the short flags, boards and rows the sentences.
"""

from __future__ import annotations

from raybench import registry
from raybench.errors import RaybenchError
from raybench.interfaces import Task

__all__ = ["KNOWN_LEAK", "SELF_CHECK", "caveat_flags", "caveats"]

SELF_CHECK, KNOWN_LEAK = "self check", "known leak"


def caveat_flags(task: Task | type[Task]) -> tuple[str, ...]:
    """Return the flags that every score of a task carries."""
    return ((SELF_CHECK,) if task.self_check else ()) + ((KNOWN_LEAK,) if task.leaks else ())


def caveats(task: str) -> dict[str, str]:
    """Return flag -> sentence for a task by name; {} for a plugin that is not installed here."""
    try:
        plugin: type[Task] = registry.load("tasks", task)
    except RaybenchError:
        return {}
    said = {
        SELF_CHECK: "drawn images: a self-check of the pipeline, never a medical claim",
        KNOWN_LEAK: f"known leak: {plugin.leaks}",
    }
    return {flag: said[flag] for flag in caveat_flags(plugin)}
