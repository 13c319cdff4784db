"""Verdicts as statistics: joined by content, bounded where they are missing, by the protocol that was used."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from raybench.interfaces import MetricDef
from raybench.judges.relative10 import Relative10
from raybench.judges.rubric5 import Rubric5
from raybench.schema import CELL, canonical_json
from raybench.scoring import score_store
from raybench.scoring.samples import Samples
from raybench.scoring.verdicts import bounds, judgings, verdicts_of
from raybench.store import Store
from tests.results import fill, judge, one, questions


def columns(rows):
    names = sorted({name for row in rows for name in row})
    return {name: np.asarray([float(row.get(name, 0.0)) for row in rows]) for name in names}


def samples(n):
    return Samples.of(np.arange(n))


def bounds_of(protocol, name, rows, clusters=None):
    metric = next(metric for metric in protocol.metrics() if metric.name == name)
    return bounds(metric, columns(rows), protocol.possible(), clusters or samples(len(rows)))


def test_both_published_formulas_on_the_same_scores():
    """References 9, 8, 5, 2 and candidates 7, 4, 5, 6: 131.9 and 91.7 per cent, 40 points apart."""
    protocol = Relative10()
    record = {"outcome": "answered", "question": "Q?", "target": "reference", "text": "an answer"}
    (item,) = protocol.items([record])
    rows = []
    for reference, candidate in ((9, 7), (8, 4), (5, 5), (2, 6)):
        points = {"reference": str(reference), "candidate": str(candidate)}
        found = {p["item"]: {"status": "ok", "label": points[p["aspect"]["scored"]]} for p in item["parts"]}
        rows.append(protocol.aggregate(item, found))
    values = {m.name: float(m.values(columns(rows), np.ones((1, 4)))[0]) for m in protocol.metrics()}
    assert round(100 * values["relative_mean_of_ratios"], 1) == 131.9
    assert round(100 * values["relative_ratio_of_means"], 1) == 91.7
    assert (values["relative_points"], values["relative_order_gap"]) == (5.5, 0.0)


def test_both_slots_are_asked_and_their_mean_counts():
    protocol = Relative10()
    (item,) = protocol.items([{"outcome": "answered", "question": "Q?", "target": "r", "text": "c"}])
    asked = [protocol.messages(part)[1]["content"][0]["text"] for part in item["parts"]]
    assert len(set(asked)) == len({part["item"] for part in item["parts"]}) == 4
    for part, text in zip(item["parts"], asked, strict=True):
        first = text.split("Assistant 1:")[1].split("\n")[2]
        slot = text.split("answer of assistant ")[1][0]
        own = part["aspect"]["scored"]
        assert first == ("r" if part["aspect"]["order"] == "reference_first" else "c")
        assert (slot == "1") == (first == own[0])
    points = {("reference_first", "reference"): 10, ("candidate_first", "reference"): 6,
              ("reference_first", "candidate"): 3, ("candidate_first", "candidate"): 9}  # fmt: skip
    found = {part["item"]: {"status": "ok", "label": str(points[tuple(part["aspect"].values())])}
             for part in item["parts"]}  # fmt: skip
    row = protocol.aggregate(item, found)
    assert (row["points"], row["reference"], row["ratio"], row["gap"]) == (6.0, 8.0, 0.75, 6.0)
    found.pop(item["parts"][2]["item"])
    assert protocol.aggregate(item, found)["null"] == 1.0


def rated(label):
    return Rubric5().statistics({"status": "ok", "label": label})


def test_bounds_run_from_the_least_to_the_greatest_possible_rating():
    null = Rubric5().statistics({"status": "truncated", "label": None})
    assert bounds_of(Rubric5(), "rubric_mean", [rated("4"), rated("2"), null]) == (7 / 3, 11 / 3)
    assert bounds_of(Rubric5(), "rubric_acceptable_rate", [rated("4"), rated("2"), null, null]) == (0.25, 0.75)
    assert bounds_of(Rubric5(), "rubric_mean", [rated("4"), rated("2")]) == (3.0, 3.0)
    assert bounds_of(Rubric5(), "rubric_mean", [null]) == (1.0, 5.0)


def test_bounds_of_a_ratio_are_what_trying_every_assignment_gives():
    protocol, rng = Relative10(), np.random.default_rng(3)
    known = [
        {**protocol.possible()[0], "points": p, "reference": r, "ratio": p / r} for p, r in rng.integers(1, 11, (4, 2))
    ]
    null = protocol.statistics({"status": "engine_error", "label": None})
    for name in ("relative_mean_of_ratios", "relative_ratio_of_means", "relative_points"):
        metric = next(metric for metric in protocol.metrics() if metric.name == name)
        tried = [
            float(metric.values(columns([*known, *guess]), np.ones((1, 6)))[0])
            for guess in itertools.product(protocol.possible(), repeat=2)
        ]
        assert bounds_of(protocol, name, [*known, null, null]) == pytest.approx((min(tried), max(tried)))


def test_bounds_average_within_the_sample_first():
    null = Rubric5().statistics({"status": "parse_failed", "label": None})
    twice = Samples.of(np.asarray([0, 0, 1]))
    assert bounds_of(Rubric5(), "rubric_mean", [rated("5"), null, rated("1")], twice) == (2.0, 3.0)


def test_a_protocol_that_names_no_extremes_is_bounded_by_misses_and_hits():
    metric = MetricDef("rate", over="judged", hit="hit")
    rows = [{"judged": 1, "hit": 1}, {"judged": 1, "hit": 0}, {"null": 1}, {"null": 1}]
    assert bounds(metric, columns(rows), (), samples(4)) == (0.25, 0.75)


@pytest.fixture
def store(tmp_path):
    found = Store(str(tmp_path / "out"))
    fill(found, questions(["yes", "no"]), {("m", "short", 0): ["certainly", "never"]})
    return found


def cell_of(store):
    return store.query(f"SELECT DISTINCT {', '.join(CELL)} FROM units")[0]


def test_a_record_from_before_protocols_had_options_is_still_read(store):
    judge(
        store, {("Is item 0 there?", "yes", "certainly"): "CORRECT", ("Is item 1 there?", "no", "never"): "INCORRECT"}
    )
    score_store(store)
    assert one(store, judge="j", metric="judge_accuracy")["value"] == 0.5
    with store.connect() as connection:
        (found,) = judgings(connection, cell_of(store))
        assert (found.judge, found.config, found.protocol.name) == ("j", "jc", "reference_verdict")


def test_each_protocol_of_a_judge_is_read_as_it_was_asked(store):
    cells = [[cell_of(store)[name] for name in CELL]]
    for protocols in (
        {"vqa": ["reference_verdict", {"template": "v2"}]},
        {"vqa": ["rubric5", {}]},
        {"other": ["rule", {}]},
    ):
        judged = {"judge": "j", "config": "jc", "cells": cells, "protocols": protocols}
        store.write("runs", [{"run_id": "x", "status": "judging", "judged": canonical_json(judged)}])
    with store.connect() as connection:
        found = judgings(connection, cell_of(store))
        assert [each.protocol.name for each in found] == ["reference_verdict", "rubric5"]
        assert found[0].protocol.options.template == "v2"
        records = [
            {
                "sample": "s00",
                "turn": 0,
                "repeat": 0,
                "outcome": "answered",
                "question": "Q?",
                "target": "r",
                "text": "c",
            }
        ]
        items, verdicts = verdicts_of(connection, found[1], cell_of(store), records)
        assert (len(items), verdicts) == (1, {})
    score_store(store)
    unread = one(store, judge="j", protocol="rubric5", metric="rubric_mean")
    assert (unread["value"], unread["null_verdicts"]) == (None, 2)
    assert (unread["bound_low"], unread["bound_high"]) == (1.0, 5.0)


def test_the_same_judge_under_another_name_shares_its_verdicts(store):
    judge(
        store, {("Is item 0 there?", "yes", "certainly"): "CORRECT", ("Is item 1 there?", "no", "never"): "INCORRECT"}
    )
    cells = [[cell_of(store)[name] for name in CELL]]
    judged = {"judge": "twin", "config": "jc", "cells": cells, "protocols": {"vqa": ["reference_verdict", {}]}}
    store.write("runs", [{"run_id": "x", "status": "judging", "judged": canonical_json(judged)}])
    score_store(store)
    assert one(store, judge="twin", metric="judge_accuracy")["null_verdicts"] == 0
    assert one(store, judge="twin", metric="judge_accuracy")["value"] == 0.5


def test_only_what_is_judged_otherwise_is_scored_again(store):
    fill(store, questions(["yes", "no"]), {("other", "short", 0): ["yes", "no"]})
    cells = [[cell[name] for name in CELL] for cell in store.query("SELECT * FROM units WHERE model = 'm'")]

    def scored(protocol):
        judged = {"judge": "j", "config": "jc", "cells": cells, "protocols": {"vqa": [protocol, {}]}}
        store.write("runs", [{"run_id": "x", "status": "judging", "judged": canonical_json(judged)}])
        score_store(store, only_stale=True)
        newest = store.query("SELECT model, max(generation) AS at FROM raw_scores WHERE kind = 'system' GROUP BY model")
        return {row["model"]: row["at"] for row in newest}

    first = scored("reference_verdict")
    assert scored("reference_verdict") == first, "the same judge, asked in the same way, changes nothing"
    second = scored("rubric5")
    assert second["m"] > first["m"], "another protocol adds scores"
    assert second["other"] == first["other"], "nobody judged this model"


def test_verdict_rows_say_how_they_came_about(store):
    row = store.query("SELECT * FROM verdicts")
    assert row == []
    names = {"aspect", "other", "attempt", "fanout", "injection_flags", "labels", "sampling", "started_at"}
    described = {each["column_name"] for each in store.query("DESCRIBE SELECT * FROM all_verdicts")}
    assert names <= described
    assert json.loads(canonical_json({"ok": True}))["ok"]
