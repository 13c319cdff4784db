"""Any server that speaks the OpenAI chat API: vLLM, SGLang, transformers serve, llama.cpp, a vendor.

A window of requests stays open over the rows and each answer is yielded as it
completes. Retries are bounded and counted; image files go out as they came in.

    options = OpenAICompatible.Options(base_url="http://localhost:8000/v1", model="my-model", concurrency=64)
    async for row_id, response in OpenAICompatible(options).generate(rows): ...

A server that nobody can use (nothing listens, the key is refused, the model is
unknown) raises `ModelError`; whatever happens once it has answered is a failure
of its row.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

from pydantic import Field

from raybench.errors import ModelError
from raybench.interfaces import Backend, Capabilities, Options
from raybench.models import _openai_wire as wire
from raybench.schema import Failure, Response, Row

__all__ = ["PLUGIN", "OpenAICompatible"]

Result = tuple[str, Response | Failure]

_RETRIED = frozenset({408, 409, 425, 429})
#: Statuses that say the endpoint itself is unusable as long as no request ever got through.
_REFUSALS = frozenset({401, 403, 404})
_FIRST_WAIT_SECONDS = 0.5


class OpenAIOptions(Options):
    """Settings of the `openai` backend.

    Attributes:
        base_url: the API's root, e.g. http://localhost:8000/v1.
        revision: what you know the server to run; without it answers are unpinned.
        concurrency: open requests per replica (shared by all its blocks).
        timeout_seconds: for one whole request, streamed bytes included.
        max_retries: further attempts after the first, on 408, 409, 425, 429, 5xx, timeouts and lost connections.
        max_retry_wait_seconds: longest wait between attempts, whatever Retry-After says.
        api_key_env: environment variable that holds the key; may be unset for local servers.
        system_prompt: put first where a conversation has no system turn.
        extra_body: further request fields. A vLLM server adds its model's
            generation_config: {"top_k": -1, "repetition_penalty": 1.0} stops that.
        omit: request fields never sent, e.g. ["seed"], for servers that refuse them.
        max_tokens_field: "max_completion_tokens" for OpenAI's own newer models.
        label_mode: "logprobs" asks one token with log probabilities, "text" a short
            text, "auto" the first and, from servers without them, the second.
        top_logprobs: how many log probabilities to ask for; 20 is most servers' limit.
    """

    base_url: str = Field(pattern=r"^https?://")
    model: str
    revision: str | None = None
    concurrency: int = Field(default=32, ge=1, le=1000)
    timeout_seconds: float = Field(default=120.0, gt=0)
    connect_timeout_seconds: float = Field(default=10.0, gt=0)
    max_retries: int = Field(default=4, ge=0, le=100)
    max_retry_wait_seconds: float = Field(default=60.0, ge=0)
    api_key_env: str = "OPENAI_API_KEY"
    system_prompt: str | None = None
    extra_body: dict[str, Any] = Field(default_factory=dict)
    omit: tuple[str, ...] = ()
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    label_mode: Literal["auto", "logprobs", "text"] = "auto"
    top_logprobs: int = Field(default=20, ge=1)


@dataclass
class _Line:
    """One event loop's connection pool, its window of open requests, and who uses them."""

    client: Any
    window: asyncio.Semaphore
    users: int = 0


@dataclass(frozen=True)
class _Outcome:
    """One finished call: a body or a failure, and how often it was sent."""

    attempts: int
    seconds: float = 0.0
    body: Row | None = None
    failure: Failure | None = None
    status: int | None = None


@dataclass(frozen=True)
class _Trouble:
    """One attempt that failed."""

    reason: str
    detail: str
    retried: bool
    status: int | None = None
    wait_seconds: float | None = None
    cause: BaseException | None = field(default=None, repr=False)


class OpenAICompatible(Backend):
    """Asks a server over the OpenAI chat API. Source: https://platform.openai.com/docs/api-reference/chat"""

    Options = OpenAIOptions
    version: ClassVar[str] = "1"
    capabilities: ClassVar[Capabilities] = Capabilities(
        images=True, multi_turn=True, label_logprobs=True, concurrent=True
    )

    @classmethod
    def identity(cls, options: Any) -> Row:
        """Return what is known to decide the answers; without a revision the server's URL stands in for it."""
        pinned = options.revision is not None
        identity: Row = {
            "model": options.model,
            "revision": options.revision or "",
            "pinned": pinned,
            "system_prompt": options.system_prompt,
            "extra_body": dict(options.extra_body),
            "omit": list(options.omit),
            "label_mode": options.label_mode,
            "top_logprobs": options.top_logprobs,
        }
        return identity if pinned else {**identity, "base_url": wire.shown_url(options.base_url)}

    @property
    def window(self) -> int:
        """Open requests of one replica."""
        return self.options.concurrency

    def __init__(self, options: Any) -> None:
        """Read the key; nothing is sent before the first row.

        Raises:
            ModelError: the openai package is missing.
        """
        try:
            import openai  # noqa: F401
        except ImportError as error:
            raise ModelError("the openai backend needs the openai package: pip install openai") from error
        self.options: OpenAIOptions = options
        #: Waits between attempts; tests put a clock of their own here.
        self.sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
        self._key = os.environ.get(options.api_key_env) or ""
        self._lines: dict[asyncio.AbstractEventLoop, _Line] = {}
        self._reached = False  # a server has answered something
        self._welcome = False  # ... and not that we may not or cannot use it
        self._no_logprobs = options.label_mode == "text"

    async def generate(self, rows: Sequence[Row]) -> AsyncIterator[Result]:
        """Answer rows as their requests complete, at most `concurrency` of them open at once.

        Raises:
            ModelError: the endpoint cannot be used at all.
        """
        async with self._line() as line:
            tasks = [asyncio.create_task(self._answer(line, row)) for row in rows]
            try:
                for done in asyncio.as_completed(tasks):
                    yield await done
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    @asynccontextmanager
    async def _line(self) -> AsyncIterator[_Line]:
        """Lend this event loop's client, made for its first user and closed after its last."""
        loop = asyncio.get_running_loop()
        line = self._lines.get(loop)
        if line is None:
            line = self._lines[loop] = _Line(self._client(), asyncio.Semaphore(self.options.concurrency))
        line.users += 1
        try:
            yield line
        finally:
            line.users -= 1
            if line.users == 0:
                del self._lines[loop]
                await line.client.close()

    def _client(self) -> Any:
        from openai import AsyncOpenAI, Timeout

        timeout = Timeout(self.options.timeout_seconds, connect=self.options.connect_timeout_seconds)
        return AsyncOpenAI(base_url=self.options.base_url, api_key=self._key or "none", max_retries=0, timeout=timeout)

    async def _answer(self, line: _Line, row: Row) -> Result:
        async with line.window:
            try:
                request = self._request(row)
            except wire.BadImage as error:
                return row["id"], Failure("image", str(error), attempts=0)
            labels = row.get("labels")
            if labels and not self._no_logprobs:
                return row["id"], await self._label(line, row, request, labels)
            return row["id"], await self._text(line, row, request, 0)

    def _request(self, row: Row) -> Row:
        options = self.options
        fields = wire.sampling_fields(row, options.max_tokens_field)
        request = {"model": options.model, "messages": wire.chat_messages(row, options.system_prompt), **fields}
        return {name: value for name, value in request.items() if name not in options.omit}

    async def _text(self, line: _Line, row: Row, request: Row, attempts: int) -> Response | Failure:
        """Generate freely; `attempts` were already spent on this row."""
        outcome = await self._send(line, row, request)
        if outcome.failure is not None:
            return replace(outcome.failure, attempts=outcome.attempts + attempts)
        assert outcome.body is not None
        response = wire.read_answer(outcome.body)
        return replace(response, seconds=outcome.seconds, notes=_notes(outcome.attempts + attempts))

    async def _label(self, line: _Line, row: Row, request: Row, labels: Sequence[str]) -> Response | Failure:
        """Ask for one token and its log probabilities; where a server has none, for a text."""
        limit = {self.options.max_tokens_field: 1, "temperature": 0.0, "logprobs": True}
        asked = {**request, **limit, "top_logprobs": self.options.top_logprobs}
        asked = {name: value for name, value in asked.items() if name not in ("stop", *self.options.omit)}
        outcome = await self._send(line, row, asked)
        may_fall_back = self.options.label_mode == "auto"
        if outcome.failure is not None:
            if not (may_fall_back and outcome.status in (400, 422)):
                return outcome.failure
            response = await self._text(line, row, request, outcome.attempts)
            self._no_logprobs = self._no_logprobs or isinstance(response, Response)
            return response
        assert outcome.body is not None
        label = wire.read_labels(outcome.body, labels)
        if label is not None:
            return replace(label, seconds=outcome.seconds, notes=_notes(outcome.attempts))
        if not may_fall_back:
            return Failure("no_logprobs", "the server returns no log probabilities", outcome.attempts)
        self._no_logprobs = True
        return await self._text(line, row, request, outcome.attempts)

    async def _send(self, line: _Line, row: Row, request: Row) -> _Outcome:
        """Send one request until it succeeds, fails for good or its retries are spent.

        Ends within (max_retries + 1) x timeout_seconds + max_retries x max_retry_wait_seconds.
        """
        attempts = self.options.max_retries + 1
        for attempt in range(1, attempts + 1):
            began = time.perf_counter()
            result = await self._once(line.client, row, request)
            if isinstance(result, str):
                body = wire.parse_body(result)
                seconds = time.perf_counter() - began
                if body is None:
                    return _Outcome(attempt, failure=wire.bad_response(attempt))
                return _Outcome(attempt, seconds, body)
            if not result.retried or attempt == attempts:
                self._raise_if_unusable(result, attempt)
                return _Outcome(attempt, failure=Failure(result.reason, result.detail, attempt), status=result.status)
            await self.sleep(self._wait(attempt, result.wait_seconds))
        raise AssertionError("unreachable: the last attempt returns")

    async def _once(self, client: Any, row: Row, request: Row) -> str | _Trouble:
        """Send once; return the body's text or what went wrong."""
        from openai import APIConnectionError, APIStatusError, APITimeoutError

        limit = self.options.timeout_seconds
        try:
            async with asyncio.timeout(limit):
                raw = await client.chat.completions.with_raw_response.create(
                    **request, extra_body=dict(self.options.extra_body)
                )
            self._reached = self._welcome = True
            return str(raw.http_response.text)
        except APIStatusError as error:
            return self._refused(error, row)
        except APITimeoutError as error:
            if "Connect" in type(error.__cause__).__name__:
                return _Trouble("connection", "the server did not take the connection in time", True, cause=error)
            return _Trouble("timeout", f"no answer within {limit:g} s", True, cause=error)
        except TimeoutError as error:
            return _Trouble("timeout", f"no answer within {limit:g} s", True, cause=error)
        except APIConnectionError as error:
            detail = wire.clean(f"connection lost: {error.__cause__ or error}", [self._key], row)
            return _Trouble("connection", detail, True, cause=error)

    def _refused(self, error: Any, row: Row) -> _Trouble:
        """Describe an HTTP error status."""
        status = int(error.status_code)
        self._reached = True
        self._welcome = self._welcome or (status not in _REFUSALS and status < 500)
        body = error.body if isinstance(error.body, dict) else {}
        said = body.get("message") or body.get("detail") or ""
        detail = f"HTTP {status}: {said}" if isinstance(said, str) and said else f"HTTP {status}"
        detail = wire.clean(detail, [self._key], row)
        retried = status in _RETRIED or status >= 500
        wait = wire.retry_after(error.response.headers)
        return _Trouble(f"http_{status}", detail, retried, status, wait, error)

    def _wait(self, attempt: int, asked_seconds: float | None) -> float:
        """Return the seconds to wait after an attempt: the server's wish, else doubling with jitter, capped."""
        if asked_seconds is None:
            asked_seconds = _FIRST_WAIT_SECONDS * 2 ** min(attempt - 1, 20) * random.uniform(0.5, 1.0)
        return min(asked_seconds, self.options.max_retry_wait_seconds)

    def _raise_if_unusable(self, trouble: _Trouble, attempts: int) -> None:
        """Raise what is no row's fault: nothing listens, the key is refused, the model is not there.

        Raises:
            ModelError: no request has ever got through and this trouble says none will.
        """
        where = wire.shown_url(self.options.base_url)
        if trouble.reason == "connection" and not self._reached:
            raise ModelError(f"no server answers at {where} ({attempts} attempts: {trouble.detail})") from trouble.cause
        if self._welcome or trouble.status not in _REFUSALS:
            return
        name = self.options.api_key_env
        held = "the key in" if self._key else "there is no key in"
        reasons = {
            401: f"refuses the key: {held} the environment variable {name}",
            403: f"forbids model {self.options.model!r} to the key: {held} the environment variable {name}",
            404: f"has no model {self.options.model!r}, or base_url is not the API's root (often .../v1)",
        }
        raise ModelError(f"{where} {reasons[trouble.status or 404]} ({trouble.detail})") from trouble.cause

    def versions(self) -> Mapping[str, str]:
        """Return the client's version; the server's own is not known."""
        from importlib.metadata import version

        return {"openai": version("openai")}


def _notes(attempts: int) -> Row:
    return {"attempts": attempts} if attempts > 1 else {}


PLUGIN = OpenAICompatible
