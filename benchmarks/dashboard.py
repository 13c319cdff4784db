"""The dashboard on two million graded rows: command to first table, a sample's change, the server's memory.

Budgets: the first table (page, scripts, meta and board answered) under 2 s after the command; a sample's change under
300 ms (median of 40, with a prefetch of none); the server's resident memory under 250 MB all the while. The rows are
made by script and compacted, as a run leaves its folder; page caches are warm. Limits hold for an otherwise idle
machine: processor seconds are printed beside, since they say the same on a busy one.

    python benchmarks/dashboard.py [ROWS] [FOLDER]
"""

from __future__ import annotations

import atexit
import json
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlencode

import psutil

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

FIRST_TABLE_SECONDS, SAMPLE_SECONDS, RSS_MB, PAGE_KB = 2.0, 0.3, 250, 60
CHANGES = 40
PLACE = {"task": "slake", "dataset": "slake-en", "split": "test"}


def get(url: str) -> bytes:
    """Fetch as a browser would, gzip and all."""
    request = urllib.request.Request(url, headers={"accept-encoding": "gzip"})
    with urllib.request.urlopen(request) as reply:
        return bytes(reply.read())


def ask(url: str, name: str, **asked: str) -> dict:
    """Ask one question of the server."""
    with urllib.request.urlopen(f"{url}api/{name}?{urlencode(asked)}") as reply:
        found: dict = json.loads(reply.read())
        return found


class Server:
    """`raybench dashboard` as a process: its address, memory and processor time."""

    def __init__(self, folder: str) -> None:
        self.began = time.monotonic()
        command = [sys.executable, "-m", "raybench.cli", "dashboard", folder, "--port", "0"]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        atexit.register(self.process.kill)
        assert self.process.stderr is not None
        said = self.process.stderr.readline()
        self.url = re.search(r"http://\S+/", said)[0]  # type: ignore[index]
        self.looked = psutil.Process(self.process.pid)
        self.highest = 0

    def seconds(self) -> float:
        """Processor seconds so far."""
        spent = self.looked.cpu_times()
        return float(spent.user + spent.system)

    def look(self) -> int:
        """Resident MB of the server itself, and the highest so far."""
        now = self.looked.memory_info().rss // 10**6
        self.highest = max(self.highest, now)
        return int(now)

    def end(self) -> None:
        self.process.terminate()
        self.process.wait()


def measure(folder: str) -> bool:
    """Print each number with its limit; return whether all are kept."""
    kept = []

    def say(name: str, value: float, limit: float, unit: str, more: str = "") -> None:
        kept.append(value <= limit)
        print(f"{name}: {value:.2f} {unit} (limit {limit:g}; ratio {value / limit:.2f}){more}", flush=True)

    for _ in range(2):  # the first start fills the page cache
        server = Server(folder)
        size = sum(len(get(server.url + name)) for name in first_files(server.url))
        ask(server.url, "meta")
        ask(server.url, "board")
        first, spent = time.monotonic() - server.began, server.seconds()
        server.look()
        if _ == 0:
            server.end()
    say("command to first table", first, FIRST_TABLE_SECONDS, "s", f", {spent:.2f} processor s")
    say("page, gzipped", size / 1000, PAGE_KB, "KB")
    ask(server.url, "samples", **PLACE, model="model-03")
    server.look()
    names = [f"s{i:06d}" for i in random.Random(0).sample(range(samples_of(server.url)), CHANGES)]
    waits, before = [], server.seconds()
    for name in names:
        began = time.monotonic()
        ask(server.url, "sample", **PLACE, sample=name)
        get(f"{server.url}api/image?{urlencode({**PLACE, 'sample': name})}")
        waits.append(time.monotonic() - began)
        server.look()
    spent = (server.seconds() - before) / CHANGES
    say("sample change, median", statistics.median(waits), SAMPLE_SECONDS, "s", f", {spent:.2f} processor s")
    for name, asked in (
        ("samples", {**PLACE, "model": "model-03", "correct": "0"}),
        ("board", PLACE),
        ("pareto", PLACE),
    ):
        ask(server.url, name, **asked)
        server.look()
    began = time.monotonic()
    ask(server.url, "ranks", **PLACE)
    print(f"ranks of one task: {time.monotonic() - began:.1f} s, in a process beside the server")
    began = time.monotonic()
    ask(server.url, "compare", a="model-03", b="model-05", task=PLACE["task"])
    print(f"comparison of two models, every metric: {time.monotonic() - began:.1f} s, in that process")
    server.look()
    say("server memory, highest seen", server.highest, RSS_MB, "MB")
    server.end()
    return all(kept)


def first_files(url: str) -> list[str]:
    """The page and every script and style that its first view loads."""
    page = get_text(url)
    names = re.findall(r'(?:href|src)="(web/[^"]+)"', page)
    seen = ["", *names]
    for name in seen[1:]:
        if name.endswith(".js"):
            found = re.findall(r'from "\./([\w-]+\.js)"', get_text(url + name))
            seen += [other for each in found if (other := f"web/{each}") not in seen]
    return [*dict.fromkeys([*seen, "web/board.js"])]


def get_text(url: str) -> str:
    with urllib.request.urlopen(url) as reply:
        return str(reply.read().decode())


def samples_of(url: str) -> int:
    """How many samples the task has."""
    return int(next(task["n_samples"] for task in ask(url, "meta")["tasks"] if task["task"] == PLACE["task"]))


def main() -> int:
    """Make the rows unless a folder of an earlier call is given, measure, return 1 if a limit is passed."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
    with tempfile.TemporaryDirectory() as scratch:
        folder = sys.argv[2] if len(sys.argv) > 2 else f"{scratch}/results"
        if not Path(folder).exists():
            from raybench.store.compact import compact
            from tests.dashboard.synthetic import synthetic

            began = time.monotonic()
            compact(synthetic(folder, rows))
            print(f"{rows} rows made and compacted in {time.monotonic() - began:.0f} s", flush=True)
        return 0 if measure(folder) else 1


if __name__ == "__main__":
    sys.exit(main())
