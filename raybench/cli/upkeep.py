"""Verbs about the installation and the folder: list, doctor, compact."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

__all__ = ["COMMANDS", "compact", "doctor", "list_"]


class Kind(StrEnum):
    """What can be listed."""

    tasks = "tasks"
    models = "models"
    judges = "judges"
    metrics = "metrics"


def list_(kind: Annotated[Kind, typer.Argument(help="What to list.", show_default=False)]) -> None:
    """List tasks, models, judges or metrics, with what each is."""
    from raybench.cli import render

    typer.echo(render.listing(kind.value), nl=False)


def doctor(
    address: Annotated[str | None, typer.Option(help="Also connect to this Ray cluster.")] = None,
) -> None:
    """Check this installation: versions, extras, CPUs, GPUs, memory, credentials (names only)."""
    from raybench.cli import render
    from raybench.engine.doctor import examine

    checks = examine(address)
    typer.echo(render.checks(checks), nl=False)
    raise typer.Exit(0 if all(check.ok for check in checks if check.required) else 1)


def compact(
    folder: Annotated[str, typer.Argument(help="Result folder.", metavar="DIR", show_default=False)],
) -> None:
    """Merge many small Parquet parts into few; safe beside running readers and writers."""
    from raybench.store import Store
    from raybench.store.compact import compact as compact_store

    done = compact_store(Store(folder, must_exist=True))
    for table, (before, after) in done.items():
        typer.echo(f"{table}: {before} parts -> {after}", err=True)
    if not done:
        typer.echo("nothing to merge", err=True)


COMMANDS = (list_, doctor, compact)
