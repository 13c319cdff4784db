"""Result folders made by hand: what a run would have stored, without a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from raybench.judges.reference_verdict import ReferenceVerdict
from raybench.schema import CELL, Sample, canonical_json, digest
from raybench.store import Store

#: An answer that never came.
FAILED = None
CANNOT = "I'm sorry, I cannot help with that."


def questions(targets: Sequence[str], **more: Any) -> list[Sample]:
    """Return VQA samples s00, s01, ... with these targets; each is a cluster of its own."""
    kind = {"answer_type": "closed"}
    return [
        replace(Sample(f"s{i:02d}", "d", "test", (f"Is item {i} there?",), (target,), cluster=f"c{i:02d}", slices=kind),
                **{name: values[i] for name, values in more.items()})
        for i, target in enumerate(targets)
    ]  # fmt: skip


def fill(
    store: Store,
    samples: Sequence[Sample],
    answers: Mapping[tuple[str, str, int], Sequence[str | None]],
    task: Mapping[str, Any] | None = None,
) -> None:
    """Store samples and what each (model, variant, repeat) answered, one text a sample in order."""
    spec = dict(task or {"task": "vqa", "data": "unused.csv"})
    place = {"task": spec["task"], "dataset": samples[0].dataset, "split": "test"}
    store.write("samples", [sample.to_row(spec["task"], i) for i, sample in enumerate(samples)])
    units, responses, attempts, cells = [], [], [], []
    for (model, variant, repeat), texts in answers.items():
        cell = {**place, "model": model, "config": "c", "variant": variant, "images": "with"}
        cells.append({**cell, "task_index": 0})
        for sample, text in zip(samples, texts, strict=True):
            key = digest([model, variant, repeat, sample.id])
            unit = {"key": key, **cell, "sample": sample.id, "repeat": repeat, "prompt": "p"}
            units.append({**unit, "sample_hash": sample.content_hash, "input_hash": sample.input_hash})
            if text is FAILED:
                attempts.append({**unit, "reason": "timeout", "detail": "", "attempts": 1})
            else:
                responses.append({**unit, "turn": 0, "text": text})
    store.write("units", units)
    store.write("responses", responses)
    store.write("attempts", attempts)
    run = {"run_id": "r", "status": "running", "spec": canonical_json({"tasks": [spec]})}
    store.write("runs", [{**run, "cells": canonical_json(cells)}])


def judge(store: Store, labels: Mapping[tuple[str, str, str], str | None], name: str = "j", task: str = "vqa") -> None:
    """Store one verdict for each (question, target, text); None is one that could not be read."""
    protocol, config = ReferenceVerdict(), "jc" if name == "j" else f"jc-{name}"
    rows = []
    for (question, target, text), label in labels.items():
        (item,) = protocol.items([{"outcome": "answered", "question": question, "target": target, "text": text}])
        assert item is not None
        rows.append({
            "key": digest([name, item["item"]]), "item": item["item"], "judge": name, "judge_config": config,
            "protocol": protocol.name,
            "task": task, "dataset": "d", "split": "test", "question": question, "reference": target,
            "candidate": text, "status": "ok" if label else "parse_failed", "label": label,
        })  # fmt: skip
    store.write("verdicts", rows)
    cells = store.query(f"SELECT DISTINCT {', '.join(CELL)} FROM units")
    judged = {"judge": name, "config": config, "cells": [[cell[column] for column in CELL] for cell in cells]}
    store.write("runs", [{"run_id": "r", "status": "running", "judged": canonical_json(judged)}])


def scores(store: Store, **wanted: Any) -> list[dict[str, Any]]:
    """Return the scores whose fields have these values."""
    rows = store.query("SELECT * FROM scores", (), ("scores",))
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def one(store: Store, **wanted: Any) -> dict[str, Any]:
    """Return the one score that has these values; slice "all" of a system unless said."""
    (row,) = scores(store, **({"slice": "all", "kind": "system"} | wanted))
    return row
