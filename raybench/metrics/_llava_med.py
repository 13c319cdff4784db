"""What the two LLaVA-Med profiles share: word-bag overlap, unigram BLEU and substring hits, quirks included.

Definitions, from a description of microsoft/LLaVA-Med@b9a98a7 llava/eval: both
sides pass `normalise.llava_med`, once for substrings and BLEU, twice for word
bags. A word that both have counts as often as the *prediction* has it, so that
repetition inflates recall ("lung lung lung" for "lung heart": .75). "Exact
match" is the number of distinct reference words found over all words said.
Every row counts as it was said: the peer knows no refusal.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from raybench.interfaces import MetricDef
from raybench.metrics._vqa import is_closed, unigram_bleu
from raybench.parsing.normalise import llava_med
from raybench.schema import Row

__all__ = ["OPEN_METRICS", "Texts", "overlap", "statistics", "texts"]

#: Token recall is the number that the LLaVA-Med paper calls Open.
OPEN_METRICS = tuple(
    MetricDef(f"open_{name}", over="open", hit=name, binary=False)
    for name in ("recall", "precision", "f1", "exact", "bleu_1")
)


class Texts(NamedTuple):
    """Response and reference, normalised once."""

    said: str
    reference: str

    @property
    def contains(self) -> bool:
        """Whether the reference is a substring of the response."""
        return self.reference in self.said


class Overlap(NamedTuple):
    """Word-bag overlap of one row, each 0-1 (precision, recall and F1) or more (exact)."""

    precision: float
    recall: float
    f1: float
    exact: float


def texts(record: Row) -> Texts:
    """Return what the model said and the reference, normalised once."""
    return Texts(llava_med(str(record["text"] or "")), llava_med(str(record["target"])))


def overlap(pair: Texts) -> Overlap:
    """Return the peer's overlap of two texts; all 0 where they share no word."""
    said, reference = (Counter(llava_med(text).split()) for text in pair)
    shared = sum(count for word, count in said.items() if word in reference)
    if not shared:
        return Overlap(0.0, 0.0, 0.0, 0.0)
    missed = sum(count for word, count in reference.items() if word not in said)
    precision, recall = shared / said.total(), shared / (shared + missed)
    exact = len(said.keys() & reference.keys()) / said.total()
    return Overlap(precision, recall, 2 * precision * recall / (precision + recall), exact)


def statistics(record: Row, pair: Texts) -> dict[str, float]:
    """Return the columns "closed", "open" and those of OPEN_METRICS, which are 0 on closed rows."""
    closed = is_closed(record)
    found = Overlap(0.0, 0.0, 0.0, 0.0) if closed else overlap(pair)
    bleu = 0.0 if closed else unigram_bleu(pair.said.lower().split(), pair.reference.lower().split())
    return {"closed": float(closed), "open": float(not closed), **found._asdict(), "bleu_1": bleu}
