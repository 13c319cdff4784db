"""What is known of a judge: its cards, if anyone has measured it, and what it scored here.

Cards are looked for in the result folder (`judge_cards/*.json`, `judge_cards/*/judge_card.json`), among the weights
that ship with raybench, and beside the weights that a run names. Each is one JSON document about one judge, of one
suite of answers whose truth is known.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

from raybench import registry
from raybench.dashboard.folder import View
from raybench.dashboard.lines import score_document
from raybench.dashboard.words import shown
from raybench.errors import StoreError
from raybench.schema import Row

__all__ = ["judge_document"]

_CARD, _CARDS = "judge_card.json", "judge_cards"
_MAX_BYTES, _MAX_CARDS = 4 * 2**20, 200


def judge_document(view: View, name: str) -> Row:
    """Return `/api/judge`.

    Raises:
        StoreError: no judge of that name graded here.
    """
    rows = view.scores("SELECT * FROM score WHERE judge = ? ORDER BY task, dataset, split, model, metric", [name])
    if not rows:
        known = [
            row["judge"] for row in view.scores("SELECT DISTINCT judge FROM score WHERE judge IS NOT NULL ORDER BY 1")
        ]
        raise StoreError(f"no judge {name!r} graded here; there are: {', '.join(known) or 'none'}")
    places = ("task", "dataset", "split", "model", "variant", "images", "protocol")
    scores = [{**{key: row[key] for key in places}, **score_document(row)} for row in rows]
    cards = [shown(card) for card in _cards(view, name)]
    return {"judge": name, "card": cards[0] if cards else None, "cards": cards, "scores": scores}


def _cards(view: View, name: str) -> list[Row]:
    """The result folder's own cards of the judge, newest name last first; else the one beside its weights."""
    own = [card for text in _own(view) if (card := _parsed(text)) and card.get("judge") == name]
    return own[::-1] or [card for text in _found(view, name) if (card := _parsed(text))][:1]


def _parsed(text: str | bytes) -> Row | None:
    with suppress(ValueError):
        found = json.loads(text)
        return found if isinstance(found, dict) else None
    return None


def _own(view: View) -> Iterator[bytes]:
    files = view.store.files
    for name in files.names(_CARDS)[-_MAX_CARDS:]:
        with suppress(OSError):
            data = files.read(f"{_CARDS}/{name}" if name.endswith(".json") else f"{_CARDS}/{name}/{_CARD}")
            if len(data) < _MAX_BYTES:
                yield data


def _found(view: View, name: str) -> Iterator[str]:
    weights = files("raybench.models").joinpath("weights")
    model = str(registry.catalogue().get(name, {}).get("model", "")).rpartition("/")[2]
    for folder in {name, model} - {""}:
        if "/" not in folder and (card := weights.joinpath(folder, _CARD)).is_file():
            yield card.read_text("utf-8")
    for run in view.scores("SELECT spec FROM runs WHERE spec IS NOT NULL ORDER BY committed_at DESC"):
        for entry in json.loads(run["spec"]).get("judges") or []:
            path = Path(str(entry.get("model") or "")) / _CARD
            if entry.get("name") == name and path.is_absolute() and path.is_file() and path.stat().st_size < _MAX_BYTES:
                yield path.read_text("utf-8")
