"""How one request reaches a server and its answer comes back: two ways behind one small protocol.

`Lean` is aiohttp with nothing on top, at a tenth of a millisecond of CPU a request.
`Client` is the openai package, ten times dearer, for what it knows and we do not:
Azure's addresses and keys, and other ways to sign in. Connections are kept and used
again. Both say the same of what went wrong: `Lost`.
"""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

from pydantic_core import to_json

from raybench.errors import ModelError
from raybench.schema import Row

__all__ = ["Access", "Client", "Lean", "Lost", "Reply", "Transport"]

#: Idle connections are dropped before a server (uvicorn after 5 s) drops them under a request.
_KEEPALIVE_SECONDS = 4.0


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
    text: str


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
    """Posts chat completions with aiohttp. To be made inside the event loop that uses it."""

    def __init__(self, url: str, access: Access) -> None:
        import aiohttp

        self._url = url.rstrip("/") + "/chat/completions"
        self._access = access
        self._lost = (aiohttp.ClientError, OSError, EOFError)
        self._slow_connection = aiohttp.ConnectionTimeoutError
        self._proxy = _proxy(url)
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if access.key:
            headers["Authorization"] = f"Bearer {access.key}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE_SECONDS, ttl_dns_cache=60),
            timeout=aiohttp.ClientTimeout(
                total=access.timeout_seconds, sock_connect=access.connect_timeout_seconds
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=headers,
        )  # fmt: skip

    async def post(self, request: Row, extra: Row) -> Reply:
        """Send one request and return the whole answer.

        Raises:
            Lost: no answer, or only a part of one.
        """
        body = to_json({**request, **extra} if extra else request)
        try:
            async with self._session.post(self._url, data=body, proxy=self._proxy) as reply:
                raw = await reply.read()
                return Reply(reply.status, reply.headers, raw.decode("utf-8", "replace"))
        except self._slow_connection as error:
            raise Lost("connection", "the server did not take the connection in time") from error
        except TimeoutError as error:
            raise Lost("timeout", f"no answer within {self._access.timeout_seconds:g} s") from error
        except self._lost as error:
            raise Lost("connection", f"connection lost: {error or type(error).__name__}") from error

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()


def _proxy(url: str) -> str | None:
    """Return the proxy that the environment names for a URL."""
    parts = urlsplit(url)
    proxies = urllib.request.getproxies()
    if urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    return proxies.get(parts.scheme) or proxies.get("all")


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
        openai = self._openai
        try:
            async with asyncio.timeout(self._limit):  # the package's own starts again with every byte
                raw = await self._client.chat.completions.with_raw_response.create(**request, extra_body=extra)
            reply = raw.http_response
        except openai.APIStatusError as error:
            reply = error.response
        except openai.APITimeoutError as error:
            if "Connect" in type(error.__cause__).__name__:
                raise Lost("connection", "the server did not take the connection in time") from error
            raise Lost("timeout", f"no answer within {self._limit:g} s") from error
        except TimeoutError as error:
            raise Lost("timeout", f"no answer within {self._limit:g} s") from error
        except openai.APIConnectionError as error:
            raise Lost("connection", f"connection lost: {error.__cause__ or error}") from error
        return Reply(int(reply.status_code), reply.headers, str(reply.text))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
