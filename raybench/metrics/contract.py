"""Profile `contract`: does a model answer at all, as asked, and does it look: for every task, over rows not failed.

Format is `exact`, `recovered` or `unrecoverable`; a refusal has the type that
its rule names. Three more say whether the answers differ at all:

`modal_share`: share of the commonest answer among answered rows (case, spacing
and the order of keys do not count); 1 is a constant classifier (`is_constant`).
`distinct_ratio`: different texts over free-text answers. `mean_pairwise_overlap`:
mean Jaccard overlap of the word sets of two free-text answers (single characters
in Chinese): the "very similar descriptions for all images" of the first study as
a number. Free text is an answered text to a question without choices other than
yes or no.

Rows are compared by numbers made of their words, never by the texts. Drawn
again, a row is no second example of itself: how often each text occurs is fixed
by the whole set, and a row is never paired with its own copy. Overlap is exact
up to 1,000 free texts; of more, a seeded 1,000 are compared. `modal_share` in
a draw looks among the 64 answers commonest in all.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping
from typing import Any, get_args

import numpy as np

from raybench.interfaces import Array, MetricDef, Profile, Statistics
from raybench.metrics._once import OncePerColumn
from raybench.metrics._probability import divide
from raybench.metrics._tokens import character_tokens
from raybench.parsing.refusal import RefusalType
from raybench.schema import Row, canonical_json

__all__ = ["PLUGIN", "Contract", "is_constant"]

_REFUSALS: tuple[str, ...] = get_args(RefusalType)
#: Free texts whose pairs are compared, and the seed that chooses them where there are more.
_COMPARED, _SEED = 1000, 0
#: Answers among which a draw looks for its commonest.
_COMMON = 64
_TOKEN_CODES = 2**24


def is_constant(modal_share: float | None, n: int | None) -> bool:
    """Say whether a score of `modal_share` over n answers is a constant classifier's."""
    return modal_share == 1.0 and (n or 0) > 1


def _column(statistics: Statistics, name: str, weights: Array) -> Array:
    """A column that no row need have: 0 where there is none."""
    found = statistics.get(name)
    return np.zeros(weights.shape[1]) if found is None else np.asarray(found)


def _most_common(answers: Array) -> tuple[Array, Array]:
    """Return (rows of the commonest answers, grouped by answer; where each group starts)."""
    answered = np.flatnonzero(answers > 0)
    _, codes, counts = np.unique(answers[answered], return_inverse=True, return_counts=True)
    kept = np.argsort(-counts, kind="stable")[:_COMMON]
    rank = np.full(len(counts), len(kept))
    rank[kept] = np.arange(len(kept))
    ranks = rank[codes]
    chosen = np.flatnonzero(ranks < len(kept))
    chosen = chosen[np.argsort(ranks[chosen], kind="stable")]
    return answered[chosen], np.flatnonzero(np.diff(ranks[chosen], prepend=-1))


_grouped_answers = OncePerColumn(_most_common)


def _modal_share(statistics: Statistics, weights: Array) -> Array:
    rows, starts = _grouped_answers(_column(statistics, "answer", weights))
    total = weights @ _column(statistics, "answered", weights)
    if not len(rows):
        return np.full(len(weights), np.nan)
    return divide(np.add.reduceat(weights[:, rows], starts, axis=1).max(axis=1), total)


def _one_over_copies(texts: Array) -> Array:
    """Return for each row 1 over how many rows have its text; 0 where it has none."""
    _, codes, counts = np.unique(texts, return_inverse=True, return_counts=True)
    return np.where(texts > 0, 1 / counts[codes], 0.0)


_copies = OncePerColumn(_one_over_copies)


def _distinct_ratio(statistics: Statistics, weights: Array) -> Array:
    return divide(
        weights @ _copies(_column(statistics, "text", weights)), weights @ _column(statistics, "free", weights)
    )


def _compare(tokens: Array) -> tuple[Array, Array]:
    """Return (rows compared, their Jaccard overlaps with a diagonal of 0)."""
    if tokens.dtype != object:  # a view without free text has no lists
        return np.zeros(0, dtype=int), np.zeros((0, 0))
    rows = np.flatnonzero([np.size(words) > 0 for words in tokens])
    if len(rows) > _COMPARED:
        rows = np.sort(np.random.default_rng(_SEED).choice(rows, _COMPARED, replace=False))
    if not len(rows):
        return rows, np.zeros((0, 0))
    sizes = np.array([len(tokens[row]) for row in rows])
    _, words = np.unique(np.concatenate([tokens[row] for row in rows]), return_inverse=True)
    from scipy import sparse  # slow to import; only scoring needs it

    table = sparse.csr_array((np.ones(len(words)), words, np.concatenate([[0], np.cumsum(sizes)])))
    shared = (table @ table.T).toarray()
    overlap = shared / (sizes[:, None] + sizes[None] - shared)
    np.fill_diagonal(overlap, 0.0)
    return rows, overlap


_compared = OncePerColumn(_compare)


def _mean_pairwise_overlap(statistics: Statistics, weights: Array) -> Array:
    if "tokens" not in statistics:
        return np.full(len(weights), np.nan)
    rows, overlap = _compared(statistics["tokens"])
    drawn = weights[:, rows]
    pairs = drawn.sum(axis=1) ** 2 - (drawn**2).sum(axis=1)
    return divide(((drawn @ overlap) * drawn).sum(axis=1), np.where(pairs > 1e-9, pairs, 0))


def _rate(name: str, hit: str, higher_is_better: bool = False) -> MetricDef:
    return MetricDef(name, over="all", hit=hit, higher_is_better=higher_is_better)


class Contract(Profile):
    """Refusal by type, readability, format, and whether the answers differ; over every row that is not failed."""

    name = "contract"
    version = "2"
    metrics = (
        _rate("refused_rate", "refused"),
        *(_rate(f"refused_{kind}_rate", f"refused_{kind}") for kind in _REFUSALS),
        _rate("unparsed_rate", "unparsed"),
        _rate("exact_contract_rate", "exact", higher_is_better=True),
        _rate("recovered_rate", "recovered"),
        _rate("unrecoverable_rate", "unrecoverable"),
        MetricDef("modal_share", over="answered", reduce=_modal_share, binary=False, higher_is_better=False),
        MetricDef("distinct_ratio", over="free", reduce=_distinct_ratio, binary=False),
        MetricDef(
            "mean_pairwise_overlap", over="free", reduce=_mean_pairwise_overlap, binary=False, higher_is_better=False
        ),
    )

    def statistics(self, record: Row) -> Mapping[str, float | list[float]]:
        """Return outcome flags, a number for the answer, and for free text one for each of its words."""
        outcome, written = record["outcome"], str(record["format"] or "")
        kind = str(record.get("extractor") or "").split(":")[1:2]
        answered = outcome == "answered"
        columns: dict[str, float | list[float]] = {
            "all": 1.0,
            "answered": float(answered),
            "refused": float(outcome == "refused"),
            "unparsed": float(outcome == "unparsed"),
            "exact": float(answered and written == "exact_contract"),
            "recovered": float(answered and written.startswith("recovered")),
            "unrecoverable": float(not answered),
        }
        if outcome == "refused" and kind and kind[0] in _REFUSALS:
            columns[f"refused_{kind[0]}"] = 1.0
        if answered:
            columns["answer"] = _number(record["value"])
            columns |= _free_text(record["value"], record.get("choices") or [])
        return {**dict.fromkeys((f"refused_{kind}" for kind in _REFUSALS), 0.0), **columns}


def _free_text(value: Any, choices: list[str]) -> dict[str, float | list[float]]:
    if choices or not isinstance(value, str) or value.strip().casefold() in ("yes", "no"):
        return {"free": 0.0}
    words = {zlib.crc32(token.encode()) % _TOKEN_CODES for token in character_tokens(value)}
    return {"free": 1.0, "text": _number(value), "tokens": [float(code) for code in sorted(words)]}


def _number(value: Any) -> float:
    """A whole number in 1..2**52 for a value: exact as a float, never 0 (which stands for no answer)."""
    folded = " ".join(value.split()).casefold() if isinstance(value, str) else canonical_json(value)
    return float(1 + (int.from_bytes(hashlib.sha256(folded.encode()).digest()[:8], "big") >> 12))


PLUGIN = Contract
