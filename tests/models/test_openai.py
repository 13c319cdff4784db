"""The openai backend against a real HTTP server with faults on demand, and against `transformers serve`."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from raybench.errors import ModelError
from raybench.models import _openai_wire as wire
from raybench.models.openai import OpenAICompatible
from raybench.schema import Failure, Response, Row
from tests.checkpoints import tiny_llava
from tests.servers import FakeOpenAI, answer_to, free_port, share_of

JPEG = bytes.fromhex("ffd8ffe000104a464946") + bytes(range(256)) * 3 + b"\xff\xd9"
SECRET = "sk-secret-1234567890"


def row(name: str, question: str, labels: list[str] | None = None, images: int = 0, **sampling: Any) -> Row:
    parts: list[Row] = [{"type": "image", "image": i} for i in range(images)]
    image = {"bytes": JPEG, "media_type": "image/jpeg", "width_px": 8, "height_px": 8}
    return {
        "id": name,
        "messages": [{"role": "user", "content": [*parts, {"type": "text", "text": question}]}],
        "images": [image] * images,
        "sampling": {"temperature": 0.0, "top_p": 1.0, "max_tokens": 16, "seed": 0, "stop": [], **sampling},
        "labels": labels,
    }


def backend_of(url: str | list[str], **options: Any) -> OpenAICompatible:
    """Return a backend on a clock of its own: waits only move it, and are written down in `backend.waits`."""
    backend = OpenAICompatible(OpenAICompatible.Options(base_url=url, **{"model": "fake", **options}))
    waits: list[float] = []

    async def note(seconds: float) -> None:
        waits.append(seconds)
        await asyncio.sleep(0)

    backend.sleep, backend.waits = note, waits  # type: ignore[attr-defined]
    backend.clock = lambda: sum(waits)
    return backend


def ask(backend: OpenAICompatible, rows: list[Row]) -> dict[str, Response | Failure]:
    async def collect() -> list[tuple[str, Response | Failure]]:
        return [result async for result in backend.generate(rows)]

    results = asyncio.run(collect())
    assert len(dict(results)) == len(results) == len(rows), "each row exactly once"
    return dict(results)


def response_of(results: dict[str, Response | Failure], name: str) -> Response:
    result = results[name]
    assert isinstance(result, Response), result
    return result


def failure_of(results: dict[str, Response | Failure], name: str) -> Failure:
    result = results[name]
    assert isinstance(result, Failure), result
    return result


def test_answers_every_row_within_the_window() -> None:
    rows = [row(str(n), f"Is there finding {n}?") for n in range(40)]
    with FakeOpenAI(delay_seconds=0.02) as server:
        results = ask(backend_of(server.base_url, concurrency=8), rows)
        assert server.requests == server.distinct == 40
        assert server.most_open == 8
        first = server.bodies[0]
    assert [response_of(results, str(n)).text for n in range(40)] == [
        answer_to(f"Is there finding {n}?") for n in range(40)
    ]
    one = response_of(results, "0")
    assert (one.tokens_in, one.tokens_out, one.finish_reason, one.notes) == (4, 1, "stop", {})
    assert one.seconds >= 0.02
    sent = {name: first[name] for name in ("model", "temperature", "top_p", "max_tokens", "seed")}
    assert sent == {"model": "fake", "temperature": 0.0, "top_p": 1.0, "max_tokens": 16, "seed": 0}
    assert first["messages"][0]["content"].startswith("Is there finding")


def test_two_blocks_share_one_window() -> None:
    async def both(backend: OpenAICompatible) -> None:
        async def block(name: str) -> int:
            return len([r async for r in backend.generate([row(f"{name}{n}", f"q {name} {n}") for n in range(12)])])

        assert await asyncio.gather(block("a"), block("b")) == [12, 12]

    with FakeOpenAI(delay_seconds=0.02) as server:
        asyncio.run(both(backend_of(server.base_url, concurrency=4)))
        assert server.most_open == 4


def test_results_come_as_they_complete_and_a_consumer_may_leave() -> None:
    async def first(backend: OpenAICompatible, rows: list[Row]) -> str:
        stream = backend.generate(rows)
        name, _ = await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]
        return name

    slow, quick = "q slow", "q quick"
    low, high = sorted([slow, quick], key=share_of)
    with FakeOpenAI(mode="hang", mode_share=(share_of(low) + share_of(high)) / 2) as server:
        assert asyncio.run(first(backend_of(server.base_url), [row("low", low), row("high", high)])) == "high"


def test_image_files_pass_through_untouched() -> None:
    with FakeOpenAI() as server:
        ask(backend_of(server.base_url, system_prompt="Be brief."), [row("a", "Is it?", images=2)])
        system, user = server.bodies[0]["messages"]
    assert system == {"role": "system", "content": "Be brief."}
    urls = [part["image_url"]["url"] for part in user["content"] if part["type"] == "image_url"]
    assert urls == [f"data:image/jpeg;base64,{base64.b64encode(JPEG).decode()}"] * 2
    assert user["content"][-1] == {"type": "text", "text": "Is it?"}


def test_pixels_are_refused_per_row() -> None:
    bad = row("bad", "q", images=1)
    bad["images"] = [{"bytes": b"123", "media_type": "image/x-rgb8", "width_px": 1, "height_px": 1}]
    with FakeOpenAI() as server:
        results = ask(backend_of(server.base_url), [bad, row("good", "q")])
        assert server.requests == 1
    assert failure_of(results, "bad").reason == "image"
    assert isinstance(results["good"], Response)


def test_server_errors_are_retried_a_bounded_number_of_times() -> None:
    with FakeOpenAI(fail_share=1.0) as server:
        backend = backend_of(server.base_url, max_retries=3)
        failure = failure_of(ask(backend, [row("a", "q")]), "a")
        assert server.requests == 4
    assert (failure.reason, failure.attempts) == ("http_500", 4)
    assert failure.detail == "HTTP 500: this question always fails"
    assert [0.25, 0.5, 1.0] <= backend.waits <= [0.5, 1.0, 2.0]  # type: ignore[attr-defined]


def test_some_questions_fail_until_the_fault_is_switched_off() -> None:
    rows = [row(str(n), f"q {n}") for n in range(30)]
    with FakeOpenAI(fail_share=0.3) as server:
        backend = backend_of(server.base_url, max_retries=1)
        results = ask(backend, rows)
        failed = {name for name, result in results.items() if isinstance(result, Failure)}
        assert failed == {str(n) for n in range(30) if share_of(f"q {n}") < 0.3} != set()
        server.control(fail_share=0.0)
        assert all(isinstance(result, Response) for result in ask(backend, rows).values())


def test_throttling_honours_retry_after_up_to_the_cap() -> None:
    with FakeOpenAI(throttle=2, retry_after="7") as server:
        backend = backend_of(server.base_url)
        response = response_of(ask(backend, [row("a", "q")]), "a")
        assert server.requests == 3
    assert backend.waits == [7.0, 7.0]  # type: ignore[attr-defined]
    assert response.notes == {"attempts": 3}
    with FakeOpenAI(throttle=1, retry_after="86400") as server:
        backend = backend_of(server.base_url, max_retry_wait_seconds=5)
        ask(backend, [row("a", "q")])
    assert backend.waits == [5.0]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [("3", 3, 3), ("0.5", 0.5, 0.5), ("Tue, 01 Jan 2999 00:00:00 GMT", 1e9, 1e11)],
)
def test_retry_after_in_seconds_or_as_a_date(header: str, low: float, high: float) -> None:
    seconds = wire.retry_after({"retry-after": header})
    assert seconds is not None
    assert low <= seconds <= high


@pytest.mark.parametrize("header", ["", "soon", "nan", "inf", "0", "-3", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_retry_after_that_says_nothing(header: str) -> None:
    assert wire.retry_after({"retry-after": header}) is None


@pytest.mark.parametrize(
    ("status", "tries"), [(400, 1), (413, 1), (422, 1), (408, 3), (409, 3), (425, 3), (429, 3), (503, 3)]
)
def test_which_statuses_are_retried(status: int, tries: int) -> None:
    with FakeOpenAI(status=status) as server:
        failure = failure_of(ask(backend_of(server.base_url, max_retries=2), [row("a", "question of a patient")]), "a")
        assert server.requests == tries
    assert (failure.reason, failure.attempts) == (f"http_{status}", tries)
    assert failure.detail == f"HTTP {status}: status {status} for [text]"


@pytest.mark.parametrize("mode", ["hang", "trickle"])
def test_a_request_that_never_ends_is_a_timeout(mode: str) -> None:
    with FakeOpenAI(mode=mode) as server:
        backend = backend_of(server.base_url, timeout_seconds=0.2, max_retries=1)
        failure = failure_of(ask(backend, [row("a", "q")]), "a")
        assert server.requests == 2
    assert (failure.reason, failure.attempts) == ("timeout", 2)


def test_a_lost_connection_after_a_success_is_the_rows_own_failure() -> None:
    with FakeOpenAI() as server:
        backend = backend_of(server.base_url, max_retries=1)
        ask(backend, [row("a", "q")])
        server.control(mode="drop")
        failure = failure_of(ask(backend, [row("b", "q b")]), "b")
        assert server.questions["q b"] == 2
    assert (failure.reason, failure.attempts) == ("connection", 2)
    after = failure_of(ask(backend, [row("c", "q c")]), "c")
    assert (after.reason, after.attempts) == ("connection", 2)


@pytest.mark.parametrize("mode", ["garbage", "no_choices"])
def test_an_answer_that_is_no_completion_is_a_bad_response(mode: str) -> None:
    with FakeOpenAI(mode=mode) as server:
        failure = failure_of(ask(backend_of(server.base_url), [row("a", "q")]), "a")
    assert (failure.reason, failure.attempts) == ("bad_response", 1)


def test_null_content_that_nothing_explains_is_a_failure() -> None:
    with FakeOpenAI(mode="null") as server:
        failure = failure_of(ask(backend_of(server.base_url), [row("a", "q")]), "a")
    assert (failure.reason, failure.attempts) == ("null_content", 1)


@pytest.mark.parametrize(
    ("message", "finish", "expected"),
    [
        ({"content": None}, "content_filter", ("", "", {})),
        ({"content": None, "refusal": "I must decline."}, "stop", ("", "", {"refusal": "I must decline."})),
        ({"content": None, "reasoning_content": "Hm"}, "length", ("", "Hm", {})),
        ({"content": ""}, "stop", ("", "", {})),
        ({"content": "No.", "refusal": None}, "stop", ("No.", "", {})),
    ],
)
def test_blank_answers_that_the_body_explains(message: Row, finish: str, expected: tuple[str, str, Row]) -> None:
    answer = wire.read_answer({"choices": [{"message": message, "finish_reason": finish}]})
    assert isinstance(answer, Response)
    assert (answer.text, answer.reasoning, answer.notes) == expected
    assert answer.finish_reason == finish


@pytest.mark.parametrize("finish", ["stop", "length", "tool_calls", None])
def test_null_for_any_other_reason_is_no_refusal(finish: str | None) -> None:
    answer = wire.read_answer({"choices": [{"message": {"content": None}, "finish_reason": finish}]})
    assert isinstance(answer, Failure)
    assert answer.reason == "null_content"


def test_half_a_surrogate_pair_is_a_question_mark() -> None:
    for content in ("\ud83d effusion", [{"type": "text", "text": "\ud83d effusion"}]):
        response = wire.read_answer({"choices": [{"message": {"content": content}}]})
        assert isinstance(response, Response)
        assert response.text == "? effusion"


def test_reasoning_is_kept_apart() -> None:
    with FakeOpenAI(prefix="<think>lungs</think>\n\n") as server:
        response = response_of(ask(backend_of(server.base_url), [row("a", "Is it?")]), "a")
        assert (response.reasoning, response.text) == ("lungs", answer_to("Is it?"))
        server.control(prefix="", reasoning="heart")
        response = response_of(ask(backend_of(server.base_url), [row("a", "Is it?")]), "a")
        assert (response.reasoning, response.text) == ("heart", answer_to("Is it?"))


def test_no_server_is_a_model_error() -> None:
    url = f"http://user:pass@127.0.0.1:{free_port()}/v1"
    with pytest.raises(ModelError, match=r"no server answers at http://127\.0\.0\.1:.*2 attempts") as caught:
        ask(backend_of(url, max_retries=1), [row(str(n), "q") for n in range(5)])
    assert "pass" not in str(caught.value)


def test_a_refused_key_is_a_model_error_that_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", SECRET)
    with FakeOpenAI(key="another") as server:
        with pytest.raises(ModelError, match="refuses the key: the key in the environment variable MY_KEY") as caught:
            ask(backend_of(server.base_url, api_key_env="MY_KEY"), [row("a", "q")])
        assert server.requests == 1
        assert SECRET not in str(caught.value)
        with pytest.raises(ModelError, match="there is no key in the environment variable OTHER_KEY"):
            ask(backend_of(server.base_url, api_key_env="OTHER_KEY"), [row("a", "q")])
        server.control(key=SECRET)
        assert isinstance(ask(backend_of(server.base_url, api_key_env="MY_KEY"), [row("a", "q")])["a"], Response)


@pytest.mark.parametrize(("status", "sentence"), [(403, "forbids model 'fake'"), (404, "has no model 'fake'")])
def test_an_unusable_endpoint_is_a_model_error(status: int, sentence: str) -> None:
    with FakeOpenAI(status=status) as server, pytest.raises(ModelError, match=sentence):
        ask(backend_of(server.base_url), [row("a", "q")])


def test_a_refusal_after_success_is_the_rows_own_failure() -> None:
    with FakeOpenAI() as server:
        backend = backend_of(server.base_url)
        ask(backend, [row("a", "q")])
        server.control(status=403)
        assert failure_of(ask(backend, [row("b", "q")]), "b").reason == "http_403"


def test_details_hold_no_key_no_image_and_no_text() -> None:
    asked = row("a", 'Patient "Müller", 54, cough')
    data = base64.b64encode(JPEG).decode()
    echoed = json.dumps(asked["messages"][0]["content"][0]["text"])
    message = f"bad {SECRET} in data:image/jpeg;base64,{data} or {data} for {echoed}"
    cleaned = wire.clean(message, [SECRET, ""], asked)
    assert cleaned == 'bad *** in [image] or [data] for "[text]"'
    assert len(wire.clean("x " * 500, [], asked)) == 200


def test_labels_are_read_from_log_probabilities() -> None:
    questions = [f"judge {n}" for n in range(12)]
    with FakeOpenAI(labels=("A", " B", "C", "word")) as server:
        backend = backend_of(server.base_url)
        results = ask(backend, [row(q, q, labels=["A", "B", "C"], max_tokens=8, stop=["\n"]) for q in questions])
        body = server.bodies[0]
    assert (body["max_tokens"], body["logprobs"], body["top_logprobs"]) == (1, True, 20)
    assert "stop" not in body
    for question in questions:
        response = response_of(results, question)
        start = int(share_of(question) * 4)
        order = (["A", "B", "C", "word"] * 2)[start : start + 4]
        assert response.label_logprobs == {label: -0.5 - order.index(label) for label in "ABC"}
        assert response.text == next(label for label in order if label != "word")
        assert response.finish_reason == "label"


def test_variants_of_one_label_are_added() -> None:
    top = [{"token": "A", "logprob": -1.0}, {"token": " A", "logprob": -2.0}, {"token": "B", "logprob": -1.5}]
    body = {"choices": [{"message": {"content": "B"}, "logprobs": {"content": [{**top[0], "top_logprobs": top}]}}]}
    response = wire.read_labels(body, ["A", "B", "C"])
    assert response is not None
    assert response.label_logprobs == pytest.approx({"A": -0.6867383124817772, "B": -1.5})  # log(e^-1 + e^-2)
    assert response.text == "A"


def test_without_log_probabilities_the_label_is_a_text() -> None:
    rows = [row(str(n), f"Is it {n}?", labels=["A", "B"], max_tokens=8) for n in range(3)]
    with FakeOpenAI(labels=()) as server:
        backend = backend_of(server.base_url, concurrency=1)
        results = ask(backend, rows)
        assert server.requests == 4, "only the first row finds out"
        assert [body["max_tokens"] for body in server.bodies] == [1, 8, 8, 8]
        strict = ask(backend_of(server.base_url, label_mode="logprobs"), rows[:1])
        assert failure_of(strict, "0").reason == "no_logprobs"
    response = response_of(results, "0")
    assert (response.text, response.label_logprobs) == (answer_to("Is it 0?"), None)


def test_identity_without_a_revision_is_unpinned_and_bound_to_the_server() -> None:
    options = OpenAICompatible.Options(base_url="http://me:pw@host:8000/v1", model="m", extra_body={"top_k": -1})
    unpinned = OpenAICompatible.identity(options)
    assert (unpinned["pinned"], unpinned["revision"], unpinned["base_url"]) == (False, "", "http://host:8000/v1")
    pinned = OpenAICompatible.identity(options.model_copy(update={"revision": "abc"}))
    assert (pinned["pinned"], pinned["revision"]) == (True, "abc")
    assert "base_url" not in pinned
    assert pinned["extra_body"] == {"top_k": -1}


def test_extra_body_is_sent_and_omitted_fields_are_not() -> None:
    with FakeOpenAI() as server:
        options = {"extra_body": {"top_k": -1}, "omit": ("seed",), "max_tokens_field": "max_completion_tokens"}
        ask(backend_of(server.base_url, **options), [row("a", "q", stop=("END",))])
        body = server.bodies[0]
    assert (body["top_k"], body["max_completion_tokens"], body["stop"]) == (-1, 16, ["END"])
    assert not {"seed", "max_tokens"} & set(body)


def test_the_fake_server_runs_on_its_own_and_logs(tmp_path: Path) -> None:
    log = tmp_path / "requests.jsonl"
    command = [sys.executable, "-m", "tests.servers", "--log", str(log), "--prefix", "so: "]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        try:
            results = ask(backend_of(url), [row("a", "Is it?", images=1)])
        finally:
            process.kill()
    assert response_of(results, "a").text == "so: " + answer_to("Is it?")
    received, answered = [json.loads(line) for line in log.read_text().splitlines()]
    assert (received["event"], answered["event"], answered["status"]) == ("received", "answered", 200)
    assert received["question"] == "Is it?"
    assert len(received["images"]) == 1


@pytest.fixture(scope="module")
def transformers_serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Start `transformers serve` (a real OpenAI-compatible server) on CPU and offline; yield its URL and a model."""
    pytest.importorskip("fastapi", reason="transformers[serving] is not installed")
    folder = tiny_llava(tmp_path_factory.mktemp("llava"))
    cache = tmp_path_factory.mktemp("hub")
    port = free_port()
    environment = {**os.environ, "HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    program = str(Path(sys.executable).with_name("transformers"))
    log = (cache / "log").open("w")
    process = subprocess.Popen(
        [program, "serve", "--port", str(port), "--host", "127.0.0.1", "--device", "cpu"],
        env=environment, stdout=log, stderr=log,
    )  # fmt: skip
    try:
        _wait_for(f"http://127.0.0.1:{port}/health", process, seconds=90)
        yield f"http://127.0.0.1:{port}/v1", folder
    finally:
        process.kill()
        process.wait(10)
        log.close()


def _wait_for(url: str, process: subprocess.Popen[bytes], seconds: float) -> None:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        assert process.poll() is None, "transformers serve ended"
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{url} did not answer within {seconds} s")


def test_a_real_server_answers_images_and_labels(transformers_serve: tuple[str, Path]) -> None:
    import io

    from PIL import Image

    url, folder = transformers_serve
    picture = io.BytesIO()
    Image.new("RGB", (32, 24), (90, 20, 20)).save(picture, "JPEG")
    rows = [row(str(n), f"Is there finding {n}?", images=1, max_tokens=6) for n in range(3)]
    for one in rows:
        one["images"][0]["bytes"] = picture.getvalue()
    rows.append(row("judge", "A or B?", labels=["A", "B"], max_tokens=4))
    backend = backend_of(url, model=str(folder), concurrency=2)
    results = ask(backend, rows)
    for n in range(3):
        response = response_of(results, str(n))
        assert response.tokens_out == 6
        assert response.tokens_in is not None
        assert response.tokens_in > 4
    again = ask(backend, rows)
    assert [response_of(again, r["id"]).text for r in rows] == [response_of(results, r["id"]).text for r in rows]
    assert response_of(results, "judge").label_logprobs is None
