"""Records to scores: what is in a denominator, what is not, and numbers worked out elsewhere or by hand."""

from __future__ import annotations

import csv
import json
import math
import statistics

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from raybench.engine.importing import import_answers
from raybench.schema import CELL
from raybench.scoring import score_store
from raybench.spec import build
from raybench.store import Store
from tests.results import CANNOT, FAILED, fill, judge, one, questions, scores

STRICT = {"profile": "raybench-strict", "metric": "overall_accuracy"}


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "results"))


def bring(tmp_path, task, answers, model="mine"):
    """Import answers (id -> text) for a task entry; return the folder and what the import reports."""
    path = tmp_path / f"{model}.jsonl"
    path.write_text("".join(json.dumps({"id": key, "text": text}) + "\n" for key, text in answers.items()))
    entry = {"name": model, "backend": "imported", "answers": str(path)}
    done = import_answers(build({"output": str(tmp_path / "results"), "tasks": [task], "models": [entry]}))
    return Store(str(tmp_path / "results")), done


# --- published numbers -----------------------------------------------------------------------------------------------


@pytest.mark.data
def test_mumc_answers_get_mumcs_published_numbers(tmp_path, test_data):
    said = json.loads((test_data / "mumc-vqarad" / "final_pred.json").read_text())
    answers = {row["qid"]: str(row["answer"]) for row in said}
    store, done = bring(tmp_path, {"task": "vqa_rad", "data": str(test_data / "vqa-rad")}, answers)
    assert (done["answered"], done["missing"], done["unknown"]) == (451, [], [])
    published = json.loads((test_data / "mumc-vqarad" / "final_acc.json").read_text())
    expected = {
        "closed_accuracy": (published["perAnswerType"]["CLOSED"], 272),
        "open_accuracy": (published["perAnswerType"]["OPEN"], 179),
        "overall_accuracy": (published["overall"], 451),
    }
    for metric, (percent, n) in expected.items():
        score = one(store, profile="vqa-v2-exact", metric=metric)
        assert (round(100 * score["value"], 2), score["n"]) == (percent, n)
        assert score["low"] < score["value"] < score["high"]
    head = one(store, headline=True)
    assert (head["metric"], head["n_clusters"], head["planned"], head["coverage"]) == ("overall_accuracy", 203, 451, 1)
    for organ, kind in (("CHEST", "PRES"), ("HEAD", "SIZE")):
        assert scores(store, slice=f"organ={organ}", kind="system")
        by_type = one(store, slice=f"question_type={kind}", profile="vqa-v2-exact", metric="overall_accuracy")
        assert round(100 * by_type["value"], 2) == published["perQuestionType"][kind]
    never = one(store, kind="baseline", model="always no", profile="raybench-strict", metric="closed_accuracy")
    assert (round(never["value"], 3), never["n"]) == (0.489, 272)  # metrics.md section 1.6


def test_classification_agrees_with_scikit_learn(tmp_path):
    metrics = pytest.importorskip("sklearn.metrics")
    draw = np.random.default_rng(5)
    labels = np.array(["normal", "abnormal"])
    true, said = labels[draw.integers(0, 2, 60)], labels[draw.integers(0, 2, 60)]
    with open(tmp_path / "t.csv", "w", newline="") as file:
        csv.writer(file).writerows([["id", "answer"], *enumerate(true)])
    task = {"task": "classification", "data": str(tmp_path / "t.csv"), "labels": ["normal", "abnormal"]}
    store, _ = bring(tmp_path, task, {i: str(text) for i, text in enumerate(said)})
    expected = {
        "accuracy": metrics.accuracy_score(true, said),
        "f1": metrics.f1_score(true, said, pos_label="abnormal"),
        "macro_f1": metrics.f1_score(true, said, average="macro"),
        "mcc": metrics.matthews_corrcoef(true, said),
        "balanced_accuracy": metrics.balanced_accuracy_score(true, said),
        "sensitivity": metrics.recall_score(true, said, pos_label="abnormal"),
        "specificity": metrics.recall_score(true, said, pos_label="normal"),
    }
    found = {name: one(store, profile="classification", metric=name) for name in expected}
    assert {name: score["value"] for name, score in found.items()} == pytest.approx(expected)
    assert all(score["low"] <= score["value"] <= score["high"] for score in found.values())
    assert (found["mcc"]["unit"], found["sensitivity"]["n"]) == ("coefficient", int((true == "abnormal").sum()))
    majority = one(store, kind="baseline", model="majority", profile="classification", metric="accuracy")
    assert majority["value"] == max(np.mean(true == label) for label in labels)


# --- denominators ----------------------------------------------------------------------------------------------------


def test_failed_rows_are_in_no_denominator_and_the_rest_in_every(store):
    said = ["yes", "yes", "no", "no", "no", CANNOT, "maybe", FAILED, FAILED, FAILED]
    fill(store, questions(["yes", "yes", "no", "no", "yes", "yes", "no", "yes", "no", "no"]), {("m", "short", 0): said})
    score_store(store)
    head = one(store, **STRICT)
    counts = {name: head[name] for name in ("planned", "answered", "refused", "unparsed", "failed", "coverage")}
    assert counts == {"planned": 10, "answered": 5, "refused": 1, "unparsed": 1, "failed": 3, "coverage": 0.7}
    assert (head["value"], head["n"], head["headline"]) == (4 / 7, 7, True)
    assert (head["low"], head["high"]) == pytest.approx(proportion_confint(4, 7, method="wilson"))
    rates = {name: one(store, profile="contract", metric=name) for name in ("refused_rate", "unparsed_rate")}
    assert {name: (score["value"], score["n"]) for name, score in rates.items()} == {
        "refused_rate": (1 / 7, 7), "unparsed_rate": (1 / 7, 7),
    }  # fmt: skip
    failed = one(store, profile="contract", metric="failed_rate")
    assert (failed["value"], failed["n"], failed["higher_is_better"]) == (0.3, 10, False)
    records = store.query("SELECT outcome, reason, statistics FROM records WHERE outcome = 'failed'")
    assert records == [{"outcome": "failed", "reason": "timeout", "statistics": "{}"}] * 3


def test_a_model_that_never_answered_has_no_value_but_its_failures(store):
    fill(store, questions(["yes", "no"]), {("m", "short", 0): [FAILED, FAILED]})
    score_store(store)
    (only,) = scores(store, slice="all")
    assert (only["metric"], only["value"], only["failed"], only["coverage"]) == ("failed_rate", 1.0, 2, 0.0)


def test_repeats_are_averaged_within_the_sample(store):
    first, second = ["yes", "yes", "yes"], ["no", "yes", FAILED]
    fill(store, questions(["yes"] * 3), {("m", "short", 0): first, ("m", "short", 1): second})
    score_store(store)
    head = one(store, **STRICT)
    assert head["value"] == pytest.approx((0.5 + 1 + 1) / 3)
    assert (head["n"], head["n_clusters"], head["planned"], head["failed"]) == (3, 3, 6, 1)


def test_a_baseline_stands_beside_a_system_whose_first_repeat_failed(store):
    fill(store, questions(["yes", "no"]), {("m", "short", 0): [FAILED, "no"], ("m", "short", 1): ["yes", "no"]})
    score_store(store)
    assert one(store, kind="baseline", model="majority", **STRICT)["value"] == 0.5


def test_variants_and_their_mean(store):
    a, b = ["yes", "no", "yes"], ["yes", "no", "no"]
    fill(store, questions(["yes"] * 3), {("m", "plain", 0): a, ("m", "short", 0): b})
    score_store(store)
    assert one(store, variant="plain", **STRICT)["value"] == pytest.approx(2 / 3)
    assert one(store, variant="short", **STRICT)["value"] == pytest.approx(1 / 3)
    mean = one(store, variant="*", **STRICT)
    assert mean["value"] == pytest.approx(0.5)
    assert mean["sd"] == pytest.approx(statistics.stdev([2 / 3, 1 / 3]))
    assert (mean["n"], mean["planned"]) == (3, 6)
    assert mean["sample_set"] == one(store, variant="plain", **STRICT)["sample_set"]


def test_scoring_one_variant_renews_the_mean(store):
    samples = questions(["yes", "yes"])
    fill(store, samples, {("m", "plain", 0): ["yes", "yes"]})
    score_store(store)
    fill(store, samples, {("m", "short", 0): ["no", "no"]})
    cell = dict(zip(CELL, ("vqa", "d", "test", "m", "c", "short", "with"), strict=True))
    score_store(store, [cell])
    assert one(store, variant="*", **STRICT)["value"] == 0.5
    assert one(store, variant="plain", **STRICT)["value"] == 1.0


def test_only_the_chosen_cells_are_scored_again(store):
    samples = questions(["yes", "no"])
    fill(store, samples, {("m", "short", 0): ["yes", "no"], ("other", "short", 0): ["no", "no"]})
    score_store(store)
    before = {row["model"]: row["generation"] for row in scores(store, **STRICT, slice="all", kind="system")}
    score_store(store, [dict(zip(CELL, ("vqa", "d", "test", "m", "c", "short", "with"), strict=True))])
    after = {row["model"]: row["generation"] for row in scores(store, **STRICT, slice="all", kind="system")}
    assert after["other"] == before["other"]
    assert after["m"] > before["m"]


def test_slices_and_their_own_denominators(store):
    kinds = [{"answer_type": "closed", "organ": organ} for organ in ("head", "head", "chest", "")]
    fill(store, questions(["yes"] * 4, slices=kinds), {("m", "short", 0): ["yes", "no", "yes", FAILED]})
    score_store(store)
    found = {row["slice"]: (row["value"], row["n"], row["planned"]) for row in scores(store, **STRICT, kind="system")}
    assert found == {
        "all": (2 / 3, 3, 4), "answer_type=closed": (2 / 3, 3, 4), "organ=head": (0.5, 2, 2), "organ=chest": (1, 1, 1),
    }  # fmt: skip
    assert len({row["sample_set"] for row in scores(store, **STRICT, kind="system")}) == 3


def test_equal_samples_make_equal_sets_whoever_answered(store):
    samples = questions(["yes", "no", "no"])
    answers = {"a": ["no", "no", "no"], "b": ["yes", CANNOT, "perhaps"], "c": ["yes", "no", FAILED]}
    fill(store, samples, {(model, "short", 0): said for model, said in answers.items()})
    score_store(store)
    sets = {model: one(store, model=model, **STRICT)["sample_set"] for model in answers}
    assert sets["a"] == sets["b"] != sets["c"]


def test_units_whose_run_never_began_are_left_for_the_next(store):
    fill(store, questions(["yes"]), {("m", "short", 0): ["yes"]})
    store.write("units", [{"key": "k", "task": "vqa", "dataset": "other", "split": "test", "model": "m", "config": "c",
                           "variant": "short", "images": "with", "sample": "s00", "repeat": 0}])  # fmt: skip
    store.write("samples", [{**questions(["yes"])[0].to_row("vqa", 0), "dataset": "other"}])
    score_store(store)
    assert {row["dataset"] for row in scores(store)} == {"d"}


# --- judges ----------------------------------------------------------------------------------------------------------


def asked(i, target, text):
    return (f"Is item {i} there?", target, text)


def test_judge_scores_and_the_bounds_that_null_verdicts_leave(store):
    said = ["yes", "yes", "no", FAILED]
    fill(store, questions(["yes", "no", "no", "yes"]), {("m", "short", 0): said})
    judge(store, {asked(0, "yes", "yes"): "CORRECT", asked(1, "no", "yes"): "INCORRECT", asked(2, "no", "no"): None})
    score_store(store)
    found = one(store, judge="j", metric="judge_accuracy")
    assert (found["value"], found["n"], found["null_verdicts"]) == (0.5, 2, 1)
    assert (found["bound_low"], found["bound_high"]) == (pytest.approx(1 / 3), pytest.approx(2 / 3))
    assert found["protocol"] == "reference_verdict"
    assert "uncalibrated" in found["flags"]
    assert "template:" in found["signature"]


def test_a_judge_that_could_read_nothing_scores_nothing_and_says_so(store):
    fill(store, questions(["yes"]), {("m", "short", 0): ["yes"]})
    judge(store, {asked(0, "yes", "yes"): None})
    score_store(store)
    found = one(store, judge="j", metric="judge_accuracy")
    assert (found["value"], found["low"], found["n"], found["null_verdicts"]) == (None, None, 0, 1)
    assert (found["bound_low"], found["bound_high"]) == (0, 1)


def test_an_item_judged_for_another_task_counts_here_too(store):
    fill(store, questions(["yes"]), {("m", "short", 0): ["yes"]})
    judge(store, {asked(0, "yes", "yes"): "CORRECT"}, task="vqa_rad")
    score_store(store)
    assert one(store, judge="j", metric="judge_accuracy")["value"] == 1.0


def test_judged_repeats_weigh_by_sample(store):
    """s00: right once, once no attempt. s01: wrong twice. Given an attempt: (1 + 0) / 2; of all: (0.5 + 0) / 2."""
    samples = questions(["yes", "yes"])
    fill(store, samples, {("m", "short", 0): ["yes", "no"], ("m", "short", 1): ["it may be", "not"]})
    verdicts = {
        (0, "yes"): "CORRECT",
        (0, "it may be"): "NOT_ATTEMPTED",
        (1, "no"): "INCORRECT",
        (1, "not"): "INCORRECT",
    }
    judge(store, {asked(i, "yes", text): label for (i, text), label in verdicts.items()})
    score_store(store)
    given = one(store, judge="j", metric="judge_accuracy_given_attempted")
    assert (given["value"], given["n"]) == (0.5, 2)
    assert one(store, judge="j", metric="judge_accuracy")["value"] == 0.25
    assert one(store, judge="j", metric="judge_attempted_rate")["value"] == 0.75


def test_bounds_hold_the_value_where_repeats_are_uneven(store):
    """s00: right, and its second call failed. s01: wrong, and once unread: bounds (1 + 0) / 2 and (1 + 0.5) / 2."""
    fill(store, questions(["yes", "yes"]), {("m", "short", 0): ["yes", "no"], ("m", "short", 1): [FAILED, "nope"]})
    judge(store, {asked(0, "yes", "yes"): "CORRECT", asked(1, "yes", "no"): "INCORRECT", asked(1, "yes", "nope"): None})
    score_store(store)
    found = one(store, judge="j", metric="judge_accuracy")
    assert (found["value"], found["bound_low"], found["bound_high"]) == (0.5, 0.5, 0.75)


# --- scoring again ---------------------------------------------------------------------------------------------------


def test_scoring_again_changes_no_value(store):
    fill(store, questions(["yes", "no", "yes"]), {("m", "short", 0): ["yes", "yes", "yes"]})
    count = score_store(store)
    before = {tuple(map(str, (row["kind"], row["model"], row["profile"], row["metric"], row["slice"]))): row
              for row in scores(store)}  # fmt: skip
    assert score_store(store) == count == len(before)
    for row in scores(store):
        old = before[tuple(map(str, (row["kind"], row["model"], row["profile"], row["metric"], row["slice"])))]
        assert row["generation"] > old["generation"]
        ignored = ("generation", "committed_at")
        assert {k: v for k, v in row.items() if k not in ignored} == {k: v for k, v in old.items() if k not in ignored}


def table(tmp_path, labels):
    with open(tmp_path / "t.csv", "w", newline="") as file:
        rows = [[i, f"Is item {i} there?", label] for i, label in enumerate(labels)]
        csv.writer(file).writerows([["id", "question", "answer"], *rows])
    return {"task": "vqa", "data": str(tmp_path / "t.csv")}


def test_a_corrected_label_is_scored_anew_without_a_new_answer(tmp_path):
    answers = {0: "yes", 1: "no", 2: "yes"}
    store, _ = bring(tmp_path, table(tmp_path, ["yes", "no", "no"]), answers)
    old, kept = one(store, **STRICT), store.query("SELECT key, committed_at FROM all_responses ORDER BY key")
    store, _ = bring(tmp_path, table(tmp_path, ["yes", "no", "yes"]), answers)
    new = one(store, **STRICT)
    assert (old["value"], new["value"]) == (2 / 3, 1.0)
    assert old["sample_set"] != new["sample_set"]
    assert store.query("SELECT key, committed_at FROM all_responses ORDER BY key") == kept


def test_a_corrected_answer_replaces_the_old_one(tmp_path):
    task = table(tmp_path, ["yes", "no"])
    bring(tmp_path, task, {0: "yes", 1: "yes"})
    store, _ = bring(tmp_path, task, {0: "yes", 1: "no"})
    assert one(store, **STRICT)["value"] == 1.0


def test_what_an_import_reports(tmp_path):
    answers = {0: "yes", 1: "  ", 7: "no", 9: "no"}
    store, done = bring(tmp_path, table(tmp_path, ["yes", "no", "no"]), answers)
    assert (done["answered"], done["missing"], done["unknown"]) == (2, ["2"], ["7", "9"])
    head = one(store, **STRICT)
    assert (head["value"], head["answered"], head["refused"], head["failed"]) == (0.5, 1, 1, 1)
    assert store.query("SELECT status FROM runs ORDER BY committed_at DESC LIMIT 1") == [{"status": "incomplete"}]
    assert not store.files.names(f"runs/{store.query('SELECT run_id FROM runs')[0]['run_id']}/plan")
    store, done = bring(tmp_path, table(tmp_path, ["yes", "no", "no"]), {**answers, 2: "no"})
    assert done["missing"] == []
    assert one(store, **STRICT)["value"] == pytest.approx(2 / 3)
    assert not math.isnan(one(store, **STRICT)["low"])
