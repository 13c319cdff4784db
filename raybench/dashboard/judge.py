"""What is known of a judge: its card, if it came with one, and what it scored here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

from raybench import registry
from raybench.dashboard.folder import View
from raybench.dashboard.lines import score_document
from raybench.dashboard.words import shown
from raybench.errors import StoreError
from raybench.schema import Row

__all__ = ["judge_document"]

_CARD = "judge_card.json"
_MAX_BYTES = 4 * 2**20


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
    return {"judge": name, "card": shown(_card(view, name)), "scores": scores}


def _card(view: View, name: str) -> Any:
    """The card beside the judge's weights: those that ship with raybench, or the folder that a run names."""
    for text in _found(view, name):
        with suppress(ValueError):
            return json.loads(text)
    return None


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
