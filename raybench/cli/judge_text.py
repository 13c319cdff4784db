"""What judge-check and label print and ask."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from raybench.cli.render import table
from raybench.errors import DataError
from raybench.schema import Row

if TYPE_CHECKING:
    from raybench.engine.judge_check import Checked
    from raybench.engine.labelling import Labelling, Labels, ToRate
    from raybench.judges._suite import Item

__all__ = ["checked", "items", "labelled", "rate"]

_KEYS = {"c": "CORRECT", "i": "INCORRECT", "n": "NOT_ATTEMPTED"}
_HELP = "c correct, i incorrect, n not attempted, s skip, b back, o open the image, q stop"


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


def _gate(entry: Row) -> str:
    if entry["gate"] is None:
        return ""
    shares = [each["value"] or 0.0 for each in entry["languages"].values()]
    word = "ok" if entry["passed"] else "too few" if min(shares) >= entry["gate"] else "MISSED"
    return f"{word} >= {100 * entry['gate']:.0f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _interval(entry: dict[str, float | None]) -> str:
    if entry["value"] is None:
        return "-"
    return f"{_percent(entry['value'])} [{_percent(entry['low'])}, {_percent(entry['high'])}]"


def rate(work: Labelling, rater: str, adjudicate: bool) -> None:
    """Ask for ratings one by one until the sample ends or the rater stops; each is kept at once.

    Going back shows an answer again: its newest rating counts. An end of input (Ctrl-D, Ctrl-C) stops as q does.
    """
    waiting, said, place = work.waiting(rater, adjudicate), dict[int, str](), 0
    if not waiting:
        typer.echo("nothing is disputed" if adjudicate else f"{rater} has rated the whole sample")
    with tempfile.TemporaryDirectory(prefix="raybench-label-") as folder:
        while place < len(waiting):
            answer = waiting[place]
            before = f"  (you said {said[place]})" if place in said else ""
            typer.echo(f"\n{place + 1} of {len(waiting)}{before}\n{answer.text()}")
            key = _key()
            if key == "q":
                return
            if key == "o":
                _open_images(answer, folder)
                continue
            if key in _KEYS:
                said[place] = _KEYS[key]
                work.rate(answer, rater, said[place], adjudicate)
            place = max(0, place - 1) if key == "b" else place + 1


def _key() -> str:
    """Ask until one of the keys is given; the end of input is a stop."""
    while True:
        try:
            key = str(typer.prompt("c/i/n, s, b, o, q", prompt_suffix=" > ")).strip().lower()
        except typer.Abort:
            typer.echo()
            return "q"
        if key in (*_KEYS, *"sboq"):
            return key
        typer.echo(_HELP)


def _open_images(answer: ToRate, folder: str) -> None:
    """Show the images with what the desktop opens such files with; say where they lie in any case."""
    try:
        paths = answer.write_images(folder)
    except DataError as error:
        typer.echo(f"{error}")
        return
    for path in paths:
        typer.echo(path)
        typer.launch(path)
    if not paths:
        typer.echo("this sample has no image")


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
