"""The verb watch: a running sweep drawn from its folder or its job's log, and how a run's state looks on a terminal."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType

    from raybench.engine.submitting import Job
    from raybench.store import Store

__all__ = ["COMMANDS", "PREFIX", "drawing", "follow_job", "state_of", "told", "watch"]

#: What a line of progress begins with; the rest is JSON.
PREFIX = "@raybench "
#: How often a folder is read, and how often a line is written where there is no terminal.
_POLL_SECONDS, _LINE_SECONDS = 2.0, 10.0
#: A run's last status -> the exit code its command had.
_EXIT_CODES = {"done": 0, "incomplete": 1, "failed": 2, "interrupted": 130}
_AT_WORK = ("planning", "running", "judging")
_BAR = 12

State = dict[str, Any]


def watch(
    target: Annotated[
        str, typer.Argument(help="Result folder, or the id of a Ray job.", metavar="DIR|JOB", show_default=False)
    ],
    address: Annotated[
        str | None, typer.Option(help="The cluster's dashboard (http://HEAD:8265), for a job.", metavar="URL")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Show the state now and end, for scripts.")] = False,
) -> None:
    """Draw a running sweep until it ends: one row a model, a judge row, ETA and cost; ends with the run's exit code.

    Where stdout is no terminal, one `@raybench {json}` line every 10 s. Ctrl-C ends the watching, never the run.
    """
    from raybench.store import Store

    store = Store(target)
    if "://" in target or store.files.exists():
        raise typer.Exit(_watch_folder(store, once))
    if "/" in target:
        from raybench.errors import StoreError

        raise StoreError(f"no result folder {target}")
    raise typer.Exit(_watch_job(target, address, once))


COMMANDS = (watch,)


def state_of(store: Store) -> State | None:
    """Return the newest run's state: its progress with "status", "detail" and "exit_code" (null while it works)."""
    from raybench.leaderboard.rows import run_rows

    rows = run_rows(store) if store.parts("runs") else []
    if not rows:
        return None
    newest = next((row for row in reversed(rows) if row["status"] in _AT_WORK), rows[-1])
    state = newest["progress"] or {"run_id": newest["run_id"], "phase": "", "at": newest["at"], "streams": {}}
    status = newest["status"]
    code = None if status in _AT_WORK else _EXIT_CODES.get(status, 1)
    return {**state, "status": status, "detail": newest["detail"], "exit_code": code}


def drawing(state: Mapping[str, Any]) -> RenderableType:
    """Return a run's state for a terminal: one row a model, one a judge, and a line on the whole."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", expand=False)
    table.add_column("model", no_wrap=True, overflow="ellipsis", min_width=8)
    table.add_column("", no_wrap=True, overflow="crop")
    streams = state["streams"].values()
    optional = [
        name
        for name, shown in (
            ("reused", any(stream.get("reused") for stream in streams)),
            ("cost", any(stream.get("cost") is not None for stream in streams)),
        )
        if shown
    ]
    for name in ("done", "rows/s", "ETA", "refused", "unparsed", "failed", "replicas", *optional):
        table.add_column(name, justify="right", no_wrap=True)
    for name, stream in state["streams"].items():
        table.add_row(*_cells(name, stream, optional), style="dim" if stream.get("state") == "waiting" else "")
    notes = [
        Text(f"{name} ended early: {stream['error']}", style="red")
        for name, stream in state["streams"].items()
        if stream.get("error")
    ]
    return Group(Text(_title(state), style="bold"), *([table] if state["streams"] else []), *notes, *_last_line(state))


def told(run: Mapping[str, Any]) -> str:
    """Return in a line how far a run at work is, as its folder tells; "" for one that has ended."""
    state = run["progress"]
    if not state or run["status"] in ("done", "incomplete", "failed"):
        return ""
    begun = {name: stream for name, stream in state["streams"].items() if stream.get("state") != "waiting"}
    done = ", ".join(f"{name} {_pace(stream)}" for name, stream in begun.items())
    return f"{state['phase']} ({state['at'][11:19]}) {done}"


def _pace(stream: Mapping[str, Any]) -> str:
    """Done/total, and while it works the speed and the time left."""
    text = f"{sum(stream['counts'].values())}/{stream['total']}"
    rate, left = stream.get("rows_per_second"), stream.get("eta_seconds")
    return f"{text} ({rate:.1f} rows/s, {_clock(left)} left)" if rate and left else text


def _title(state: Mapping[str, Any]) -> str:
    word = state.get("status") if state.get("exit_code") is not None else state["phase"]
    return f"raybench {state['run_id']}: {word}"


def _last_line(state: Mapping[str, Any]) -> Iterator[RenderableType]:
    from rich.text import Text

    if state.get("exit_code") is not None:
        detail = f": {state['detail']}" if state.get("detail") else ""
        style = "green" if state["exit_code"] == 0 else "red"
        yield Text(f"{state['status']} (exit code {state['exit_code']}){detail}", style=style)
        return
    parts = [f"ETA {_clock(state['eta_seconds'])}"] if state.get("eta_seconds") else []
    costs = [stream["cost"] for stream in state["streams"].values() if stream.get("cost") is not None]
    parts += [f"cost so far {sum(costs):.2f}"] if costs else []
    parts += [f"as of {state['at'][11:19]} UTC"]
    yield Text("  ".join(parts), style="dim")


def _cells(name: str, stream: Mapping[str, Any], optional: Sequence[str]) -> list[RenderableType]:
    from rich.text import Text

    counts, total = stream["counts"], stream["total"]
    done = sum(counts.values())
    label = f"{name} (judge)" if stream.get("kind") == "judge" else name
    waiting = stream.get("state") == "waiting"
    shown = "waiting" if waiting and not total else f"{done:,}/{total:,}"
    rate, eta = stream.get("rows_per_second"), stream.get("eta_seconds")
    judge = stream.get("kind") == "judge"
    words = ("refused", "unparsed", "failed")
    cells: list[RenderableType] = [
        Text(label), _bar(done, total, counts.get("failed", 0)), shown,
        "" if rate is None or waiting else f"{rate:,.1f}", _clock(eta) if eta and not waiting else "",
        *("" if waiting or (judge and word != "failed") else f"{counts.get(word, 0):,}" for word in words),
        "" if waiting else str(stream["replicas"]),
    ]  # fmt: skip
    more = {
        "reused": f"{stream.get('reused') or 0:,}" if not judge else "",
        "cost": "" if stream.get("cost") is None else f"{stream['cost']:,.2f}",
    }
    return [*cells, *(more[word] for word in optional)]


def _bar(done: int, total: int, failed: int) -> RenderableType:
    """Failed rows close the bar in red; the counts beside say the same in words."""
    from rich.text import Text

    filled = round(_BAR * min(done, total) / total) if total else 0
    red = min(filled, max(round(_BAR * failed / total), int(failed > 0))) if total else 0
    return Text.assemble(
        ("━" * (filled - red), "green"), ("━" * red, "red"), ("─" * (_BAR - filled), "bright_black")
    )  # fmt: skip


def _clock(seconds: float) -> str:
    minutes, left = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{left:02d}"


def _watch_folder(store: Store, once: bool) -> int:
    from raybench.errors import StoreError
    from raybench.leaderboard.rows import LOST_SECONDS

    waited = time.monotonic()
    with _screen(once) as show:
        while True:
            state = state_of(store)
            if state is None and (once or time.monotonic() - waited > LOST_SECONDS):
                raise StoreError(f"no run has begun in {store.name} yet")
            if state is not None:
                show(state)
                if once or state["exit_code"] is not None:
                    return int(state["exit_code"] or 0)
            time.sleep(_POLL_SECONDS)


def _watch_job(job_id: str, address: str | None, once: bool) -> int:
    from raybench.engine.submitting import end, job_of, logs

    job = job_of(job_id, address)
    if not once:
        return follow_job(job)
    ended = end(job, wait_seconds=0)
    state: State | None = None
    if ended is None:
        state = _newest_state(job.client.get_job_logs(job.id))
    else:
        for chunk in logs(job):
            state = _newest_state(chunk) or state
    with _screen(once=True) as show:
        show(_finished(state or _nothing(job.id), ended))
    return ended.exit_code if ended else 0


def follow_job(job: Job, other: Callable[[str], None] | None = None) -> int:
    """Show a job's progress until it ends; return its exit code.

    Args:
        other: takes each line of its log that is no progress; None drops them.
    """
    from raybench.engine.submitting import end, logs

    state, rest = _nothing(job.id), ""
    with _screen() as show:
        for chunk in logs(job):
            *lines, rest = (rest + chunk).split("\n")
            for line in lines:
                found = _newest_state(line)
                if found is not None:
                    state = found
                    show(state)
                elif other is not None and line:
                    other(line)
        ended = end(job)
        show(_finished(state, ended))
    return ended.exit_code if ended else 1


def _nothing(run_id: str) -> State:
    return {"run_id": run_id, "phase": "no progress yet", "at": "", "streams": {}}


def _finished(state: State, ended: Any) -> State:
    """A job's state with how it ended; its own command said more in the log."""
    if ended is None:
        return {**state, "status": "running", "exit_code": None}
    detail = ended.message if ended.exit_code else ""
    return {**state, "ended": True, "status": ended.status.lower(), "exit_code": ended.exit_code, "detail": detail}


def _newest_state(log: str) -> State | None:
    """The last progress line of a log; a line cut short is none."""
    for line in reversed(log.splitlines()):
        if line.startswith(PREFIX):
            try:
                state = json.loads(line.removeprefix(PREFIX))
            except ValueError:
                continue
            if isinstance(state, dict) and "streams" in state:
                return state
    return None


@contextmanager
def _screen(once: bool = False) -> Iterator[Callable[[State], None]]:
    """Yield what shows a state: redrawn on a terminal, else a line every 10 s and one at the end."""
    if not sys.stdout.isatty():
        yield _line_writer()
        return
    from rich.console import Console
    from rich.live import Live

    if once:
        yield lambda state: Console().print(drawing(state))
        return
    with Live(console=Console(), refresh_per_second=4) as screen:
        yield lambda state: screen.update(drawing(state))


def _line_writer() -> Callable[[State], None]:
    last: list[float] = []

    def show(state: State) -> None:
        if not last or state.get("exit_code") is not None or time.monotonic() - last[-1] >= _LINE_SECONDS:
            last[:] = [time.monotonic()]
            sys.stdout.write(f"{PREFIX}{json.dumps(state)}\n")
            sys.stdout.flush()

    return show
