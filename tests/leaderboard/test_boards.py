"""Boards, comparisons and single rows: who may be ranked with whom, and paired numbers worked out elsewhere."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import shutil

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar

from raybench.cli import render
from raybench.errors import StoreError
from raybench.interfaces import MetricDef
from raybench.leaderboard import boards, compare, score_rows
from raybench.leaderboard.boards import reported_rows
from raybench.leaderboard.hits import Graded, paired
from raybench.leaderboard.rows import cell_rows, run_rows, sample_rows
from raybench.schema import Score
from raybench.scoring import score_store
from raybench.store import Store
from raybench.tasks.vqa import Vqa
from tests.results import CANNOT, FAILED, fill, judge, questions

N = 40


def right(count, start=0):
    """Answers to N questions whose answer is yes: `count` right ones from `start` on, the others wrong."""
    return ["yes" if start <= i < start + count else "no" for i in range(N)]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Five models: best is significantly better than two that tie; one lacks a sample; one never answered."""
    store = Store(str(tmp_path_factory.mktemp("boards") / "results"))
    answers = {
        "a_b": right(20), "best": right(38), "c|d": right(19, start=2), "lacks one": [FAILED, *right(39)[1:]],
        "never": [FAILED] * N,
    }  # fmt: skip
    fill(store, questions(["yes"] * N), {(model, "short", 0): said for model, said in answers.items()})
    judge(store, {("Is item 0 there?", "yes", "yes"): "CORRECT"})
    score_store(store)
    return store


def lines(board):
    return [(line.model, line.ranks, line.partial) for line in board.lines if line.kind == "system"]


def test_ranks_are_ranges_and_partial_sets_have_none(store):
    (board,) = boards(store)
    assert lines(board) == [
        ("lacks one", None, True), ("best", (1, 1), False), ("a_b", (2, 3), False), ("c|d", (2, 3), False),
        ("never", None, True),
    ]  # fmt: skip
    assert (board.task, board.dataset, board.metric) == ("vqa", "d", ("raybench-strict", "overall_accuracy"))
    assert {line.model for line in board.lines if line.kind == "baseline"} == {"majority", "always yes"}
    assert all(line.ranks is None for line in board.lines if line.kind == "baseline")
    assert board.mde == pytest.approx((1.959964 + 0.841621) * (0.2 / N) ** 0.5, abs=1e-6)


def test_equally_large_sets_are_not_ranked_together(tmp_path):
    store = Store(str(tmp_path / "r"))
    late, early = [*right(39)[:-1], FAILED], [FAILED, *right(39)[1:]]
    fill(store, questions(["yes"] * N), {("a", "short", 0): late, ("b", "short", 0): early, ("c", "short", 0): early})
    score_store(store)
    (board,) = boards(store)
    assert sorted(lines(board)) == [("a", None, True), ("b", (1, 2), False), ("c", (1, 2), False)]


def test_a_board_of_models_that_never_answered(tmp_path):
    store = Store(str(tmp_path / "r"))
    fill(store, questions(["yes"]), {("m", "short", 0): [FAILED]})
    score_store(store)
    (board,) = boards(store)
    assert (lines(board), board.lines[0].headline["value"], board.mde) == ([("m", None, True)], None, None)
    assert "m: coverage 0.0%" in render.boards([board], "table")


def test_the_mean_over_variants_is_shown_and_not_ranked(tmp_path):
    store = Store(str(tmp_path / "r"))
    failing = {("m", "plain", 0): ["yes", FAILED, "yes"], ("m", "short", 0): [FAILED, "yes", "yes"]}
    fill(store, questions(["yes"] * 3), failing)
    score_store(store)
    (board,) = boards(store)
    found = {line.model: (line.ranks, line.partial) for line in board.lines if line.kind == "system"}
    assert found["m (*)"] == (None, True)
    assert sorted(partial for _, partial in found.values()) == [False, True, True]


def test_an_unknown_task(store):
    with pytest.raises(StoreError, match=r"has no scores for task 'vqaa' \(did you mean 'vqa'\?\); it has: vqa"):
        score_rows(store, "vqaa")


# --- formats ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reported", [False, True])
def test_json_is_one_document_of_whole_scores(store, reported):
    document = json.loads(render.scores_json(score_rows(store, reported=reported)))
    assert list(document) == ["schema_version", "scores"]
    assert document["schema_version"] == 1
    fields = {field.name for field in dataclasses.fields(Score)}
    assert document["scores"]
    assert all(set(row) == fields for row in document["scores"])
    systems = [row for row in document["scores"] if row["kind"] == "system" and row["value"] is not None]
    assert all(row["low"] <= row["value"] <= row["high"] for row in systems)
    assert json.loads(render.scores_json([])) == {"schema_version": 1, "scores": []}


def test_csv_reads_back(store):
    rows = score_rows(store) + reported_rows({"vqa_rad"})
    back = list(csv.DictReader(io.StringIO(render.rows_csv(rows))))
    assert [row["model"] for row in back] == [row["model"] for row in rows]
    assert [row["value"] for row in back] == ["" if row["value"] is None else str(row["value"]) for row in rows]
    assert render.rows_csv([{"a": ["x", "y"], "b": 'c,"d"'}]) == 'a,b\nx;y,"c,""d"""\n'


def test_text_tables_escape_what_their_format_reserves(store):
    found = boards(store)
    markdown = render.boards(found, "markdown")
    assert "| c\\|d | 2-3 | 47.5 [" in markdown
    rows = [line for line in markdown.splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in rows if not line.startswith("|:--")}) == 1
    latex = render.boards(found, "latex")
    assert r"a\_b & 2-3 & 50.0 [" in latex
    assert "never (partial) & - & - &" in latex
    plain = render.boards(found, "table")
    assert "lacks one: coverage 97.5% (failed and unasked rows are not scored)" in plain
    assert "judge scores are uncalibrated" in plain


def test_every_reserved_mark_of_latex():
    text = render.table(["x"], [["\\&%_#${}~^<>"]], "latex")
    assert r"\textbackslash{}\&\%\_\#\$\{\}\textasciitilde{}\textasciicircum{}\textless{}\textgreater{} \\" in text


# --- comparisons -----------------------------------------------------------------------------------------------------


def test_compare_agrees_with_statsmodels(store):
    found = {(item.profile, item.metric): item for item in compare(store, "best", "a_b")}
    head = found["raybench-strict", "overall_accuracy"]
    a, b = (np.array([text == "yes" for text in right(count)]) for count in (38, 20))
    counts = [[int(np.sum(x & y)) for y in (b, ~b)] for x in (a, ~a)]
    assert head.difference.p == pytest.approx(mcnemar(counts, exact=True).pvalue)
    assert head.difference.test == "mcnemar_exact"
    assert (head.value_a, head.value_b, head.difference.value) == pytest.approx((0.95, 0.5, 0.45))
    assert (head.difference.only_a, head.difference.only_b, head.only, head.headline) == (18, 0, 0, True)
    assert 0.2 < head.difference.low < 0.45 < head.difference.high < 0.7
    assert [flip.sample for flip in head.flips] == [f"s{i}" for i in range(20, 38)]
    assert {(flip.better, flip.text_a, flip.text_b, flip.target) for flip in head.flips} == {
        ("best", "yes", "no", "yes")
    }


def test_compare_uses_what_both_have_and_says_so(store):
    head = next(item for item in compare(store, "best", "lacks one", "vqa") if item.headline)
    assert (head.difference.n, head.only) == (39, 1)
    assert head.value_a == pytest.approx(37 / 39)
    text = render.comparisons([head], ("best", "lacks one"), "table", 1)
    assert "1 samples that only one of the two has a score for are left out" in text
    assert "better from lacks one:\n  s38  Is item 38 there?  reference: yes" in text


def test_compare_formats(store):
    found = compare(store, "c|d", "a_b")
    document = json.loads(render.comparisons(found, ("c|d", "a_b"), "json", 3))
    assert (document["schema_version"], document["models"]) == (1, ["c|d", "a_b"])
    head = next(item for item in document["comparisons"] if item["headline"])
    assert (head["n"], head["only_a"], head["only_b"], len(head["flips"])) == (40, 1, 2, 3)
    rows = list(csv.DictReader(io.StringIO(render.comparisons(found, ("c|d", "a_b"), "csv", 3))))
    assert len(rows) == len(found)
    assert "| c\\|d | a_b |" in render.comparisons(found, ("c|d", "a_b"), "markdown", 3)


def test_compare_mistakes(store):
    with pytest.raises(
        StoreError, match=r"has no records of model 'bests' \(did you mean 'best'\?\); it has: a_b, best"
    ):
        compare(store, "bests", "a_b")
    with pytest.raises(StoreError, match=r"has no records of task 'vqq' \(did you mean 'vqa'\?\); it has: vqa"):
        compare(store, "best", "a_b", "vqq")


def test_a_sample_with_a_corrected_label_is_not_shared():
    def side(*hashes):
        names = [f"s{i}" for i in range(len(hashes))]
        rows = {name: {"sample_hash": found, "cluster": f"c{name}"} for name, found in zip(names, hashes, strict=True)}
        return Graded({name: [{"all": 1.0, "hit": 1.0}] for name in names}, rows)

    found = paired(side("x", "y", "z"), side("x", "other", "z"), MetricDef("accuracy", over="all", hit="hit"))
    assert (found.samples, found.hits_a.tolist(), found.difference.n_clusters) == (["s0", "s2"], [1, 1], 2)
    assert found.left_out == 1


# --- rows ------------------------------------------------------------------------------------------------------------


def test_rows_to_read(tmp_path):
    store = Store(str(tmp_path / "r"))
    twins = {"questions": [("Is it there?",)] * 4}
    fill(store, questions(["yes"] * 4, **twins), {("m", "short", 0): ["yes", "yes", CANNOT, FAILED]})
    judge(store, {("Is it there?", "yes", "yes"): "CORRECT"})
    score_store(store)
    rows = sample_rows(store, "vqa", "m", None, 10)
    assert [row["outcome"] for row in rows] == ["answered", "answered", "refused", "failed"]
    assert [[verdict["label"] for verdict in row["verdicts"]] for row in rows] == [["CORRECT"], ["CORRECT"], [], []]
    assert [row["sample"] for row in sample_rows(store, "vqa", "m", "refused", 10)] == ["s02"]
    assert len(sample_rows(store, "vqa", "m", None, 1)) == 1
    text = render.samples(rows)
    assert "outcome   failed: timeout" in text
    assert text.count("verdict   CORRECT by j") == 2
    with pytest.raises(StoreError, match=r"has no records of vqa / mm \(did you mean 'vqa / m'\?\); it has: vqa / m"):
        sample_rows(store, "vqa", "mm", None, 1)
    (cell,) = cell_rows(store)
    names = ("planned", "responses", "answered", "refused", "unparsed", "failed", "pending")
    assert [cell[name] for name in names] == [4, 3, 2, 1, 0, 1, 0]
    (run,) = run_rows(store)
    assert (run["run_id"], run["status"], run["progress"]) == ("r", "running", None)
    assert "m on vqa (d/test, short, images with)" in render.status([run], [cell])


def test_a_run_that_has_gone_silent_is_lost_and_one_that_ended_is_not(tmp_path, monkeypatch):
    store = Store(str(tmp_path / "r"))
    fill(store, questions(["yes"]), {("m", "short", 0): ["yes"]})
    store.write("runs", [{"run_id": "q", "status": "done"}])
    assert {row["run_id"]: row["status"] for row in run_rows(store)} == {"r": "running", "q": "done"}
    monkeypatch.setattr("raybench.leaderboard.rows.LOST_SECONDS", -1.0)
    assert {row["run_id"]: row["status"] for row in run_rows(store)} == {"r": "lost", "q": "done"}


def test_a_known_leak_and_a_self_check_are_said(store, monkeypatch):
    flags = {"leaks": "the test questions are in the training set.", "self_check": True}
    for name, value in flags.items():
        monkeypatch.setattr(Vqa, name, value)
    said = [
        "drawn images: a self-check of the pipeline, never a medical claim",
        "known leak: the test questions are in the training set.",
    ]
    board = render.boards(boards(store), "table").splitlines()
    assert all(board.count(line) == 1 for line in said)
    models = ("best", "a_b")
    compared = render.comparisons(compare(store, *models), models, "table", 0)
    rows = render.samples(sample_rows(store, "vqa", "best", None, 2))
    assert all(text.count(line) == 1 for line in said for text in (compared, rows))
    document = json.loads(render.comparisons(compare(store, *models), models, "json", 0))
    assert all({"self check", "known leak"} <= set(item["flags"]) for item in document["comparisons"])
    assert "(self check, known leak)" in next(line for line in render.listing("tasks").splitlines() if "  vqa " in line)


# --- damaged folders -------------------------------------------------------------------------------------------------


def _copied(store, tmp_path):
    shutil.copytree(store.name, tmp_path / "r")
    return Store(str(tmp_path / "r"))


def test_a_folder_without_its_run_records_says_so(store, tmp_path):
    copy = _copied(store, tmp_path)
    shutil.rmtree(tmp_path / "r" / "runs")
    for read in (lambda: boards(copy), lambda: compare(copy, "best", "a_b")):
        with pytest.raises(StoreError, match=r"no record of a run of vqa on d/test"):
            read()


def test_a_damaged_part_is_named(store, tmp_path):
    copy = _copied(store, tmp_path)
    part = next((tmp_path / "r" / "records").glob("*.parquet"))
    part.write_bytes(part.read_bytes()[:100])
    assert [line.ranks for line in boards(copy)[0].lines] == [line.ranks for line in boards(store)[0].lines]
    with pytest.raises(StoreError, match=rf"a stored part cannot be read: .*{part.name}"):
        compare(copy, "best", "a_b")
