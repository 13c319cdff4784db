"""`raybench import`: grade answers made elsewhere; plans like a run, generates nothing, needs no Ray."""

from __future__ import annotations

import asyncio
import platform
import time

from raybench.engine.groups import CHUNK_ROWS, read_group
from raybench.engine.plan import list_samples, open_task, plan_chunk, plan_model, todo
from raybench.engine.stages import attempt_row, request, response_row
from raybench.errors import DataError, SpecError
from raybench.models.imported import read_answers
from raybench.schema import Failure, Row, canonical_json
from raybench.scoring import score_store
from raybench.spec import RunSpec, open_plugin, redacted
from raybench.store import Store, new_id, now

__all__ = ["import_answers"]

_PART_ROWS = 8192


def import_answers(spec: RunSpec) -> Row:
    """Import the answers of a spec with one task and one `imported` model, and score them.

    Returns:
        {"cells", "answered", "missing": [ids], "unknown": [ids], "warnings": [sentences]}.

    Raises:
        DataError: the answers or the data are malformed, or no id matches.
    """
    if len(open_task(spec.tasks[0]).prompts) > 1:
        raise SpecError("answers made elsewhere have one prompt: name one variant in `prompts`")
    store, run_id = Store(spec.output), f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{new_id()[:6]}"
    store.seal_orphans()
    try:
        model = plan_model(spec.models[0])
        name, rows, warnings = list_samples(spec, 0, run_id)
        groups = range(-(-rows // CHUNK_ROWS))
        ids = [row["sample"] for group in groups for row in read_group(store, name, group)]
        backend, options = open_plugin("models", "imported", spec.models[0])
        answers = read_answers(options.answers, options.text_field, options.id_field)
        _check_ids(ids, answers, options.answers)
        for group in groups:
            plan_chunk(spec, 0, [model], run_id, name, group)
        plan = todo(spec, [model], run_id)
        row = {
            "run_id": run_id, "at": now(), "spec": canonical_json(redacted(spec.model_dump(mode="json"))),
            "warnings": canonical_json(warnings),
        }  # fmt: skip
        store.write("runs", [{**row, "status": "running", "cells": canonical_json(plan["cells"])}])
        missing = asyncio.run(_write(store, backend(options), plan["todo"][spec.models[0].name], run_id))
        score_store(store, plan["cells"])
        store.write("runs", [{**row, "status": "incomplete" if missing else "done", "at": now()}])
    finally:
        for file in store.files.names(f"runs/{run_id}/plan"):
            store.files.delete(f"runs/{run_id}/plan/{file}")
    known = set(ids)
    unknown = sorted(key for key in answers if key not in known)
    return {
        "cells": plan["cells"], "answered": len(known & set(answers)), "missing": missing, "unknown": unknown,
        "warnings": warnings,
    }  # fmt: skip


def _check_ids(ids: list[str], answers: dict[str, str], path: str) -> None:
    if not set(ids) & set(answers):
        theirs, ours = min(answers), ids[0]
        raise DataError(
            f"{path}: none of its {len(answers)} ids (e.g. {theirs!r}) is a sample of the task (e.g. {ours!r})"
        )


async def _write(store: Store, backend: object, file: Row, run_id: str) -> list[str]:
    """Write the answers not stored yet; return the ids without one."""
    missing = []
    found: dict[str, list[Row]] = {"responses": [], "attempts": []}
    groups = -(-file["rows"] // file["block_rows"])
    for group in range(groups):
        rows = read_group(store, file["file"], group)
        by_key = {row["key"]: row for row in rows}
        async for key, result in backend.generate([request(row) for row in rows]):  # type: ignore[attr-defined]
            row = by_key[key]
            if row["turns"] > 1:
                result = Failure("turns", "answers made elsewhere have one turn")
            if isinstance(result, Failure):
                found["attempts"].append(attempt_row(row, result))
                missing.append(row["sample"])
            else:
                stamp = {"pinned": True, "node": platform.node(), "started_at": now()}
                found["responses"].append(response_row(row, result, stamp))
        for table, written in found.items():
            if group == groups - 1 or len(written) >= _PART_ROWS:
                store.write(table, written, run_id=run_id)
                found[table] = []
    return missing
