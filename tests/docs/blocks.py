"""Fenced blocks of the documentation: found, run, and compared with what stands there.

A `text` block right after a `bash` block is what that block's last command prints on stdout, with the working
directory written as $PWD. In a `bash` block a line that starts with `raybench` runs in this process; whatever else
stands there goes to bash. A comment `# exit code N` at the end of a command is checked; without one it must be 0. A
line `...` in a `text` block stands for lines left out: so many before and after it are shown.

The README's tour starts Ray and a server, so it runs as one bash script instead (`tour`).

    PYTHONPATH=. python -m tests.docs.blocks README.md docs/bring-your-own-data.md  # puts true outputs into the pages
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from raybench.cli import app
from tests.servers import free_port

__all__ = ["ROOT", "TOUR", "Block", "blocks", "commands", "outputs", "tour"]

ROOT = Path(__file__).parents[2]
#: Where the README's tour begins and ends.
TOUR = ("\n## Five minutes", "\n## Commands")
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_EXIT_CODE = re.compile(r"\s+# exit code (\d+).*$")


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, its text, and where that text begins and ends in the page."""

    language: str
    text: str
    start: int
    end: int


def blocks(page: str, *languages: str) -> list[Block]:
    """Return the fenced blocks of a page's text, of these languages or of all."""
    found = [Block(match[1], match[2], match.start(2), match.end(2)) for match in _FENCE.finditer(page)]
    return [block for block in found if not languages or block.language in languages]


def commands(script: str) -> Iterator[str]:
    """Yield the `raybench` commands of a script, each on one line."""
    for statement in _statements(script):
        if statement.startswith("raybench "):
            yield statement


def _statements(script: str) -> Iterator[str]:
    """Split a script into `raybench` commands and the stretches between them; here-documents stay whole."""
    waiting: list[str] = []
    end = ""
    for line in script.replace("\\\n", " ").splitlines():
        if end:
            end = "" if line == end else end
        elif line.startswith("raybench "):
            if waiting:
                yield "\n".join(waiting)
            waiting = []
            yield line
            continue
        elif "<<'EOF'" in line:
            end = "EOF"
        waiting.append(line)
    if waiting:
        yield "\n".join(waiting)


def _shell(script: str) -> str:
    """Run a script with bash, `python` and `raybench` being this installation's; return its stdout."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    roots = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part)
    environment = {**os.environ, "PATH": path, "PYTHONPATH": roots}
    arguments = ["bash", "-euo", "pipefail", "-c", script]
    return subprocess.run(arguments, check=True, env=environment, stdout=subprocess.PIPE, text=True).stdout


def _run(script: str) -> str:
    """Run one block in the working directory; return what its last `raybench` command printed on stdout."""
    printed = ""
    for statement in _statements(script):
        if not statement.startswith("raybench "):
            _shell(statement)
            continue
        expected = int(found[1]) if (found := _EXIT_CODE.search(statement)) else 0
        done = CliRunner().invoke(app, shlex.split(_EXIT_CODE.sub("", statement))[1:], catch_exceptions=False)
        assert done.exit_code == expected, f"{statement}: exit code {done.exit_code}\n{done.output}"
        printed = done.stdout
    return printed


def outputs(page: str) -> Iterator[tuple[Block, str]]:
    """Run a page's `bash` blocks in order; yield each `text` block that follows one, with what was printed."""
    found = blocks(page)
    for block, after in zip(found, [*found[1:], None], strict=True):
        if block.language == "bash":
            printed = _run(block.text)
            if after is not None and after.language == "text":
                yield after, _anywhere(printed)


def _anywhere(printed: str) -> str:
    """Return output with the working directory named $PWD."""
    return printed.replace(os.getcwd(), "$PWD")


def tour(page: str) -> Iterator[tuple[Block, str]]:
    """Run the README's tour in the working directory; yield each `text` block with what the block before it printed."""
    start, end = (page.index(heading) for heading in TOUR)
    found = [block for block in blocks(page, "bash", "text") if start < block.start < end]
    mark = "@@ next block @@"
    scripts = [f"{block.text}echo '{mark}'\n" for block in found if block.language == "bash"]
    whole = "".join(scripts).replace("8123", str(free_port()))
    printed = iter(_shell(f"trap 'kill %1 2>/dev/null || true' EXIT\n{whole}").split(f"{mark}\n"))
    last = ""
    for block in found:
        if block.language == "bash":
            last = next(printed)
        else:
            yield block, _anywhere(last)


def _shortened(printed: str, shown: str) -> str:
    """Return output with lines left out as the block that it replaces leaves them out."""
    before, mark, after = shown.partition("\n...\n")
    lines = printed.splitlines(keepends=True)
    first, last = len(before.splitlines()), len(after.splitlines())
    if not mark or len(lines) <= first + last:
        return printed
    return "".join([*lines[:first], "...\n", *lines[len(lines) - last :]])


def main() -> None:
    """Rewrite the `text` blocks of the pages named on the command line."""
    for name in sys.argv[1:]:
        page = Path(name).resolve()
        text = page.read_text("utf-8")
        with tempfile.TemporaryDirectory() as folder, chdir(folder):
            found = tour(text) if page.name == "README.md" else outputs(text)
            for block, printed in reversed(list(found)):
                text = text[: block.start] + _shortened(printed, block.text) + text[block.end :]
        page.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
