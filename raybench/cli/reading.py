"""Verbs that read results: leaderboard, compare, show, boxes, status."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

__all__ = ["COMMANDS", "Format", "boxes", "compare", "leaderboard", "show", "status"]


class Format(StrEnum):
    """Output formats; json is one document on stdout and nothing else."""

    table = "table"
    json = "json"
    csv = "csv"
    markdown = "markdown"
    latex = "latex"


class Outcome(StrEnum):
    """How a row can end."""

    answered = "answered"
    refused = "refused"
    unparsed = "unparsed"
    failed = "failed"


Folder = Annotated[str, typer.Argument(help="Result folder.", metavar="DIR", show_default=False)]
OneTask = Annotated[str | None, typer.Option(help="This task only.")]
As = Annotated[Format, typer.Option("--format", help="Output format.")]


def leaderboard(
    folder: Folder,
    task: OneTask = None,
    format_: As = Format.table,
    reported: Annotated[bool, typer.Option("--reported", help="Show published numbers beside.")] = False,
    plot: Annotated[str | None, typer.Option(help="Also draw it: FILE.svg, .png or .pdf.", metavar="FILE")] = None,
) -> None:
    """Rank models by their headline score, with intervals, tie groups and baselines.

    Where a judge has compared answers in pairs, Bradley-Terry strengths follow.
    """
    from raybench.cli import render
    from raybench.cli.strength_text import strength_rows, strengths
    from raybench.leaderboard import boards, score_rows
    from raybench.leaderboard.strengths import strength_boards
    from raybench.store import Store

    store = Store(folder, must_exist=True)
    found = boards(store, task, reported) if plot or format_ not in (Format.json, Format.csv) else []
    if plot:
        from raybench.leaderboard.plot import plot as plot_boards

        plot_boards(found, plot)
    if format_ is Format.csv:
        typer.echo(render.rows_csv(score_rows(store, task, reported)), nl=False)
        return
    if format_ is Format.json:
        rows = score_rows(store, task, reported)
        typer.echo(render.scores_json(rows, strength_rows(strength_boards(store, task))), nl=False)
        return
    if format_ is Format.table and sys.stdout.isatty():
        from raybench.cli.terminal import show_boards

        show_boards(found)
    else:
        typer.echo(render.boards(found, format_.value), nl=False)
    typer.echo(strengths(strength_boards(store, task), format_.value), nl=False)


def compare(
    folder: Folder,
    model_a: Annotated[str, typer.Argument(metavar="MODEL_A", show_default=False)],
    model_b: Annotated[str, typer.Argument(metavar="MODEL_B", show_default=False)],
    task: OneTask = None,
    format_: As = Format.table,
    flips: Annotated[int, typer.Option(min=0, help="Answers that flipped to show, each way.")] = 3,
) -> None:
    """Paired difference of two models on the same samples: interval, p value, flipped answers."""
    from raybench.cli import render
    from raybench.leaderboard import compare as compare_models
    from raybench.store import Store

    found = compare_models(Store(folder, must_exist=True), model_a, model_b, task)
    typer.echo(render.comparisons(found, (model_a, model_b), format_.value, flips), nl=False)


def show(
    folder: Folder,
    task: Annotated[str, typer.Option(help="Task.")],
    model: Annotated[str, typer.Option(help="Model.")],
    outcome: Annotated[Outcome | None, typer.Option(help="Only rows that ended so.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Rows to show.")] = 10,
) -> None:
    """Read rows: question, reference, answer, what the parser read, verdicts."""
    from raybench.cli import render
    from raybench.leaderboard.rows import sample_rows
    from raybench.store import Store

    rows = sample_rows(Store(folder, must_exist=True), task, model, outcome.value if outcome else None, limit)
    typer.echo(render.samples(rows), nl=False)


def boxes(
    folder: Folder,
    task: Annotated[str, typer.Option(help="Task.")],
    model: Annotated[str, typer.Option(help="Model.")],
    limit: Annotated[int | None, typer.Option(min=1, help="The first N answers only.")] = None,
) -> None:
    """Diagnose how a model writes boxes: what each named convention would read. Never used for scores."""
    from raybench.cli import render
    from raybench.scoring import box_readings
    from raybench.store import Store

    typer.echo(render.readings(box_readings(Store(folder, must_exist=True), task, model, limit), "table"), nl=False)


def status(
    folder: Folder,
    facts: Annotated[
        bool, typer.Option("--facts", help="Also values without an interval: confusion, AP over ties.")
    ] = False,
) -> None:
    """Show runs, and for each cell what is planned, answered, refused, unparsed and failed."""
    from raybench.cli import render
    from raybench.leaderboard.rows import cell_rows, run_rows
    from raybench.scoring import stored_facts
    from raybench.store import Store

    store = Store(folder, must_exist=True)
    typer.echo(render.status(run_rows(store), cell_rows(store)), nl=False)
    if facts:
        typer.echo("\n" + render.facts(stored_facts(store)), nl=False)


COMMANDS = (leaderboard, compare, show, boxes, status)
