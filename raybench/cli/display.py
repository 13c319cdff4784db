"""What a person sees while a run works and when it ends; everything on stderr."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from raybench.engine.run import RunResult

__all__ = ["live", "report", "report_import"]

_LINE_SECONDS = 10.0


@contextmanager
def live() -> Iterator[Callable[[dict[str, Any]], None]]:
    """Yield a function that shows a run's state: a table on a terminal, else a line of JSON every 10 s."""
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(stderr=True), transient=True, refresh_per_second=2) as screen:
        yield lambda state: screen.update(_table(state))


def _lines() -> Callable[[dict[str, Any]], None]:
    shown = time.monotonic()

    def show(state: dict[str, Any]) -> None:
        nonlocal shown
        if time.monotonic() - shown >= _LINE_SECONDS:
            shown = time.monotonic()
            sys.stderr.write(f"@raybench {json.dumps(state)}\n")
            sys.stderr.flush()

    return show


def _table(state: dict[str, Any]) -> Table:
    from rich.table import Table

    table = Table(title=f"raybench {state['run_id']}: {state['phase']}", title_justify="left", expand=False)
    for name in ("model", "done", "rows/s", "ETA", "refused", "unparsed", "failed", "replicas"):
        table.add_column(name, justify="left" if name == "model" else "right")
    for name, stream in state["streams"].items():
        counts = stream["counts"]
        table.add_row(
            name, f"{sum(counts.values())}/{stream['total']}", _number(stream["rows_per_second"]),
            _seconds(stream["eta_seconds"]), *(str(counts.get(word, 0)) for word in ("refused", "unparsed", "failed")),
            str(stream["replicas"]),
        )  # fmt: skip
    return table


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _seconds(value: float | None) -> str:
    if value is None:
        return ""
    minutes, seconds = divmod(round(value), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"


def report(result: RunResult) -> int:
    """Say what a run did and what is left; return its exit code."""
    say = _say
    for warning in result.warnings:
        say(f"note: {warning}")
    for cell in result.cells:
        left = f"{cell['missing']} to answer" if result.dry_run else f"{cell.get('failed', 0)} failed"
        say(f"{cell['model']} on {cell['task']} ({cell['dataset']}, {cell['variant']}): {cell['planned']} rows, {left}")
    for name, calls in result.judge_calls.items():
        say(
            f"judge {name}: {calls['items']} answers, {calls['decided']} decided by rule, {calls['rows']} calls to make"
        )
    if result.dry_run:
        return 0
    if result.reused:
        say(f"{result.reused} answers reused from other folders")
    say(f"{result.generated} answered and {result.judged} judged by this run ({result.run_id})")
    for name, reason in result.errors.items():
        say(f"{name} ended early: {reason}")
    for problem in result.problems:
        say(f"incomplete: {problem}")
    say(f"raybench leaderboard {result.output}")
    return result.exit_code


def report_import(done: dict[str, Any], model: str, output: str, min_coverage: float = 1.0) -> int:
    """Say what was imported and which ids did not fit; return the exit code."""
    for warning in done["warnings"]:
        _say(f"note: {warning}")
    _say(f"{done['answered']} {'answer' if done['answered'] == 1 else 'answers'} imported as {model}")
    for word, ids in (("unknown (not in the task, left out)", done["unknown"]), ("missing (failed)", done["missing"])):
        if ids:
            _say(f"{len(ids)} {'id' if len(ids) == 1 else 'ids'} {word}, e.g. {ids[0]!r}")
    _say(f"raybench leaderboard {output}")
    planned = done["answered"] + len(done["missing"])
    return 1 if done["answered"] < min_coverage * planned else 0


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
