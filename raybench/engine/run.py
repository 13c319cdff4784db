"""One run from spec to leaderboard: plan, answer, score, judge, score, compact.

result = run(build({"tasks": [...], "models": [...], "output": "results/a"}))
result.exit_code   # 0 done, 1 incomplete
"""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from typing import Any

import ray

from raybench.engine.groups import CHUNK_ROWS
from raybench.engine.judging import JudgeFilter, judge_todo
from raybench.engine.pipeline import call, call_all, run_stream
from raybench.engine.plan import PlannedModel, list_samples, plan_chunk, plan_model, register_plan, todo
from raybench.engine.progress import Progress
from raybench.engine.replicas import Work
from raybench.engine.resources import connected, remote_ledger
from raybench.engine.stages import attempt_row
from raybench.errors import SpecError, UserError
from raybench.schema import CELL, Failure, Row, canonical_json
from raybench.scoring import score_store
from raybench.spec import RunSpec, redacted
from raybench.store import Store, new_id, now, quoted, stream
from raybench.store.compact import compact

__all__ = ["RunResult", "judge", "run"]

Show = Callable[[Row], None]


@dataclass
class RunResult:
    """What a run did.

    Attributes:
        cells: cell columns with "planned", "missing" (before the run) and "failed".
        generated: rows answered by this run; `judged`: verdicts made by it.
        errors: model or judge -> why it ended early.
        problems: sentences that explain exit code 1.
    """

    run_id: str
    output: str
    cells: list[Row] = field(default_factory=list)
    generated: int = 0
    judged: int = 0
    reused: int = 0
    errors: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    dry_run: bool = False
    judge_calls: dict[str, Row] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0 done, 1 finished but incomplete."""
        return 1 if self.problems or self.errors else 0


def run(spec: RunSpec, address: str | None = None, show: Show | None = None, dry_run: bool = False) -> RunResult:
    """Do what is missing of a spec and score it.

    Raises:
        UserError: bad input, found before anything is generated.
        ModelError: no model of the run could be loaded.
        EngineError: the cluster cannot be reached.
    """
    if not spec.tasks or not spec.models:
        raise SpecError("a run needs at least one task and one model")
    with _session(spec, address, show) as session:
        models = [call(plan_model, model) for model in spec.models]
        judges = [call(plan_model, entry) for entry in spec.judges]
        plan = _plan(session, models, commit=not dry_run)
        session.result.cells, session.result.reused = plan["cells"], plan["reused"]
        session.result.warnings += _unpinned(models, spec)
        session.result.dry_run = dry_run
        if dry_run:
            return session.result
        session.record("running", cells=plan["cells"], plan_digest=plan["digest"])
        for model in models:
            work = Work(model.spec.name, model, spec.output, session.run_id, "responses", spec.tasks)
            session.stream(work, plan["todo"][model.spec.name])
        _raise_if_none_loaded(session, plan)
        _score(session, plan["cells"])
        for judge_model in judges:
            _judge(session, judge_model, JudgeFilter(cells=tuple(plan["cells"])))
        _finish(session)
        return session.result


def judge(
    spec: RunSpec, chosen: JudgeFilter, address: str | None = None, show: Show | None = None, dry_run: bool = False
) -> RunResult:
    """Judge what a folder holds (`spec.output`) with the spec's judges; never regenerates.

    Raises:
        UserError: no such folder, nothing to judge, a judge that cannot be loaded.
    """
    Store(spec.output, must_exist=True)
    with _session(spec, address, show) as session:
        session.result.dry_run = dry_run
        for entry in spec.judges:
            _judge(session, call(plan_model, entry), chosen, dry_run)
        if not dry_run:
            _raise_if_none_loaded(session, {"todo": {entry.name: {"rows": 1} for entry in spec.judges}})
            _finish(session)
        return session.result


class _Session:
    """A run at work: its folder, ledger, progress and result."""

    def __init__(self, spec: RunSpec, run_id: str, progress: Progress) -> None:
        self.spec, self.run_id, self.progress = spec, run_id, progress
        self.store = Store(spec.output)
        self.result = RunResult(run_id, spec.output)
        self.ledger = remote_ledger()
        progress.source = self._streams

    def _streams(self) -> dict[str, Row]:
        try:
            found: dict[str, Row] = ray.get(self.ledger.progress.remote())
        except ray.exceptions.RayError:  # the cluster is going down: the run says why, not its progress
            return {}
        return found

    def record(self, status: str, **fields: Any) -> None:
        """Append a row to the `runs` table."""
        row = {
            "run_id": self.run_id, "status": status, "at": now(),
            "spec": canonical_json(redacted(self.spec.model_dump(mode="json"))),
            "environment": canonical_json(_environment()),
            "versions": canonical_json(_versions()), "git": _git(), "plan_digest": fields.get("plan_digest"),
            "cells": canonical_json(fields["cells"]) if "cells" in fields else None,
            "judged": fields.get("judged"), "detail": fields.get("detail"),
            "warnings": canonical_json(self.result.warnings),
        }  # fmt: skip
        self.store.write("runs", [row])

    def stream(self, work: Work, todo_file: Row) -> None:
        """Answer (or judge) a to-do file; what ends the model early goes into the result."""
        self.progress.phase = f"{'judging' if work.table == 'verdicts' else 'answering'} {work.stream}"
        error = run_stream(work, todo_file, self.ledger)
        counts = ray.get(self.ledger.progress.remote())[work.stream]["counts"]
        done = sum(count for word, count in counts.items() if word != "failed")
        if work.table == "verdicts":
            self.result.judged += done
        else:
            self.result.generated += done
        if error:
            self.result.errors[work.stream] = error
            if work.table == "responses":
                call(_fail_rest, self.spec.output, self.run_id, todo_file, error)


@contextmanager
def _session(spec: RunSpec, address: str | None, show: Show | None) -> Iterator[_Session]:
    store, run_id = Store(spec.output), f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{new_id()[:6]}"
    store.seal_orphans()
    session: _Session | None = None
    try:
        with connected(address, [*spec.models, *spec.judges]), Progress(store, run_id, show) as progress:
            session = _Session(spec, run_id, progress)
            yield session
            progress.phase = "done"
    except (UserError, KeyboardInterrupt) as error:
        if session is not None and store.parts("runs"):
            stopped = isinstance(error, KeyboardInterrupt)
            session.record("interrupted" if stopped else "failed", detail=str(error) or None)
        raise
    finally:
        for name in store.files.names(f"runs/{run_id}/plan"):
            store.files.delete(f"runs/{run_id}/plan/{name}")


def _plan(session: _Session, models: Sequence[PlannedModel], commit: bool) -> Row:
    spec, run_id = session.spec, session.run_id
    listed = call_all(list_samples, [(spec, i, run_id) for i in range(len(spec.tasks))], 1)
    for index, (name, rows, warnings) in enumerate(listed):
        session.result.warnings += warnings
        groups = [(spec, index, models, run_id, name, group) for group in range(-(-rows // CHUNK_ROWS))]
        for _ in call_all(plan_chunk, groups):
            pass
    plan: Row = call(todo, spec, models, run_id, commit)
    return plan


def _score(session: _Session, cells: Sequence[Row]) -> None:
    """Score what of the cells is not scored yet as it is stored now."""
    session.progress.phase = "scoring"
    call(_score_cells, session.spec.output, list(cells))


def _score_cells(output: str, cells: Sequence[Row]) -> int:
    return score_store(Store(output), cells, only_stale=True)


def _judge(session: _Session, model: PlannedModel, chosen: JudgeFilter, dry_run: bool = False) -> None:
    session.progress.phase = f"planning judge {model.spec.name}"
    plan = call(judge_todo, session.spec, model, chosen, session.run_id, not dry_run)
    session.result.judge_calls[model.spec.name] = plan
    if dry_run or not plan["cells"]:
        return
    cells = [[cell[name] for name in CELL] for cell in plan["cells"]]
    judged = {"judge": model.spec.name, "config": model.config, "cells": cells}
    session.record("judging", judged=canonical_json(judged))
    work = Work(model.spec.name, model, session.spec.output, session.run_id, "verdicts")
    session.stream(work, plan)
    _score(session, plan["cells"])


def _finish(session: _Session) -> None:
    """Merge small parts; coverage and null verdicts decide the exit code."""
    spec, result = session.spec, session.result
    session.progress.phase = "finishing"
    planned, nulls = call(_settle, spec.output, session.run_id, [judge.name for judge in spec.judges])
    counts = {tuple(row[name] for name in CELL): row for row in planned}
    for cell in result.cells:
        row = counts[tuple(cell[name] for name in CELL)]
        cell["failed"], coverage = row["failed"], 1 - row["failed"] / row["planned"]
        if coverage < spec.min_coverage:
            result.problems.append(
                f"{row['model']} on {row['task']} ({row['variant']}): {row['failed']} of {row['planned']} rows failed"
                f" ({row['reasons']}); coverage {coverage:.1%} is under {spec.min_coverage:.1%};"
                " run again to retry them"
            )
    judged = [cell for calls in result.judge_calls.values() for cell in calls["cells"]]
    for row in nulls:
        share, limit = row["null_verdicts"] / row["judged"], spec.max_null_verdicts
        if share > limit and any(all(cell[name] == row[name] for name in CELL) for cell in judged):
            result.problems.append(
                f"judge {row['judge']} gave no verdict on {row['null_verdicts']} of {row['judged']} answers of"
                f" {row['model']} on {row['task']} ({share:.1%}, over {limit:.1%})"
            )
    session.record("incomplete" if result.exit_code else "done", detail="; ".join(result.problems) or None)


_PLANNED_SQL = f"""
SELECT {", ".join(f"p.{name}" for name in CELL)}, count(*) AS planned,
    count(*) FILTER (r.key IS NULL) AS failed,
    string_agg(DISTINCT coalesce(a.reason, 'not run'), ', ') FILTER (r.key IS NULL) AS reasons
FROM plan p
LEFT JOIN (SELECT DISTINCT key FROM all_responses) r USING (key)
LEFT JOIN (SELECT key, arg_max(reason, committed_at) AS reason FROM attempts GROUP BY key) a USING (key)
GROUP BY ALL
"""
_NULLS_SQL = f"""
SELECT DISTINCT {", ".join(CELL)}, judge, null_verdicts, answered + refused + unparsed AS judged FROM scores
WHERE judge IS NOT NULL AND slice = 'all' AND answered + refused + unparsed > 0 AND list_contains(?, judge)
"""


def _settle(output: str, run_id: str, judges: list[str]) -> tuple[list[Row], list[Row]]:
    """Compact a folder; return how each planned cell ended, and the judges' null verdicts."""
    store = Store(output)
    compact(store, min_parts=4)
    planned: list[Row] = []
    if any(name.startswith("units-") for name in store.files.names(f"runs/{run_id}/plan")):
        with store.connect(("responses", "attempts")) as connection:
            register_plan(connection, store, run_id)
            planned = list(stream(connection, _PLANNED_SQL))
    return planned, store.query(_NULLS_SQL, [judges], ("scores",))


def _fail_rest(output: str, run_id: str, todo_file: Row, reason: str) -> None:
    """Record why the rows that a model left unanswered when it ended early have failed."""
    store = Store(output)
    with store.connect(("responses", "attempts")) as connection:
        source = quoted(store.files.url(todo_file["file"]))
        sql = (
            f"SELECT t.* FROM read_parquet({source}) t ANTI JOIN all_responses r USING (key)"
            " ANTI JOIN (SELECT key FROM attempts WHERE run_id = ?) a USING (key)"
        )
        failure = Failure("model", reason)
        rows = (attempt_row(row, failure) for row in stream(connection, sql, [run_id]))
        while batch := list(islice(rows, 8192)):
            store.write("attempts", batch, run_id=run_id)


def _raise_if_none_loaded(session: _Session, plan: Row) -> None:
    """A run whose every model with work ended early and that answered nothing is bad input."""
    from raybench.errors import ModelError

    needed = [name for name, file in plan["todo"].items() if file["rows"]]
    errors = session.result.errors
    if needed and not session.result.generated and not session.result.judged and all(n in errors for n in needed):
        raise ModelError("; ".join(f"{name}: {reason}" for name, reason in errors.items()))


def _unpinned(models: Sequence[PlannedModel], spec: RunSpec) -> list[str]:
    return [
        f"{model.spec.name} names no revision: its stored answers are reused as if the server had not changed"
        " (--fresh asks again; `revision:` pins it)"
        for model in models
        if not model.pinned and not spec.fresh
    ]


def _environment() -> Row:
    return {"python": platform.python_version(), "system": platform.platform(), "cpus": os.cpu_count()}


def _versions() -> Row:
    found = {}
    for name in ("raybench", "ray", "torch", "transformers", "duckdb", "pyarrow", "numpy", "scipy", "openai"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _git() -> str | None:
    """The commit of the working directory, if it is one; for the run record only."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
