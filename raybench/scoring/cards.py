"""Judge cards: what a judge was measured to be, and what that makes of its scores.

A card belongs to one *key*: the judge's identity (model, weights, backend and its version), the protocol and the
prompt's hash. Change any of them and no card is found. Cards are looked up in `DIR/judge_cards/` of a result folder,
then among those that ship with weights in this package; a score without a card is `uncalibrated`, one whose judge
is under the gate is `unsupported`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

from raybench.errors import StoreError
from raybench.interfaces import Task
from raybench.schema import Row, digest
from raybench.stats.agreement import Rate
from raybench.store import Store

__all__ = ["CARD", "FOLDER", "UNCALIBRATED", "UNSUPPORTED", "Card", "card_key", "cards", "find_card", "suite_of"]

FOLDER, CARD = "judge_cards", "judge_card.json"
UNCALIBRATED, UNSUPPORTED = "uncalibrated", "unsupported"


@dataclass(frozen=True)
class Card:
    """The part of a judge card that scores need.

    Attributes:
        suite: "medical" or "phantom"; the card says nothing about other data.
        key: see `card_key`.
        supported: whether the bare judge passed every gate.
        sensitivity, specificity, kappa: of the bare judge; `used_*` with rules and exact match on.
        reasons: why it is not supported.
    """

    judge: str
    suite: str
    key: str
    supported: bool
    sensitivity: Rate
    specificity: Rate
    kappa: Rate
    used_sensitivity: Rate
    used_specificity: Rate
    reasons: tuple[str, ...] = ()

    @property
    def flags(self) -> tuple[str, ...]:
        """What a score by this judge must say."""
        return () if self.supported else (UNSUPPORTED,)


def card_key(config: str, protocol: str, template: str) -> str:
    """Return the key of a judge's card.

    Args:
        config: digest of the judge's identity, as verdicts carry it (`judge_config`).
        protocol: name. template: its template hash.
    """
    return digest({"judge_config": config, "protocol": protocol, "template": template}, 16)


def suite_of(task: Task) -> str:
    """Return the suite whose card is valid for a task."""
    return "phantom" if task.self_check else "medical"


def find_card(store: Store, key: str, suite: str) -> Card | None:
    """Return the card of a key for a suite, the folder's own before the package's; None without one.

    Raises:
        StoreError: a file in `judge_cards/` is no judge card.
    """
    return next((card for card in cards(store) if (card.key, card.suite) == (key, suite)), None)


def cards(store: Store) -> Iterator[Card]:
    """Yield every card that counts for a result folder, the folder's own first.

    Own cards are `judge_cards/*.json` and `judge_cards/*/judge_card.json`.
    """
    for name in store.files.names(FOLDER):
        path = f"{FOLDER}/{name}" if name.endswith(".json") else f"{FOLDER}/{name}/{CARD}"
        if name.endswith(".json") or store.files.exists(path):
            yield _read(store.files.read(path).decode("utf-8"), f"{store.name}/{path}")
    yield from _packaged()


@lru_cache(maxsize=1)
def _packaged() -> tuple[Card, ...]:
    weights = resources.files("raybench.models").joinpath("weights")
    found = []
    for folder in sorted(weights.iterdir(), key=lambda entry: entry.name) if weights.is_dir() else ():
        card = folder.joinpath(CARD)
        if card.is_file():
            found.append(_read(card.read_text("utf-8"), f"{folder.name}/{CARD}"))
    return tuple(found)


def _read(text: str, place: str) -> Card:
    try:
        document: Row = json.loads(text)
        used = document["as_used"]
        return Card(
            judge=document["judge"],
            suite=document["suite"],
            key=document["key"],
            supported=bool(document["supported"]),
            sensitivity=_rate(document["sensitivity"]),
            specificity=_rate(document["specificity"]),
            kappa=_rate(document["kappa"]),
            used_sensitivity=_rate(used["sensitivity"]),
            used_specificity=_rate(used["specificity"]),
            reasons=tuple(document.get("reasons") or ()),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(
            f"{place} is no judge card ({type(error).__name__}: {error}); judge-check writes one"
        ) from error


def _rate(entry: Mapping[str, Any]) -> Rate:
    return Rate(entry["value"], entry["low"], entry["high"], int(entry["n"]))
