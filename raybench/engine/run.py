"""One run from spec to leaderboard: plan, answer, score, judge, score, compact.

result = run(build({"tasks": [...], "models": [...], "output": "results/a"}))
result.exit_code   # 0 done, 1 incomplete
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import ray

from raybench.engine.ending import finish, raise_if_none_loaded
from raybench.engine.estimates import estimate
from raybench.engine.groups import CHUNK_ROWS
from raybench.engine.judging import JudgeFilter, judge_todo
from raybench.engine.pipeline import call, call_all
from raybench.engine.plan import PlannedModel, drop_task, list_samples, missing_folders, plan_chunk, plan_model, todo
from raybench.engine.resources import is_local
from raybench.engine.session import RunResult, Session, Show, judge_stream, opened
from raybench.engine.streams import Stream, grouped, room_now, run_side_by_side, sharers
from raybench.engine.worker import Work
from raybench.errors import DataError, ModelError, RaybenchError, SpecError
from raybench.schema import CELL, Row, canonical_json
from raybench.scoring import score_store
from raybench.spec import RunSpec
from raybench.store import Store

__all__ = ["RunResult", "judge", "run"]

#: How long an overlapping judge waits before it looks for new answers.
OVERLAP_SECONDS = 20.0


def run(spec: RunSpec, address: str | None = None, show: Show | None = None, dry_run: bool = False) -> RunResult:
    """Do what is missing of a spec and score it.

    A task whose data are missing, or a model that cannot be found or loaded, does not stop the
    others: `RunResult.left_out` and `errors` say why.

    Raises:
        UserError: bad input, found before anything is generated.
        ModelError: no model of the run could be loaded.
        EngineError: the cluster cannot be reached.
    """
    if not spec.tasks or not spec.models:
        raise SpecError("a run needs at least one task and one model")
    if is_local(address):
        _check_folders(spec)
    with opened(spec, address, show) as session:
        models = _identified(session)
        judges = [call(plan_model, entry) for entry in spec.judges]
        streams = grouped(models)
        plan = _plan(session, streams, commit=not dry_run)
        session.result.cells, session.result.reused = plan["cells"], plan["reused"]
        session.result.warnings += _unpinned(models, spec)
        session.result.dry_run = dry_run
        if dry_run:
            session.result.estimates = call(estimate, spec, models, plan["cells"], session.run_id)
            return session.result
        session.record("running", cells=plan["cells"], plan_digest=plan["digest"])
        pool_of = {name: stream.name for stream in streams for name in stream.names}
        session.ledger.planned.remote([{**cell, "model": pool_of[cell["model"]]} for cell in plan["cells"]])
        busy = [stream for stream in streams if plan["todo"][stream.name]["rows"]]
        overlapping = [judge for judge in judges if getattr(judge.spec, "schedule", "after") == "overlap"]
        session.sharers = sharers(busy, [judge.spec for judge in overlapping], _most(spec))
        with _overlapping(session, overlapping, plan["cells"]):
            _answer(session, busy, plan)
        session.sharers = 1
        raise_if_none_loaded(session, [name for name, file in plan["todo"].items() if file["rows"]])
        _score(session, plan["cells"])
        for judge_model in judges:
            _judge(session, judge_model, JudgeFilter(cells=tuple(plan["cells"])))
        finish(session)
        return session.result


def judge(
    spec: RunSpec, chosen: JudgeFilter, address: str | None = None, show: Show | None = None, dry_run: bool = False
) -> RunResult:
    """Judge what a folder holds (`spec.output`) with the spec's judges; never regenerates.

    Raises:
        UserError: no such folder, nothing to judge, a judge that cannot be loaded.
    """
    Store(spec.output, must_exist=True)
    with opened(spec, address, show) as session:
        session.result.dry_run = dry_run
        for entry in spec.judges:
            _judge(session, call(plan_model, entry), chosen, dry_run)
        if not dry_run:
            raise_if_none_loaded(session, [judge_stream(spec, entry.name) for entry in spec.judges])
            finish(session)
        return session.result


def _check_folders(spec: RunSpec) -> None:
    """Say before Ray starts that no model, or a judge, is where the spec says."""
    missing, judges = missing_folders(spec.models), missing_folders(spec.judges)
    if judges or len(missing) == len(spec.models):
        raise ModelError("; ".join(f"{name}: {reason}" for name, reason in {**missing, **judges}.items()))


def _identified(session: Session) -> list[PlannedModel]:
    """The models that can be found; the others are left out, unless there are none."""
    found = []
    for model in session.spec.models:
        try:
            found.append(call(plan_model, model))
        except ModelError as error:
            if len(session.result.left_out) == len(session.spec.models) - 1:
                raise
            session.result.left_out[model.name] = str(error)
    return found


def _plan(session: Session, streams: Sequence[Stream], commit: bool) -> Row:
    spec, run_id = session.spec, session.run_id
    models = [model for stream in streams for model in stream.models]
    planned: list[int] = []
    for index, task in enumerate(spec.tasks):
        try:
            name, rows, warnings = call(list_samples, spec, index, run_id)
            groups = [(spec, index, models, run_id, name, group) for group in range(-(-rows // CHUNK_ROWS))]
            for _ in call_all(plan_chunk, groups):
                pass
        except DataError as error:
            if len(spec.tasks) == 1 or (index == len(spec.tasks) - 1 and not planned):
                raise
            session.result.left_out[f"task {task.task}"] = str(error)
            drop_task(session.store, run_id, index)
        else:
            session.result.warnings += warnings
            planned.append(index)
    plan: Row = call(todo, spec, [stream.models for stream in streams], run_id, commit)
    return plan


def _most(spec: RunSpec) -> int | None:
    """Return how many models the spec wants at work at once; None: as many as fit."""
    return None if spec.side_by_side == "auto" else spec.side_by_side


def _answer(session: Session, streams: Sequence[Stream], plan: Row) -> None:
    """Answer every stream's to-do file, side by side where there is room."""
    spec = session.spec

    def answer(stream: Stream) -> None:
        if session.halted():
            return
        work = Work(stream.name, stream.models[0], spec.output, session.run_id, "responses", spec.tasks)
        session.stream(work, plan["todo"][stream.name], stream.names)

    done = False
    try:
        run_side_by_side(streams, answer, _most(spec), room_now)
        done = True
    finally:
        if not done:
            session.ledger.halt.remote("interrupted")  # other threads send nothing more


@contextmanager
def _overlapping(session: Session, judges: Sequence[PlannedModel], cells: Sequence[Row]) -> Iterator[None]:
    """Let judges with `schedule: overlap` judge what is committed while the block goes on."""
    ended = threading.Event()
    values = [(session, judge, cells, ended) for judge in judges]
    threads = [threading.Thread(target=_waves, args=one, daemon=True) for one in values]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
    for thread in threads:
        thread.join()
    for judge in judges:
        session.result.errors.pop(judge_stream(session.spec, judge.spec.name), None)  # the pass to come meets it again


def _waves(session: Session, judge: PlannedModel, cells: Sequence[Row], ended: threading.Event) -> None:
    """Judge again and again what is new; what goes wrong is met, and told, by the pass after the models."""
    seen, own = 0, judge_stream(session.spec, judge.spec.name)
    while not ended.wait(OVERLAP_SECONDS) and not session.halted() and own not in session.result.errors:
        streams = ray.get(session.ledger.progress.remote())
        answered = sum(
            streams[name]["counts"].get(word, 0)
            for name in streams if name != own
            for word in ("answered", "refused", "unparsed")
        )  # fmt: skip
        if answered == seen:
            continue
        seen = answered
        try:
            _score(session, cells)
            _judge(session, judge, JudgeFilter(cells=tuple(cells)))
        except (RaybenchError, ray.exceptions.RayError):
            return


def _score(session: Session, cells: Sequence[Row]) -> None:
    """Score what of the cells is not scored yet as it is stored now."""
    with session.scoring:
        session.progress.phase = "scoring"
        call(_score_cells, session.spec.output, list(cells))


def _score_cells(output: str, cells: Sequence[Row]) -> int:
    return score_store(Store(output), cells, only_stale=True)


def _judge(session: Session, model: PlannedModel, chosen: JudgeFilter, dry_run: bool = False) -> None:
    session.progress.phase = f"planning judge {model.spec.name}"
    plan = call(judge_todo, session.spec, model, chosen, session.run_id, not dry_run)
    session.result.judge_calls[model.spec.name] = plan
    if dry_run or not plan["cells"]:
        return
    cells = [[cell[name] for name in CELL] for cell in plan["cells"]]
    judged = {"judge": model.spec.name, "config": model.config, "cells": cells, "protocols": plan["protocols"]}
    session.record("judging", judged=canonical_json(judged))
    name = judge_stream(session.spec, model.spec.name)
    work = Work(name, model, session.spec.output, session.run_id, "verdicts")
    session.stream(work, plan, [name])
    _score(session, plan["cells"])


def _unpinned(models: Sequence[PlannedModel], spec: RunSpec) -> list[str]:
    return [
        f"{model.spec.name} names no revision: its stored answers are reused as if the server had not changed"
        " (--fresh asks again; `revision:` pins it)"
        for model in models
        if not model.pinned and not spec.fresh
    ]
