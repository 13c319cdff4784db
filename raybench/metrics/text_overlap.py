"""Profile `text-overlap`: BLEU, ROUGE and chrF of free text against one reference, as fractions.

`bleu_1` to `bleu_4` are corpus scores, sacrebleu's `corpus_bleu` with that
`max_ngram_order` (signature nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp);
`sentence_bleu_1` and `_4` are means of its `sentence_bleu` (eff:yes). `chrf` is
its corpus chrF2 (nc:6|nw:0|space:no). ROUGE-1, -2 and -L are mean F measures of
rouge-score 0.1.2, lower case, without stemming. `exact` is equality up to case
and white space. Corpus scores come from summed counts, so that slices and the
bootstrap re-weight the same rows.

A reference with a Chinese character is compared character by character: BLEU
with sacrebleu's `zh` tokeniser (tok:zh), ROUGE with one token a Han character
(rouge-score alone would drop them all) and words of other scripts whole. The
reference decides, never the response.

Refused and unparsed rows are empty hypotheses. Note: shared words are not shared
meaning. "Pleural effusion" for "No pleural effusion" keeps most of every score
here; read them beside a clinical metric or a judge.

Sources: Post 2018 (sacreBLEU), Papineni et al. 2002, Lin 2004, Popović 2015.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cache, partial
from typing import Any

import numpy as np

from raybench.errors import DataError
from raybench.interfaces import Array, MetricDef, Profile, Statistics
from raybench.metrics._tokens import character_tokens, has_han
from raybench.schema import Row

__all__ = ["PLUGIN", "TextOverlap"]

_ORDERS = (1, 2, 3, 4)
_CHAR_ORDERS = range(1, 7)
_INSTALL = "text overlap needs sacrebleu and rouge-score: pip install sacrebleu rouge-score"


class _Characters:
    def tokenize(self, text: str) -> list[str]:
        return character_tokens(text)


@cache
def _bleu(tokenize: str) -> Any:
    try:
        from sacrebleu.metrics.bleu import BLEU
    except ImportError as error:
        raise DataError(_INSTALL) from error
    return BLEU(tokenize=tokenize)


@cache
def _rouge(chinese: bool) -> Any:
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError as error:
        raise DataError(_INSTALL) from error
    return RougeScorer(["rouge1", "rouge2", "rougeL"], tokenizer=_Characters() if chinese else None)


def _corpus_bleu(statistics: Statistics, weights: Array, order: int) -> Array:
    """Return sacrebleu's BLEU of summed counts, (B,): geometric mean of smoothed precisions times brevity.

    "exp" smoothing gives the k-th order without a match 1/2^k matches; an order
    without any n-gram makes the score 0.
    """

    def summed(name: str) -> Array:
        return np.asarray(weights @ np.asarray(statistics[name], dtype=float))

    said, reference, any_match = summed("said"), summed("reference"), np.zeros(len(weights), dtype=bool)
    logs, halves, empty = np.zeros(len(weights)), np.ones(len(weights)), np.zeros(len(weights), dtype=bool)
    for n in range(1, order + 1):
        right, total = summed(f"right_{n}"), summed(f"total_{n}")
        any_match |= right > 0
        empty |= total == 0
        halves = np.where(right > 0, halves, halves * 2)
        precision = np.where(right > 0, right, 1 / halves) / np.where(total > 0, total, 1)
        logs += np.log(precision)
    with np.errstate(divide="ignore"):
        brevity = np.where(said < reference, np.exp(1 - reference / np.where(said > 0, said, np.nan)), 1.0)
    value = np.where(empty | ~any_match | (said == 0), 0.0, np.nan_to_num(brevity) * np.exp(logs / order))
    return np.where(weights @ np.asarray(statistics["all"], dtype=float) > 0, value, np.nan)


def _corpus_chrf(statistics: Statistics, weights: Array) -> Array:
    """Return sacrebleu's chrF2 of summed counts, (B,): F with recall twice as important, of mean precision and recall.

    Orders longer than either side's longest segment are left out of the means.
    """
    precision, recall, orders = (np.zeros(len(weights)) for _ in range(3))
    for n in _CHAR_ORDERS:
        said, reference, shared = (
            weights @ np.asarray(statistics[f"char_{kind}_{n}"], dtype=float) for kind in ("said", "reference", "right")
        )
        counted = (said > 0) & (reference > 0)
        precision += np.divide(shared, said, out=np.zeros_like(shared), where=counted)
        recall += np.divide(shared, reference, out=np.zeros_like(shared), where=counted)
        orders += counted
    precision, recall = (
        np.divide(sums, orders, out=np.zeros_like(sums), where=orders > 0) for sums in (precision, recall)
    )
    bottom = 4 * precision + recall
    value = np.divide(5 * precision * recall, bottom, out=np.zeros_like(bottom), where=bottom > 0)
    return np.where(weights @ np.asarray(statistics["all"], dtype=float) > 0, value, np.nan)


class TextOverlap(Profile):
    """Lexical overlap of a response with its reference; blind to negation, so never alone."""

    name = "text-overlap"
    metrics = (
        *(
            MetricDef(f"bleu_{n}", over="all", reduce=partial(_corpus_bleu, order=n), additive=True, binary=False)
            for n in _ORDERS
        ),
        MetricDef("sentence_bleu_1", over="all", hit="sentence_bleu_1", binary=False),
        MetricDef("sentence_bleu_4", over="all", hit="sentence_bleu_4", binary=False),
        MetricDef("rouge_1", over="all", hit="rouge_1", binary=False),
        MetricDef("rouge_2", over="all", hit="rouge_2", binary=False),
        MetricDef("rouge_l", over="all", hit="rouge_l", binary=False),
        MetricDef("chrf", over="all", reduce=_corpus_chrf, additive=True, binary=False),
        MetricDef("exact", over="all", hit="exact"),
    )

    def statistics(self, record: Row) -> Mapping[str, float]:
        """Return n-gram counts and per-sample scores of the answer (the response text where the value is no text)."""
        value = record["value"] if isinstance(record["value"], str) else record["text"]
        said = str(value or "") if record["outcome"] == "answered" else ""
        reference = str(record["target"])
        chinese = has_han(reference)
        rouge = _rouge(chinese).score(reference, said)
        return {
            "all": 1.0,
            "exact": float(" ".join(said.split()).casefold() == " ".join(reference.split()).casefold()),
            "rouge_1": float(rouge["rouge1"].fmeasure),
            "rouge_2": float(rouge["rouge2"].fmeasure),
            "rouge_l": float(rouge["rougeL"].fmeasure),
            **_word_counts(said, reference, "zh" if chinese else "13a"),
            **_character_counts(said, reference),
        }


def _word_counts(said: str, reference: str, tokenize: str) -> dict[str, float]:
    bleu = _bleu(tokenize)
    found = bleu.corpus_score([said], [[reference]])
    columns = {"said": float(found.sys_len), "reference": float(found.ref_len)}
    for n, right, total in zip(_ORDERS, found.counts, found.totals, strict=True):
        columns |= {f"right_{n}": float(right), f"total_{n}": float(total)}
    for n in (1, 4):
        sentence = bleu.compute_bleu(
            found.counts[:n], found.totals[:n], found.sys_len, found.ref_len,
            smooth_method="exp", effective_order=True, max_ngram_order=n,
        )  # fmt: skip
        columns[f"sentence_bleu_{n}"] = sentence.score / 100
    return columns


def _character_counts(said: str, reference: str) -> dict[str, float]:
    """Counts of character n-grams without white space; like sacrebleu, none said where the reference has none."""
    said, reference = "".join(said.split()), "".join(reference.split())
    columns = {}
    for n in _CHAR_ORDERS:
        ours, theirs = (Counter(text[i : i + n] for i in range(len(text) - n + 1)) for text in (said, reference))
        columns[f"char_said_{n}"] = float(ours.total() if theirs else 0)
        columns[f"char_reference_{n}"] = float(theirs.total())
        columns[f"char_right_{n}"] = float((ours & theirs).total())
    return columns


PLUGIN = TextOverlap
