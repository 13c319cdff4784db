"""Verbs that measure judges: judge-check, label."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

__all__ = ["COMMANDS", "judge_check", "label"]


class Suite(StrEnum):
    """Suites; a card is valid for its own only."""

    medical = "medical"
    phantom = "phantom"


def judge_check(
    judge: Annotated[
        str, typer.Argument(help="Judge: catalogue name, checkpoint folder or hub id.", show_default=False)
    ],
    suite: Annotated[Suite, typer.Option(help="medical: English and Chinese; phantom: drawn images.")] = Suite.medical,
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", help="Folder of the card; a result folder takes it into judge_cards/."),
    ] = None,
    items: Annotated[int, typer.Option(min=1, help="Items a category; a card needs 300.")] = 300,
    seed: Annotated[int, typer.Option(help="Another seed makes other items.")] = 0,
    show: Annotated[str | None, typer.Option(help="Print this category's items; ask nothing.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key=value with dotted keys, e.g. judges.0.gpus=1.")
    ] = None,
    address: Annotated[str | None, typer.Option(help="Ray cluster: auto, HOST:PORT, or local (the default).")] = None,
) -> None:
    """Measure a judge on items whose right verdict is known, and write its card.

    Says whether the judge is supported, and why not. Exit codes: 0 measured, 1 some items were never answered.
    """
    from raybench import spec as specs
    from raybench.cli import judge_text
    from raybench.cli.display import live
    from raybench.engine.judge_check import Asked, card_folder, check_judge
    from raybench.judges._suite import suite as suite_items

    if show is not None:
        typer.echo(judge_text.items(suite_items(suite.value, items, [show], seed)), nl=False)
        return
    (entry,) = specs.build(specs.with_settings({"judges": [judge]}, settings or []), "judge-check").judges
    folder = card_folder(output, entry.name, suite.value)
    with live() as screen:
        found = check_judge(entry, Asked(suite.value, items, seed), folder, address, screen)
    typer.echo(judge_text.checked(found), nl=False)
    raise typer.Exit(1 if found.unanswered else 0)


def label(
    folder: Annotated[str, typer.Argument(help="Result folder.", metavar="DIR", show_default=False)],
    rater: Annotated[str | None, typer.Option(help="Your id; ratings are stored as judge human:ID.")] = None,
    task: Annotated[str | None, typer.Option(help="This task only, when a sample is drawn.")] = None,
    judge: Annotated[str | None, typer.Option(help="The judge whose verdicts make the strata.")] = None,
    budget: Annotated[int | None, typer.Option(min=1, help="Answers to label in all, shared out by Neyman.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the sample.")] = 0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Draw a new sample; the newest one counts.")] = False,
    export: Annotated[
        str | None, typer.Option(help="Write what is to be rated, without ratings.", metavar="CSV")
    ] = None,
    import_: Annotated[
        str | None, typer.Option("--import", help="Read ratings: columns id, rating, and rater or --rater.")
    ] = None,
    adjudicate: Annotated[
        bool, typer.Option("--adjudicate", help="Only what two raters disagree on; your word decides.")
    ] = False,
) -> None:
    """Rate a random sample of stored answers, without seeing models or verdicts.

    Keys: c correct, i incorrect, n not attempted, s skip, b back, o open the image, q stop. Ratings are kept at once;
    the same command goes on where you stopped. Without --rater it says how far labelling is.
    """
    from raybench.cli import judge_text
    from raybench.engine.labelling import Labelling

    work = Labelling(folder, task=task, judge=judge, budget=budget, seed=seed, fresh=fresh)
    if export is not None:
        typer.echo(f"{work.export(export, rater, adjudicate)} answers to rate written to {export}", err=True)
    elif import_ is not None:
        typer.echo(f"{work.import_ratings(import_, rater, adjudicate)} ratings stored", err=True)
    elif rater is not None:
        judge_text.rate(work, rater, adjudicate)
    typer.echo(judge_text.labelled(work.finish()), nl=False)


COMMANDS = (judge_check, label)
