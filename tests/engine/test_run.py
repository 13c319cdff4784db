"""Runs on a real local Ray: what is asked, what is asked again, what a fault costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import ray

import raybench
from raybench.engine.run import RunResult
from raybench.engine.run import run as run_spec
from raybench.errors import ModelError
from raybench.spec import build
from tests.servers import FakeOpenAI

pytestmark = pytest.mark.usefixtures("local_ray")
Make = Callable[..., Any]


def _run(document: dict[str, Any], **options: Any) -> RunResult:
    return run_spec(build(document), **options)


def test_each_row_is_asked_once_whatever_is_added_later(table: Make, faulty_spec: Make, sent: Make) -> None:
    path = table(30)
    first = _run(faulty_spec(path, limit=10))
    assert (first.exit_code, first.generated, sum(sent().values())) == (0, 10, 10 + 1)  # and one load

    everything = _run(faulty_spec(path))
    assert everything.generated == 20
    assert {key: times for key, times in sent().items() if key != "load"} == {str(i): 1 for i in range(30)}

    again = _run(faulty_spec(path))
    assert again.generated == 0
    assert sent()["load"] == 2  # a run with nothing to do loads nothing

    other = faulty_spec(path)
    other["tasks"].append({"task": "vqa", "data": str(table(6, "more"))})
    assert _run(other).generated == 6

    changed = faulty_spec(path)
    changed["tasks"][0]["prompts"] = ["plain"]
    assert _run(changed).generated == 30

    records = raybench.load(changed["output"]).records
    assert Counter(records["variant"]) == {"short": 36, "plain": 30}
    assert not records.duplicated(["dataset", "variant", "sample"]).any()


def test_answers_are_joined_to_their_own_rows(table: Make, faulty_spec: Make) -> None:
    document = faulty_spec(table(25), replicas=2)
    _run(document)
    results = raybench.load(document["output"])
    joined = results.responses.merge(results.records, on="key", suffixes=("", "_record"))
    assert (joined["sample"] == joined["sample_record"]).all()
    assert all(question in messages for question, messages in zip(joined["question"], joined["messages"], strict=True))
    headline = results.scores.query("headline and kind == 'system'").iloc[0]
    assert headline["value"] == pytest.approx(12 / 25)  # odd numbers are "yes"
    assert headline["n"] == 25


def test_rows_that_fail_are_never_scored_and_are_retried(table: Make, faulty_spec: Make, sent: Make) -> None:
    path = table(20)
    broken = _run(faulty_spec(path, fail_on=["3", "7"]))
    assert broken.exit_code == 1
    assert "2 of 20 rows failed" in broken.problems[0]
    assert "http_500" in broken.problems[0]
    score = raybench.load(broken.output).scores.query("headline and kind == 'system'").iloc[0]
    assert (score["n"], score["failed"], score["planned"], score["coverage"]) == (18, 2, 20, 0.9)
    assert score["value"] == pytest.approx(8 / 18)  # both lost rows have the answer "yes"

    healed = _run(faulty_spec(path))
    assert (healed.exit_code, healed.generated) == (0, 2)
    assert {key for key, times in sent().items() if times == 2} == {"3", "7", "load"}
    assert raybench.load(broken.output).scores.query("headline and kind == 'system'").iloc[0]["n"] == 20


def test_an_unreadable_image_fails_its_rows_and_is_not_sent(table: Make, faulty_spec: Make, sent: Make) -> None:
    result = _run(faulty_spec(table(20, images=20, corrupt=(4,))))
    assert result.exit_code == 1
    assert "4" not in sent()
    records = raybench.load(result.output).records.set_index("sample")
    assert records.loc["4", ["outcome", "reason"]].tolist() == ["failed", "image"]
    assert (records.drop("4")["outcome"] == "answered").all()


@pytest.mark.parametrize("kind", ["die_on", "raise_on"])
def test_a_poison_row_kills_twice_and_the_others_are_answered(
    kind: str, table: Make, faulty_spec: Make, sent: Make
) -> None:
    result = _run(faulty_spec(table(40), **{kind: ["5"]}))
    assert result.exit_code == 1
    records = raybench.load(result.output).records.set_index("sample")
    assert records.loc["5", ["outcome", "reason"]].tolist() == ["failed", "replica_died"]
    assert (records.drop("5")["outcome"] == "answered").all()
    assert sent()["5"] == 2
    assert sent()["load"] == 3
    # Only what shared the micro-batch of four with it was sent again, once.
    others = [times for key, times in sent().items() if key not in {"5", "load"} and times > 1]
    assert len(others) <= 3
    assert set(others) <= {2}


def test_a_pool_with_bounds_grows(table: Make, faulty_spec: Make) -> None:
    result = _run(faulty_spec(table(160), replicas=[1, 2], seconds=0.1, rows_at_once=2, cpus=0.5))
    assert result.exit_code == 0
    assert raybench.load(result.output).responses["replica"].nunique() == 2


def test_rows_slower_than_rays_patience_are_waited_for(
    table: Make, faulty_spec: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray.data.DataContext.get_current(), "execution_no_progress_timeout_s", 0.5)
    assert _run(faulty_spec(table(2), seconds=2.0, rows_at_once=1)).exit_code == 0


def test_a_replica_that_dies_once_costs_its_open_rows_only(table: Make, faulty_spec: Make, sent: Make) -> None:
    result = _run(faulty_spec(table(40), replicas=2, die_once=["17"]))
    assert result.exit_code == 0
    records = raybench.load(result.output).records
    assert len(records) == records["sample"].nunique() == 40
    resent = sum(times - 1 for key, times in sent().items() if key != "load")
    assert 1 <= resent <= 4  # at most one micro-batch


@pytest.mark.parametrize(
    ("load", "sentence"),
    [("raise", "the weights of faulty are not here"), ("bug", "language_model.layers"), ("die", "died 3 times while")],
)
def test_a_model_that_does_not_load_is_told_in_one_sentence(
    load: str, sentence: str, table: Make, faulty_spec: Make, sent: Make
) -> None:
    with pytest.raises(ModelError, match=sentence) as error:
        _run(faulty_spec(table(4), load=load))
    assert "\n" not in str(error.value)
    assert sent()["load"] == (3 if load == "die" else 1)


def test_an_engine_that_breaks_on_everything_ends_early(table: Make, faulty_spec: Make, sent: Make) -> None:
    with pytest.raises(ModelError, match="in a row without an answer"):
        _run(faulty_spec(table(40), raise_all=True))
    assert sent()["load"] <= 7


def test_one_failing_model_leaves_the_others(table: Make, faulty_spec: Make) -> None:
    document = faulty_spec(table(6))
    broken = {**document["models"][0], "name": "broken", "load": "raise", "version": "2"}
    document["models"] = [broken, *document["models"]]
    result = _run(document)
    assert result.exit_code == 1
    assert result.errors == {"broken": "the weights of faulty are not here"}
    assert result.generated == 6
    records = raybench.load(result.output).records
    assert Counter(zip(records["model"], records["outcome"], strict=True)) == {
        ("broken", "failed"): 6,
        ("faulty", "answered"): 6,
    }


def test_a_dry_run_asks_nothing(table: Make, faulty_spec: Make, sent: Make) -> None:
    result = _run(faulty_spec(table(9)), dry_run=True)
    assert [(cell["planned"], cell["missing"]) for cell in result.cells] == [(9, 9)]
    assert not sent()


def test_answers_of_another_folder_are_reused(table: Make, faulty_spec: Make, tmp_path: Path) -> None:
    path = table(8)
    _run(faulty_spec(path, limit=5))
    document = {**faulty_spec(path), "output": str(tmp_path / "second"), "reuse": [str(tmp_path / "out")]}
    result = _run(document)
    assert (result.reused, result.generated) == (5, 3)
    assert len(raybench.load(document["output"]).responses) == 8


def _served(server: FakeOpenAI, **options: Any) -> dict[str, Any]:
    return {"name": "served", "backend": "openai", "base_url": server.base_url, "model": "fake", **options}


def test_a_server_is_asked_once_a_row_and_judged_once_an_item(table: Make, tmp_path: Path) -> None:
    with FakeOpenAI() as subject, FakeOpenAI() as judge:
        document = {
            "output": str(tmp_path / "out"),
            "tasks": [{"task": "vqa", "data": str(table(24))}],
            "models": [_served(subject, replicas=2, concurrency=4)],
            "judges": [{**_served(judge), "name": "grader", "protocol_options": {"exact_match": False}}],
        }
        result = _run(document)
        assert (result.exit_code, subject.requests, subject.distinct) == (0, 24, 24)
        assert result.judged == judge.requests == 24
        results = raybench.load(document["output"])
        assert set(results.verdicts["status"]) == {"ok"}
        scores = results.scores.query("judge == 'grader' and slice == 'all' and metric == 'judge_accuracy'")
        labels = results.verdicts["label"]
        assert scores.iloc[0]["value"] == pytest.approx((labels == "CORRECT").mean())
        assert scores.iloc[0]["null_verdicts"] == 0

        again = _run(document)
        assert (again.generated, again.judged, subject.requests, judge.requests) == (0, 0, 24, 24)
        assert any("names no revision" in warning for warning in again.warnings)

        fresh = _run({**document, "fresh": True})
        assert (fresh.generated, subject.requests) == (24, 48)


def test_a_judge_without_verdicts_leaves_the_run_incomplete(table: Make, tmp_path: Path) -> None:
    with FakeOpenAI() as subject, FakeOpenAI(fail_share=0.5) as judge:
        document = {
            "output": str(tmp_path / "out"),
            "tasks": [{"task": "vqa", "data": str(table(24))}],
            "models": [_served(subject)],
            "judges": [{**_served(judge, max_retries=0), "name": "grader", "protocol_options": {"exact_match": False}}],
        }
        result = _run(document)
        assert result.exit_code == 1
        assert "judge grader gave no verdict on" in result.problems[0]
        scores = raybench.load(document["output"]).scores
        score = scores.query("judge == 'grader' and slice == 'all' and metric == 'judge_accuracy'").iloc[0]
        nulls = score["null_verdicts"]
        assert 0 < nulls < 24
        assert score["n"] == 24 - nulls
        hits = score["value"] * score["n"]
        assert (score["bound_low"], score["bound_high"]) == pytest.approx((hits / 24, (hits + nulls) / 24))
        before = judge.requests
        judge.control(fail_share=0.0)
        assert _run(document).exit_code == 0
        assert judge.requests - before == nulls
