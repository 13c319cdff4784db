"""`raybench watch`: what it draws, what it writes where there is no terminal, and how it ends."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from raybench.cli import app
from raybench.cli.watch import PREFIX, drawing, follow_job, state_of
from raybench.engine.progress import Progress
from raybench.engine.submitting import Job
from raybench.store import Store, now

RUN = "20261122-105908-f01d4d"


def _stream(**fields: Any) -> dict[str, Any]:
    stream = {
        "total": 200, "counts": {"answered": 90, "refused": 6, "failed": 4}, "reasons": {"http_500": 4}, "replicas": 2,
        "error": "", "seconds": 10.0, "kind": "model", "state": "working", "reused": 0, "tokens_in": 9, "tokens_out": 3,
        "cost": None, "rows_per_second": 10.0, "eta_seconds": 10.0,
    }  # fmt: skip
    return {**stream, **fields}


def _state(**streams: dict[str, Any]) -> dict[str, Any]:
    base = {"run_id": RUN, "phase": "answering llava", "at": now(), "seconds": 12.0, "eta_seconds": 30.0}
    return {**base, "streams": streams}


def _folder(path: Path, status: str, state: dict[str, Any] | None, detail: str | None = None) -> Store:
    store = Store(str(path))
    store.write("runs", [{"run_id": RUN, "status": "running", "at": now()}])
    if status != "running":
        store.write("runs", [{"run_id": RUN, "status": status, "at": now(), "detail": detail}])
    if state is not None:
        store.files.write(f"runs/{RUN}/progress.json", json.dumps(state).encode())
    return store


def _drawn(state: dict[str, Any], width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(drawing(state))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_one_row_a_model_a_judge_row_eta_and_cost() -> None:
    waiting = _stream(state="waiting", counts={}, total=50, replicas=0, rows_per_second=None, eta_seconds=None)
    judge = _stream(state="waiting", kind="judge", counts={}, total=0, rows_per_second=None, eta_seconds=None)
    text = _drawn(_state(llava=_stream(reused=1000, cost=1.25), qwen=waiting, llama=judge))
    lines = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    assert lines["llava"].split()[-9:] == ["100/200", "10.0", "0:00:10", "6", "0", "4", "2", "1,000", "1.25"]
    assert "0/50" in lines["qwen"]
    assert "llama (judge)" in text
    assert "waiting" in lines["llama"]
    assert "ETA 0:00:30" in lines["ETA"]
    assert "cost so far 1.25" in lines["ETA"]


def test_names_are_text_and_an_early_end_says_why() -> None:
    text = _drawn(_state(**{"[red]x[/red]": _stream(error="no weights [bold]here[/bold]", state="ended early")}))
    assert "[red]x[/red]" in text
    assert "ended early: no weights [bold]here[/bold]" in text


@pytest.mark.parametrize(
    ("status", "code"), [("done", 0), ("incomplete", 1), ("failed", 2), ("interrupted", 130), ("running", None)]
)
def test_it_ends_with_the_exit_code_of_the_run(tmp_path: Path, status: str, code: int | None) -> None:
    _folder(tmp_path, status, _state(llava=_stream()), "4 of 200 rows failed")
    arguments = ["watch", str(tmp_path), *(["--once"] if code is None else [])]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == (code or 0)
    (line,) = done.stdout.splitlines()
    state = json.loads(line.removeprefix(PREFIX))
    assert (state["status"], state["exit_code"]) == (status, code)
    assert state["streams"]["llava"]["counts"]["answered"] == 90
    if code:
        assert "4 of 200 rows failed" in _drawn(state)
        assert f"exit code {code}" in _drawn(state)


def test_a_run_that_was_killed_is_lost(tmp_path: Path) -> None:
    store = _folder(tmp_path, "running", {**_state(llava=_stream()), "at": "2026-01-01T00:00:00.000000Z"})
    state = state_of(store)
    assert state is not None
    assert (state["status"], state["exit_code"]) == ("lost", 1)


def test_no_folder_and_no_run_are_one_sentence(tmp_path: Path) -> None:
    from raybench.errors import StoreError

    missing = CliRunner().invoke(app, ["watch", str(tmp_path / "none")])
    assert isinstance(missing.exception, StoreError)
    assert "no result folder" in str(missing.exception)
    empty = CliRunner().invoke(app, ["watch", str(tmp_path), "--once"])
    assert isinstance(empty.exception, StoreError)
    assert "no run has begun" in str(empty.exception)


class _Client:
    """A job server's client whose job writes a log in awkward pieces and then ends."""

    def __init__(self, log: str, code: int) -> None:
        self._log, self._code = log, code

    async def tail_job_logs(self, job_id: str) -> Any:
        for start in range(0, len(self._log), 37):
            yield self._log[start : start + 37]

    def get_job_info(self, job_id: str) -> Any:
        from types import SimpleNamespace

        status = "FAILED" if self._code else "SUCCEEDED"
        return SimpleNamespace(status=status, driver_exit_code=self._code, message=f"exit code {self._code}")


def test_a_job_is_followed_by_its_log(capsys: pytest.CaptureFixture[str]) -> None:
    newest = {**_state(llava=_stream(counts={"answered": 200})), "phase": "scoring"}
    log = (
        f"loading\n{PREFIX}{json.dumps(_state(llava=_stream()))}\n{PREFIX}{{broken\n{PREFIX}{json.dumps(newest)}\nbye\n"
    )
    other: list[str] = []
    code = follow_job(Job("job-1", "http://head:8265", _Client(log, 1)), other.append)
    assert code == 1
    assert other == ["loading", f"{PREFIX}{{broken", "bye"]
    first, last = (json.loads(line.removeprefix(PREFIX)) for line in capsys.readouterr().out.splitlines())
    assert first["streams"]["llava"]["counts"]["answered"] == 90
    assert (last["phase"], last["status"], last["exit_code"]) == ("scoring", "failed", 1)


def test_rates_are_of_the_last_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("raybench.engine.progress.time.monotonic", lambda: clock[0])
    progress = Progress(Store(str(tmp_path)), "r", None)
    done = [0]
    progress.source = lambda: {
        "m": {"total": 10_000, "counts": {"answered": done[0]}, "seconds": clock[0] if done[0] else 0.0, "error": ""}
    }
    assert progress.state()["streams"]["m"]["rows_per_second"] is None
    rates = []
    for second in range(1, 301):
        clock[0] = float(second)
        done[0] += 20 if second <= 150 else 5  # the server slows down
        rates.append(progress.state()["streams"]["m"]["rows_per_second"])
    assert rates[99] == pytest.approx(20, rel=0.02)
    assert rates[299] == pytest.approx(5, rel=0.02)
    state = progress.state()
    assert state["eta_seconds"] == pytest.approx((10_000 - done[0]) / 5, rel=0.02)
    done[0] = 10_000
    assert progress.state()["eta_seconds"] == 0.0


def test_a_store_that_is_unwell_does_not_end_the_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, states = Store(str(tmp_path)), list[dict[str, Any]]()

    def refuse(name: str, data: bytes) -> None:
        raise OSError("away")

    monkeypatch.setattr(store.files, "write", refuse)
    with Progress(store, "r", states.append) as progress:
        progress.phase = "done"
    assert states[-1]["ended"]
    monkeypatch.undo()
    with Progress(store, "r", None):
        pass
    assert json.loads(store.files.read("runs/r/progress.json"))["run_id"] == "r"


def test_status_tells_speed_and_time_left_from_storage_alone(tmp_path: Path) -> None:
    from raybench.cli.render import status
    from raybench.leaderboard.rows import run_rows

    store = _folder(tmp_path, "running", _state(llava=_stream(total=2100), qwen=_stream(state="waiting")))
    state = _state(llava=_stream(total=2100, rows_per_second=12.5, eta_seconds=160.0), qwen=_stream(state="waiting"))
    store.files.write(f"runs/{RUN}/progress.json", json.dumps(state).encode())
    text = status(run_rows(store), [])
    assert "llava 100/2100 (12.5 rows/s, 0:02:40 left)" in text
    assert "qwen" not in text
