"""How one request reaches a server and its answer comes back: two ways behind one small protocol.

`Lean` is pyreqwest with nothing on top, at a tenth of a millisecond of CPU a request.
`Client` is the openai package, many times dearer, for what it knows and we do not:
Azure's addresses and keys, and other ways to sign in. Connections are kept and used
again. Both say the same of what went wrong: `Lost`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, Protocol

from pydantic_core import to_json

from raybench.errors import ModelError
from raybench.schema import Row

__all__ = ["Access", "Client", "Lean", "Lost", "Reply", "Transport"]

#: Idle connections are dropped before a server (uvicorn after 5 s) drops them under a request.
_KEEPALIVE = timedelta(seconds=4)
_THREADS = 2
#: After its last answer a thread of pyreqwest's still holds on to the interpreter, which aborts if it ends meanwhile.
_PARTING_SECONDS = 0.05


@dataclass(frozen=True)
class Access:
    """How to get in: the key ("" for none), time-outs in seconds, and the API version that makes it Azure."""

    key: str
    timeout_seconds: float
    connect_timeout_seconds: float
    azure_api_version: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's answer, whatever its status; header names are looked up in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Lost(Exception):
    """No answer came.

    Attributes:
        reason: "timeout" or "connection".
    """

    def __init__(self, reason: Literal["timeout", "connection"], detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Transport(Protocol):
    """A connection pool to one base URL."""

    async def post(self, request: Row, extra: Row) -> Reply: ...
    async def close(self) -> None: ...


class Lean:
    """Posts chat completions with pyreqwest: HTTP runs in Rust on threads of its own, outside the event loop.

    Proxies are those of the environment. To be made inside the event loop that uses it.

    Raises:
        ModelError: the address or the key cannot stand in a request.
    """

    def __init__(self, url: str, access: Access) -> None:
        from pyreqwest import exceptions
        from pyreqwest.client import ClientBuilder
        from pyreqwest.runtime import runtime_worker_threads

        self._url = url.rstrip("/") + "/chat/completions"
        self._access, self._errors = access, exceptions
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if access.key:
            headers["Authorization"] = f"Bearer {access.key}"
        # While one thread waits to hand an answer over, another goes on sending; more of them only wake up more often.
        with suppress(RuntimeError):  # another user of the library in this process has begun already
            runtime_worker_threads(_THREADS)
        builder = ClientBuilder().runtime_multithreaded(True).http1_only().referer(False).default_cookie_store(False)
        builder = builder.timeout(timedelta(seconds=access.timeout_seconds))
        builder = builder.connect_timeout(timedelta(seconds=access.connect_timeout_seconds))
        builder = builder.pool_idle_timeout(_KEEPALIVE)
        try:
            self._client = builder.default_headers(headers).build()
            self._client.post(self._url)  # sends nothing: it reads the address
        except ValueError as error:
            reason = f"base_url or the API key cannot stand in a request: {type(error).__name__}"
            raise ModelError(reason) from None  # its message holds the key

    async def post(self, request: Row, extra: Row) -> Reply:
        """Send one request and return the whole answer.

        Raises:
            Lost: no answer, or only a part of one.
        """
        body = to_json({**request, **extra} if extra else request)
        try:
            reply = await self._client.post(self._url).body_bytes(body).build().send()
            return Reply(reply.status, reply.headers, (await reply.bytes()).to_bytes())
        except self._errors.RequestTimeoutError as error:
            if any("(Connect)" in cause for cause in _causes(error)):  # its class does not tell the two apart
                raise Lost("connection", "the server did not take the connection in time") from error
            raise Lost("timeout", f"no answer within {self._access.timeout_seconds:g} s") from error
        except self._errors.PyreqwestError as error:
            reason = [type(error).__name__, *_causes(error)][-1]  # the causes above the last one name the address
            raise Lost("connection", f"connection lost: {reason}") from error

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
        await asyncio.sleep(_PARTING_SECONDS)


def _causes(error: Any) -> list[str]:
    details = getattr(error, "details", None) or {}
    return [str(cause["message"]) for cause in details.get("causes") or []]


class Client:
    """Posts chat completions with the openai package; its own retries are off.

    Raises:
        ModelError: the package is missing.
    """

    def __init__(self, url: str, access: Access) -> None:
        try:
            import openai
        except ImportError as error:
            raise ModelError("transport: client needs the openai package: pip install openai") from error
        self._openai, self._limit = openai, access.timeout_seconds
        timeout = openai.Timeout(access.timeout_seconds, connect=access.connect_timeout_seconds)
        common: dict[str, Any] = {"api_key": access.key or "none", "max_retries": 0, "timeout": timeout}
        self._reads_body = bool(access.azure_api_version)
        if access.azure_api_version:
            azure: dict[str, Any] = {"azure_endpoint": url, "api_version": access.azure_api_version}
            self._client: Any = openai.AsyncAzureOpenAI(**common, **azure)
        else:
            self._client = openai.AsyncOpenAI(**common, base_url=url)

    async def post(self, request: Row, extra: Row) -> Reply:
        """Send one request and return the whole answer.

        Raises:
            Lost: no answer, or only a part of one.
        """
        openai, whole = self._openai, {**request, **extra}
        # Azure's client reads the deployment from the body; the others take bytes, made in a quarter of its time.
        sent: dict[str, Any] = {"body": whole} if self._reads_body else {"content": to_json(whole)}
        try:
            async with asyncio.timeout(self._limit):  # the package's own starts again with every byte
                # `chat.completions.create` would rebuild the request, and build an object of the answer.
                body = await self._client.post("/chat/completions", cast_to=bytes, **sent)
            return Reply(200, {}, body)
        except openai.APIStatusError as error:
            refused = error.response
            return Reply(int(refused.status_code), refused.headers, bytes(refused.content))
        except openai.APITimeoutError as error:
            if "Connect" in type(error.__cause__).__name__:
                raise Lost("connection", "the server did not take the connection in time") from error
            raise Lost("timeout", f"no answer within {self._limit:g} s") from error
        except TimeoutError as error:
            raise Lost("timeout", f"no answer within {self._limit:g} s") from error
        except openai.APIConnectionError as error:
            raise Lost("connection", f"connection lost: {error.__cause__ or error}") from error

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
