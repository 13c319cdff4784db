"""Any server that speaks the OpenAI chat API: vLLM, SGLang, transformers serve, llama.cpp, a vendor.

A window of requests stays open over the rows and each answer is yielded as it
completes. The window adapts itself to what the server takes, retries are bounded
and counted, and image files go out as they came in.

    options = OpenAICompatible.Options(base_url="http://localhost:8000/v1", model="my-model", concurrency=64)
    async for row_id, response in OpenAICompatible(options).generate(rows): ...

A server that nobody can use (nothing listens, the key is refused, the model is
unknown) raises `ModelError`; whatever happens once it has answered is a failure
of its row.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from raybench.errors import ModelError
from raybench.interfaces import Backend, Capabilities, Options
from raybench.models import _openai_wire as wire
from raybench.models._concurrent import as_answered
from raybench.models._openai_endpoints import Endpoint, Limits
from raybench.models._openai_sending import Policy, Sender
from raybench.models._openai_transport import Access
from raybench.schema import Failure, Response, Result, Row

__all__ = ["PLUGIN", "OpenAICompatible"]

_Url = Annotated[str, Field(pattern=r"^https?://")]
_Window = Annotated[int, Field(ge=1, le=1000)]


class OpenAIOptions(Options):
    """Settings of the `openai` backend.

    Attributes:
        base_url: the API's root, e.g. http://localhost:8000/v1; a list of them for one model on several servers.
        revision: what you know the server to run; without it answers are unpinned.
        concurrency: most open requests per replica and base URL (shared by all blocks). The window shrinks on
            429, 503 and time-outs and grows again; [min, max] lets it start at min and find its own size.
        requests_per_minute, tokens_per_minute: allowances per replica and base URL; tokens in and out together.
        timeout_seconds: for one whole request, streamed bytes included.
        max_retries: further attempts after the first, on 408, 409, 425, 429, 5xx, timeouts and lost connections.
        max_retry_wait_seconds: longest wait between attempts, whatever Retry-After says.
        transport: "lean" (pyreqwest) or "client" (the openai package, many times the CPU time a request).
        azure_api_version: makes the client Azure's, with base_url as its endpoint; needs transport "client".
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

    base_url: _Url | tuple[_Url, ...]
    model: str
    revision: str | None = None
    concurrency: _Window | tuple[_Window, _Window] = 32
    requests_per_minute: float | None = Field(default=None, gt=0)
    tokens_per_minute: float | None = Field(default=None, gt=0)
    timeout_seconds: float = Field(default=120.0, gt=0)
    connect_timeout_seconds: float = Field(default=10.0, gt=0)
    max_retries: int = Field(default=4, ge=0, le=100)
    max_retry_wait_seconds: float = Field(default=60.0, ge=0)
    transport: Literal["lean", "client"] = "lean"
    azure_api_version: str | None = None
    api_key_env: str = "OPENAI_API_KEY"
    system_prompt: str | None = None
    extra_body: dict[str, Any] = Field(default_factory=dict)
    omit: tuple[str, ...] = ()
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    label_mode: Literal["auto", "logprobs", "text"] = "auto"
    top_logprobs: int = Field(default=20, ge=1)

    @field_validator("base_url")
    @classmethod
    def _each_once(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not isinstance(value, str) and (not value or len(set(value)) < len(value)):
            raise ValueError("give one URL, or a list that names each once")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> OpenAIOptions:
        low, high = self.bounds
        if low > high:
            raise ValueError(f"concurrency must be a number or [min, max] with min <= max, not [{low}, {high}]")
        if self.azure_api_version and self.transport != "client":
            raise ValueError("azure_api_version needs transport: client")
        return self

    @property
    def urls(self) -> tuple[str, ...]:
        """The base URLs."""
        return (self.base_url,) if isinstance(self.base_url, str) else self.base_url

    @property
    def bounds(self) -> tuple[int, int]:
        """Fewest and most open requests per base URL."""
        return (1, self.concurrency) if isinstance(self.concurrency, int) else self.concurrency


@dataclass
class _Line:
    """One event loop's sender, and the task that closes its connections when the loop ends."""

    sender: Sender
    keeper: asyncio.Task[None]


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
        shown = sorted(wire.shown_url(url) for url in options.urls)
        return identity if pinned else {**identity, "base_url": shown[0] if len(shown) == 1 else shown}

    @classmethod
    def open_rows(cls, options: Any) -> int:
        """Return the most open requests of one replica."""
        return int(options.bounds[1]) * len(options.urls)

    @property
    def window(self) -> int:
        """Most open requests of one replica."""
        return self.open_rows(self.options)

    def __init__(self, options: Any) -> None:
        """Read the key; nothing is sent before the first row.

        Raises:
            ModelError: the package of the chosen transport is missing.
        """
        package = "pyreqwest" if options.transport == "lean" else "openai"
        try:
            __import__(package)
        except ImportError as error:
            raise ModelError(f"transport: {options.transport} needs {package}: pip install {package}") from error
        self.options: OpenAIOptions = options
        #: Waits between attempts and tells the time; tests put their own here.
        self.sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
        self.clock: Callable[[], float] = time.monotonic
        self._key = os.environ.get(options.api_key_env, "").strip()  # a key from a file often ends its line
        self._lines: dict[asyncio.AbstractEventLoop, _Line] = {}
        self._first_label = asyncio.Lock() if options.label_mode == "auto" else None
        self._endpoints: list[Endpoint] = []
        self._no_logprobs = options.label_mode == "text"

    def generate(self, rows: Sequence[Row]) -> AsyncIterator[Result]:
        """Answer rows as their requests complete, as many open at once as the window allows.

        Raises:
            ModelError: the endpoint cannot be used at all.
        """
        return as_answered(rows, lambda row: self._answer(self._sender(), row))

    def _sender(self) -> Sender:
        """Return this event loop's sender, made for its first user; connections stay open between rows."""
        loop = asyncio.get_running_loop()
        line = self._lines.get(loop)
        if line is None:
            self._endpoints = self._endpoints or self._open_endpoints()
            sender = Sender(self._policy(), self._endpoints, self.clock, self.sleep)
            line = self._lines[loop] = _Line(sender, loop.create_task(self._keep(loop, sender)))
        return line.sender

    def _open_endpoints(self) -> list[Endpoint]:
        options, (low, high) = self.options, self.options.bounds
        start = high if isinstance(options.concurrency, int) else low
        limits = Limits(low, high, start, options.requests_per_minute, options.tokens_per_minute)
        return [Endpoint(url, limits, self.clock()) for url in options.urls]

    async def _keep(self, loop: asyncio.AbstractEventLoop, sender: Sender) -> None:
        """Close the connections when the backend is closed or its loop ends, which cancels this task."""
        try:
            await loop.create_future()
        finally:
            self._lines.pop(loop, None)
            await sender.close()

    def _policy(self) -> Policy:
        options = self.options
        return Policy(
            access=Access(
                self._key, options.timeout_seconds, options.connect_timeout_seconds, options.azure_api_version
            ),
            lean=options.transport == "lean",
            counts_tokens=options.tokens_per_minute is not None,
            max_retries=options.max_retries,
            max_retry_wait_seconds=options.max_retry_wait_seconds,
            model=options.model,
            key_name=options.api_key_env,
        )

    async def _answer(self, sender: Sender, row: Row) -> Result:
        try:
            request = self._request(row)
        except wire.BadImage as error:
            return row["id"], Failure("image", str(error), attempts=0)
        labels = row.get("labels")
        if row.get("labels_else_text") and any(len(label) > 1 for label in labels or ()):
            # "10" may be two tokens of a model unseen, and its first would be read as another label.
            labels = None
        if labels and self._first_label is not None:
            async with self._first_label:  # the first row finds out for all whether there are log probabilities
                if self._first_label is not None:
                    result = await self._forced(sender, row, request, labels)
                    self._first_label = None
                    return row["id"], result
        if labels:
            return row["id"], await self._forced(sender, row, request, labels)
        return row["id"], await self._text(sender, row, request, 0)

    async def _forced(self, sender: Sender, row: Row, request: Row, labels: Sequence[str]) -> Response | Failure:
        if self._no_logprobs:
            return await self._text(sender, row, request, 0)
        return await self._label(sender, row, request, labels)

    def _request(self, row: Row) -> Row:
        options = self.options
        fields = wire.sampling_fields(row, options.max_tokens_field)
        request = {"model": options.model, "messages": wire.chat_messages(row, options.system_prompt), **fields}
        return {name: value for name, value in request.items() if name not in options.omit}

    async def _text(self, sender: Sender, row: Row, request: Row, attempts: int) -> Response | Failure:
        """Generate freely; `attempts` were already spent on this row."""
        outcome = await sender.send(row, request, self.options.extra_body)
        if outcome.failure is not None:
            return replace(outcome.failure, attempts=outcome.attempts + attempts)
        assert outcome.body is not None
        return wire.read_answer(outcome.body, outcome.attempts + attempts, outcome.seconds)

    async def _label(self, sender: Sender, row: Row, request: Row, labels: Sequence[str]) -> Response | Failure:
        """Ask for one token and its log probabilities; where a server has none, for a text."""
        limit = {self.options.max_tokens_field: 1, "temperature": 0.0, "logprobs": True}
        asked = {**request, **limit, "top_logprobs": self.options.top_logprobs}
        asked = {name: value for name, value in asked.items() if name not in ("stop", *self.options.omit)}
        outcome = await sender.send(row, asked, self.options.extra_body)
        may_fall_back = self.options.label_mode == "auto"
        if outcome.failure is not None:
            if not (may_fall_back and outcome.status in (400, 422)):
                return outcome.failure
            response = await self._text(sender, row, request, outcome.attempts)
            self._no_logprobs = self._no_logprobs or isinstance(response, Response)
            return response
        assert outcome.body is not None
        label = wire.read_labels(outcome.body, labels, outcome.attempts, outcome.seconds)
        if label is not None:
            return label
        if not may_fall_back:
            return Failure("no_logprobs", "the server returns no log probabilities", outcome.attempts)
        self._no_logprobs = True
        return await self._text(sender, row, request, outcome.attempts)

    def versions(self) -> Mapping[str, str]:
        """Return the transport's version; the server's own is not known."""
        from importlib.metadata import version

        package = "pyreqwest" if self.options.transport == "lean" else "openai"
        return {package: version(package)}

    def close(self) -> None:
        """Close the connections, in the event loops that hold them."""
        for loop, line in list(self._lines.items()):
            with suppress(RuntimeError):  # the loop is closed, and with it its connections
                loop.call_soon_threadsafe(line.keeper.cancel)


PLUGIN = OpenAICompatible
