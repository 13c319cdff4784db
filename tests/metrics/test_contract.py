"""The output contract: refusals by type, format, and answers that never differ; intervals at a million rows."""

import time
from itertools import combinations

import numpy as np
import pytest

from raybench.metrics.contract import PLUGIN as Contract
from raybench.metrics.contract import is_constant
from raybench.parsing.vqa import read_free_text
from raybench.stats.intervals import interval

METRICS = {metric.name: metric for metric in Contract.metrics}
TEXTS = [
    "The heart is normal in size. The lungs are clear.",
    "The heart is normal in size.",
    "the heart is  normal in size.",
    "A mass in the left lung",
    "右肺结节",
]


def record(value, outcome="answered", written="exact_contract", extractor="free_text:whole", choices=()):
    return {
        "outcome": outcome, "value": value, "format": written, "extractor": extractor, "choices": list(choices),
        "text": value,
    }  # fmt: skip


def columns(records):
    rows = [Contract().statistics(each) for each in records]
    table = {}
    for name in sorted({name for row in rows for name in row}):
        values = [row.get(name) for row in rows]
        if any(isinstance(each, list) for each in values):
            table[name] = np.empty(len(rows), dtype=object)
            table[name][:] = [np.asarray(each or [], dtype=float) for each in values]
        else:
            table[name] = np.array([each or 0.0 for each in values])
    return table


def value(name, records, weights=None):
    table = columns(records)
    return METRICS[name].values(table, np.ones((1, len(records))) if weights is None else np.atleast_2d(weights))[0]


def test_refusals_by_type():
    refused = [
        read_free_text(text)
        for text in ("I cannot help with that.", "I cannot see any image.", "", "Please consult a radiologist.")
    ]
    records = [record(each.value, each.outcome, each.format, each.extractor) for each in refused]
    records += [record("a mass"), record(None, "unparsed", "unrecoverable", "")]
    kinds = [each.extractor.split(":")[1] for each in refused]
    assert len(set(kinds)) == 4
    assert value("refused_rate", records) == pytest.approx(4 / 6)
    for kind in kinds:
        assert value(f"refused_{kind}_rate", records) == pytest.approx(1 / 6)


def test_format_rates():
    records = [
        record("yes"), record("yes", written="recovered:mention"), record("no", written="recovered:negation"),
        record(None, "unparsed", "unrecoverable"), record(None, "refused", "unrecoverable", "refusal:policy:x"),
    ]  # fmt: skip
    found = {name: value(name, records) for name in ("exact_contract_rate", "recovered_rate", "unrecoverable_rate")}
    assert found == pytest.approx({"exact_contract_rate": 0.2, "recovered_rate": 0.4, "unrecoverable_rate": 0.4})
    assert value("unparsed_rate", records) == pytest.approx(0.2)


def test_modal_share_is_over_answered_rows():
    records = [record(each, choices=["Yes", "no"]) for each in ("yes", "Yes ", "no")] + [record(None, "refused")]
    assert value("modal_share", records) == pytest.approx(2 / 3)
    assert value("modal_share", records, [1, 0, 2, 5]) == pytest.approx(2 / 3)
    assert value("modal_share", [record([]), record([]), record([{"x0": 0.5}])]) == pytest.approx(2 / 3)
    assert np.isnan(value("modal_share", [record(None, "refused")]))


def test_a_constant_classifier_is_told():
    constant = [record("unhealthy", choices=["healthy", "unhealthy"])] * 25
    share = value("modal_share", constant)
    assert share == 1.0
    assert is_constant(share, 25)
    assert not is_constant(1.0, 1)
    assert not is_constant(None, 0)


def test_distinct_ratio_counts_texts_and_does_not_fall_because_rows_are_drawn_twice():
    records = [record(text) for text in TEXTS]
    assert value("distinct_ratio", records) == pytest.approx(4 / 5)
    found = interval(METRICS["distinct_ratio"], columns([record(f"finding {i}") for i in range(40)]), np.arange(40))
    assert found.value == 1.0
    assert found.high == 1.0


def test_mean_pairwise_overlap_is_jaccard_of_word_sets():
    sets = [
        {"the", "heart", "is", "normal", "in", "size", "lungs", "are", "clear"},
        {"the", "heart", "is", "normal", "in", "size"}, {"the", "heart", "is", "normal", "in", "size"},
        {"a", "mass", "in", "the", "left", "lung"}, set("右肺结节"),
    ]  # fmt: skip
    jaccard = {(i, j): len(sets[i] & sets[j]) / len(sets[i] | sets[j]) for i, j in combinations(range(5), 2)}
    records = [record(text) for text in TEXTS]
    assert value("mean_pairwise_overlap", records) == pytest.approx(np.mean(list(jaccard.values())))
    weights = [2, 1, 0, 3, 1]
    pairs = {(i, j): weights[i] * weights[j] for i, j in jaccard}
    wanted = sum(jaccard[pair] * pairs[pair] for pair in pairs) / sum(pairs.values())
    assert value("mean_pairwise_overlap", records, weights) == pytest.approx(wanted)
    assert value("mean_pairwise_overlap", [record(TEXTS[0])] * 9) == pytest.approx(1.0)
    assert np.isnan(value("mean_pairwise_overlap", records[:1]))


def test_closed_answers_are_no_free_text():
    records = [record("yes"), record("left", choices=["left", "right"]), record([]), record(None, "refused")]
    assert np.isnan(value("distinct_ratio", records))
    assert np.isnan(value("mean_pairwise_overlap", records))


def test_more_texts_than_are_compared_are_sampled():
    rng = np.random.default_rng(0)
    records = [record(" ".join(rng.choice([f"w{i}" for i in range(12)], 5))) for _ in range(3000)]
    table = columns(records)
    sets = [set(map(float, each)) for each in table["tokens"]]
    some = [len(sets[i] & sets[j]) / len(sets[i] | sets[j]) for i, j in rng.integers(0, 3000, (20000, 2)) if i != j]
    found = METRICS["mean_pairwise_overlap"].values(table, np.ones((1, 3000)))[0]
    assert found == pytest.approx(np.mean(some), abs=0.01)


def test_a_draw_at_a_million_rows_takes_milliseconds():
    rng = np.random.default_rng(0)
    answers = rng.integers(1, 200_000, 1_000_000).astype(float)
    table = {"answer": answers, "answered": np.ones(1_000_000), "text": answers, "free": np.ones(1_000_000)}
    weights = rng.integers(0, 3, (2, 1_000_000)).astype(float)
    for name in ("modal_share", "distinct_ratio"):
        METRICS[name].values(table, weights)  # sorts the column once
        began = time.process_time()
        for _ in range(5):
            METRICS[name].values(table, weights)
        assert (time.process_time() - began) / 10 < 0.05, name


def test_statistics_hold_numbers_only():
    for each in (*map(record, TEXTS), record(None, "refused", "unrecoverable", "refusal:policy:x")):
        for entry in Contract().statistics(each).values():
            assert all(type(number) is float for number in (entry if isinstance(entry, list) else [entry]))
