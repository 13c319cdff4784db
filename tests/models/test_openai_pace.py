"""The openai backend's adaptive window, allowances and choice of endpoint, on a clock that only tests move."""

from __future__ import annotations

import asyncio
import socket
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from raybench.errors import ModelError
from raybench.models._openai_endpoints import Endpoint, Limits, Pool
from raybench.models._openai_pace import Bucket, Window
from raybench.models.openai import OpenAICompatible
from tests.models.test_openai import ask, backend_of, failure_of, response_of, row
from tests.servers import FakeOpenAI, free_port


class Clock:
    """Seconds that pass only while someone sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


def test_a_window_grows_by_one_a_success_until_it_is_throttled_then_by_one_a_round() -> None:
    window = Window(2, 32)
    for _ in range(10):
        window.succeeded(full=True)
    assert window.limit == 12
    window.throttled(sent_at=1.0, now=2.0)
    assert window.limit == 8  # 12 x 0.7
    for _ in range(9):
        window.succeeded(full=True)
    assert window.limit == 9, "8.4 + 9 / 8.4 or so"


def test_a_window_keeps_its_bounds_and_ignores_what_was_sent_before_it_shrank() -> None:
    window = Window(2, 8, start=8)
    window.throttled(sent_at=0.0, now=5.0)
    assert window.limit == 5
    for sent_at in (0.0, 4.9):  # the rest of the burst that the endpoint refused
        window.throttled(sent_at, now=6.0)
    assert window.limit == 5
    for second in range(10, 20):
        window.throttled(float(second), now=float(second))
    assert window.limit == 2
    for _ in range(1000):
        window.succeeded(full=True)
    assert window.limit == 8


def test_a_window_that_is_not_full_does_not_grow() -> None:
    window = Window(2, 8)
    window.succeeded(full=False)
    assert window.limit == 2


@pytest.mark.parametrize("per_minute", [1, 2, 7, 60, 600, 10_000])
def test_no_sixty_seconds_see_more_than_the_limit(per_minute: int) -> None:
    bucket, now, taken = Bucket(per_minute, 0.0), 0.0, list[float]()
    while now < 180 and len(taken) < 4 * per_minute:
        now += bucket.wait_seconds(1.0, now)
        bucket.take(1.0)
        taken.append(now)
    most = max(sum(start <= time < start + 60 - 1e-6 for time in taken) for start in taken[:200])
    assert per_minute * 0.85 <= most <= per_minute


def test_a_cost_above_the_burst_goes_when_the_bucket_is_full_and_leaves_a_debt() -> None:
    bucket = Bucket(600, 0.0)  # 60 at once, 541 / 60 a second
    assert bucket.wait_seconds(200, 0.0) == 0.0
    bucket.take(200)
    assert bucket.wait_seconds(1, 0.0) == pytest.approx(141 / (541 / 60))
    bucket.take(-150)  # it used less than was feared
    assert bucket.wait_seconds(1, 0.0) == 0.0


def pool_of(clock: Clock, count: int = 2, **limits: Any) -> Pool:
    bounds = Limits(**{"low": 1, "high": 4, "start": 4, **limits})
    return Pool([Endpoint(f"http://{n}/v1", bounds, clock()) for n in range(count)], clock, clock.sleep)


async def test_the_least_loaded_endpoint_is_asked_and_the_queue_keeps_its_order() -> None:
    clock = Clock()
    pool = pool_of(clock)
    taken = [await pool.take() for _ in range(8)]
    assert [one.open for one in pool.endpoints] == [4, 4]
    assert taken[0] is not taken[1]
    order: list[int] = []

    async def wait(number: int) -> Endpoint:
        found = await pool.take()
        order.append(number)
        return found

    waiting = [asyncio.create_task(wait(n)) for n in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    pool.give_back(taken[0])
    pool.give_back(taken[1])
    await asyncio.gather(*waiting, return_exceptions=True)
    assert order == [1, 2], "who left the queue holds nobody up"
    assert [one.open for one in pool.endpoints] == [4, 4]


async def test_a_lost_endpoint_rests_then_proves_itself_with_one_request() -> None:
    clock = Clock()
    pool = pool_of(clock)
    bad, good = pool.endpoints
    bad.lost(clock.now)
    assert [await pool.take() for _ in range(4)] == [good] * 4
    assert await pool.take() is bad, "all others are full: it waits for the rest to end"
    assert clock.slept == [1.0]
    late = asyncio.create_task(pool.take())
    await asyncio.sleep(0)
    assert not late.done(), "one request at a time until it has answered"
    bad.answered()
    pool.give_back(bad)
    assert await late is bad
    bad.lost(clock.now)
    bad.lost(clock.now)  # of the same burst
    assert bad.wait_seconds(0, clock.now) == 1.0
    clock.now += 1.0
    bad.lost(clock.now)
    assert bad.wait_seconds(0, clock.now) == 2.0, "twice as long each time"


async def test_requests_per_minute_are_spread_over_the_endpoints() -> None:
    clock = Clock()
    pool = pool_of(clock, high=1000, start=1000, requests_per_minute=60)
    for _ in range(2 * 60):
        pool.give_back(await pool.take())
    assert clock.now - 100.0 == pytest.approx((60 - 6) / (55 / 60), rel=0.05)


def served(clock: Clock, url: str | list[str], **options: Any) -> OpenAICompatible:
    backend = OpenAICompatible(OpenAICompatible.Options(base_url=url, **{"model": "fake", **options}))
    backend.clock, backend.sleep = clock, clock.sleep
    return backend


def test_requests_per_minute_are_kept_against_a_server() -> None:
    clock = Clock()
    with FakeOpenAI() as server:
        results = ask(
            served(clock, server.base_url, requests_per_minute=60), [row(str(n), f"q {n}") for n in range(30)]
        )
    assert all(response_of(results, str(n)) for n in range(30))
    assert sum(clock.slept) == pytest.approx((30 - 6) / (55 / 60), rel=0.1)


def test_tokens_per_minute_count_what_was_used() -> None:
    clock, asked = Clock(), [row(str(n), "q", max_tokens=256) for n in range(12)]
    with FakeOpenAI() as server:  # which reports 1 token in and 2 out, far from the 256 that were feared
        backend = served(clock, server.base_url, tokens_per_minute=600, concurrency=1)
        ask(backend, asked)
    assert 0 < sum(clock.slept) < 12 * 256 / 600 * 60 / 4


def test_throttling_pauses_the_endpoint_and_shrinks_the_window() -> None:
    clock = Clock()
    rows = [row(str(n), f"q {n}") for n in range(60)]
    with FakeOpenAI(throttle=16, retry_after="7", delay_seconds=0.005) as server:
        backend = served(clock, server.base_url, concurrency=16)
        results = ask(backend, rows)
        assert server.most_open <= 16
        assert server.requests == 60 + 16
    assert all(response_of(results, str(n)) for n in range(60))
    assert sum(response_of(results, str(n)).notes.get("attempts", 1) for n in range(60)) == 60 + 16
    assert max(clock.slept) == 7.0


def test_a_window_with_bounds_starts_low_and_finds_its_size() -> None:
    with FakeOpenAI(delay_seconds=0.01) as server:
        backend = backend_of(server.base_url, concurrency=[2, 24])
        assert backend.window == 24
        ask(backend, [row(str(n), f"q {n}") for n in range(2)])
        assert server.most_open == 2
        ask(backend, [row(str(n), f"q {n}") for n in range(200)])
        assert 12 <= server.most_open <= 24


def test_several_servers_share_the_rows_and_a_dead_one_is_rested() -> None:
    rows = [row(str(n), f"q {n}") for n in range(60)]
    dead = f"http://127.0.0.1:{free_port()}/v1"
    with FakeOpenAI(delay_seconds=0.005) as one, FakeOpenAI(delay_seconds=0.005) as two:
        backend = backend_of([one.base_url, two.base_url, dead], concurrency=4)
        assert backend.window == 12
        results = ask(backend, rows)
        assert one.requests + two.requests == 60
        assert min(one.requests, two.requests) >= 15
    assert all(response_of(results, str(n)) for n in range(60))


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_server_that_fails_at_once_does_not_swallow_the_rows_of_a_slow_one(status: int) -> None:
    with FakeOpenAI(status=status) as broken, FakeOpenAI(delay_seconds=0.02) as slow:
        backend = backend_of([broken.base_url, slow.base_url], concurrency=2)
        results = ask(backend, [row(str(n), f"q {n}") for n in range(40)])
        assert all(response_of(results, str(n)) for n in range(40))
        assert slow.requests == 40


async def test_a_pause_is_cut_short_when_another_endpoint_needs_less() -> None:
    clock, slept = Clock(), list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await asyncio.Future()

    bounds = Limits(1, 1, 1, requests_per_minute=60)
    paused, busy = (Endpoint(f"http://{n}/v1", bounds, clock()) for n in range(2))
    pool = Pool([paused, busy], clock, sleep)
    paused.throttled(clock(), clock(), 60.0)
    for _ in range(6):  # what may go at once
        assert await pool.take() is busy
        pool.give_back(busy)
    busy.begin(0.0)
    waiting = asyncio.create_task(pool.take())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert slept == [60.0]
    pool.give_back(busy)
    await asyncio.sleep(0)
    assert len(slept) == 2
    assert slept[1] < 3.0
    waiting.cancel()
    pool.close()


def test_no_server_of_several_is_a_model_error_that_names_them() -> None:
    urls = [f"http://127.0.0.1:{free_port()}/v1", f"http://localhost:{free_port()}/v1"]
    with pytest.raises(ModelError, match="no server answers at") as caught:
        ask(backend_of(urls, max_retries=2), [row("a", "q")])
    assert all(url in str(caught.value) for url in urls)


@pytest.mark.parametrize("transport", ["lean", "client"])
def test_both_transports_answer_retry_and_time_out_alike(transport: str) -> None:
    with FakeOpenAI(throttle=1) as server:
        backend = backend_of(server.base_url, transport=transport, max_retries=1)
        assert response_of(ask(backend, [row("a", "q", images=1)]), "a").notes == {"attempts": 2}
        first = server.bodies[0]
        server.control(mode="trickle")
        hasty = backend_of(server.base_url, transport=transport, max_retries=1, timeout_seconds=0.3)
        failure = failure_of(ask(hasty, [row("a", "q")]), "a")
        assert (failure.reason, failure.attempts) == ("timeout", 2)
        server.control(mode="drop")
        failure = failure_of(ask(backend, [row("a", "q")]), "a")
        assert (failure.reason, failure.attempts) == ("connection", 2)
    assert set(first) == {"model", "messages", "temperature", "top_p", "max_tokens", "seed"}
    (version,) = backend.versions()
    assert version == {"lean": "pyreqwest", "client": "openai"}[transport]


@pytest.mark.parametrize("transport", ["lean", "client"])
def test_a_connection_that_nobody_takes_is_told_from_an_answer_that_is_late(transport: str) -> None:
    with socket.socket() as busy, ExitStack() as waiting:
        busy.bind(("127.0.0.1", 0))
        busy.listen(0)
        for _ in range(4):  # its queue of connections is full
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(busy.getsockname())
        url = f"http://127.0.0.1:{busy.getsockname()[1]}/v1"
        backend = backend_of(url, transport=transport, max_retries=0, connect_timeout_seconds=0.2)
        with pytest.raises(ModelError, match="did not take the connection in time"):
            ask(backend, [row("a", "q")])


@pytest.mark.parametrize("transport", ["lean", "client"])
def test_the_environments_proxy_is_asked_save_for_what_it_excepts(
    transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with FakeOpenAI() as proxy, FakeOpenAI() as near:
        monkeypatch.setenv("http_proxy", proxy.base_url.removesuffix("/v1"))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        ask(backend_of("http://elsewhere.invalid/v1", transport=transport), [row("a", "q")])
        ask(backend_of(near.base_url, transport=transport), [row("a", "q")])
        assert (proxy.requests, near.requests) == (1, 1)


def test_no_traceback_holds_a_key_that_cannot_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret\nmore")
    with pytest.raises(ModelError, match="cannot stand in a request") as caught:
        ask(backend_of("http://127.0.0.1:9/v1"), [row("a", "q")])
    assert "sk-secret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("transport", ["lean", "client"])
def test_a_redirect_to_nowhere_is_the_rows_own_failure(transport: str) -> None:
    with FakeOpenAI() as server:
        backend = backend_of(server.base_url, transport=transport, max_retries=0)
        response_of(ask(backend, [row("a", "q")]), "a")
        server.control(status=302, location="ftp://x/y")
        assert failure_of(ask(backend, [row("b", "q")]), "b").reason in ("connection", "bad_response")


def test_a_row_of_a_lost_endpoint_waits_for_the_other_ones_tokens() -> None:
    clock = Clock()
    limits = Limits(1, 4, 4, tokens_per_minute=600)

    async def main() -> str:
        dead, other = Endpoint("dead", limits, clock()), Endpoint("other", limits, clock())
        pool = Pool([dead, other], clock, clock.sleep)
        dead.answered()
        dead.lost(clock())
        clock.now += 2.0  # its rest is over
        other.begin(60.0)
        other.open = 0  # its allowance is spent, nothing is open
        async with asyncio.timeout(5):
            return (await pool.take(50.0, avoid=dead)).url

    assert asyncio.run(main()) == "other"


def test_connections_are_used_again() -> None:
    with FakeOpenAI() as server:
        backend = backend_of(server.base_url, concurrency=4)
        ask(backend, [row(str(n), f"q {n}") for n in range(40)])
        assert server.connections <= 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base_url": []}, "names each once"),
        ({"base_url": ["http://a/v1", "http://a/v1"]}, "names each once"),
        ({"base_url": "a/v1"}, "pattern"),
        ({"concurrency": [8, 4]}, "min <= max"),
        ({"concurrency": 0}, "greater than or equal to 1"),
        ({"azure_api_version": "2024-10-21"}, "needs transport: client"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OpenAICompatible.Options(**{"base_url": "http://a/v1", "model": "m", **options})


def test_azure_is_the_clients_business() -> None:
    from raybench.models._openai_transport import Access, Client

    client = Client("https://mine.openai.azure.com", Access("k", 5.0, 5.0, "2024-10-21"))
    assert type(client._client).__name__ == "AsyncAzureOpenAI"


def test_several_urls_are_named_in_the_identity_in_any_order() -> None:
    make: Callable[..., Any] = OpenAICompatible.Options
    one = OpenAICompatible.identity(make(base_url=["http://b/v1", "http://a/v1"], model="m"))
    two = OpenAICompatible.identity(make(base_url=["http://a/v1", "http://b/v1"], model="m"))
    assert one == two
    assert one["base_url"] == ["http://a/v1", "http://b/v1"]
