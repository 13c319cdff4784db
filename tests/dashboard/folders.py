"""A small result folder with one of everything a page must bear: slices, boxes, hostile text, secrets, judges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from raybench.dashboard.app import create_app
from raybench.dashboard.folder import Folder
from raybench.dashboard.security import Access
from raybench.schema import Box, ImageRef, canonical_json
from raybench.scoring import score_store
from raybench.store import Store
from tests.results import CANNOT, FAILED, fill, judge, questions

__all__ = ["HOSTILE", "PLACE", "SECRETS", "N", "client_of", "small"]

N = 24
PLACE = {"task": "vqa", "dataset": "d", "split": "test"}
HOSTILE = "<img src=x onerror=alert(1)> \u202egnp.exe \x00 no"
#: What no answer of the server may hold.
SECRETS = ("/srv/hidden", "Jane Roe", "sk-secret", "p-4711")


def right(count: int, start: int = 0) -> list[str | None]:
    """Answers to N questions whose answer is yes."""
    return ["yes" if start <= i < start + count else "no" for i in range(N)]


def small(root: Path) -> Store:
    """Return a scored folder: best and good tie, poor is worse, lacks one is partial; two judges see a few answers."""
    store = Store(str(root))
    organs = [{"answer_type": "closed", "organ": "lung" if i % 2 else "brain"} for i in range(N)]
    pictures = [(ImageRef(f"phantom://cxr/test/{i}?seed=0&size=64&v=1"),) for i in range(N)]
    pictures[3] = (ImageRef("/srv/hidden/p-4711.png"),)
    boxes = [(Box(0.1, 0.2, 0.5, 0.6, "nodule"),) if i == 1 else () for i in range(N)]
    context = [{"caption": "a lung", "patient_name": "Jane Roe", "file": "/srv/hidden/a.dcm"}] * N
    samples = questions(
        ["yes"] * N, slices=organs, images=pictures, boxes=boxes, context=context,
        cluster=["p-4711" if i < 2 else f"p-{i}" for i in range(N)],
    )  # fmt: skip
    answers: dict[tuple[str, str, int], Any] = {
        ("best", "short", 0): right(N), ("good", "short", 0): right(N - 2), ("poor", "short", 0): right(6),
        ("lacks one", "short", 0): [FAILED, *right(N)[1:]],
    }  # fmt: skip
    answers["poor", "short", 0][10:12] = [HOSTILE, CANNOT]
    fill(store, samples, answers)
    judge(store, {("Is item 0 there?", "yes", "yes"): "CORRECT", ("Is item 9 there?", "yes", "no"): "CORRECT"})
    judge(store, {("Is item 9 there?", "yes", "no"): "INCORRECT"}, name="k")
    models = [{"name": name, "model": f"/srv/hidden/{name}", "revision": name, "api_key": "sk-secret"}
              for name in ("best", "good")]  # fmt: skip
    spec = {"tasks": [{"task": "vqa", "data": "/srv/hidden/q.csv"}], "models": models}
    run = {
        "run_id": "r2", "status": "done", "spec": canonical_json(spec), "versions": '{"raybench":"1"}',
        "environment": '{"cpus":2}', "warnings": '["read /srv/hidden/q.csv"]',
    }  # fmt: skip
    store.write("runs", [run, {"run_id": "r", "status": "done"}])
    score_store(store)
    return store


def client_of(root: str | Path, access: Access | None = None, host: str = "127.0.0.1:8600") -> TestClient:
    """Return a client of the server over a folder, as a browser on this machine would speak to it."""
    return TestClient(create_app(Folder(str(root)), access), base_url=f"http://{host}", follow_redirects=False)
