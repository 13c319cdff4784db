"""A document to one frozen, validated spec; the only reader of settings.

Unknown keys are errors that name the nearest allowed one. A plugin's own
options stand flat beside the common keys (`{task: vqa_rad, data: DIR}`) and are
checked by the plugin's `Options`. Settings override one another in the order
catalogue entry < task < spec < flags.

>>> spec = build({"tasks": [{"task": "vqa_rad"}], "models": []}, validate_plugins=False)
>>> spec.generation.max_tokens
256
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from raybench import registry
from raybench.errors import SpecError, nearest
from raybench.interfaces import Task
from raybench.spec.documents import expand_path, expanded, read, with_entries
from raybench.spec.entries import Entry, Generation, JudgeSpec, ModelSpec, RunSpec, TaskSpec
from raybench.spec.matrix import crossed

__all__ = [
    "build",
    "open_plugin",
    "plugin_options",
    "protocol_of",
    "task_of",
]


def build(document: Mapping[str, Any], where: str = "spec", validate_plugins: bool = True) -> RunSpec:
    """Return the frozen spec of a YAML document.

    Raises:
        SpecError: a key or value that is not allowed; one sentence.
        UnknownNameError: a task, backend, judge or protocol that does not exist.
    """
    document = crossed(with_entries(document))
    for field in ("tasks", "models", "judges"):
        if isinstance(entries := document.get(field), list):
            document[field] = [expanded(entry) if isinstance(entry, Mapping) else entry for entry in entries]
    if isinstance(judges := document.get("judges"), list):
        document["judges"] = [with_template(entry) for entry in judges]
    document["output"] = _folder(document.get("output", "results"))
    if isinstance(reuse := document.get("reuse"), list | tuple):
        document["reuse"] = [_folder(folder) for folder in reuse]
    try:
        spec = RunSpec.model_validate(document)
    except ValidationError as error:
        raise SpecError(f"{where}: {_sentence(error, RunSpec)}") from None
    if validate_plugins:
        _validate_plugins(spec, where)
    return spec


def plugin_options(plugin: Any, options: Mapping[str, Any], where: str, common: type[BaseModel]) -> Any:
    """Return a plugin's validated options.

    Raises:
        SpecError: an unknown key or a bad value; one sentence.
    """
    try:
        return plugin.Options.model_validate(dict(options))
    except ValidationError as error:
        raise SpecError(f"{where}: {_sentence(error, plugin.Options, common)}") from None


def task_of(spec: TaskSpec) -> Any:
    """Return a spec's task with its options, graded by the task's own profiles and those that the spec adds.

    Raises:
        SpecError, UnknownNameError: unknown task, option or profile.
    """
    plugin, options = open_plugin("tasks", spec.task, spec)
    task = plugin(options)
    for name in spec.profiles:
        registry.load("metrics", name)
    task.profiles = tuple(dict.fromkeys((*task.profiles, *spec.profiles)))
    return task


def protocol_of(judge: JudgeSpec, name: str) -> Any:
    """Return a judge's protocol with the template and options that its entry gives.

    Raises:
        SpecError, UnknownNameError: unknown protocol, option or template.
    """
    plugin = registry.load("judges", name)
    given = {**judge.protocol_options} | ({} if judge.template is None else {"template": judge.template})
    return plugin(plugin_options(plugin, given, f"judge {judge.name}, protocol {name}", plugin.Options))


def open_plugin(kind: str, name: str, entry: Entry) -> tuple[Any, Any]:
    """Return the plugin class of an entry and its validated options."""
    plugin = registry.load(kind, name)
    return plugin, plugin_options(plugin, entry.options, name, type(entry))


def with_template(judge: Any) -> Any:
    """Return a judge's entry that holds its template where it names a file, so that what was asked stays on record.

    Raises:
        SpecError: the file is missing, is no YAML, or holds no mapping.
    """
    template = judge.get("template") if isinstance(judge, Mapping) else None
    if not isinstance(template, str) or not template.endswith((".yaml", ".yml")):
        return judge
    return {**judge, "template": read(expand_path(template))}


def _folder(path: Any) -> Any:
    return os.path.abspath(expand_path(path)) if isinstance(path, str) and "://" not in path else path


def _validate_plugins(spec: RunSpec, where: str) -> None:
    for i, task in enumerate(spec.tasks):
        plugin = registry.load("tasks", task.task)
        plugin_options(plugin, task.options, f"{where}: tasks[{i}] ({task.task})", TaskSpec)
        for name in task.profiles:
            registry.load("metrics", name)
    for field, entries in (("models", spec.models), ("judges", spec.judges)):
        for i, entry in enumerate(entries):
            plugin = registry.load("models", entry.backend)
            place = f"{where}: {field}[{i}] ({entry.name})"
            plugin_options(plugin, entry.options, place, type(entry))
            _check_generation(entry.generation, f"{place} generation")
            _check_generation(entry.swept, f"{place} matrix")
        _check_names(entries, f"{where}: {field}")
    for judge in spec.judges:
        if judge.protocol or judge.template is not None or judge.protocol_options:
            protocol_of(judge, judge.protocol or Task.judge_protocol)


def _check_generation(sampling: Mapping[str, Any], where: str) -> None:
    try:
        Generation.model_validate(sampling)
    except ValidationError as error:
        raise SpecError(f"{where}: {_sentence(error, Generation)}") from None


def _check_names(entries: Sequence[ModelSpec], where: str) -> None:
    names = [entry.name for entry in entries]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SpecError(f"{where}: name {twice[0]!r} stands twice; names identify rows of the leaderboard")


def _fields(model: type[BaseModel], location: Sequence[Any]) -> list[str]:
    """The allowed keys at a location inside a model."""
    nested: dict[str, type[BaseModel]] = {
        "tasks": TaskSpec, "models": ModelSpec, "judges": JudgeSpec, "generation": Generation,
    }  # fmt: skip
    if location and location[0] in nested:
        model = nested[location[0]]
    return list(model.model_fields)


def _sentence(error: ValidationError, *models: type[BaseModel]) -> str:
    """The first problem of a validation error, with place, allowed keys and nearest match."""
    # A misspelt key also leaves the right one missing: name the misspelling.
    problem = min(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
    *place, key = problem["loc"] or ("",)
    at = _path(place)
    if problem["type"] == "extra_forbidden":
        allowed = [field for model in models for field in _fields(model, place)]
        inside = f" in {at}" if at else ""
        return f"unknown key {key!r}{inside}{nearest(str(key), allowed)}; allowed: {', '.join(allowed)}"
    at = _path([*place, key])
    if problem["type"] == "missing":
        return f"{at} is missing{_misspelt(problem, str(key))}"
    message = problem["msg"].removeprefix("Value error, ")
    given = problem.get("input")
    shown = f", not {given!r}" if isinstance(given, str | int | float | bool) else ""
    return f"{at}: {message}{shown}" if at else f"{message}{shown}"


def _path(location: Sequence[Any]) -> str:
    """A place as it would be written: models[0].replicas (without the type names that pydantic adds for unions)."""
    kept = [part for part in location if isinstance(part, int) or (str(part).isidentifier() and part != "str")]
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in kept).lstrip(".")


def _misspelt(problem: Any, key: str) -> str:
    given = problem.get("input")
    close = nearest(key, [str(k) for k in given]) if isinstance(given, Mapping) else ""
    return close.replace("did you mean", "found").replace("?)", ")") if close else ""
