"""Several findings read out of one response: each is asserted or it is not."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from raybench.parsing.labels import read_label
from raybench.parsing.vqa import read_free_text
from raybench.schema import Answer

__all__ = ["read_findings"]

_NOTHING = re.compile(
    r"\b(?:none|nothing|normal|unremarkable|healthy|clear|no (?:\w+ ){0,2}(?:findings?|abnormalit(?:y|ies)|disease))\b"
    r"|^\s*\[\s*\]\s*$|未见异常|正常|无异常",
    re.IGNORECASE,
)


def read_findings(text: str, labels: Sequence[str]) -> Answer:
    """Read which of `labels` a response asserts; the value is a list of them, in their order.

    "No effusion" does not assert one; a response that only denies, or says normal
    or none, is answered with []. One that names nothing is unparsed. A label
    inside a longer one ("mass" in "nodule/mass") counts where it stands alone.
    """
    whole = read_free_text(text)
    if whole.outcome != "answered":
        return whole
    exact = _listed(text, labels)
    if exact is not None:
        return Answer("answered", exact, "findings:listed", "exact_contract")
    found = [label for label in labels if read_label(_without_longer(text, label, labels), [label]).value]
    if found:
        return Answer("answered", found, "findings:mention", "recovered:mention")
    denied = any(label.casefold() in text.casefold() for label in labels)
    if denied or _NOTHING.search(text):
        return Answer("answered", [], "findings:none", "recovered:none")
    return Answer("unparsed", None, "", "unrecoverable")


def _listed(text: str, labels: Sequence[str]) -> list[str] | None:
    """The labels of a text that is nothing but a list of them ("a, b", JSON, or "none"); None for any other text."""
    bare = text.strip().rstrip(".").strip()
    try:
        items = json.loads(bare)
    except json.JSONDecodeError:
        items = re.split(r"\s*[,;|\n]\s*", bare)
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        return None
    folded = {item.strip().casefold() for item in items} - {"none", "no finding", ""}
    known = {label.casefold() for label in labels}
    if not folded <= known or (not folded and not bare):
        return None
    return [label for label in labels if label.casefold() in folded]


def _without_longer(text: str, label: str, labels: Sequence[str]) -> str:
    longer = sorted(
        (other for other in labels if label.casefold() in other.casefold() and other != label), key=len, reverse=True
    )
    for other in longer:
        text = re.sub(re.escape(other), " ", text, flags=re.IGNORECASE)
    return text
