"""A fake OpenAI-compatible server with faults on demand: real HTTP on 127.0.0.1.

In a test it runs in a thread:

    with FakeOpenAI(delay_seconds=0.01) as server:
        server.base_url, server.requests, server.distinct, server.control(fail_share=0.0)

As a program it outlives the clients that are killed beside it:

    python -m tests.servers --port 8123 --log requests.jsonl --fail-share 0.2

Answers and faults depend on the question's text alone. The log is append-only,
one JSON line when a request arrives ("received": question, body hash, image
hashes) and one when it has been answered ("answered": status).
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import json
import threading
import time
import urllib.request
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from aiohttp import web

__all__ = ["FakeOpenAI", "Settings", "answer_to", "free_port", "share_of"]

#: What else than an answer `mode` may give.
MODES = ("normal", "hang", "trickle", "garbage", "empty", "null", "no_choices", "drop")


@dataclass(frozen=True)
class Settings:
    """How the server behaves; every field may be changed by `POST /control`.

    Attributes:
        delay_seconds: wait before each answer.
        fail_share: share (0-1) of questions, chosen by hash, that get `fail_status` for ever.
        throttle: this many first requests get 429.
        retry_after: the Retry-After header of 429 and failing answers; "" for none.
        mode: one of MODES, for the questions in `mode_share`.
        status: every request gets this status, and the `location` where there is one.
        flap: requests by turns of this many are answered and get 503.
        key: the bearer token asked for; "" for none.
        labels: tokens whose log probabilities are returned when asked for; () means never.
        prefix: put before each answer, e.g. "<think>...</think>".
        says: what every answer is, whatever was asked; `finish` is the reason it ends.
    """

    delay_seconds: float = 0.0
    fail_share: float = 0.0
    fail_status: int = 500
    throttle: int = 0
    retry_after: str = ""
    mode: str = "normal"
    mode_share: float = 1.0
    status: int = 0
    location: str = ""
    flap: int = 0
    key: str = ""
    model: str = "fake"
    labels: tuple[str, ...] = ("A", "B", "C")
    prefix: str = ""
    reasoning: str = ""
    says: str | None = None
    finish: str = "stop"


def share_of(question: str) -> float:
    """Return the question's place in [0, 1): it fails where that is under `fail_share`."""
    return int(hashlib.sha256(question.encode()).hexdigest()[:8], 16) / 2**32


def answer_to(question: str) -> str:
    """Return the server's answer to a question: yes or no to closed ones, else a made-up word."""
    closed = question.lstrip().split(" ", 1)[0].lower() in {"is", "are", "does", "do", "was", "were", "can", "has"}
    digest = hashlib.sha256(question.encode()).hexdigest()
    if closed:
        return "Yes" if int(digest[8], 16) % 2 else "No"
    return f"finding {digest[:6]}"


def free_port() -> int:
    """Return a TCP port that was free a moment ago."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _read(body: dict[str, Any]) -> tuple[str, list[bytes]]:
    """Return the text and the image files of the last user turn."""
    content = next(turn["content"] for turn in reversed(body["messages"]) if turn["role"] == "user")
    if isinstance(content, str):
        return content, []
    text = "\n".join(part["text"] for part in content if part["type"] == "text")
    urls = [part["image_url"]["url"] for part in content if part["type"] == "image_url"]
    return text, [base64.b64decode(url.split(",", 1)[1]) for url in urls]


@dataclass
class _App:
    """The server's state and its handlers."""

    settings: Settings
    log: Path | None = None
    requests: int = 0
    open: int = 0
    most_open: int = 0
    questions: dict[str, int] = field(default_factory=dict)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    peers: set[Any] = field(default_factory=set)

    def build(self) -> web.Application:
        app = web.Application(client_max_size=2**28)
        app.router.add_post("/v1/chat/completions", self.complete)
        app.router.add_get("/v1/models", self.models)
        app.router.add_get("/health", self.stats)
        app.router.add_get("/stats", self.stats)
        app.router.add_post("/control", self.control)
        return app

    async def models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": self.settings.model, "object": "model"}]})

    async def stats(self, _: web.Request) -> web.Response:
        return web.json_response({
            "requests": self.requests, "distinct": len(self.questions), "open": self.open,
            "most_open": self.most_open, "questions": self.questions, "settings": asdict(self.settings),
        })  # fmt: skip

    async def control(self, request: web.Request) -> web.Response:
        changes = await request.json()
        if "labels" in changes:
            changes["labels"] = tuple(changes["labels"])
        self.settings = replace(self.settings, **changes)
        return await self.stats(request)

    async def complete(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        body = json.loads(raw)
        question, images = _read(body)
        self.requests += 1
        number = self.requests
        self.questions[question] = self.questions.get(question, 0) + 1
        self.bodies.append(body)
        self.peers.add(request.transport.get_extra_info("peername") if request.transport else None)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        sha = hashlib.sha256(raw).hexdigest()
        hashes = [hashlib.sha256(image).hexdigest() for image in images]
        self.write(event="received", number=number, question=question, sha=sha, images=hashes)
        try:
            await asyncio.sleep(self.settings.delay_seconds)
            response = await self.answer(request, body, question, number)
        finally:
            self.open -= 1
        self.write(event="answered", number=number, question=question, status=response.status)
        return response

    async def answer(
        self, request: web.Request, body: dict[str, Any], question: str, number: int
    ) -> web.StreamResponse:
        now = self.settings
        if now.key and request.headers.get("Authorization") != f"Bearer {now.key}":
            given = request.headers.get("Authorization", "").removeprefix("Bearer ")
            return _error(401, f"Incorrect API key provided: {given}.", "")
        if number <= now.throttle:
            return _error(429, "slow down", now.retry_after)
        if now.status:
            response = _error(now.status, f"status {now.status} for {question}", now.retry_after)
            response.headers.update({"location": now.location} if now.location else {})
            return response
        if now.flap and number // now.flap % 2:
            return _error(503, "flapping", now.retry_after)
        if share_of(question) < now.fail_share:
            return _error(now.fail_status, "this question always fails", now.retry_after)
        if now.mode != "normal" and share_of(question) < now.mode_share:
            return await self.fault(request, now.mode)
        text = answer_to(question) if now.says is None else now.says
        return web.json_response(_completion(now, body, now.prefix + text, question))

    async def fault(self, request: web.Request, mode: str) -> web.StreamResponse:
        if mode == "hang":
            while self.settings.mode == "hang":  # noqa: ASYNC110 (settings change from outside)
                await asyncio.sleep(0.02)
        if mode == "trickle":
            stream = web.StreamResponse()
            await stream.prepare(request)
            while self.settings.mode == "trickle":
                await stream.write(b" ")
                await asyncio.sleep(0.02)
            return stream
        if mode == "garbage":
            return web.Response(text='{"choices": [', content_type="application/json")
        if mode == "empty":
            return web.Response(body=b"", content_type="application/json")
        if mode == "drop":
            assert request.transport is not None
            request.transport.abort()
        if mode == "null":
            empty = _completion(self.settings, {}, None, "")
            return web.json_response(empty)
        return web.json_response({"id": "x", "object": "chat.completion", "choices": []})

    def write(self, **entry: Any) -> None:
        if self.log is not None:
            with self.log.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"at": time.time(), **entry}, ensure_ascii=False) + "\n")


def _error(status: int, message: str, retry_after: str) -> web.Response:
    headers = {"Retry-After": retry_after} if retry_after else {}
    return web.json_response({"error": {"message": message, "type": "fake"}}, status=status, headers=headers)


def _completion(settings: Settings, body: dict[str, Any], text: str | None, question: str) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if settings.reasoning:
        message["reasoning_content"] = settings.reasoning
    choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": settings.finish, "logprobs": None}
    if body.get("logprobs") and settings.labels:
        top = _top(settings.labels, question)
        message["content"] = top[0]["token"]
        choice["logprobs"] = {"content": [{**top[0], "top_logprobs": top[: body.get("top_logprobs", 0)]}]}
    words = len((text or "").split())
    return {
        "id": "chatcmpl-fake", "object": "chat.completion", "created": 0, "model": settings.model,
        "choices": [choice],
        "usage": {"prompt_tokens": len(question.split()), "completion_tokens": words, "total_tokens": words},
    }  # fmt: skip


def _top(labels: tuple[str, ...], question: str) -> list[dict[str, Any]]:
    """Return the labels' log probabilities, the likeliest (chosen by the question's hash) first; 0.1 is left over."""
    start = int(share_of(question) * len(labels))
    order = [*labels[start:], *labels[:start]]
    values = [-0.5 - n for n in range(len(order))]
    return [{"token": label, "logprob": value, "bytes": None} for label, value in zip(order, values, strict=True)]


class FakeOpenAI:
    """The server in a thread of its own; `with` starts and stops it. Keywords are those of `Settings`."""

    def __init__(self, *, log: Path | None = None, port: int = 0, **settings: Any) -> None:
        self._app = _App(Settings(**settings), log)
        self._port = port
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> FakeOpenAI:
        self._thread.start()
        assert self._ready.wait(10), "the fake server did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._app.settings = replace(self._app.settings, mode="normal")
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        runner = web.AppRunner(self._app.build(), access_log=None, shutdown_timeout=0.1)
        self._loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, "127.0.0.1", self._port)
        self._loop.run_until_complete(site.start())
        self._port = int(runner.addresses[0][1])
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    @property
    def base_url(self) -> str:
        """The API's root."""
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def requests(self) -> int:
        """Requests received so far."""
        return self._app.requests

    @property
    def distinct(self) -> int:
        """Different questions received so far."""
        return len(self._app.questions)

    @property
    def questions(self) -> dict[str, int]:
        """Question -> how often it was asked."""
        return dict(self._app.questions)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """Request bodies in order of arrival."""
        return list(self._app.bodies)

    @property
    def most_open(self) -> int:
        """The most requests that were open at once."""
        return self._app.most_open

    @property
    def connections(self) -> int:
        """Different connections that requests came over."""
        return len(self._app.peers)

    def control(self, **changes: Any) -> None:
        """Change settings over HTTP, as another process would."""
        data = json.dumps(changes).encode()
        url = self.base_url.removesuffix("/v1") + "/control"
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as response:
            response.read()


def main() -> None:
    """Serve until killed; prints the base URL once it listens."""
    parser = argparse.ArgumentParser(description="A fake OpenAI-compatible server.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", type=Path)
    for one in fields(Settings):
        if one.name not in ("labels", "says"):
            parser.add_argument("--" + one.name.replace("_", "-"), type=type(one.default), default=one.default)
    given = vars(parser.parse_args())
    port, log = given.pop("port"), given.pop("log")
    with FakeOpenAI(port=port, log=log, **given) as server:
        print(server.base_url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
