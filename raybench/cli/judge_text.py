"""What judge-check and label print and ask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from raybench.cli.render import table

if TYPE_CHECKING:
    from raybench.engine.judge_check import Checked
    from raybench.engine.labelling import Labelling, Labels
    from raybench.judges._suite import Item

__all__ = ["checked", "items", "labelled", "rate"]

_KEYS = {"c": "CORRECT", "i": "INCORRECT", "n": "NOT_ATTEMPTED"}


def items(found: Sequence[Item]) -> str:
    """Return suite items for reading."""
    return "\n".join(
        f"{item.id}  {item.label}  ({item.detail})\n  question   {item.question}\n"
        f"  reference  {item.reference}\n  candidate  {item.candidate!r}\n"
        for item in found
    )


def checked(found: Checked) -> str:
    """Return what a check found, category by category."""
    card = found.card
    rows = [
        [name, str(entry["n"]), _percent(entry["bare"]["value"]), _gate(entry), _percent(entry["as_used"]["value"])]
        for name, entry in card["categories"].items()
    ]
    title = f"{card['judge']} on the {card['suite']} suite: judged as deserved, percent"
    text = table(["category", "items", "bare", "gate", "as used"], rows, "table", title)
    for name in ("sensitivity", "specificity", "kappa"):
        text += f"{name} {_interval(card[name])}, as used {_interval(card['as_used'][name])}\n"
    pace = card["cost"]["verdicts_per_second"]
    text += f"{pace:.1f} verdicts a second\n" if pace else ""
    text += f"supported: {str(card['supported']).lower()}\n"
    text += "".join(f"  {reason}\n" for reason in card["reasons"])
    if found.unanswered:
        text += f"incomplete: {found.unanswered} items were never answered; the same command asks them again\n"
    return text + f"card: {found.folder}/judge_card.json, page: {found.folder}/judge_card.md\n"


def _gate(entry: dict[str, object]) -> str:
    bar = entry["gate"]
    return "" if bar is None else f"{'ok' if entry['passed'] else 'MISSED'} >= {100 * float(str(bar)):.0f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _interval(entry: dict[str, float | None]) -> str:
    if entry["value"] is None:
        return "-"
    return f"{_percent(entry['value'])} [{_percent(entry['low'])}, {_percent(entry['high'])}]"


def rate(work: Labelling, rater: str, adjudicate: bool) -> None:
    """Ask for ratings one by one until the sample ends or the rater stops; each is kept at once."""
    waiting = work.waiting(rater, adjudicate)
    for place, answer in enumerate(waiting, 1):
        typer.echo(f"\n{place} of {len(waiting)}\n{answer.text()}")
        while (key := typer.prompt("c/i/n, s skip, q stop", prompt_suffix=" > ").strip().lower()) not in (
            *_KEYS,
            *"sq",
        ):
            typer.echo("c correct, i incorrect, n not attempted, s skip, q stop")
        if key == "q":
            return
        if key != "s":
            work.rate(answer, rater, _KEYS[key], adjudicate)


def labelled(found: Labels) -> str:
    """Return how far labelling is and, where there are ratings, how judge and people agree."""
    rows = [
        [stratum.name, str(stratum.population), str(stratum.drawn), f"{stratum.inclusion:.3f}", str(stratum.rated)]
        for stratum in found.strata
    ]
    title = f"sample {found.draw}: {sum(stratum.drawn for stratum in found.strata)} answers drawn"
    text = table(["stratum", "answers", "drawn", "inclusion", "rated"], rows, "table", title)
    for rater, count in found.raters.items():
        text += f"{rater}: {count} answers rated\n"
    if found.disputed:
        text += f"{found.disputed} answers are disputed; `raybench label DIR --rater ID --adjudicate` settles them\n"
    if found.between is not None:
        text += f"agreement between raters: alpha {found.between:.3f}\n"
    return text + "corrected scores and agreement: raybench leaderboard DIR\n" if found.raters else text
