"""What a person sees while a run works and when it ends; everything on stderr."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

    from raybench.cli.watch import drawing

    with Live(console=Console(stderr=True), transient=True, refresh_per_second=2) as screen:
        yield lambda state: screen.update(drawing(state))


def _lines() -> Callable[[dict[str, Any]], None]:
    shown = time.monotonic()

    def show(state: dict[str, Any]) -> None:
        nonlocal shown
        if time.monotonic() - shown >= _LINE_SECONDS or (state.get("ended") and state["streams"]):
            shown = time.monotonic()
            sys.stderr.write(f"@raybench {json.dumps(state)}\n")
            sys.stderr.flush()

    return show


def report(result: RunResult) -> int:
    """Say what a run did and what is left; return its exit code."""
    from raybench.cli.judge_report import judge_plan_lines

    say = _say
    for warning in result.warnings:
        say(f"note: {warning}")
    for cell in result.cells:
        left = f"{cell['missing']} to answer" if result.dry_run else f"{cell.get('failed', 0)} failed"
        stored = f", {cell['planned'] - cell['missing']} stored" if result.dry_run else ""
        images = "" if cell["images"] == "with" else f", images {cell['images']}"
        where = f"{cell['task']} ({cell['dataset']}, {cell['variant']}{images})"
        say(f"{cell['model']} on {where}: {cell['planned']} rows{stored}, {left}")
    for name, calls in result.judge_calls.items():
        for line in judge_plan_lines(name, calls):
            say(line)
    for name, reason in result.left_out.items():
        say(f"{name} left out: {reason}")
    if result.dry_run:
        _say_estimates(result.estimates)
        return 1 if result.left_out else 0
    if result.reused:
        say(f"{result.reused} answers reused from other folders")
    say(f"{result.generated} answered and {result.judged} judged by this run ({result.run_id})")
    for name, reason in result.errors.items():
        say(f"{name} ended early: {reason}")
    for problem in result.problems:
        say(f"incomplete: {problem}")
    if result.exit_code:
        say(f"what is missing: {_command()}")
    say(f"raybench leaderboard {result.output}")
    return result.exit_code


def _command() -> str:
    """The command that was given; given again, it does what is left."""
    return shlex.join(["raybench", *sys.argv[1:]])


def _say_estimates(rows: list[dict[str, Any]]) -> None:
    """Say what each model's missing rows would take, and the sum."""
    for row in rows:
        if not row["missing"]:
            continue
        told = [f"{row['missing']} rows to answer"]
        if row["images"]:
            tokens = "" if row["image_tokens"] is None else f" ({row['image_tokens']} image tokens)"
            told.append(f"{row['images']} images{tokens}")
        if row["hours"] is None:
            told.append("time unknown: no answer of it is stored (rows_per_second in its entry declares a rate)")
        else:
            told.append(f"{_amount(row['hours'])} h at {row['rows_per_second']:.2f} rows/s a replica ({row['rate']})")
            told += [f"{_amount(row['gpu_hours'])} GPU-hours"] if row["gpu_hours"] else []
        told.append(f"{'' if row['tokens'] == 'measured' else 'about '}{row['tokens_in']} tokens in,")
        told[-1] += f" {'' if row['tokens'] == 'measured' else 'at most '}{row['tokens_out']} out"
        told += [] if row["cost"] is None else [f"cost {row['cost']:.2f}"]
        _say(f"{row['model']}: {', '.join(told)}")
    for name, unit in (("gpu_hours", "GPU-hours"), ("cost", "cost")):
        known = [row[name] for row in rows if row[name]]
        if known:
            _say(f"together: {_amount(sum(known))} {unit}")


def _amount(value: float) -> str:
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


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
