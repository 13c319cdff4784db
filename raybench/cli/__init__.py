"""The command line: one small file a verb group, no logic. Starting it imports neither torch nor ray."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

from raybench.cli import dashboard, judging, reading, running, submitting, upkeep, watch

__all__ = ["app", "main"]

#: What a shell expects of a process that Ctrl-C ended.
_INTERRUPTED = 130

app = typer.Typer(
    name="raybench",
    help="Evaluate and judge medical vision-language models on Ray.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for group in (running, submitting, judging, reading, watch, dashboard, upkeep):
    for command in group.COMMANDS:
        app.command(name=command.__name__.rstrip("_").replace("_", "-"))(command)


def main() -> None:
    """Run the command line; bad input is one sentence on stderr and exit code 2."""
    from raybench.errors import RaybenchError

    try:
        app()
    except RaybenchError as error:
        _refuse(str(error))
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except (FileExistsError, FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError) as error:
        _refuse(f"cannot use {error.filename}: {error.strerror}")
    except SystemExit as stop:
        if stop.code == _INTERRUPTED:
            sys.stderr.write("raybench: interrupted; what was answered is kept, the same command goes on from there\n")
        raise


def _refuse(sentence: str) -> NoReturn:
    sys.stderr.write(f"raybench: {sentence}\n")
    sys.exit(2)
