"""The least server that answers chat completions: so that a benchmark measures its clients.

It reads each request's headers and as many bytes as they announce, looks at none of
them, waits, and sends one fixed answer. `GET /stats` says how many it answered and
when the first came and the last went (seconds, monotonic); `GET /reset` starts again.

    python benchmarks/_fake_server.py --delay-seconds 0.02
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["running", "stats"]

_ANSWER = json.dumps({
    "id": "x", "object": "chat.completion", "created": 0, "model": "fake",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Yes"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 12, "completion_tokens": 1, "total_tokens": 13},
}).encode()  # fmt: skip


def _reply(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


_COMPLETION = _reply(_ANSWER)


class _Counts:
    def __init__(self) -> None:
        self.answered, self.first, self.last, self.open, self.most_open = 0, 0.0, 0.0, 0, 0


class _Connection(asyncio.Protocol):
    counts = _Counts()
    delay_seconds = 0.0

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._body_left: int | None = None
        self._path = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._body_left is not None:  # the body: counted, never kept
            self._body_left -= len(data)
        else:
            self._buffer += data
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self._buffer[:end]).lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            self._path = head.split(b" ", 2)[1]
            self._body_left = length - (len(self._buffer) - end - 4)
            self._buffer.clear()
            if b"expect: 100-continue" in head:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self._body_left <= 0:
            self._body_left = None
            self._asked()

    def _asked(self) -> None:
        counts = _Connection.counts
        if self._path.endswith(b"/chat/completions"):
            counts.first = counts.first or time.monotonic()
            counts.open += 1
            counts.most_open = max(counts.most_open, counts.open)
            asyncio.get_running_loop().call_later(self.delay_seconds, self._answer)
        elif self._path == b"/reset":
            _Connection.counts = _Counts()
            self._transport.write(_reply(b"{}"))
        else:
            self._transport.write(_reply(json.dumps(vars(counts)).encode()))

    def _answer(self) -> None:
        counts = _Connection.counts
        counts.open -= 1
        counts.answered += 1
        counts.last = time.monotonic()
        self._transport.write(_COMPLETION)


@contextmanager
def running(delay_seconds: float) -> Iterator[str]:
    """Run the server in a process of its own, on the first core; yield its base URL."""
    command = [sys.executable, __file__, "--delay-seconds", str(delay_seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(process.pid, {min(os.sched_getaffinity(0))})
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def stats(url: str, reset: bool = False) -> dict[str, Any]:
    """Return what the server counted since the last reset; reset it, if asked."""
    with urllib.request.urlopen(url.removesuffix("/v1") + ("/reset" if reset else "/stats"), timeout=10) as reply:
        found: dict[str, Any] = json.load(reply)
    return found


async def _serve(delay_seconds: float) -> None:
    _Connection.delay_seconds = delay_seconds
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A fake chat server that costs next to nothing.")
    parser.add_argument("--delay-seconds", type=float, default=0.02)
    asyncio.run(_serve(parser.parse_args().delay_seconds))
