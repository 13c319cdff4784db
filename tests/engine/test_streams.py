"""Which models share a pool, and which pools are at work at once; no Ray needed."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from raybench.engine.plan import PlannedModel
from raybench.engine.streams import MOST_AT_ONCE, Stream, grouped, run_side_by_side, sharers
from raybench.spec import ModelSpec


def _model(name: str, revision: str = "1", **fields: Any) -> PlannedModel:
    spec = ModelSpec.model_validate({"name": name, "backend": "hf", "model": "x", **fields})
    return PlannedModel(spec, {"model": "x", "revision": revision}, "c", True)


def _stream(name: str, **fields: Any) -> Stream:
    return Stream((_model(name, **fields),))


def test_models_that_differ_in_sampling_share_one_load() -> None:
    models = [_model("a@t=0", swept={"seed": 1}), _model("b", "2"), _model("a@t=1", swept={"seed": 2})]
    assert [stream.names for stream in grouped(models)] == [["a@t=0", "a@t=1"], ["b"]]


@pytest.mark.parametrize("change", [{"dtype": "float16"}, {"gpus": 1}, {"replicas": 2}, {"boxes": "bbox_1000"}])
def test_models_that_load_otherwise_do_not(change: dict[str, Any]) -> None:
    assert len(grouped([_model("a"), _model("b", **change)])) == 2


class _Work:
    """Streams that end when told, and how many were at work at once."""

    def __init__(self) -> None:
        self.lock, self.now, self.most, self.order = threading.Lock(), 0, 0, list[str]()
        self.together: set[frozenset[str]] = set()
        self.running: set[str] = set()
        self.meet = threading.Barrier(2, timeout=5)

    def alone(self, stream: Stream) -> None:
        with self.lock:
            self.now += 1
            self.running.add(stream.name)
            self.most = max(self.most, self.now)
            self.together.add(frozenset(self.running))
            self.order.append(stream.name)
        with self.lock:
            self.now -= 1
            self.running.discard(stream.name)

    def in_pairs(self, stream: Stream) -> None:
        self.order.append(stream.name)
        self.meet.wait()  # passes only if another stream is at work


def test_streams_that_fit_run_side_by_side() -> None:
    work = _Work()
    run_side_by_side([_stream("a", gpus=1), _stream("b", gpus=1)], work.in_pairs, None, lambda: {"CPU": 0, "GPU": 2})
    assert sorted(work.order) == ["a", "b"]


@pytest.mark.parametrize("gpus", [2, 1, 0])
def test_streams_that_do_not_fit_run_one_after_another_in_order(gpus: float) -> None:
    work = _Work()
    streams = [_stream(name, gpus=1, replicas=[1, 2]) for name in "abc"]
    run_side_by_side(streams, work.alone, None, lambda: {"CPU": 8, "GPU": gpus})
    assert (work.order, work.most) == (["a", "b", "c"], 1)


def test_a_spec_may_ask_for_more_or_less_than_there_is_room_for() -> None:
    work = _Work()
    run_side_by_side([_stream("a", gpus=8), _stream("b", gpus=8)], work.in_pairs, 2, lambda: {"CPU": 0, "GPU": 0})
    assert sorted(work.order) == ["a", "b"]
    alone = _Work()
    run_side_by_side([_stream("a"), _stream("b")], alone.alone, 1, lambda: {"CPU": 99, "GPU": 0})
    assert alone.most == 1


def test_a_small_stream_passes_a_large_one_that_waits() -> None:
    begun, order = threading.Event(), list[str]()

    def work(stream: Stream) -> None:
        order.append(stream.name)
        if stream.name == "first":
            assert begun.wait(5)  # until "small" has begun
        elif stream.name == "small":
            begun.set()

    streams = [_stream("first", gpus=1), _stream("large", gpus=2), _stream("small", cpus=1)]
    run_side_by_side(streams, work, None, lambda: {"CPU": 1, "GPU": 2})
    assert order == ["first", "small", "large"]


def test_no_more_at_once_than_have_readers() -> None:
    held, release, seen = threading.Semaphore(0), threading.Event(), list[int]()

    def work(_: Stream) -> None:
        held.release()
        release.wait(5)

    streams = [_stream(str(i), backend="openai", base_url="http://x/v1") for i in range(MOST_AT_ONCE + 2)]
    runner = threading.Thread(target=run_side_by_side, args=(streams, work, None, lambda: {"CPU": 0, "GPU": 0}))
    runner.start()
    for _ in range(MOST_AT_ONCE):
        assert held.acquire(timeout=5)
    seen.append(held.acquire(timeout=0.05))
    release.set()
    runner.join(5)
    assert seen == [False]


def test_what_a_stream_raises_is_raised() -> None:
    def work(stream: Stream) -> None:
        if stream.name == "a":
            raise KeyError("weights")

    with pytest.raises(KeyError, match="weights"):
        run_side_by_side([_stream("a"), _stream("b")], work, 2, lambda: {"CPU": 0, "GPU": 0})


def test_pools_that_may_not_all_fit_share_the_cpus() -> None:
    streams = [_stream(name) for name in "abcdefg"]
    judge, on_gpus = _model("j").spec, _model("k", gpus=1).spec
    assert sharers(streams, [], None) == 1, "each waits until the whole of it fits"
    assert sharers(streams, [], 2) == 2
    assert sharers(streams[:1], [], 2) == 1
    assert sharers(streams, [judge, on_gpus], None) == MOST_AT_ONCE + 1
    assert sharers(streams[:1], [judge], None) == 2
    assert sharers([_stream("a", gpus=1)], [on_gpus], 3) == 1
