"""A run at work: its folder, ledger, progress, result and the rows it leaves in the `runs` table."""

from __future__ import annotations

import errno
import os
import platform
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from typing import Any

import ray

from raybench.engine.limits import limits_of
from raybench.engine.pipeline import call, run_stream
from raybench.engine.progress import Progress
from raybench.engine.resources import connected, remote_ledger
from raybench.engine.stages import attempt_row
from raybench.engine.tidying import claim_plan, sweep_plans
from raybench.engine.worker import Work
from raybench.errors import EngineError, UserError
from raybench.schema import Failure, Row, canonical_json
from raybench.spec import RunSpec, redacted
from raybench.store import Store, new_id, now, quoted, stream

__all__ = ["RunResult", "Session", "Show", "judge_stream", "opened"]

Show = Callable[[Row], None]


@dataclass
class RunResult:
    """What a run did.

    Attributes:
        cells: cell columns with "planned", "missing" (before the run) and "failed".
        generated: rows answered by this run; `judged`: verdicts made by it.
        errors: model or judge ("NAME (judge)" where a model has its name) -> why it ended early.
        left_out: task or model -> why it never began; the others went on without it.
        halted: which limit ended the run, or "".
        problems: sentences that explain exit code 1.
        estimates: of a dry run, one a model: rows, rate, hours, money, and where they come from.
    """

    run_id: str
    output: str
    cells: list[Row] = field(default_factory=list)
    generated: int = 0
    judged: int = 0
    reused: int = 0
    errors: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    halted: str = ""
    warnings: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    dry_run: bool = False
    judge_calls: dict[str, Row] = field(default_factory=dict)
    estimates: list[Row] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 done, 1 finished but incomplete."""
        return 1 if self.problems or self.errors or self.left_out else 0


class Session:
    """A run at work; its methods may be called by the threads of several streams."""

    def __init__(self, spec: RunSpec, run_id: str, progress: Progress) -> None:
        self.spec, self.run_id, self.progress = spec, run_id, progress
        self.store = Store(spec.output)
        self.result = RunResult(run_id, spec.output)
        judges = [judge_stream(spec, entry.name) for entry in spec.judges]
        self.ledger = remote_ledger(run_id, judges, limits_of(spec))
        self.scoring = threading.Lock()
        self.sharers = 1  # pools at work at once whose replicas take CPUs
        self._counting = threading.Lock()
        progress.source = self._streams

    def _streams(self) -> dict[str, Row]:
        try:
            found: dict[str, Row] = ray.get(self.ledger.progress.remote())
        except ray.exceptions.RayError:  # the cluster is going down: the run says why, not its progress
            return {}
        return found

    def calls_left(self) -> int:
        """Return the judge calls that the last pass of each judge planned and has no verdict of."""
        streams, left = self._streams(), 0
        for name, plan in self.result.judge_calls.items():
            counts = streams.get(judge_stream(self.spec, name), {}).get("counts", {})
            left += plan["rows"] - sum(count for word, count in counts.items() if word != "failed")
        return left

    def close(self) -> None:
        """End the ledger's process: it would live as long as the driver, which may do many runs."""
        with suppress(ray.exceptions.RayError, ConnectionError):
            ray.kill(self.ledger)

    def halted(self) -> str:
        """Return which limit has ended the run, or ""."""
        self.result.halted = ray.get(self.ledger.halted.remote())
        return self.result.halted

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

    def stream(self, work: Work, todo_file: Row, names: Sequence[str]) -> None:
        """Answer (or judge) a to-do file; what ends it early goes into the result, under each of `names`."""
        self.progress.phase = f"{'judging' if work.table == 'verdicts' else 'answering'} {work.stream}"
        error = run_stream(work, todo_file, self.ledger, self.sharers)
        counts = ray.get(self.ledger.progress.remote())[work.stream]["counts"]
        done = sum(count for word, count in counts.items() if word != "failed")
        with self._counting:
            if work.table == "verdicts":
                self.result.judged += done
            else:
                self.result.generated += done
            if error:
                self.result.errors |= dict.fromkeys(names, error)
        if error and work.table == "responses":
            call(_fail_rest, self.spec.output, self.run_id, todo_file, error)


def judge_stream(spec: RunSpec, name: str) -> str:
    """Return a judge's name in the ledger, told apart from a model that has the same."""
    return f"{name} (judge)" if any(model.name == name for model in spec.models) else name


@contextmanager
def opened(spec: RunSpec, address: str | None, show: Show | None) -> Iterator[Session]:
    """Open a run on its folder and cluster; whatever ends it early is recorded, and its working files go."""
    store, run_id = Store(spec.output), f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{new_id()[:6]}"
    store.seal_orphans()
    sweep_plans(store)
    session: Session | None = None
    with claim_plan(store, run_id):
        try:
            with (
                connected(address, [*spec.models, *spec.judges]), ExitStack() as closing,
                Progress(store, run_id, show) as progress,
            ):  # fmt: skip
                session = Session(spec, run_id, progress)
                closing.callback(session.close)
                yield session
                progress.phase = "done"
        except (UserError, KeyboardInterrupt) as error:
            if session is not None and store.parts("runs"):
                stopped = isinstance(error, KeyboardInterrupt)
                session.record("interrupted" if stopped else "failed", detail=str(error) or None)
            raise
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise EngineError(
                f"{spec.output}: {error.strerror}; what was answered is kept: free some space and run again"
            ) from error


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
