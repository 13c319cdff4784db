"""The second study's BLEU against nltk itself."""

import warnings

import numpy as np
import pytest
from nltk.translate.bleu_score import sentence_bleu as nltk_bleu

from raybench.metrics.llava_med_nltk import PLUGIN as LlavaMedNltk
from raybench.metrics.llava_med_nltk import sentence_bleu

WORDS = ["the", "right", "lung", "shows", "a", "small", "pleural", "effusion", "near", "heart", "base"]
WEIGHTS = {
    "open_bleu_1": (1, 0, 0, 0), "open_bleu_2": (0, 1, 0, 0), "open_bleu_3": (0, 0, 1, 0),
    "open_bleu_4": (0.25, 0.25, 0.25, 0.25),
}  # fmt: skip


def record(text, target, answer_type="open"):
    return {
        "outcome": "answered",
        "text": text,
        "value": text,
        "target": target,
        "slices": {"answer_type": answer_type},
    }


@pytest.mark.parametrize("weights", WEIGHTS.values(), ids=WEIGHTS)
def test_equal_to_nltk(weights):
    rng = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(300):
            said, reference = (list(rng.choice(WORDS, rng.integers(1, 9))) for _ in range(2))
            wanted = nltk_bleu([reference], said, weights)
            assert sentence_bleu(said, reference, weights) == pytest.approx(wanted, rel=1e-12, abs=0)
    assert sentence_bleu([], ["lung"], weights) == nltk_bleu([["lung"]], [], weights) == 0


def test_bigrams_stand_alone():
    # Cumulative BLEU-2 would be sqrt(2/3 x 1/2).
    assert sentence_bleu(["a", "b", "c"], ["a", "b", "d"], WEIGHTS["open_bleu_2"]) == pytest.approx(0.5)


def test_a_missing_four_gram_is_the_smallest_float_and_not_zero():
    found = LlavaMedNltk().statistics(record("pleural effusion", "pleural effusion"))
    assert 0 < found["open_bleu_4"] < 1e-150
    assert found["open_bleu_1"] == 1.0


def test_only_open_rows_count_and_texts_are_normalised():
    assert LlavaMedNltk().statistics(record("yes", "yes", "closed"))["open"] == 0.0
    found = LlavaMedNltk().statistics(record("The right-lung.", "right lung"))
    assert found["open"] == 1.0
    assert found["open_bleu_1"] == 1.0
