"""Who may ask: the Host check, the token, read-only methods, and the headers that keep hostile text harmless.

The page shows what models wrote, so nothing in it may run: no inline script or style, no other host, no framing. A
web page elsewhere must not read results through the visitor's browser: a name that was re-bound to this machine is
refused by the Host check, another site's request by `Sec-Fetch-Site`.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import secrets
import socket
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from raybench.errors import SpecError

__all__ = ["HEADERS", "MIN_TOKEN", "Access", "Guard", "is_loopback"]

MIN_TOKEN = 16
_COOKIE = "raybench"
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self';"
        " base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is this machine's own loopback."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


@dataclass(frozen=True)
class Access:
    """Where the server listens and what it asks of a visitor.

    Attributes:
        host: address to listen on.
        token: what a visitor must know; "" asks for nothing.
        insecure: another address than loopback without a token, said aloud.

    Raises:
        SpecError: another address without a token, or a token that can be guessed.
    """

    host: str = "127.0.0.1"
    token: str = ""
    insecure: bool = False
    session: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)

    def __post_init__(self) -> None:
        if self.token and self.insecure:
            raise SpecError("--token and --insecure exclude each other")
        if self.token and len(self.token) < MIN_TOKEN:
            raise SpecError(f"--token needs {MIN_TOKEN} characters or more; `--token auto` makes one")
        if not self.is_local and not self.token and not self.insecure:
            raise SpecError(
                f"--host {self.host} lets other machines read the results: add --token auto (or --insecure if everyone"
                " who can reach this machine may read them)"
            )

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.host)

    def accepts_host(self, header: str) -> bool:
        """Return whether a Host header names this server, rather than a name that was re-bound to it."""
        name = header.rsplit(":", 1)[0] if not header.endswith("]") else header
        name = name.strip("[]").lower().rstrip(".")
        if is_loopback(name) or name == self.host.strip("[]").lower():
            return True
        if self.is_local:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in {socket.gethostname().lower(), socket.getfqdn().lower()}
        return True  # re-binding needs a name: an address was typed

    def knows(self, given: str) -> bool:
        """Return whether this is the token; takes the same time however much of it is right."""
        return hmac.compare_digest(given.encode(), self.token.encode())


class Guard:
    """ASGI middleware: checks every request and sets every answer's headers."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app, self.access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        refused = self._refusal(scope)
        await (refused or self.app)(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if not self.access.accepts_host(headers.get("host", "")):
            return _sentence(403, "this server answers under its own address only (the Host header names another)")
        if scope["method"] not in ("GET", "HEAD"):
            return _sentence(405, "this server only reads: GET and HEAD")
        if headers.get("sec-fetch-site") == "cross-site" and scope["path"] != "/":
            return _sentence(403, "another site asked for this")
        return self._stranger(scope, headers) if self.access.token else None

    def _stranger(self, scope: Scope, headers: Headers) -> Response | None:
        """What a visitor without the session's cookie gets; None for one who has it, or who sends the token."""
        if hmac.compare_digest(_cookie(headers).encode(), self.access.session.encode()):
            return None
        bearer = headers.get("authorization", "")
        if bearer.startswith("Bearer ") and self.access.knows(bearer.removeprefix("Bearer ")):
            return None
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = next((value for name, value in query if name == "token"), "")
        if scope["path"] != "/" or not self.access.knows(given):
            return _sentence(401, "this page needs the token: open the address that `raybench dashboard` printed")
        rest = urlencode([(name, value) for name, value in query if name != "token"])
        welcome = RedirectResponse(f"/?{rest}" if rest else "/", 303)
        welcome.set_cookie(_COOKIE, self.access.session, httponly=True, samesite="strict", path="/")
        return welcome


def _cookie(headers: Headers) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    return found[_COOKIE].value if _COOKIE in found else ""


def _sentence(status: int, sentence: str) -> Response:
    return Response(json.dumps({"error": sentence}), status, media_type="application/json")
