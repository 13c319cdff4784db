"""Free text to the nearest answer of a closed list, as LLaVA-Med's `run_eval` grades open questions.

The list is the distinct answers to the training split's open questions. The
nearest is the one with the largest share of its own distinct words in the
response, after `normalise.llava_med`; the first in the list on ties, and so
the very first where no word is shared. The task that knows the list writes the
nearest answer into `Answer.notes[NEAREST]`, where `llava-med-v1-gate` reads it;
the truth plays no part.

>>> nearest_answer("It is in the left lung.", ("right lung", "left lung", "lung"))
'left lung'
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

from raybench.parsing.normalise import llava_med

__all__ = ["NEAREST", "nearest_answer"]

#: Key of `Answer.notes`.
NEAREST = "nearest_training_answer"


def nearest_answer(text: str, candidates: tuple[str, ...]) -> str:
    """Return the candidate, normalised, that a response comes nearest to.

    Args:
        candidates: at least one; order decides ties.
    """
    normalised, sizes, holders = _index(candidates)
    words = set(llava_med(llava_med(text)).split())  # the original normalises a response twice
    shared = Counter(i for word in words for i in holders.get(word, ()))
    best = min(shared, key=lambda i: (-shared[i] / sizes[i], i), default=0)
    return normalised[best]


@lru_cache(maxsize=8)
def _index(candidates: tuple[str, ...]) -> tuple[list[str], list[int], dict[str, list[int]]]:
    """Return each candidate normalised, its number of distinct words, and word -> candidates with it."""
    normalised = [llava_med(candidate) for candidate in candidates]
    words = [set(candidate.split()) for candidate in normalised]
    holders: dict[str, list[int]] = {}
    for i, held in enumerate(words):
        for word in held:
            holders.setdefault(word, []).append(i)
    return normalised, [len(held) for held in words], holders
