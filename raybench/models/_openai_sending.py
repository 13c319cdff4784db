"""One request until it is answered, fails for good or its retries are spent.

Retries are bounded, wait as long as the server asks (else twice as long each time,
with jitter), and go to another endpoint where there is one. A time-out ends each
attempt, so that every row ends.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from raybench.errors import ModelError
from raybench.models import _openai_wire as wire
from raybench.models._openai_endpoints import Endpoint, Pool
from raybench.models._openai_transport import Access, Client, Lean, Lost, Reply, Transport
from raybench.schema import Failure, Row

__all__ = ["Outcome", "Policy", "Sender"]

_RETRIED = frozenset({408, 409, 425, 429})
#: Statuses by which a server says that it has too much to do.
_THROTTLES = frozenset({429, 503, 529})
#: Statuses that say the endpoint itself is unusable as long as no request ever got through.
_REFUSALS = frozenset({401, 403, 404})
_FIRST_WAIT_SECONDS = 0.5


@dataclass(frozen=True)
class Policy:
    """What a sender is to do.

    Attributes:
        model, key_name: named where an endpoint refuses them.
        lean: pyreqwest, else the openai package.
        counts_tokens: an allowance of tokens is to be kept.
    """

    access: Access
    lean: bool
    counts_tokens: bool
    max_retries: int
    max_retry_wait_seconds: float
    model: str
    key_name: str


@dataclass(frozen=True)
class Outcome:
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


class Sender:
    """A model's endpoints with their connections; made in the event loop that uses it.

    Args:
        endpoints: what is known of them outlives the loop.
        clock: seconds; `sleep` waits between attempts. Tests put their own here.
    """

    def __init__(
        self, policy: Policy, endpoints: Sequence[Endpoint], clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:  # fmt: skip
        self._policy, self._clock, self._sleep = policy, clock, sleep
        self._pool = Pool(endpoints, clock, sleep)
        kind: type[Lean] | type[Client] = Lean if policy.lean else Client
        self._transports: dict[str, Transport] = {one.url: kind(one.url, policy.access) for one in endpoints}

    async def send(self, row: Row, request: Row, extra: Row) -> Outcome:
        """Send one request.

        Ends within (max_retries + 1) x timeout_seconds + max_retries x max_retry_wait_seconds of its turn.

        Raises:
            ModelError: no endpoint can be used at all.
        """
        cost = wire.expected_tokens(row, request) if self._policy.counts_tokens else 0.0
        attempts, last = self._policy.max_retries + 1, None
        for attempt in range(1, attempts + 1):
            last = await self._pool.take(cost, avoid=last)
            sent_at, began = self._clock(), time.perf_counter()
            try:
                result = await self._once(last, request, extra, row)
                seconds = time.perf_counter() - began
                body = self._note(last, result, sent_at, cost)
            finally:
                self._pool.give_back(last)
            if isinstance(result, Reply):
                failure = wire.bad_response(attempt) if body is None else None
                return Outcome(attempt, seconds, body, failure)
            if not result.retried or attempt == attempts:
                self._raise_if_unusable(last, result, attempt)
                failure = Failure(result.reason, result.detail, attempt)
                return Outcome(attempt, failure=failure, status=result.status)
            if last.sick and self._pool.others_work(last):
                continue  # a dead endpoint is no reason to wait for the others
            await self._sleep(self._wait(attempt, result.wait_seconds))
        raise AssertionError("unreachable: the last attempt returns")

    async def close(self) -> None:
        """Close every connection."""
        self._pool.close()
        await asyncio.gather(*(transport.close() for transport in self._transports.values()))

    async def _once(self, endpoint: Endpoint, request: Row, extra: Row, row: Row) -> Reply | _Trouble:
        """Send once; return the answer or what went wrong."""
        try:
            reply = await self._transports[endpoint.url].post(request, extra)
        except Lost as error:
            detail = wire.clean(str(error), [self._policy.access.key], row)
            return _Trouble(error.reason, detail, True, cause=error.__cause__)
        return reply if reply.status < 400 else self._refused(reply, row)

    def _refused(self, reply: Reply, row: Row) -> _Trouble:
        """Describe an HTTP error status."""
        said = wire.error_message(reply.body)
        detail = f"HTTP {reply.status}: {said}" if said else f"HTTP {reply.status}"
        detail = wire.clean(detail, [self._policy.access.key], row)
        retried = reply.status in _RETRIED or reply.status >= 500
        return _Trouble(f"http_{reply.status}", detail, retried, reply.status, wire.retry_after(reply.headers))

    def _note(self, endpoint: Endpoint, result: Reply | _Trouble, sent_at: float, cost: float) -> Row | None:
        """Tell the endpoint how it fared; return the body of an answer."""
        if isinstance(result, Reply):
            endpoint.answered()
            endpoint.succeeded()
            body = wire.parse_body(result.body)
            if cost and body is not None:
                endpoint.settle(cost, wire.used_tokens(body, cost))
            return body
        now = self._clock()
        if result.status is not None:
            endpoint.reached = True
            endpoint.welcome = endpoint.welcome or (result.status not in _REFUSALS and result.status < 500)
        if result.status in _THROTTLES:
            asked = result.wait_seconds
            pause = None if asked is None else min(asked, self._policy.max_retry_wait_seconds)
            endpoint.throttled(sent_at, now, pause)
        elif result.reason == "timeout":
            endpoint.throttled(sent_at, now)
        if result.status is not None and result.status < 500:
            endpoint.answered()
        elif len(self._pool.endpoints) > 1:
            (endpoint.lost if result.reason == "connection" else endpoint.faltered)(now)
        return None

    def _wait(self, attempt: int, asked_seconds: float | None) -> float:
        """Return the seconds to wait after an attempt: the server's wish, else doubling with jitter, capped."""
        if asked_seconds is None:
            asked_seconds = _FIRST_WAIT_SECONDS * 2 ** min(attempt - 1, 20) * random.uniform(0.5, 1.0)
        return min(asked_seconds, self._policy.max_retry_wait_seconds)

    def _raise_if_unusable(self, endpoint: Endpoint, trouble: _Trouble, attempts: int) -> None:
        """Raise what is no row's fault: nothing listens, the key is refused, the model is not there.

        Raises:
            ModelError: no request has ever got through and this trouble says none will.
        """
        if trouble.reason == "connection" and not any(one.reached for one in self._pool.endpoints):
            where = ", ".join(wire.shown_url(one.url) for one in self._pool.endpoints)
            raise ModelError(f"no server answers at {where} ({attempts} attempts: {trouble.detail})") from trouble.cause
        if endpoint.welcome or trouble.status not in _REFUSALS:
            return
        name, model = self._policy.key_name, self._policy.model
        held = "the key in" if self._policy.access.key else "there is no key in"
        reasons = {
            401: f"refuses the key: {held} the environment variable {name}",
            403: f"forbids model {model!r} to the key: {held} the environment variable {name}",
            404: f"has no model {model!r}, or base_url is not the API's root (often .../v1)",
        }
        where = wire.shown_url(endpoint.url)
        raise ModelError(f"{where} {reasons[trouble.status or 404]} ({trouble.detail})") from trouble.cause
