"""What `raybench judge` says before and after: calls, tokens, time, flips, strengths; and how flags name a judge."""

from __future__ import annotations

import json
import math

import pytest
from typer.testing import CliRunner

from raybench.cli import app
from raybench.cli.judge_report import judge_plan_lines, steadiness_lines
from raybench.cli.running import _judge_entry
from raybench.cli.strength_text import strengths
from raybench.leaderboard.strengths import strength_boards
from raybench.schema import Response
from raybench.scoring import score_store
from raybench.store import Store
from tests.engine.judged import Says, judge_here
from tests.results import fill, questions

CALLS = {"items": 100, "decided": 20, "rows": 30, "distinct": 50, "checks": 0}
ESTIMATE = {"tokens_in": 9000, "tokens_out": 30, "counted": 30, "rows_per_second": 2.0, "seconds": 15.0}


def test_a_plan_is_said_in_one_line_and_a_dry_run_in_two():
    assert judge_plan_lines("j", CALLS) == [
        "judge j: 100 answers, 20 decided by rule, 30 calls to make (20 already judged)"
    ]
    plain = {**CALLS, "distinct": 30}
    assert judge_plan_lines("j", plain) == ["judge j: 100 answers, 20 decided by rule, 30 calls to make"]
    _, told = judge_plan_lines("j", {**CALLS, "estimate": ESTIMATE})
    assert told == (
        "judge j: 9000 tokens in (by its own tokeniser), at most 30 out;"
        " about 15 s at 2.0 verdicts/s a replica (measured)"
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"counted": 0}, "estimated at 4 characters a token"),
        ({"counted": 10}, "by its own tokeniser, from 10 of 30 prompts"),
        ({"seconds": None}, "time unknown: no verdict of it is stored here"),
        ({"seconds": 9000.0}, "about 2.5 h"),
        ({"seconds": 600.0}, "about 10 min"),
    ],
)
def test_a_guess_is_said_to_be_one(change, said):
    assert said in judge_plan_lines("j", {**CALLS, "estimate": {**ESTIMATE, **change}})[1]


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({}, "j"),
        ({"template": "v2"}, "j (v2)"),
        ({"template": "v1"}, "j"),
        ({"template": "mine/own.yaml"}, "j (own)"),
        ({"protocol": "reference_verdict"}, "j"),
        ({"protocol": "rubric5"}, "j (rubric5)"),
        ({"protocol": "pairwise", "template": "v1"}, "j (pairwise)"),
        ({"protocol": "rubric5", "template": "v2", "repeats": 3}, "j (rubric5, v2)"),
    ],
)
def test_what_is_not_the_default_goes_into_the_name(given, name):
    found = _judge_entry({"name": "j", "backend": "hf"}, {"name": "j", **given})
    assert found == {"name": name, "backend": "hf", **given}


def test_the_end_of_judging_tells_flips_and_strengths(tmp_path):
    store = Store(str(tmp_path / "out"))
    fill(store, questions(["mass"] * 4), {("a", "short", 0): ["one", "two", "three", "four"],
                                          ("b", "short", 0): ["five", "six", "seven", "eight"]})  # fmt: skip
    score_store(store)
    judge_here(store.name, Says(lambda row: "A"))
    assert steadiness_lines(store.name, "j") == []
    judge_here(store.name, Says(lambda row: "B"), name="j (v2)", template="v2")
    (line,) = steadiness_lines(store.name, "j (v2)")
    assert line.endswith("flips 100.0 % [67.6, 100.0] (8 of 8): 8 CORRECT to INCORRECT")
    judge_here(store.name, Says(lambda row: "C"), name="j (pairwise)", protocol="pairwise")
    (title, _, _, *lines) = strengths(strength_boards(store), "table").strip().splitlines()
    assert title.startswith("vqa on d/test (short, images with): Bradley-Terry strengths by j (pairwise)")
    assert title.endswith("(uncalibrated), log odds around the mean [95 % interval], 4 contests")
    assert [line.split()[:2] for line in lines] == [["a", "+0.00"], ["b", "+0.00"]]


def test_a_judge_that_wanted_to_say_something_else_is_told(tmp_path):
    store = Store(str(tmp_path / "out"))
    fill(store, questions(["mass"] * 3), {("a", "short", 0): ["one", "two", "three"]})
    score_store(store)
    weak = Response("A", label_logprobs={"A": -3.0, "B": -4.0})
    judge_here(store.name, Says(lambda row: weak if "two" in str(row["messages"][-1]) else "A"))
    (line,) = steadiness_lines(store.name, "j")
    assert line.startswith("judge j: on 1 of 3 verdicts the labels had under half of the probability")


def test_the_leaderboard_shows_strengths_as_text_and_json(tmp_path):
    store = Store(str(tmp_path / "out"))
    fill(store, questions(["mass"] * 6), {("a", "short", 0): ["big mass"] * 6,
                                          ("b", "short", 0): ["a cyst"] * 5 + ["big mass"]})  # fmt: skip
    score_store(store)
    plain = CliRunner().invoke(app, ["leaderboard", store.name])
    assert plain.exit_code == 0
    assert "strengths" not in plain.stdout
    judge_here(store.name, Says(lambda row: "A" if "mass" in text_of_first(row) else "B"), protocol="pairwise")
    shown = CliRunner().invoke(app, ["leaderboard", store.name, "--format", "markdown"])
    assert "Bradley-Terry strengths by j (uncalibrated)" in shown.stdout
    told = CliRunner().invoke(app, ["leaderboard", store.name, "--format", "json"])
    (entry,) = json.loads(told.stdout)["strengths"]
    assert (entry["task"], entry["judge"], entry["contests"], entry["missing"]) == ("vqa", "j", 6, 0)
    best, worst = entry["strengths"]
    # 5.5 of 6 contests won, and half a tie added: log(5.75/0.75), halved as strengths are around their mean.
    assert (best["model"], best["value"]) == ("a", pytest.approx(math.log(5.75 / 0.75) / 2))
    assert worst["value"] == pytest.approx(-best["value"])
    assert best["low"] <= best["value"] <= best["high"]
    other = CliRunner().invoke(app, ["leaderboard", store.name, "--format", "json", "--task", "vqa"])
    assert json.loads(other.stdout) == json.loads(told.stdout)


def text_of_first(row):
    return row["messages"][-1]["content"][-1]["text"].split("First answer:")[1].split("Second answer:")[0]
