"""The ledger's rules on a plain object."""

from __future__ import annotations

import pytest

from raybench.engine.ledger import MAX_BARREN_DEATHS, MAX_SILENT_STARTS, Ledger
from raybench.schema import Failure


def _ledger() -> Ledger:
    ledger = Ledger()
    ledger.open_stream("m", 10)
    return ledger


def test_a_fresh_block_is_all_fresh() -> None:
    assert _ledger().claim("m", ["a", "b"], "r") == {"fresh": ["a", "b"], "again": [], "given_up": {}}


def test_a_retried_block_leaves_out_what_is_durable_and_isolates_what_was_running() -> None:
    ledger = _ledger()
    ledger.claim("m", ["a", "b", "c", "d"], "r")
    ledger.sending("m", ["a", "b", "c"])
    ledger.durable("m", [("a", "answered")])
    assert ledger.claim("m", ["a", "b", "c", "d"], "r") == {"fresh": ["d"], "again": [["b"], ["c"]], "given_up": {}}


def test_a_row_that_kills_twice_is_given_up_with_the_reason() -> None:
    ledger = _ledger()
    for _ in range(2):
        ledger.claim("m", ["a", "b"], "r")
        ledger.sending("m", ["a"])
    ledger.dying("m", "r", "RuntimeError: boom")
    left = ledger.claim("m", ["a", "b"], "r")
    given_up = {"a": Failure("replica_died", "RuntimeError: boom", attempts=2)}
    assert left == {"fresh": ["b"], "again": [], "given_up": given_up}


@pytest.mark.parametrize(("rows", "deaths"), [(3, 2), (40, 3), (2000, 4)])
def test_the_row_that_kills_is_found_among_many_and_no_other_is_given_up(rows: int, deaths: int) -> None:
    ledger, keys = _ledger(), [str(n) for n in range(rows)]
    groups, died = [keys], 0
    ledger.claim("m", keys, "r")
    while groups:
        group = groups.pop(0)
        ledger.sending("m", group)
        if str(rows // 2) not in group:
            ledger.durable("m", [(key, "answered") for key in group])
            continue
        died += 1
        left = ledger.claim("m", keys, "r")
        assert not left["fresh"]
        groups = left["again"]
    assert {key: failure.attempts for key, failure in left["given_up"].items()} == {str(rows // 2): deaths}
    assert died == deaths
    assert ledger.progress()["m"]["counts"] == {"answered": rows - 1}


def test_a_row_that_was_not_alone_is_not_given_up_however_often_its_replica_dies() -> None:
    ledger, keys = _ledger(), [str(n) for n in range(64)]
    for _ in range(2):
        ledger.claim("m", keys, "r")
        ledger.sending("m", keys)  # as if another block's rows were with them
    left = ledger.claim("m", keys, "r")
    assert left["given_up"] == {}
    assert [len(group) for group in left["again"]] == [4] * 16


def test_a_finished_block_that_ray_runs_again_has_nothing_left() -> None:
    ledger = _ledger()
    ledger.claim("m", ["a", "b"], "r")
    ledger.sending("m", ["a", "b"])
    ledger.durable("m", [("a", "answered"), ("b", "failed:http_500")])
    ledger.release("m", ["a", "b"])
    assert ledger.claim("m", ["a", "b"], "other") == {"fresh": [], "again": [], "given_up": {}}


def test_its_size_does_not_grow_with_finished_rows() -> None:
    ledger = _ledger()
    for block in range(50):
        keys = [f"{block}-{i}" for i in range(100)]
        ledger.claim("m", keys, "r")
        ledger.sending("m", keys)
        ledger.durable("m", [(key, "answered") for key in keys])
        ledger.release("m", keys)
    assert len(ledger._streams["m"].keys) == 0
    assert len(ledger._streams["m"].released) == 50


def test_a_replica_that_never_becomes_ready_is_stopped() -> None:
    ledger = _ledger()
    for _ in range(MAX_SILENT_STARTS):
        assert ledger.starting("m", "r") == ""
    assert "while loading" in ledger.starting("m", "r")
    assert "while loading" in ledger.progress()["m"]["error"]


def test_starts_that_become_ready_do_not_count_and_replicas_are_apart() -> None:
    ledger = _ledger()
    for _ in range(10):
        assert ledger.starting("m", "r") == ""
        ledger.ready("m", "r")
    assert [ledger.starting("m", f"r{i}") for i in range(10)] == [""] * 10


def test_an_engine_that_breaks_without_an_answer_between_is_stopped_and_one_that_answers_is_not() -> None:
    ledger = _ledger()
    for i in range(MAX_BARREN_DEATHS * 3):
        ledger.dying("m", "r", "boom")
        ledger.durable("m", [(str(i), "answered")])
    assert ledger.progress()["m"]["error"] == ""
    for _ in range(MAX_BARREN_DEATHS):
        ledger.dying("m", "r", "boom")
        ledger.durable("m", [("x", "failed:replica_died")])
    assert "in a row" in ledger.progress()["m"]["error"]


def test_a_lost_node_takes_many_replicas_and_does_not_end_the_stream() -> None:
    ledger = _ledger()
    for replica in range(2 * MAX_BARREN_DEATHS):
        ledger.dying("m", f"r{replica}", "boom")
    assert ledger.progress()["m"]["error"] == ""


def test_silent_deaths_count_too() -> None:
    ledger = _ledger()
    for i in range(MAX_BARREN_DEATHS):
        keys = [f"{i}-{j}" for j in range(3)]
        ledger.claim("m", keys, "r")
        ledger.sending("m", keys)
        ledger.starting("m", "r")
        ledger.ready("m", "r")
        ledger.claim("m", keys, "r")
    assert "without a word" in ledger.progress()["m"]["error"]


@pytest.mark.parametrize("told", [True, False])
def test_one_death_counts_once_however_many_blocks_it_leaves(told: bool) -> None:
    ledger = _ledger()
    blocks = [[f"{block}-{row}" for row in range(12)] for block in range(2 * MAX_BARREN_DEATHS)]
    for keys in blocks:
        ledger.claim("m", keys, "r")
        ledger.sending("m", keys)
    if told:
        ledger.dying("m", "r", "boom")
    assert ledger.starting("m", "r") == ""
    ledger.ready("m", "r")
    again = [ledger.claim("m", keys, "r")["again"] for keys in blocks]
    assert [sum(map(len, groups)) for groups in again] == [12] * len(blocks)
    assert ledger.progress()["m"]["error"] == ""


def test_progress_counts_outcomes_and_reasons() -> None:
    ledger = _ledger()
    ledger.sending("m", ["a", "b", "c"])
    ledger.durable("m", [("a", "answered"), ("b", "refused"), ("c", "failed:timeout")])
    state = ledger.progress()["m"]
    assert state["counts"] == {"answered": 1, "refused": 1, "failed": 1}
    assert state["reasons"] == {"timeout": 1}
