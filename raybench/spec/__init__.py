"""YAML or flags to one frozen, validated spec: documents first, then what they must hold."""

from raybench.spec.documents import (
    apply_settings,
    as_yaml,
    expand_path,
    expanded,
    model_entry,
    read,
    redacted,
    with_entries,
    with_settings,
)
from raybench.spec.entries import Generation, JudgeSpec, ModelSpec, RunSpec, TaskSpec
from raybench.spec.validated import build, open_plugin, plugin_options, protocol_of, task_of, with_template

__all__ = [
    "Generation",
    "JudgeSpec",
    "ModelSpec",
    "RunSpec",
    "TaskSpec",
    "apply_settings",
    "as_yaml",
    "build",
    "expand_path",
    "expanded",
    "model_entry",
    "open_plugin",
    "plugin_options",
    "protocol_of",
    "read",
    "redacted",
    "task_of",
    "with_entries",
    "with_settings",
    "with_template",
]
