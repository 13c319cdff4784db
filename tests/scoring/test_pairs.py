"""Paired tests kept with the scores: the ones that a comparison makes of the records, and enough to read a board."""

import json
from itertools import combinations

import pytest

from raybench import registry
from raybench.leaderboard import boards, compare
from raybench.leaderboard.hits import graded, paired
from raybench.schema import CELL, Box, ImageRef, Sample
from raybench.scoring import score_store
from raybench.scoring.pairs import pair_tests, stored_pairs
from raybench.store import Store
from tests.results import FAILED, fill, questions

N = 24
MODELS = ("good", "middling", "poor")


def _yes_no():
    targets = ["yes" if i % 3 else "no" for i in range(N)]
    samples = questions(targets, cluster=[f"p{i // 2}" for i in range(N)])
    answers = {}
    for rank, model in enumerate(MODELS):
        for repeat in (0, 1):
            said = [
                t if (i * 7 + repeat) % 10 >= 3 * rank else {"yes": "no", "no": "yes"}[t] for i, t in enumerate(targets)
            ]
            answers[model, "short", repeat] = said
    answers["poor", "short", 1][5] = FAILED
    return {"task": "vqa", "data": "unused.csv"}, samples, answers


def _classes():
    targets = ["abnormal" if i % 3 else "normal" for i in range(N)]
    samples = [
        Sample(f"s{i:02d}", "d", "test", ("Normal or abnormal?",), (t,), choices=("normal", "abnormal"),
               cluster=f"c{i}", context={"positive": "abnormal"})
        for i, t in enumerate(targets)
    ]  # fmt: skip
    flip = {"normal": "abnormal", "abnormal": "normal"}
    answers = {
        (model, "choices", 0): [t if i * 7 % 10 >= 3 * rank else flip[t] for i, t in enumerate(targets)]
        for rank, model in enumerate(MODELS)
    }
    return {"task": "cxr_classification", "data": "unused.csv", "source": "csv"}, samples, answers


def _boxes():
    samples = [
        Sample(f"s{i:02d}", "d", "test", ("Where?",), ("1 box",), images=(ImageRef(f"{i}.png"),), choices=("mass",),
               boxes=(Box(0.1, 0.1, 0.5, 0.5, "mass"),) if i % 4 else (), cluster=f"c{i}")
        for i in range(N)
    ]  # fmt: skip
    answers = {
        (model, "fractions", 0): [
            '[{"bbox": [0.1, 0.1, 0.5, 0.5], "label": "mass"}]' if i * 7 % 10 >= 3 * rank else "[]" for i in range(N)
        ]
        for rank, model in enumerate(MODELS)
    }
    return {"task": "detection", "data": "unused.csv"}, samples, answers


@pytest.fixture(params=[_yes_no, _classes, _boxes])
def store(request, tmp_path):
    task, samples, answers = request.param()
    store = Store(str(tmp_path / "r"))
    fill(store, samples, answers, task)
    score_store(store)
    return store


def _heads(store):
    sql = "SELECT * FROM scores WHERE headline AND kind = 'system' AND slice = 'all' ORDER BY model"
    return store.query(sql, (), ("scores",))


def _tests(store, heads):
    with store.connect(("runs",)) as connection:
        known = stored_pairs(connection)
    return pair_tests(store, heads, (heads[0]["profile"], heads[0]["metric"]), known)


def _lines(store):
    return [(line.model, line.ranks) for board in boards(store) for line in board.lines]


def _drop(store, table, where=lambda row: True):
    """Delete a table's parts in which every row is such a row."""
    for name in store.parts(table):
        rows = store.query(f"SELECT * FROM raw_{table} WHERE part = ?", [name], (table,))
        if all(map(where, rows)):
            store.files.delete(f"{table}/{name}")


def test_kept_tests_are_those_that_the_records_give(store):
    heads = _heads(store)
    assert [head["model"] for head in heads] == list(MODELS)
    profile, name = heads[0]["profile"], heads[0]["metric"]
    metric = next(each for each in registry.load("metrics", profile).metrics if each.name == name)
    with store.connect() as connection:
        sides = [graded(connection, {column: head[column] for column in CELL}, profile) for head in heads]
    expected = [paired(a, b, metric).difference for a, b in combinations(sides, 2)]
    kept = _tests(store, heads)
    assert [test.value for test in kept] == pytest.approx([each.value for each in expected])
    assert [test.p for test in kept] == pytest.approx([each.p for each in expected])
    assert any(test.p < 0.05 for test in kept), "the models do differ"
    turned, *_ = _tests(store, heads[::-1])
    assert turned == (pytest.approx(-kept[2].value), kept[2].p)
    (shown,) = [each for each in compare(store, "good", "poor") if each.headline]
    assert kept[1] == (pytest.approx(shown.difference.value), pytest.approx(shown.difference.p))


def test_a_board_needs_no_records(store):
    before = _lines(store)
    assert any(ranks for _, ranks in before)
    _drop(store, "records")
    assert _lines(store) == before


def test_a_folder_without_kept_tests_is_read_from_its_records(store):
    before, kept = _lines(store), _tests(store, _heads(store))
    _drop(store, "runs", lambda row: row["pairs"])
    assert not store.query("SELECT * FROM runs WHERE pairs IS NOT NULL")
    assert _lines(store) == before
    assert _tests(store, _heads(store)) == kept


def _stored(store):
    rows = store.query("SELECT pairs FROM runs WHERE pairs IS NOT NULL ORDER BY committed_at", (), ("runs",))
    return [json.loads(row["pairs"]) for row in rows]


def test_only_new_pairs_are_tested(tmp_path):
    store = Store(str(tmp_path / "r"))
    task, samples, answers = _yes_no()
    fill(store, samples, {key: said for key, said in answers.items() if key[0] != "poor"}, task)
    score_store(store)
    fill(store, samples, {key: said for key, said in answers.items() if key[0] == "poor"}, task)
    score_store(store, only_stale=True)
    first, second = _stored(store)
    assert (len(first), len(second)) == (1, 2)
    score_store(store, only_stale=True)
    assert len(_stored(store)) == 2, "nothing was scored anew"
    score_store(store)
    assert len(_stored(store)[-1]) == 3, "new records, new tests"
