"""A sweep in a few lines: what `matrix` crosses with every model and every task of a spec.

    matrix:
      generation.temperature: [0, 0.7]     every model twice: llava@temperature=0, llava@temperature=0.7
      models.max_pixels: [250000, 1000000] any key of a model's entry
      tasks.shots: [0, 5]                  any key of a task's entry
      prompts: [short, plain]              prompt variants of every task

Models and tasks are crossed anyway, so a matrix need not name them. Models that
differ in sampling only share one load of their weights.

>>> document = {"models": [{"name": "a"}], "matrix": {"generation.seed": [1, 2]}}
>>> [(model["name"], model["swept"]) for model in crossed(document)["models"]]
[('a@seed=1', {'seed': 1}), ('a@seed=2', {'seed': 2})]
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from raybench.errors import SpecError, nearest
from raybench.spec.entries import Generation

__all__ = ["crossed"]

_OUTSIDE = ("prompts", "images")
_PREFIXES = ("generation", "models", "tasks")
#: Keys of an entry that a matrix may not change, and why.
_FIXED = {
    "models": {"name": "the matrix names models itself", "swept": "write generation.KEY"},
    "tasks": {"task": "list tasks under `tasks`", **dict.fromkeys(("limit", "sample"), "one run selects rows once")},
}


def crossed(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document without its matrix: models and tasks crossed with it, models named by what differs.

    Raises:
        SpecError: a key that cannot be swept, or a value that is no list.
    """
    document = dict(document)
    matrix = document.pop("matrix", None) or {}
    if not isinstance(matrix, Mapping):
        raise SpecError("matrix: give keys and lists, such as generation.temperature: [0, 0.7]")
    axes = dict(_flat(matrix))
    for key, values in axes.items():
        _check(key, values)
    for key in (key for key in _OUTSIDE if key in axes):
        if key == "images":
            document["images"] = axes[key]
        else:
            document["tasks"] = [{**task, key: axes[key]} for task in document.get("tasks") or []]
    swept = {key: values for key, values in axes.items() if key.partition(".")[0] in ("generation", "models")}
    if swept:
        document["models"] = [made for model in document.get("models") or [] for made in _models(model, swept)]
    if asked := {key.partition(".")[2]: axes[key] for key in axes if key.startswith("tasks.")}:
        document["tasks"] = [{**task, **values} for task in document.get("tasks") or [] for values in _product(asked)]
    return document


def _flat(matrix: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in matrix.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _check(key: str, values: Any) -> None:
    prefix, _, rest = key.partition(".")
    if key == "repeats":
        raise SpecError("matrix: repeats is a count, not an axis: write `repeats: 5` beside `matrix`")
    if key not in _OUTSIDE and (prefix not in _PREFIXES or not rest):
        known = [*_OUTSIDE, *(f"generation.{name}" for name in Generation.model_fields)]
        allowed = ", ".join([*_OUTSIDE, "generation.KEY", "models.KEY", "tasks.KEY"])
        raise SpecError(f"matrix: unknown key {key!r}{nearest(key, known)}; allowed: {allowed}")
    if prefix == "generation" and rest not in Generation.model_fields:
        fields = list(Generation.model_fields)
        raise SpecError(f"matrix: unknown key {key!r}{nearest(rest, fields)}; allowed: {', '.join(fields)}")
    if reason := _FIXED.get(prefix, {}).get(rest):
        raise SpecError(f"matrix: {key} cannot be swept: {reason}")
    if not isinstance(values, Sequence) or isinstance(values, str) or not values:
        raise SpecError(f"matrix: {key} needs a list of values, not {values!r}")


def _models(model: Mapping[str, Any], axes: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    for values in _product(axes):
        made, swept = dict(model), dict(model.get("swept") or {})
        for key, value in values.items():
            prefix, _, rest = key.partition(".")
            (swept if prefix == "generation" else made)[rest] = value
        told = ",".join(
            f"{key.partition('.')[2]}={_short(value)}" for key, value in values.items() if len(axes[key]) > 1
        )
        if told:
            made["name"] = f"{model.get('name', '')}@{told}"
        yield made | ({"swept": swept} if swept else {})


def _product(axes: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    for values in product(*axes.values()):
        yield dict(zip(axes, values, strict=True))


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
