"""Text overlap against sacrebleu and rouge-score on the same texts, whole corpora and re-weighted ones."""

import numpy as np
import pytest
import sacrebleu
from rouge_score.rouge_scorer import RougeScorer

from raybench.metrics._tokens import character_tokens
from raybench.metrics.text_overlap import PLUGIN as TextOverlap

METRICS = {metric.name: metric for metric in TextOverlap.metrics}

ENGLISH = [
    ("The heart is mildly enlarged. There is no pleural effusion.", "The heart is enlarged. No pleural effusion."),
    ("A 2.5-cm nodule, in the right upper lobe.", "There is a 2.5 cm nodule in the right upper lobe (RUL)."),
    ("Normal.", "No acute cardiopulmonary abnormality."),
    ("", "Bibasilar atelectasis."),
    ("Bibasilar atelectasis.", "Bibasilar atelectasis."),
    ("Left lung is clear & the costophrenic angles are sharp", "Lungs are clear; costophrenic angles are sharp."),
]
CHINESE = [
    ("右肺上叶可见一结节,大小约2.5cm。", "右肺上叶见结节影,直径2.5cm。"),
    ("心影不大", "心影增大"),
    ("", "未见异常"),
    ("双肺纹理清晰 CT", "双肺纹理清晰。"),
]


def columns(pairs, outcome="answered"):
    rows = [
        TextOverlap().statistics({
            "outcome": outcome, "value": said, "text": said, "target": reference, "targets": [reference],
        })
        for said, reference in pairs
    ]  # fmt: skip
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def values(name, table, weights=None):
    n = len(table["all"])
    return METRICS[name].values(table, np.ones((1, n)) if weights is None else np.atleast_2d(weights))


@pytest.mark.parametrize(("pairs", "tokenize"), [(ENGLISH, "13a"), (CHINESE, "zh")])
def test_corpus_scores_equal_sacrebleu(pairs, tokenize):
    said, references = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    table = columns(pairs)
    for n in (1, 2, 3, 4):
        bleu = sacrebleu.metrics.BLEU(tokenize=tokenize, max_ngram_order=n)
        wanted = bleu.corpus_score(said, [references]).score / 100
        assert values(f"bleu_{n}", table)[0] == pytest.approx(wanted, abs=1e-12)
    assert values("bleu_4", table)[0] * 100 == pytest.approx(
        sacrebleu.corpus_bleu(said, [references], tokenize=tokenize).score, abs=1e-10
    )
    assert values("chrf", table)[0] * 100 == pytest.approx(sacrebleu.corpus_chrf(said, [references]).score, abs=1e-10)


@pytest.mark.parametrize("seed", range(5))
def test_weights_are_repetitions(seed):
    pairs = ENGLISH * 3
    counts = np.random.default_rng(seed).integers(0, 3, (4, len(pairs)))
    table = columns(pairs)
    for row in counts:
        said = [pair[0] for pair, count in zip(pairs, row, strict=True) for _ in range(count)]
        references = [pair[1] for pair, count in zip(pairs, row, strict=True) for _ in range(count)]
        assert values("bleu_4", table, row)[0] * 100 == pytest.approx(
            sacrebleu.corpus_bleu(said, [references]).score, abs=1e-10
        )
        assert values("chrf", table, row)[0] * 100 == pytest.approx(
            sacrebleu.corpus_chrf(said, [references]).score, abs=1e-10
        )


@pytest.mark.parametrize("pair", [("right lung", "left heart border"), ("a b c", "a b c"), ("a", "a b"), ("", "a")])
def test_smoothing_of_tiny_corpora_equals_sacrebleu(pair):
    for n in (1, 2, 3, 4):
        wanted = sacrebleu.metrics.BLEU(max_ngram_order=n).corpus_score([pair[0]], [[pair[1]]]).score
        assert values(f"bleu_{n}", columns([pair]))[0] * 100 == pytest.approx(wanted, abs=1e-10)


def test_sentence_bleu_is_the_mean_of_sacrebleus():
    for n in (1, 4):
        bleu = sacrebleu.metrics.BLEU(effective_order=True, max_ngram_order=n)
        wanted = np.mean([bleu.sentence_score(said, [reference]).score for said, reference in ENGLISH])
        assert values(f"sentence_bleu_{n}", columns(ENGLISH))[0] * 100 == pytest.approx(wanted, abs=1e-10)


def test_rouge_is_the_mean_of_rouge_scores():
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"])
    found = [scorer.score(reference, said) for said, reference in ENGLISH]
    for ours, theirs in {"rouge_1": "rouge1", "rouge_2": "rouge2", "rouge_l": "rougeL"}.items():
        wanted = np.mean([each[theirs].fmeasure for each in found])
        assert values(ours, columns(ENGLISH))[0] == pytest.approx(wanted, abs=1e-12)


def test_chinese_rouge_counts_characters():
    assert RougeScorer(["rouge1"]).score("心影增大", "心影不大")["rouge1"].fmeasure == 0  # what it would be without
    table = columns([("心影不大", "心影增大")])
    assert values("rouge_1", table)[0] == pytest.approx(3 / 4)
    assert values("rouge_2", table)[0] == pytest.approx(1 / 3)
    assert values("rouge_l", table)[0] == pytest.approx(3 / 4)
    assert character_tokens("右肺CT: 2.5cm结节") == ["右", "肺", "ct", "2", "5cm", "结", "节"]


def test_refused_rows_are_empty_hypotheses():
    said = columns([("Bibasilar atelectasis.", "Bibasilar atelectasis.")], outcome="refused")
    for name in METRICS:
        assert values(name, said)[0] == 0, name
    with_one = {name: np.concatenate([column, said[name]]) for name, column in columns(ENGLISH).items()}
    pairs = [*ENGLISH, ("", "Bibasilar atelectasis.")]
    assert values("bleu_2", with_one)[0] == values("bleu_2", columns(pairs))[0]


def test_a_negation_flip_keeps_most_of_the_score():
    # Why no lexical metric may stand alone: the opposite finding scores 0.8.
    assert values("rouge_1", columns([("Pleural effusion", "No pleural effusion")]))[0] == pytest.approx(0.8)


def test_exact_and_nothing_to_average():
    assert values("exact", columns(ENGLISH))[0] == pytest.approx(1 / 6)
    assert np.isnan(values("bleu_4", columns(ENGLISH), np.zeros(6))[0])
    assert np.isnan(values("chrf", columns(ENGLISH), np.zeros(6))[0])
