"""What a run exports: names, labels, counts; and the same metrics scraped by a real Prometheus."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from raybench.engine.metrics import METRICS, MeteredLedger, Usage

ROOT = Path(__file__).parents[2]


class _Recorder:
    """Stands in for one of Ray's instruments: what was counted, set or observed, by labels."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        self._labels = labels
        self.values: dict[tuple[str, ...], float] = defaultdict(float)
        self.observed: list[float] = []

    def _key(self, given: dict[str, str]) -> tuple[str, ...]:
        assert set(given) == set(self._labels)
        return tuple(given[label] for label in self._labels if label != "run")

    def inc(self, value: float, given: dict[str, str]) -> None:
        assert value > 0, "a counter never falls"
        self.values[self._key(given)] += value

    def set(self, value: float, given: dict[str, str]) -> None:
        self.values[self._key(given)] = value

    def observe(self, value: float, given: dict[str, str]) -> None:
        self.values[self._key(given)] += 1
        self.observed.append(value)


@pytest.fixture
def made() -> dict[str, _Recorder]:
    return {metric.name: _Recorder(metric.labels) for metric in METRICS}


@pytest.fixture
def ledger(made: dict[str, Any]) -> MeteredLedger:
    return MeteredLedger("run-1", ["judge"], made)


def _answered(**fields: Any) -> dict[str, Any]:
    row = {"key": "k", "task": "vqa", "tokens_in": 10, "tokens_out": 3, "seconds": 0.5, "batch_size": 4}
    return {**row, "notes": "{}", **fields}


def test_each_row_is_counted_once(ledger: MeteredLedger, made: dict[str, _Recorder]) -> None:
    ledger.planned([{"model": "m", "task": "vqa", "planned": 10, "missing": 4}])
    ledger.open_stream("m", 4)
    ledger.starting("m", "r1")
    assert made["raybench_actors"].values[("m", "loading")] == 1
    ledger.ready("m", "r1")
    assert (made["raybench_actors"].values[("m", "loading")], made["raybench_actors"].values[("m", "ready")]) == (0, 1)

    usage = Usage()
    usage.add("responses", [_answered()], "answered")
    usage.add("responses", [_answered(notes='{"attempts": 3}')], "refused")
    usage.add("responses", [_answered(), _answered()], "answered")  # a conversation of two turns is one row
    usage.add("attempts", [{"task": "vqa", "attempts": 5}], "failed:http_500")
    report = usage.take(now_too=True)
    assert report is not None
    assert usage.take(now_too=True) is None
    json.dumps(report)  # plain data
    ledger.measured("m", report)
    ledger.durable("m", [("a", "answered"), ("b", "refused"), ("c", "answered"), ("d", "failed:http_500")], (40, 12))

    samples = made["raybench_samples"].values
    assert samples == {("m", "vqa", "answered"): 2, ("m", "vqa", "refused"): 1, ("m", "vqa", "failed"): 1}
    assert made["raybench_tokens"].values == {("m", "in"): 40, ("m", "out"): 12}
    assert made["raybench_retries"].values == {("m", "request"): 2, ("m", "http_500"): 4}
    assert made["raybench_failures"].values == {("m", "http_500"): 1}
    assert made["raybench_reused"].values == {("m", "vqa"): 6}
    assert made["raybench_planned_samples"].values == {("m",): 10}
    assert made["raybench_committed_samples"].values == {("m",): 6 + 3}
    assert made["raybench_latency_seconds"].values == {("m", "load"): 1, ("m", "generate"): 4}
    assert made["raybench_batch_size"].observed == [4.0] * 4
    assert made["raybench_actors"].values[("m", "ready")] == 0  # the stream has ended, and its pool with it


def test_a_judge_has_a_backlog_and_verdicts(ledger: MeteredLedger, made: dict[str, _Recorder]) -> None:
    ledger.open_stream("judge", 3)
    assert made["raybench_judge_backlog"].values == {("judge",): 3}
    usage = Usage()
    usage.add("verdicts", [_answered()], "ok")
    usage.add("verdicts", [_answered()], "parse_failed")
    ledger.measured("judge", usage.take(now_too=True) or {})
    ledger.durable("judge", [("a", "ok"), ("b", "parse_failed"), ("c", "ok")])
    assert made["raybench_verdicts"].values == {("judge", "ok"): 1, ("judge", "parse_failed"): 1}
    assert made["raybench_judge_backlog"].values == {("judge",): 0}
    assert not made["raybench_samples"].values
    assert ("judge", "judge") in made["raybench_latency_seconds"].values


def test_reports_are_thinned_and_rare() -> None:
    usage = Usage()
    for _ in range(1000):
        usage.add("responses", [_answered()], "answered")
        usage.committed(0.001)
    assert usage.take() is None  # not yet a second
    report = usage.take(now_too=True)
    assert report is not None
    assert ["sample", "vqa", "answered", 1000] in report["counts"]
    assert len(report["seconds"]) <= 64


def test_progress_shows_what_waits_and_what_was_reused(ledger: MeteredLedger) -> None:
    ledger.planned([{"model": name, "task": "vqa", "planned": 5, "missing": 3} for name in ("first", "second")])
    ledger.open_stream("first", 3)
    ledger.durable("first", [("a", "answered")], (7, 2))
    views = ledger.progress()
    assert list(views) == ["first", "second", "judge"]
    assert [view["state"] for view in views.values()] == ["working", "waiting", "waiting"]
    assert [view["kind"] for view in views.values()] == ["model", "model", "judge"]
    assert (views["first"]["tokens_in"], views["first"]["reused"], views["second"]["total"]) == (7, 2, 3)
    ledger.stop("first", "no weights")
    assert ledger.progress()["first"]["state"] == "ended early"


def test_events_are_lines_of_json_with_the_run(ledger: MeteredLedger, capfd: pytest.CaptureFixture[str]) -> None:
    import logging

    logging.getLogger("raybench.events").handlers.clear()  # so that it writes to the captured stderr
    ledger.open_stream("m", 2)
    ledger.starting("m", "r1")
    ledger.ready("m", "r1")
    ledger.dying("m", "r1", "OutOfMemoryError: 2 GB")
    lines = [line.removeprefix("@event ") for line in capfd.readouterr().err.splitlines() if "@event " in line]
    events = [json.loads(line) for line in lines]
    assert [event["event"] for event in events] == ["stream", "loading", "ready", "dying"]
    assert {event["run_id"] for event in events} == {"run-1"}
    assert events[-1]["reason"] == "OutOfMemoryError: 2 GB"


def test_every_metric_stands_in_the_docs_with_its_labels() -> None:
    page = (ROOT / "docs/observability.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(raybench_\w+)` \| (\w+ \| .*?) \|", page, re.MULTILINE))
    assert {name: row.split(" | ")[0] for name, row in rows.items()} == {m.name: m.kind for m in METRICS}
    for metric in METRICS:
        assert tuple(re.findall(r"`(\w+)`", rows[metric.name])) == metric.labels, metric.name


def test_gauges_are_set_anew_while_the_run_lives(ledger: MeteredLedger, made: dict[str, _Recorder]) -> None:
    """Ray exports only gauges that were set since its last export."""
    ledger.planned([{"model": name, "task": "vqa", "planned": 5, "missing": 3} for name in ("first", "second")])
    ledger.open_stream("first", 3)
    for metric in made.values():
        metric.values.clear()
    ledger.progress()
    assert made["raybench_planned_samples"].values == {("first",): 5, ("second",): 5}
    assert made["raybench_committed_samples"].values == {("first",): 2, ("second",): 2}
    assert made["raybench_actors"].values == {("first", "loading"): 0, ("first", "ready"): 0}
