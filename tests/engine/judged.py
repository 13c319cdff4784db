"""Judging a folder in this process: the plan, a worker and the scores, without Ray."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from raybench.engine.groups import read_group
from raybench.engine.judging import JudgeFilter, judge_todo
from raybench.engine.plan import PlannedModel, plan_model
from raybench.engine.stages import load_images
from raybench.engine.worker import Work, Worker
from raybench.interfaces import Backend, Capabilities
from raybench.schema import CELL, Failure, Response, canonical_json
from raybench.scoring import score_store
from raybench.spec import RunSpec, build, open_plugin
from raybench.store import Store, new_id

__all__ = ["Says", "entry", "judge_here", "plan_here"]


class Accounts:
    """A ledger that lets everything pass."""

    def claim(self, stream: str, keys: Sequence[str], replica: str) -> dict[str, Any]:
        return {"fresh": list(keys), "again": [], "given_up": {}}

    def has_answered(self, stream: str) -> bool:
        return True

    def sending(self, stream: str, keys: Sequence[str]) -> bool:
        return True

    def durable(self, *_: Any, **__: Any) -> None: ...
    def measured(self, *_: Any, **__: Any) -> None: ...
    def release(self, *_: Any, **__: Any) -> None: ...
    def dying(self, *_: Any, **__: Any) -> None: ...
    def stop(self, *_: Any, **__: Any) -> None: ...


class Says(Backend):
    """A judge whose word is a function of the request; counts what it is asked."""

    capabilities = Capabilities(label_logprobs=True)

    def __init__(self, word: Any) -> None:
        self.word, self.asked = word, []

    @classmethod
    def identity(cls, options: Any) -> dict[str, Any]:
        return {}

    @property
    def window(self) -> int:
        return 256

    async def generate(self, rows: Any) -> Any:
        for row in rows:
            self.asked.append(row)
            found = self.word(row)
            if isinstance(found, str):  # a forced label
                logs = {label: -0.05 if label == found else -6.0 for label in row["labels"]}
                found = Response(found, finish_reason="label", label_logprobs=logs, tokens_in=9, tokens_out=1)
            assert isinstance(found, Response | Failure)
            yield row["id"], found


def entry(root: str, **judge: Any) -> tuple[RunSpec, PlannedModel]:
    """Return a spec with one judge (no model stands behind it unless one is given) and that judge, planned."""
    entry = {"name": "j", "backend": judge.pop("backend_", "no_model"), **judge}
    spec = build({"output": root, "judges": [entry]})
    return spec, plan_model(spec.judges[0])


def plan_here(root: str, commit: bool = False, **judge: Any) -> dict[str, Any]:
    """Return what judging a folder would ask."""
    spec, planned = entry(root, **judge)
    return judge_todo(spec, planned, JudgeFilter(), new_id(), commit)


def judge_here(root: str, backend: Backend | None = None, score: bool = True, **judge: Any) -> dict[str, Any]:
    """Judge a folder and score it, as `raybench judge` does; return the plan.

    Args:
        backend: who answers; without one the entry's own backend is opened.
    """
    spec, planned = entry(root, **judge)
    run_id, store = new_id(), Store(root)
    plan = judge_todo(spec, planned, JudgeFilter(), run_id)
    cells = [[cell[name] for name in CELL] for cell in plan["cells"]]
    judged = {"judge": planned.spec.name, "config": planned.config, "cells": cells, "protocols": plan["protocols"]}
    store.write("runs", [{"run_id": run_id, "status": "judging", "judged": canonical_json(judged)}])
    if plan["rows"]:
        _answer(store, backend or _opened(planned), Work(planned.spec.name, planned, root, run_id, "verdicts"), plan)
    if score:
        score_store(store)
    return plan


def _opened(planned: PlannedModel) -> Backend:
    plugin, options = open_plugin("models", planned.spec.backend, planned.spec)
    backend: Backend = plugin(options)
    return backend


def _answer(store: Store, backend: Backend, work: Work, plan: Mapping[str, Any]) -> None:
    def die() -> None:
        raise AssertionError("the engine broke")

    worker = Worker(work, backend, Accounts(), "here", die)

    async def all_groups() -> None:
        for group in range(-(-plan["rows"] // plan["block_rows"])):
            rows = [load_images(row, False) for row in read_group(store, plan["file"], group)]
            await worker.answer(rows)

    asyncio.run(all_groups())
    worker.close()
