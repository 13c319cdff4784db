"""Profile `llava-med-nltk`: the second study's BLEU, quirks included (microsoft/LLaVA-Med@b9a98a7 run_eval.py).

Over open rows, the mean of nltk's unsmoothed `sentence_bleu` on text that passed
LLaVA-Med's normaliser, lower-cased and split at spaces. `open_bleu_4` has nltk's
usual weights (1/4 each); `open_bleu_2` and `open_bleu_3` are bigrams alone and
trigrams alone (weights (0, 1, 0, 0) and (0, 0, 1, 0)), not the cumulative BLEU-2
and BLEU-3 of other papers. Where unigrams match and a longer n-gram does not,
nltk takes its precision as the smallest float, which gives values like 5e-155.

Every row counts as it was said: the peer knows no refusal. Spaces are no word
boundary in Chinese, which the profile therefore cannot score.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Mapping, Sequence

from raybench.interfaces import MetricDef, Profile
from raybench.metrics._llava_med import texts
from raybench.metrics._vqa import is_closed
from raybench.schema import Row

__all__ = ["PLUGIN", "LlavaMedNltk", "sentence_bleu"]

_WEIGHTS = {
    "open_bleu_1": (1.0, 0.0, 0.0, 0.0),
    "open_bleu_2": (0.0, 1.0, 0.0, 0.0),
    "open_bleu_3": (0.0, 0.0, 1.0, 0.0),
    "open_bleu_4": (0.25, 0.25, 0.25, 0.25),
}


def sentence_bleu(said: Sequence[str], reference: Sequence[str], weights: Sequence[float]) -> float:
    """Return nltk's `sentence_bleu([reference], said, weights)` without smoothing, 0-1.

    Args:
        said, reference: tokens.
        weights: of 1-grams, 2-grams, and so on.
    """
    if not Counter(said) & Counter(reference):
        return 0.0
    logs = [weight * math.log(_precision(said, reference, n)) for n, weight in enumerate(weights, 1)]
    brevity = 1.0 if len(said) > len(reference) else math.exp(1 - len(reference) / len(said))
    return brevity * math.exp(math.fsum(logs))


def _precision(said: Sequence[str], reference: Sequence[str], n: int) -> float:
    ours, theirs = (Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1)) for words in (said, reference))
    return (ours & theirs).total() / max(1, ours.total()) or sys.float_info.min


class LlavaMedNltk(Profile):
    """Mean unsmoothed nltk BLEU of open answers; bigrams and trigrams stand alone."""

    name = "llava-med-nltk"
    metrics = tuple(MetricDef(name, over="open", hit=name, binary=False) for name in _WEIGHTS)

    def statistics(self, record: Row) -> Mapping[str, float]:
        if is_closed(record):
            return {"open": 0.0, **dict.fromkeys(_WEIGHTS, 0.0)}
        said, reference = (text.lower().split() for text in texts(record))
        return {"open": 1.0} | {name: sentence_bleu(said, reference, weights) for name, weights in _WEIGHTS.items()}


PLUGIN = LlavaMedNltk
