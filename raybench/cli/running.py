"""Verbs that write results: run, import, judge, score."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["COMMANDS", "import_", "judge", "run", "score"]

Output = Annotated[str, typer.Option("-o", "--output", help="Result folder: local path, s3:// or gs://.")]
Folder = Annotated[str, typer.Argument(help="Result folder.", metavar="DIR", show_default=False)]
Settings = Annotated[list[str] | None, typer.Option("--set", help="key=value with dotted keys, e.g. models.0.gpus=1.")]
Address = Annotated[str | None, typer.Option(help="Ray cluster: auto, HOST:PORT, or local (the default).")]


def run(
    spec: Annotated[
        Path | None, typer.Argument(help="Spec file (YAML).", metavar="SPEC.yaml", show_default=False)
    ] = None,
    model: Annotated[str | None, typer.Option(help="Catalogue name, checkpoint folder or hub id.")] = None,
    task: Annotated[str | None, typer.Option(help="Task name.")] = None,
    data: Annotated[str | None, typer.Option(help="The task's data (its `data` option).")] = None,
    judge: Annotated[str | None, typer.Option(help="Judge: catalogue name, checkpoint folder or hub id.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="The first N samples.")] = None,
    sample: Annotated[int | None, typer.Option(min=1, help="N seeded random samples.")] = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", help="Result folder: local path, s3:// or gs://.")
    ] = None,
    settings: Settings = None,
    reuse: Annotated[list[str] | None, typer.Option(help="Another result folder whose answers may be reused.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Ask served models without a revision again.")] = False,
    address: Address = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show cells, rows, stored rows and estimated cost; generate nothing.")
    ] = False,
    max_hours: Annotated[float | None, typer.Option(min=0, help="Stop after this many hours; a rerun goes on.")] = None,
    max_cost: Annotated[
        float | None, typer.Option(min=0, help="Stop once the models' declared prices add up to this.")
    ] = None,
) -> None:
    """Answer, score and judge what is missing of SPEC.yaml, or of one --model on one --task.

    Exit codes: 0 done, 1 finished but incomplete, 2 bad input.
    """
    from raybench import spec as specs
    from raybench.cli.display import live, report
    from raybench.errors import SpecError

    if (spec is None) == (model is None or task is None):
        raise SpecError("give either SPEC.yaml or both --model and --task")
    document = specs.read(spec) if spec is not None else {"tasks": [{"task": task}], "models": [model]}
    for name, value in (("data", data), ("limit", limit), ("sample", sample)):
        if value is not None:
            document = _each_task(document, name, value)
    if judge is not None:
        document["judges"] = [judge]
    document |= {key: value for key, value in (("output", output), ("reuse", reuse)) if value}
    document |= {key: value for key, value in (("max_hours", max_hours), ("max_cost", max_cost)) if value is not None}
    document |= {"fresh": True} if fresh else {}
    document = specs.with_settings(document, settings or [])
    built = specs.build(document, str(spec or "flags"))
    if spec is None:
        typer.echo(specs.as_yaml(document), err=True)
    from raybench.engine.run import run as run_spec

    with live() as show:
        result = run_spec(built, address, show, dry_run)
    raise typer.Exit(report(result))


def import_(
    answers: Annotated[
        str, typer.Argument(help="JSONL, JSON, CSV or Parquet with ids and answers.", metavar="ANSWERS")
    ],
    task: Annotated[str, typer.Option(help="Task that the answers are for.")],
    model: Annotated[str, typer.Option(help="Name of the model in scores.")],
    output: Output = "results",
    data: Annotated[str | None, typer.Option(help="The task's data (its `data` option).")] = None,
    text_field: Annotated[str | None, typer.Option(help="Column that holds the answer.")] = None,
    boxes: Annotated[str | None, typer.Option(help="Box convention of the answers, for tasks that read boxes.")] = None,
    judge: Annotated[str | None, typer.Option(help="Judge the imported answers too.")] = None,
    settings: Settings = None,
    address: Address = None,
) -> None:
    """Grade answers produced elsewhere; ids compare as text, missing ids are failed."""
    from raybench import registry
    from raybench import spec as specs
    from raybench.cli.display import report_import
    from raybench.engine.importing import import_answers
    from raybench.errors import SpecError

    if boxes is not None and "detection" not in registry.load("tasks", task).profiles:
        raise SpecError(f"--boxes {boxes}: task {task} reads no boxes")
    given = {"text_field": text_field, "boxes": boxes}
    entry = {"name": model, "backend": "imported", "answers": answers} | {k: v for k, v in given.items() if v}
    task_entry = {"task": task} | ({"data": data} if data else {})
    document = specs.apply_settings({"tasks": [task_entry], "models": [entry], "output": output}, settings or [])
    built = specs.build(document, "import")
    if judge is not None:
        specs.build({"judges": [judge]}, "--judge")
    code = report_import(import_answers(built), model, output, built.min_coverage)
    if judge is not None:
        code = max(code, _judge(output, {"name": judge}, (task, model), settings, address, dry_run=False))
    raise typer.Exit(code)


def judge(
    folder: Folder,
    judge: Annotated[str, typer.Option(help="Judge: catalogue name, checkpoint folder or hub id.")],
    task: Annotated[str | None, typer.Option(help="Judge this task only.")] = None,
    model: Annotated[str | None, typer.Option(help="Judge this model's answers only.")] = None,
    protocol: Annotated[str | None, typer.Option(help="Judge protocol; default the task's own.")] = None,
    template: Annotated[
        str | None, typer.Option(help="Prompt of the protocol: a version (v2), a name, or a YAML file.")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Judge a tenth this often, for the flip rate.")] = 1,
    settings: Settings = None,
    address: Address = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the calls to make, their tokens and time; make none.")
    ] = False,
) -> None:
    """Judge the answers a folder holds; never regenerates them.

    Another protocol or template judges beside the first, under its own name: `NAME (v2)`.
    """
    given = {"protocol": protocol, "template": template, "repeats": repeats if repeats > 1 else None}
    entry = {"name": judge} | {key: value for key, value in given.items() if value is not None}
    raise typer.Exit(_judge(folder, entry, (task, model), settings, address, dry_run))


def score(folder: Folder) -> None:
    """Recompute records and scores from what is stored."""
    from raybench.scoring import score_store
    from raybench.store import Store

    count = score_store(Store(folder, must_exist=True))
    if not count:
        typer.echo(f"nothing to score: {folder} holds no answers to its planned units (parts removed?)", err=True)
        raise typer.Exit(1)
    typer.echo(f"{count} scores written; `raybench leaderboard {folder}` shows them", err=True)


COMMANDS = (run, import_, judge, score)


def _each_task(document: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    tasks = [entry if isinstance(entry, dict) else {"task": entry} for entry in document.get("tasks") or []]
    return {**document, "tasks": [{**entry, name: value} for entry in tasks]}


def _judge(
    folder: str, entry: dict[str, Any], chosen: tuple[str | None, str | None], settings: list[str] | None,
    address: str | None, dry_run: bool,
) -> int:  # fmt: skip
    from raybench import spec as specs
    from raybench.cli.display import live, report
    from raybench.cli.judge_report import steadiness_lines
    from raybench.engine.judging import JudgeFilter
    from raybench.engine.run import judge as judge_folder

    document = specs.with_settings({"output": folder, "judges": [entry["name"]]}, settings or [])
    document["judges"] = [_judge_entry(document["judges"][0], entry)]
    built = specs.build(document, "--judge")
    with live() as show:
        result = judge_folder(built, JudgeFilter(*chosen), address, show, dry_run)
    code = report(result)
    if not dry_run:
        for line in steadiness_lines(built.output, built.judges[0].name):
            typer.echo(line, err=True)
        if built.judges[0].protocol == "pairwise":
            typer.echo(_strengths(built.output), err=True, nl=False)
    return code


def _strengths(folder: str) -> str:
    from raybench.cli.strength_text import strengths
    from raybench.leaderboard.strengths import strength_boards
    from raybench.store import Store

    return strengths(strength_boards(Store(folder)), "table")


def _judge_entry(entry: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """A judge entry with the flags' protocol, template and repeats; what is not its default goes into its name."""
    entry = {**entry, **{key: value for key, value in given.items() if key != "name"}}
    told = [given[key] for key in ("protocol", "template") if given.get(key)]
    names = [Path(str(name)).stem for name in told if name not in ("reference_verdict", "v1", "reference_verdict-v1")]
    if names and given.get("protocol") != entry["name"]:
        entry["name"] = f"{entry['name']} ({', '.join(names)})"
    return entry
