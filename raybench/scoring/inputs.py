"""What scores are made of, as a digest: scores whose inputs have not changed are not made again."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import duckdb

from raybench import registry
from raybench.errors import StoreError
from raybench.interfaces import Task
from raybench.parsing.boxes import find_convention
from raybench.schema import CELL, canonical_json, digest
from raybench.scoring.cards import cards
from raybench.scoring.labels import draw_name
from raybench.scoring.verdicts import judged_last
from raybench.spec import TaskSpec, task_of
from raybench.store import Store, new_id, stream

__all__ = [
    "GROUP",
    "beside",
    "box_convention",
    "inputs",
    "next_generation",
    "planned_task",
    "stored_conventions",
    "stored_inputs",
    "stored_tasks",
]

#: The prompt variants of one of these are scored together.
GROUP = tuple(name for name in CELL if name != "variant")

_SQL = f"""
SELECT {", ".join(f"u.{name}" for name in GROUP)}, count(*) AS n,
    bit_xor(hash(
        u.key, u.variant, u.sample, u.repeat, u.prompt, s.sample_hash, s.image_sizes, r.committed_at, a.reason
    )) AS rows
FROM units u
JOIN samples s USING (task, dataset, split, sample, input_hash)
LEFT JOIN (SELECT key, committed_at FROM all_responses WHERE turn = 0) r USING (key)
LEFT JOIN (SELECT key, arg_max(reason, committed_at) AS reason FROM attempts GROUP BY key) a USING (key)
GROUP BY ALL
"""


def beside(store: Store) -> list[str]:
    """Return what of a folder outside its tables its scores depend on: judge cards, and which draw is labelled."""
    held = [[card.key, card.suite, card.supported, asdict(card.used_sensitivity), asdict(card.used_specificity)]
            for card in cards(store)]  # fmt: skip
    return [canonical_json(each) for each in held] + [draw_name(store) or ""]


def inputs(connection: duckdb.DuckDBPyConnection, more: Sequence[str] = ()) -> dict[tuple[str, ...], str]:
    """Return, for each group of cells, a digest of all that its scores depend on.

    That is: units and prompts, samples and labels, which responses and failures
    stand, the task's options, the profiles' versions, and raybench's own; where a judge
    judged, also how it did last, every verdict, and what stands outside the tables (`more`, see `beside`).
    """
    judged: dict[tuple[str, ...], list[Any]] = {}
    for cell, protocols in judged_last(connection).items():
        group = tuple(value for name, value in zip(CELL, cell, strict=True) if name in GROUP)
        judged.setdefault(group, []).append([list(cell), sorted([*each, *how] for each, how in protocols.items())])
    verdicts = list(
        stream(connection, "SELECT count(*) AS n, bit_xor(hash(key, status, label)) AS rows FROM all_verdicts")
    )
    words = [str(value) for value in verdicts[0].values()]
    conventions = stored_conventions(connection)
    recipes = {key: _recipe(task) for key, task in stored_tasks(connection).items()}
    found = {}
    for row in stream(connection, _SQL):
        key = tuple(row[name] for name in GROUP)
        asked = [words, *more, *sorted(judged[key])] if key in judged else []  # verdicts touch what was judged only
        own = [recipes.get(key[:3]), conventions.get(row["model"], ""), row["n"], str(row["rows"])]
        found[key] = digest([version("raybench"), own, asked], 16)
    return found


def stored_inputs(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str, ...], str]:
    """Return, for each group of cells with scores, the digest that its newest generation was made of."""
    names = ", ".join(GROUP)
    newest = "arg_max(inputs, generation) AS inputs"
    sql = f"SELECT {names}, {newest} FROM raw_scores WHERE kind = 'system' GROUP BY ALL"
    return {tuple(row[name] for name in GROUP): row["inputs"] for row in stream(connection, sql)}


def next_generation(connection: duckdb.DuckDBPyConnection) -> str:
    """Return a generation that sorts after every stored one, also where another node's clock is ahead."""
    newest = next(stream(connection, "SELECT max(generation) AS newest FROM raw_scores"))["newest"]
    after = int(newest.split("-")[0]) + 1 if newest else 0
    return f"{max(time.time_ns(), after):020d}-{new_id()[:8]}"


def stored_tasks(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str, str, str], Task]:
    """Return the task of each (task, dataset, split), with the options of the newest run that planned it."""
    found: dict[tuple[str, str, str], Task] = {}
    for run in stream(connection, "SELECT spec, cells FROM runs WHERE cells IS NOT NULL ORDER BY committed_at"):
        entries = json.loads(run["spec"])["tasks"]
        for cell in json.loads(run["cells"]):
            spec = TaskSpec.model_validate(entries[cell["task_index"]])
            found[cell["task"], cell["dataset"], cell["split"]] = task_of(spec)
    return found


def planned_task(store: Store, tasks: Mapping[tuple[str, str, str], Task], place: tuple[str, str, str]) -> Task:
    """Return the task of a (task, data set, split) out of `stored_tasks`.

    Raises:
        StoreError: no run record names it.
    """
    if place not in tasks:
        raise StoreError(
            f"{store.name} has no record of a run of {place[0]} on {place[1]}/{place[2]} (parts of `runs` removed?);"
            " the same `raybench run` or `raybench import` command writes one and asks nothing again"
        )
    return tasks[place]


def stored_conventions(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Return how each model's boxes are read: the convention of the newest run with that model."""
    found: dict[str, str] = {}
    for run in stream(connection, "SELECT spec FROM runs WHERE cells IS NOT NULL ORDER BY committed_at"):
        for model in json.loads(run["spec"]).get("models", []):
            found[model["name"]] = box_convention(model)
    return found


def box_convention(model: Mapping[str, Any]) -> str:
    """Return how a model entry's boxes are read: its `boxes`, with the pixel limits that its input was resized under.

    A model that writes pixels of the resized input (`qwen2.5-vl`) means other places under
    other limits: those that the entry gives its processor hold, unless `boxes` names its own.

    Raises:
        SpecError: no such convention.
    """
    name = model.get("boxes") or ""
    if find_convention(name).frame != "resized":
        return name
    plain, _, written = name.partition(":")
    limits = [part for part in written.split(",") if part.strip()]
    limits += [
        f"{key}={model[key]}" for key in ("min_pixels", "max_pixels") if model.get(key) and f"{key}=" not in written
    ]
    return f"{plain}:{','.join(limits)}" if limits else plain


def _recipe(task: Task) -> list[object]:
    profiles = [registry.load("metrics", name) for name in task.profiles]
    return [task.options.model_dump(mode="json"), [f"{profile.name}.v{profile.version}" for profile in profiles]]
