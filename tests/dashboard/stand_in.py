# ruff: noqa: E501, RUF012
"""A server that answers the pages with canned JSON: states no real folder easily shows, and hostile text in each field.

    with StandIn(documents(EVIL)) as site:
        page.goto(site.url)

Every string that a model, a judge, a data set or a spec could have written is `text`.
"""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from PIL import Image

__all__ = ["EVIL", "StandIn", "documents"]

WEB = Path(__file__).parents[2] / "dashboards" / "web"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self';"
    " base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
)
#: Markup, script, quotes, NUL, escape, marks for right-to-left, a link that runs, a formula, LaTeX.
EVIL = (
    "<img src=x onerror=\"window.pwned=1\"><script>window.pwned=1</script><a href='javascript:window.pwned=1'>x</a>"
    "\u202egnorts\u202c \u2066\u200f\u0000\u001b[31m \" ' ` & \\input{x} $^_% | =HYPERLINK(1) שלום"
)

Json = dict[str, Any]
Documents = Mapping[str, Any]
TASK: Json = {"task": "mri_detection", "dataset": "brain", "split": "test"}
METRIC: Json = {
    "profile": "detection",
    "metric": "f1_50",
    "unit": "fraction",
    "higher_is_better": True,
    "label": "f1_50",
}


class StandIn:
    """Serves the front end and `documents`: name -> JSON, or a function of the query; an int is an HTTP error."""

    def __init__(self, documents: Documents) -> None:
        handler = type("Handler", (_Handler,), {"documents": documents})
        self._server = _Server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> StandIn:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # a page asks for a dozen files at once; a dropped connection is tried again after seconds
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    documents: Documents = {}

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        status, kind, body = self._answer(parts.path, dict(parse_qsl(parts.query)))
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-security-policy", CSP)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _answer(self, path: str, query: dict[str, str]) -> tuple[int, str, bytes]:
        if path == "/":
            return 200, "text/html; charset=utf-8", (WEB / "index.html").read_bytes()
        if path.startswith("/web/"):
            kind = "text/css" if path.endswith(".css") else "text/javascript"
            return 200, kind, (WEB / path.removeprefix("/web/")).read_bytes()
        if path == "/api/image":
            return 200, "image/png", _picture()
        found = self.documents.get(path.removeprefix("/api/"), 404)
        found = found(query) if isinstance(found, Callable) else found  # type: ignore[arg-type]
        if isinstance(found, int):
            return found, "application/json", json.dumps({"error": "The folder has no such thing."}).encode()
        return 200, "application/json", json.dumps(found).encode()


def _picture() -> bytes:
    image = Image.new("L", (64, 48), 20)
    image.paste(160, (16, 12, 32, 30))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def _score(value: float | None, n: int = 300, **more: Any) -> Json:
    half = 0.9 / n**0.5
    ends = (None, None) if value is None else (value - half, value + half)
    return {
        "value": value, "low": ends[0], "high": ends[1], "unit": "fraction", "n": n, "n_clusters": n // 2,
        "planned": n, "answered": n - 9, "refused": 4, "unparsed": 5, "failed": 0, "flags": [], "coverage": 1.0,
        "signature": "detection|v1", **more,
    }  # fmt: skip


def documents(text: str = "", **changes: Any) -> dict[str, Any]:
    """Return one document for each question the pages ask, with `text` wherever a stranger could have written."""
    models = ["model-a", "model-b", f"model-c {text}", "model-d"]
    found: dict[str, Any] = {
        "meta": _meta(text, models), "board": lambda query: _board(text, models, query), "compare": _compare(text, models),
        "samples": _samples(text, models), "sample": lambda query: _sample(text, models, query), "runs": _meta(text, models)["runs"],
        "run": _run(text, models), "judge": _judge(text), "pareto": _pareto(models),
    }  # fmt: skip
    return found | changes


def _meta(text: str, models: list[str]) -> Json:
    tasks = [
        {**TASK, "group": "detection", "headline": METRIC, "self_check": False, "leaks": text and f"leak {text}",
         "slices": {"modality": ["mri", f"ct {text}"]}, "n_samples": 300, "about": f"Find tumours. {text}"},
        {"task": "vqa_rad", "dataset": f"osf {text}", "split": "test", "group": "vqa", "self_check": False, "leaks": "",
         "headline": METRIC, "slices": {}, "n_samples": 300},
    ]  # fmt: skip
    run = {
        "run_id": f"r1 {text}",
        "status": "done",
        "began": "2026-01-01T00:00:00+00:00",
        "at": "2026-01-01T01:00:00+00:00",
    }
    return {
        "title": f"results {text}", "schema_version": 1, "raybench": "0.1.0", "runs": [run], "tasks": tasks,
        "models": models, "judges": [f"judge {text}"], "counts": {"samples": 2, "records": 8, "responses": 8},
        "partial": bool(text), "problems": [f"problem {text}"] if text else [], "remote": False,
    }  # fmt: skip


def _board(text: str, models: list[str], query: Mapping[str, str]) -> Json:
    values = dict(zip(models, (0.671, 0.523, 0.5, None), strict=True))
    if "task" not in query:
        key = "mri_detection|brain|test"
        lines = [
            {"model": m, "overall": None, "ranks": [i + 1, i + 1], "cells": {key: _score(v)}}
            for i, (m, v) in enumerate(values.items())
        ]
        return {
            "overview": [{**TASK, "metric": METRIC, "n": 300, "lines": []}],
            "groups": [{"group": f"detection {text}", "tasks": [key], "lines": lines}],
        }
    column = {"profile": "judge j", "metric": "overall_accuracy", "unit": "fraction", "higher_is_better": True}
    lines = [
        {"model": m, "label": m, "kind": "system", "cell": {**TASK, "model": m, "config": "c", "variant": "short", "images": "with"},
         "ranks": [i + 1, min(i + 2, 3)] if v else None, "partial": v is None, "headline": _score(v, n=12 if i == 2 else 300, flags=["few clusters"]),
         "scores": {"judge j|overall_accuracy": _score(v, flags=["uncalibrated"])}, "rows_per_second": 3.5, "tokens_out": 9}
        for i, (m, v) in enumerate(values.items())
    ]  # fmt: skip
    lines.append(
        {
            "model": "majority",
            "label": "majority",
            "kind": "baseline",
            "ranks": None,
            "partial": False,
            "headline": _score(0.41),
            "scores": {},
        }
    )
    lines.append({"model": f"Paper {text}", "label": f"Paper {text}", "kind": "reported", "ranks": None, "partial": False,
                  "headline": {"value": 0.24, "low": None, "high": None, "n": 25, "flags": ["degenerate", f"flag {text}"], "metric": "accuracy", "signature": text}, "scores": {}})  # fmt: skip
    return {
        **TASK, "title": text, "metric": METRIC, "columns": [column], "lines": lines, "mde": 0.041, "notes": [f"note {text}"],
        "mde_sentence": "differences under 4.1 points cannot be told apart here", "judges": ["j"], "images": ["with"],
    }  # fmt: skip


def _compare(text: str, models: list[str]) -> Json:
    flips = [
        {"sample": f"s{i}", "question": f"Where is it? {text}", "target": f"here {text}", "text_a": text, "text_b": text, "better": models[i % 2]}
        for i in range(8)
    ]  # fmt: skip
    item = {
        **TASK, "variant": "short", "images": "with", **METRIC, "headline": True, "value_a": 0.671, "value_b": 0.523,
        "difference": 0.148, "low": 0.081, "high": 0.21, "p": 0.0002, "test": "mcnemar_exact", "n": 300, "n_clusters": 150,
        "only": 0, "only_a": 4, "only_b": 4, "mde": 0.04, "flips": flips,
        "slices": [{"slice": f"modality=mri {text}", "n": 20, "value_a": 0.7, "value_b": 0.6, "difference": 0.1, "low": -0.02, "high": 0.2, "p": 0.08}],
    }  # fmt: skip
    return {
        "models": models[:2],
        "items": [item],
        "properties": [{"name": f"prompt {text}", "a": text, "b": {"k": text}}],
    }


def _samples(text: str, models: list[str]) -> Json:
    rows = [
        {"key": str(i), "sample": f"s{i}", "model": models[i % 4], "outcome": "answered", "correct": i % 2 == 0, "question": f"Where? {text}",
         "target": f"here {text}", "text": f"there {text}", "value": text, "verdicts": [{"judge": text, "label": f"correct {text}"}]}
        for i in range(8)
    ]  # fmt: skip
    facets = {
        "outcome": [{"value": "answered", "n": 8}],
        "model": [],
        "slice": [{"value": f"modality=mri {text}", "n": 8}],
    }
    return {"rows": rows, "next": None, "total": 8, "facets": facets}


def _sample(text: str, models: list[str], query: Mapping[str, str]) -> Json:
    at = int(query["sample"][1:])
    box = {"x0": 0.25, "y0": 0.25, "x1": 0.5, "y1": 0.625, "label": f"tumour {text}", "score": None}
    verdict = {
        "judge": f"judge {text}", "protocol": text or "reference_verdict", "label": f"correct {text}", "status": "ok",
        "label_probs": {f"correct {text}": 0.93}, "rationale": f"Both agree. {text}", "decided_by": text,
    }  # fmt: skip
    answers = [
        {"model": m, "config": "c", "variant": "short", "images": "with", "repeat": 0, "turn": 0, "outcome": "answered", "correct": i == 0,
         "text": f"At the top. {text}" if at != 7 else "long answer " * 9000, "reasoning": f"I look. {text}", "value": [{**box, "x1": 0.5 + i / 20}] if i < 3 else f"value {text}",
         "extractor": f"boxes:json {text}", "format": f"recovered:{text}", "notes": {}, "statistics": {},
         "messages": [{"role": f"user {text}", "content": [{"type": "image", "image": 0}, {"type": "text", "text": f"Where? {text}"}]}],
         "tokens": 9, "seconds": 0.3, "finish_reason": text or "stop", "verdicts": [verdict]}
        for i, m in enumerate(models)
    ]  # fmt: skip
    sample = {
        "id": query["sample"], "questions": [f"Where is it? {text}"], "targets": [f"here {text}"], "choices": [f"a {text}", "b"], "boxes": [box],
        "slices": {f"modality {text}": f"mri {text}"}, "context": {"history": f"None. {text}"},
        "images": [{"id": "0", "width_px": 64, "height_px": 48, "slices": 1, "label": f"T1 {text}"}, {"id": "1", "width_px": 64, "height_px": 48, "slices": 1, "label": text}],
    }  # fmt: skip
    return {
        "sample": sample,
        "answers": answers,
        "previous": {"sample": f"s{at - 1}"} if at else None,
        "next": {"sample": f"s{at + 1}"},
    }


def _run(text: str, models: list[str]) -> Json:
    return {
        **_meta(text, models)["runs"][0], "spec": {"name": text, "models": [{"name": text}]}, "environment": {f"python {text}": text}, "versions": {"raybench": text},
        "git": {"commit": text}, "warnings": [f"warning {text}"], "failures": [{"reason": f"timeout {text}", "n": 3, "example": text}],
        "cells": [{**TASK, "model": m, "variant": text, "images": "with", "planned": 10, "answered": 8, "refused": 1, "unparsed": 1, "failed": 0, "pending": 0} for m in models],
        "throughput": [{"at": f"2026-01-01T00:0{i}:00+00:00", "rows": 10 + i} for i in range(6)], "progress": None,
        "spec_diff": [{"path": f"tasks[0] {text}", "before": text, "after": {"k": text}}], "previous": "r0",
    }  # fmt: skip


def _judge(text: str) -> Json:
    return {
        "card": {
            "name": f"judge {text}", "sensitivity": 0.93, "scope": {"languages": [text]}, "categories": [{"category": f"negation {text}", "n": 80, "accuracy": 0.8}],
            "calibration": [{"predicted": i / 10, "observed": i / 10, "n": 9} for i in range(11)], "attacks": [{"attack": text or "empty", "n": 50, "false_positive_rate": 0.02}],
        },
        "scores": [{"task": f"vqa {text}", "dataset": f"d {text}", "split": "test", "model": f"m {text}", "metric": f"judge_accuracy {text}", "unit": "fraction", "value": 0.5, "n": 9}],
    }  # fmt: skip


def _pareto(models: list[str]) -> Json:
    return {
        "points": [
            {
                "model": m,
                "score": 0.5 + i / 20,
                "low": 0.4,
                "high": 0.8,
                "rows_per_second": 2.0**i,
                "tokens_out": 9,
                "frontier": i > 1,
            }
            for i, m in enumerate(models)
        ]
    }
