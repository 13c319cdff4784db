"""Sweeps on a real local Ray: one load for many cells, cells that fail alone, limits, overlapping judges."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import raybench
from raybench.engine import run as engine_run
from raybench.engine.run import RunResult, _overlapping
from raybench.engine.session import Session
from raybench.errors import ModelError
from raybench.spec import build
from tests.servers import FakeOpenAI

pytestmark = pytest.mark.usefixtures("local_ray")
Make = Callable[..., Any]


def _run(document: dict[str, Any], **options: Any) -> RunResult:
    return engine_run.run(build(document), **options)


def test_five_tasks_and_a_matrix_load_the_weights_once(table: Make, faulty_spec: Make, sent: Make) -> None:
    document = faulty_spec(table(6, "one"))
    document["tasks"] = [
        {"task": "vqa", "data": str(table(6, name))} for name in ("one", "two", "three", "four", "five")
    ]
    document["matrix"] = {"generation.temperature": [0, 0.5], "prompts": ["short", "plain"]}
    result = _run(document)
    assert (result.exit_code, result.generated) == (0, 5 * 6 * 2 * 2)
    assert sent()["load"] == 1
    records = raybench.load(result.output).records
    assert set(records["model"]) == {"faulty@temperature=0", "faulty@temperature=0.5"}
    assert records.groupby(["model", "dataset", "variant"]).size().tolist() == [6] * 20

    document["tasks"].append({"task": "vqa", "data": str(table(4, "six"))})
    assert _run(document).generated == 4 * 2 * 2  # adding a cell computes only it


def test_cells_fail_alone_and_the_summary_says_which(table: Make, faulty_spec: Make, tmp_path: Path) -> None:
    document = faulty_spec(table(6))
    document["tasks"].append({"task": "vqa", "data": str(tmp_path / "nowhere.csv")})
    gone = {"name": "gone", "backend": "hf", "model": str(tmp_path / "no-checkpoint")}
    document["models"].append(gone)
    result = _run(document)
    assert (result.exit_code, result.generated) == (1, 6)
    assert set(result.left_out) == {"task vqa", "gone"}
    assert "nowhere.csv" in result.left_out["task vqa"]
    assert "no-checkpoint" in result.left_out["gone"]
    assert raybench.load(result.output).scores.query("headline and kind == 'system'")["n"].tolist() == [6]
    with pytest.raises(ModelError, match="there is no folder"):
        _run({**document, "models": [gone]})


def test_models_at_work_at_once_do_not_mix(table: Make, faulty_spec: Make, sent: Make) -> None:
    document = faulty_spec(table(24), seconds=0.01)
    other = {**document["models"][0], "name": "other", "version": "2", "answer": "no"}
    document["models"].append(other)
    result = _run({**document, "side_by_side": 2})
    assert (result.exit_code, result.generated, sent()["load"]) == (0, 48, 2)
    responses = raybench.load(result.output).responses
    assert responses.groupby("model")["text"].unique().map(list).to_dict() == {"faulty": ["yes"], "other": ["no"]}


def test_a_dry_run_estimates_from_what_is_measured_or_declared(table: Make, faulty_spec: Make) -> None:
    path = table(20)
    document = faulty_spec(path, rows_per_second=2.0, price_per_hour=3.0, price_per_million_tokens=[0, 1000])
    document["generation"] = {"max_tokens": 10}
    (declared,) = _run(document, dry_run=True).estimates
    assert (declared["missing"], declared["images"], declared["image_tokens"]) == (20, 20, None)
    assert (declared["rate"], declared["hours"]) == ("declared", pytest.approx(10 / 3600))
    assert (declared["tokens"], declared["tokens_out"]) == ("about", 200)
    assert declared["cost"] == pytest.approx(10 / 3600 * 3 + 200 * 1000 / 1e6)

    document["tasks"][0]["limit"] = 10
    assert _run(document).generated == 10
    del document["tasks"][0]["limit"]
    (measured,) = _run(document, dry_run=True).estimates
    assert (measured["planned"], measured["cached"], measured["missing"]) == (20, 10, 10)
    assert (measured["rate"], measured["tokens"], measured["tokens_out"]) == ("measured", "about", 100)
    responses = raybench.load(document["output"]).responses
    assert measured["rows_per_second"] > len(responses) / 60


def test_a_limit_stops_cleanly_and_the_next_run_goes_on(table: Make, faulty_spec: Make, sent: Make) -> None:
    document = faulty_spec(table(40), rows_at_once=2, price_per_million_tokens=[0, 1e6])  # 1.0 for an answer
    stopped = _run({**document, "max_cost": 10.0})
    assert stopped.exit_code == 1
    assert 10 <= stopped.generated <= 10 + 2  # at most what was under way
    assert stopped.halted.startswith("max_cost 10 is reached")
    assert f"{40 - stopped.generated} rows are left" in stopped.problems[-1]
    assert len(stopped.problems) == 1  # rows that were not sent have not failed
    done = _run(document)
    assert (done.exit_code, done.generated) == (0, 40 - stopped.generated)
    assert {key: times for key, times in sent().items() if key != "load"} == {str(i): 1 for i in range(40)}


def test_an_overlapping_judge_gives_the_scores_of_one_that_waits(
    table: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_run, "OVERLAP_SECONDS", 0.2)
    path = table(40)
    with FakeOpenAI(delay_seconds=0.2) as subject, FakeOpenAI() as judge:

        def spec(schedule: str) -> dict[str, Any]:
            served = {"backend": "openai", "model": "fake"}
            return {
                "output": str(tmp_path / schedule), "tasks": [{"task": "vqa", "data": str(path)}],
                "models": [{"name": "served", "base_url": subject.base_url, "concurrency": 2, **served}],
                "judges": [{
                    "name": "served", "base_url": judge.base_url, "schedule": schedule,
                    "protocol_options": {"exact_match": False}, **served,
                }],
            }  # fmt: skip

        after, overlap = _run(spec("after")), _run(spec("overlap"))
        assert (after.exit_code, overlap.exit_code) == (0, 0)
        assert (after.judged, overlap.judged, judge.requests) == (40, 40, 80)
    waves = raybench.load(overlap.output)._store.query("SELECT count(*) AS n FROM runs WHERE status = 'judging'")
    assert waves[0]["n"] > 1  # it judged while the model answered, and once more at the end

    def scores(result: RunResult) -> list[tuple[Any, ...]]:
        columns = ["model", "judge", "profile", "metric", "slice", "value", "low", "high", "n", "null_verdicts"]
        found = raybench.load(result.output).scores[columns].astype(object)
        return sorted(map(str, found.itertuples(index=False, name=None)))

    assert scores(after) == scores(overlap)


def test_what_ends_a_wave_of_an_overlapping_judge_does_not_end_the_run() -> None:
    session: Any = SimpleNamespace(
        spec=SimpleNamespace(models=[SimpleNamespace(name="g")]), halted=lambda: "", result=SimpleNamespace(errors={})
    )
    judge: Any = SimpleNamespace(spec=SimpleNamespace(name="g"))
    with _overlapping(session, [judge], []):
        session.result.errors |= {"g": "the model's own", "g (judge)": "its server was away for a moment"}
    assert session.result.errors == {"g": "the model's own"}


def test_calls_left_are_those_of_each_judges_last_pass() -> None:
    session: Any = object.__new__(Session)
    session.spec = SimpleNamespace(models=[SimpleNamespace(name="g")])
    session.result = SimpleNamespace(judge_calls={"g": {"rows": 10}, "h": {"rows": 5}})
    session._streams = lambda: {"g": {"counts": {"answered": 99}}, "g (judge)": {"counts": {"correct": 6, "failed": 1}}}
    assert session.calls_left() == 4 + 5
