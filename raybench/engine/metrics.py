"""What a cluster's Prometheus sees of a run: every metric's name, labels and meaning, in one place.

Replicas count what they do and report it with their results, at most once a
second; the run's ledger alone exports it. A dead worker's series lives on for
minutes and takes its counts with it when it goes, so no replica exports counts
of its own. Ray puts `ray_` before each name and `_total` behind a counter:
`raybench_samples` is `ray_raybench_samples_total` in Prometheus. Totals that
have to be right come from the result folder, never from here.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raybench.engine.ledger import Ledger
from raybench.engine.limits import Price
from raybench.schema import Row
from raybench.store import now

__all__ = ["METRICS", "MeteredLedger", "Metric", "Usage", "instruments"]

#: A replica reports its usage this often at most, and at the end of each block.
REPORT_SECONDS = 1.0
#: Latencies in one report; more are thinned evenly, so quantiles hold and the ledger stays idle.
_OBSERVED = 64
_FREE = Price()
_NOT_BEGUN: Row = {
    "counts": {}, "reasons": {}, "replicas": 0, "error": "", "seconds": 0.0, "state": "waiting", "tokens_in": 0,
    "tokens_out": 0, "cost": None,
}  # fmt: skip


@dataclass(frozen=True)
class Metric:
    """One metric as raybench names it.

    Attributes:
        kind: "counter", "gauge" or "histogram".
        bounds: upper edges of a histogram's buckets.
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str
    bounds: tuple[float, ...] = ()


#: Labels are bounded: no sample ids, no free text. `run` tells two runs on one cluster apart.
METRICS: tuple[Metric, ...] = (
    Metric("raybench_samples", "counter", ("run", "model", "task", "outcome"), "rows that ended, by outcome"),
    Metric("raybench_reused", "counter", ("run", "model", "task"), "planned rows that a stored answer covered"),
    Metric("raybench_verdicts", "counter", ("run", "judge", "status"), "judge calls that ended, by status"),
    Metric("raybench_tokens", "counter", ("run", "model", "kind"), "tokens, kind in or out, where the backend counts"),
    Metric("raybench_retries", "counter", ("run", "model", "reason"), "requests sent again; rows a dead replica left"),
    Metric("raybench_failures", "counter", ("run", "model", "reason"), "rows that failed, by reason"),
    Metric("raybench_cost", "counter", ("run", "model"), "money spent by the declared prices, in their currency"),
    Metric("raybench_planned_samples", "gauge", ("run", "model"), "rows the run plans, reused ones included"),
    Metric("raybench_committed_samples", "gauge", ("run", "model"), "rows answered and durable, reused ones included"),
    Metric("raybench_judge_backlog", "gauge", ("run", "judge"), "judge calls still to make"),
    Metric("raybench_actors", "gauge", ("run", "model", "state"), "replicas by state: loading or ready"),
    Metric(
        "raybench_latency_seconds", "histogram", ("run", "model", "stage"),
        "seconds a row, stage generate or judge; stage load: a replica's start; commit: one write made durable",
        (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500),
    ),
    Metric(
        "raybench_batch_size", "histogram", ("run", "model"), "rows sent to the model at once",
        (1, 2, 4, 8, 16, 32, 64, 128, 256),
    ),
)  # fmt: skip


class Usage:
    """What one replica did since its last report; plain data goes to the ledger."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._clear()

    def _clear(self) -> None:
        self._counts: Counter[tuple[str, ...]] = Counter()
        self._seconds: list[tuple[str, float]] = []
        self._batches: list[int] = []
        self._full = False

    def add(self, table: str, rows: Sequence[Mapping[str, Any]], outcome: str) -> None:
        """Count one unit's rows as they are stored: `responses`, `verdicts` or `attempts` rows."""
        word, _, reason = outcome.partition(":")
        self._full = True
        if table == "verdicts":
            self._counts["verdict", word] += 1
        else:
            self._counts["sample", str(rows[0].get("task")), word] += 1
        if reason:
            self._counts["failure", reason] += 1
            self._counts["retry", reason] += max(int(rows[0].get("attempts") or 1) - 1, 0)
        stage = "judge" if table == "verdicts" else "generate"
        for row in rows:
            for kind in ("in", "out"):
                self._counts["token", kind] += int(row.get(f"tokens_{kind}") or 0)
            if table != "attempts":
                self._seconds.append((stage, float(row.get("seconds") or 0.0)))
                self._batches.append(int(row.get("batch_size") or 1))
            sent = _sent(row.get("notes"))
            if sent > 1:
                self._counts["retry", "request"] += sent - 1

    def committed(self, seconds: float) -> None:
        """Count one write made durable."""
        self._seconds.append(("commit", seconds))

    def take(self, now_too: bool = False) -> Row | None:
        """Return what was counted, once a second (or at once if `now_too`); None between and where nothing was."""
        if not self._full or (not now_too and time.monotonic() - self._since < REPORT_SECONDS):
            return None
        report = {
            "counts": [[*key, count] for key, count in self._counts.items() if count],
            "seconds": _thinned(self._seconds), "batches": _thinned(self._batches),
        }  # fmt: skip
        self._since = time.monotonic()
        self._clear()
        return report


def _sent(notes: Any) -> int:
    """How often a request was sent, as the backend's notes say."""
    found = json.loads(notes) if isinstance(notes, str) and notes not in ("", "{}") else notes
    return int(found.get("attempts") or 1) if isinstance(found, Mapping) else 1


def _thinned(values: Sequence[Any]) -> list[Any]:
    step = max(-(-len(values) // _OBSERVED), 1)
    return list(values[::step])


def instruments() -> dict[str, Any]:
    """Return METRICS as Ray's own counters, gauges and histograms, by name."""
    from ray.util import metrics as ray_metrics

    made: dict[str, Any] = {}
    for metric in METRICS:
        if metric.kind == "histogram":
            made[metric.name] = ray_metrics.Histogram(metric.name, metric.help, list(metric.bounds), metric.labels)
        else:
            kind = ray_metrics.Counter if metric.kind == "counter" else ray_metrics.Gauge
            made[metric.name] = kind(metric.name, metric.help, metric.labels)
    return made


class MeteredLedger(Ledger):
    """The ledger that exports what it is told, and logs each event as one line of JSON with the run's id.

    Args:
        judges: streams that judge; the others answer.
        made: stands in for Ray's instruments.
    """

    def __init__(
        self, run_id: str, judges: Sequence[str] = (), made: dict[str, Any] | None = None, **limits: Any
    ) -> None:
        super().__init__(**limits)
        self._run, self._judges = run_id, tuple(judges)
        self._made = instruments() if made is None else made
        self._planned: Counter[str] = Counter()
        self._reused: Counter[str] = Counter()
        self._exported: dict[str, float] = {}
        self._states: dict[str, dict[str, str]] = {}
        self._began: dict[str, float] = {}
        self._refreshed = 0.0

    def planned(self, cells: Sequence[Row]) -> None:
        """Report the plan: each cell's planned and missing rows; the rest is reused."""
        for cell in cells:
            reused = cell["planned"] - cell["missing"]
            self._planned[cell["model"]] += cell["planned"]
            self._reused[cell["model"]] += reused
            if reused:
                self._count("raybench_reused", reused, model=cell["model"], task=cell["task"])
        self._set_gauges()

    def _set_gauges(self) -> None:
        """Set every gauge anew: Ray exports what was set since its last export, and a series that skips one is gone."""
        for model in self._planned:
            self._gauge("raybench_planned_samples", self._planned[model], model=model)
            if model not in self._streams:
                self._gauge("raybench_committed_samples", self._reused[model], model=model)
        for stream in self._streams:
            self._refresh(stream)

    def open_stream(self, name: str, total: int, price: Price = _FREE) -> None:
        super().open_stream(name, total, price)
        self._states[name] = {}
        self._exported[name] = 0.0
        self._log("stream", stream=name, rows=total)
        self._refresh(name)

    def starting(self, stream: str, replica: str) -> str:
        refusal = super().starting(stream, replica)
        self._log("refused" if refusal else "loading", stream=stream, replica=replica, reason=refusal)
        if not refusal:
            self._states[stream][replica] = "loading"
            self._began[replica] = time.monotonic()
            self._refresh(stream)
        return refusal

    def ready(self, stream: str, replica: str) -> None:
        super().ready(stream, replica)
        seconds = time.monotonic() - self._began.pop(replica, time.monotonic())
        self._observe("raybench_latency_seconds", seconds, model=stream, stage="load")
        self._states[stream][replica] = "ready"
        self._log("ready", stream=stream, replica=replica, seconds=round(seconds, 3))
        self._refresh(stream)

    def stop(self, stream: str, reason: str) -> None:
        super().stop(stream, reason)
        self._log("stopped", stream=stream, reason=reason)
        self._refresh(stream)

    def dying(self, stream: str, replica: str, reason: str) -> None:
        super().dying(stream, replica, reason)
        self._states[stream].pop(replica, None)
        self._log("dying", stream=stream, replica=replica, reason=reason)
        self._refresh(stream)

    def claim(self, stream: str, keys: Sequence[str], replica: str) -> Row:
        left = super().claim(stream, keys, replica)
        if again := sum(map(len, left["again"])):
            self._count("raybench_retries", again, model=stream, reason="replica_died")
        if again or left["given_up"]:
            self._log("isolated", stream=stream, rows=again, given_up=len(left["given_up"]))
        return left

    def durable(self, stream: str, outcomes: Sequence[tuple[str, str]], tokens: tuple[int, int] = (0, 0)) -> None:
        super().durable(stream, outcomes, tokens)
        state = self._streams[stream]
        if time.monotonic() - self._refreshed >= REPORT_SECONDS or sum(state.counts.values()) >= state.total:
            self._refresh(stream)

    def measured(self, stream: str, report: Row) -> None:
        """Export one report of a replica's `Usage`."""
        for *key, count in report["counts"]:
            match key:
                case ["sample", task, outcome]:
                    self._count("raybench_samples", count, model=stream, task=task, outcome=outcome)
                case ["verdict", status]:
                    self._count("raybench_verdicts", count, judge=stream, status=status)
                case ["failure", reason]:
                    self._count("raybench_failures", count, model=stream, reason=reason)
                case ["retry", reason]:
                    self._count("raybench_retries", count, model=stream, reason=reason)
                case ["token", kind]:
                    self._count("raybench_tokens", count, model=stream, kind=kind)
        for stage, seconds in report["seconds"]:
            self._observe("raybench_latency_seconds", seconds, model=stream, stage=stage)
        for size in report["batches"]:
            self._observe("raybench_batch_size", size, model=stream)

    def progress(self) -> dict[str, Row]:
        """Return what `Ledger.progress` does, with more, streams that have not begun included.

        More is "kind" (model or judge), "state" (waiting, working, done, ended early), "reused", "tokens_in",
        "tokens_out" and "cost" (null where no price is declared).
        """
        self._set_gauges()  # the driver asks once a second, for as long as the run lives
        views = super().progress()
        known = dict.fromkeys([*self._planned, *views, *self._judges])
        return {name: self._full_view(name, views.get(name)) for name in known}

    def _full_view(self, name: str, view: Row | None) -> Row:
        judge = name in self._judges
        more: Row = {"kind": "judge" if judge else "model", "reused": 0 if judge else self._reused[name]}
        if view is None:
            total = 0 if judge else self._planned[name] - self._reused[name]
            return {**_NOT_BEGUN, "total": total, **more}
        stream = self._streams[name]
        done = sum(view["counts"].values()) >= view["total"]
        more["state"] = "ended early" if view["error"] else "done" if done else "working"
        more |= {"tokens_in": stream.tokens[0], "tokens_out": stream.tokens[1], "cost": self._cost(name)}
        return {**view, **more}

    def _refresh(self, stream: str) -> None:
        """Set the gauges of one stream; a stream that has ended has no replicas."""
        self._refreshed = time.monotonic()
        state = self._streams[stream]
        done = sum(state.counts.values())
        if stream in self._judges:
            self._gauge("raybench_judge_backlog", state.total - done, judge=stream)
        else:
            committed = self._reused[stream] + done - state.counts["failed"]
            self._gauge("raybench_committed_samples", committed, model=stream)
        ended = bool(state.error) or done >= state.total
        found = Counter() if ended else Counter(self._states[stream].values())
        for word in ("loading", "ready"):
            self._gauge("raybench_actors", found[word], model=stream, state=word)

        cost = self._cost(stream) or 0.0
        if cost > self._exported[stream]:
            self._count("raybench_cost", cost - self._exported[stream], model=stream)
            self._exported[stream] = cost

    def _cost(self, stream: str) -> float | None:
        """What a stream has cost so far; None where its model declares no price."""
        state = self._streams[stream]
        if state.price == _FREE:
            return None
        return self._spent_by(state) if state.spent is None else state.spent

    def _count(self, name: str, count: float, **labels: str) -> None:
        self._made[name].inc(count, {"run": self._run, **labels})

    def _gauge(self, name: str, value: float, **labels: str) -> None:
        self._made[name].set(value, {"run": self._run, **labels})

    def _observe(self, name: str, value: float, **labels: str) -> None:
        self._made[name].observe(value, {"run": self._run, **labels})

    def _log(self, event: str, **fields: Any) -> None:
        line = {"at": now(), "run_id": self._run, "event": event, **{k: v for k, v in fields.items() if v != ""}}
        _logger().info(json.dumps(line))


def _logger() -> logging.Logger:
    """Return the logger of run events: lines of JSON on this process's stderr, which Ray keeps in its logs."""
    logger = logging.getLogger("raybench.events")
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("@event %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
    return logger
