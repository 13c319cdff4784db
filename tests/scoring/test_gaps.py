"""Worst-group gaps, the mark of a constant classifier, and facts: all as stored scores."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

from raybench.interfaces import MetricDef
from raybench.leaderboard.rows import run_rows
from raybench.metrics.classification import Classification, confusion
from raybench.scoring import score_store, stored_facts
from raybench.scoring.columns import Cell
from raybench.scoring.gaps import gaps
from raybench.stats.groups import worst_group_gap
from raybench.store import Store
from tests.metrics.test_detection import box, columns, record
from tests.results import FAILED, fill, one, questions, scores


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "results"))


def cell(groups, statistics, clusters=None, samples=None):
    n = len(groups)
    names = [f"s{i}" for i in range(n)] if samples is None else samples
    found = Cell({}, samples=names, hashes=[""] * n, outcomes=["answered"] * n, statistics={"p": statistics})
    found.clusters = [f"c{i}" for i in range(n)] if clusters is None else list(clusters)
    found.slices = [{"sex": group} for group in groups]
    return found


# --- gaps ------------------------------------------------------------------------------------------------------------


def test_a_gap_of_each_slice_column_stands_among_the_scores(store):
    """F: 15 of 20 right, M: 9 of 20, and one row without a sex."""
    said = ["yes"] * 15 + ["no"] * 5 + ["yes"] * 9 + ["no"] * 11 + ["no"]
    sex = ["F"] * 20 + ["M"] * 20 + [""]
    kinds = [{"answer_type": "closed", "sex": each, "site": str(i)} for i, each in enumerate(sex)]
    fill(store, questions(["yes"] * 41, slices=kinds), {("m", "short", 0): said})
    score_store(store)
    (found,) = scores(store, metric="worst_group_gap")
    assert (found["slice"], found["profile"], found["kind"]) == ("sex=*", "raybench-strict", "system")
    assert found["value"] == pytest.approx(0.75 - 0.45)
    assert 0 <= found["low"] < found["value"] < found["high"] <= 1
    assert (found["n"], found["n_clusters"], found["planned"], found["headline"]) == (40, 40, 40, False)
    assert (found["higher_is_better"], found["unit"]) == (False, "fraction")
    assert {"best F", "worst M"} < set(found["flags"])
    assert "metric:worst_group_gap(overall_accuracy)" in found["signature"]


def test_small_groups_and_single_ones_give_no_gap(store):
    kinds = [{"answer_type": "closed", "sex": "F" if i < 9 else "M"} for i in range(20)]
    fill(store, questions(["yes"] * 20, slices=kinds), {("m", "short", 0): ["yes"] * 20})
    score_store(store)
    assert scores(store, metric="worst_group_gap") == []


def test_sums_over_clusters_are_worth_their_rows():
    """Against the same gap from the rows themselves, three rows a cluster, some in two groups."""
    rng = np.random.default_rng(3)
    groups = np.where(rng.random(240) < 0.4, "a", "b")
    clusters = np.repeat(np.arange(80), 3).astype(str)
    table = {"all": np.ones(240), "hit": (rng.random(240) < np.where(groups == "a", 0.8, 0.5)).astype(float)}
    metric = MetricDef("accuracy", over="all", hit="hit")
    statistics = [{"all": 1.0, "hit": hit} for hit in table["hit"].tolist()]
    (found,) = gaps(cell(groups, statistics, clusters), "p", metric)
    expected = worst_group_gap(metric, table, groups, clusters)
    assert found.found.value == pytest.approx(expected.value)
    assert (found.found.low, found.found.high) == pytest.approx((expected.low, expected.high))
    assert f"by chance {expected.shuffled:.4f}" in found.found.flags


def test_a_repeated_sample_counts_once():
    """Group a: one sample right in 1 of 2 repeats, nine right; group b: five of ten right."""
    hits = [1.0, 0.0] + [1.0] * 9 + [1.0] * 5 + [0.0] * 5
    names = ["s0", *(f"s{i}" for i in range(20))]
    statistics = [{"all": 1.0, "hit": hit} for hit in hits]
    metric = MetricDef("accuracy", over="all", hit="hit")
    (found,) = gaps(cell(["a"] * 11 + ["b"] * 10, statistics, names, names), "p", metric)
    assert (found.found.value, found.found.n) == (pytest.approx(0.95 - 0.5), 20)


def test_a_large_table_takes_seconds():
    n = 200_000
    rng = np.random.default_rng(0)
    groups, hits = rng.choice(list("abcdefgh"), n), rng.integers(0, 2, n).astype(float).tolist()
    metric = MetricDef("accuracy", over="all", hit="hit")
    table = cell(groups.tolist(), [{"all": 1.0, "hit": hit} for hit in hits])
    began = time.process_time()
    (found,) = gaps(table, "p", metric)
    assert time.process_time() - began < 10
    assert "too many rows for an interval" in found.found.flags
    assert (found.found.low, found.found.n) == (None, n)


# --- constant classifiers --------------------------------------------------------------------------------------------


def test_one_answer_to_everything_is_marked(store):
    targets = ["yes", "no", "yes", "no"]
    answers = {("same", "short", 0): ["yes", "Yes", "yes", FAILED], ("other", "short", 0): ["yes", "no", "no", "no"]}
    fill(store, questions(targets), answers)
    score_store(store)
    flags = {row["model"]: row["flags"] for row in scores(store, headline=True, kind="system")}
    assert "constant" in flags["same"]
    assert "constant" not in flags["other"]
    assert "constant" not in one(store, model="same", profile="raybench-strict", metric="closed_accuracy")["flags"]


# --- facts -----------------------------------------------------------------------------------------------------------


def test_confusion_counts_stand_in_the_run_record(store):
    targets, said = ["sick", "sick", "well", "well"], ["sick", "well", "well", "who knows"]
    task = {"task": "classification", "data": "unused.csv", "labels": ["sick", "well"]}
    samples = questions(targets, choices=[("sick", "well")] * 4)
    fill(store, samples, {("m", "short", 0): said}, task)
    before = run_rows(store)
    score_store(store)
    (found,) = stored_facts(store)
    assert (found["model"], found["profile"]) == ("m", "classification")
    assert found["facts"] == {"confusion": {"sick": {"sick": 1, "well": 1}, "well": {"well": 1, "": 1}}}
    after = run_rows(store)
    assert [(row["run_id"], row["status"], row["at"]) for row in after] == [
        (row["run_id"], row["status"], row["at"]) for row in before
    ]


def test_confusion_from_columns_is_confusion_from_records():
    rng = np.random.default_rng(1)
    labels = ["a", "b", "c"]
    rows = [
        {"outcome": "answered" if rng.random() < 0.8 else "unparsed", "value": labels[rng.integers(3)],
         "target": labels[rng.integers(3)], "choices": labels, "positive": None}
        for _ in range(60)
    ]  # fmt: skip
    entries = [Classification().statistics(row) for row in rows]
    names = {name for entry in entries for name in entry}
    table = {name: np.asarray([entry.get(name, 0.0) for entry in entries]) for name in names}
    assert Classification().facts(table)["confusion"] == confusion(rows)


def test_the_range_of_ap_over_ties():
    from raybench.metrics.detection import Detection, tie_range

    right, wrong = box(0.1, 0.1, 0.4, 0.4), box(0.6, 0.6, 0.9, 0.9)
    table = columns([record([right], [right]), record([right], [wrong])])
    (low, high) = Detection().facts(table)["tie_range"]["ap_50"]
    assert (low, high) == tie_range(table)["ap_50"]
    assert low < high
    assert Detection().facts(columns([record([], [])])) == {}
    json.dumps(Detection().facts(table), allow_nan=False)
