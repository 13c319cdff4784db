"""The vllm backend up to the engine's door: options, identity, prompts as token ids, outputs read; vLLM not needed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")

from raybench.errors import ModelError
from raybench.models import vllm as module
from raybench.models._hf_identity import describe
from raybench.models._vllm_options import deciding, prompt_side
from raybench.models.vllm import Vllm
from raybench.schema import Failure, Response, Row
from raybench.spec import ModelSpec
from tests.checkpoints import tiny_llama

ENGINE_GONE = type("EngineDeadError", (Exception,), {})
REFUSED = type("VLLMClientError", (Exception,), {})


@dataclass
class _Engine:
    """An engine that writes down what it is asked and answers with the token that `answer` says."""

    options: Any = None
    loaded: Any = None
    context: int = 400
    asked: list[Any] = field(default_factory=list)
    error: Exception | None = None
    finish: str = "stop"
    closed: bool = False
    Dead = ENGINE_GONE
    Refused = (REFUSED,)

    def sampling(self, **fields: Any) -> Any:
        return fields

    def forced(self, tokens: Any) -> Any:
        return list(tokens)

    async def ask(self, prompt: Any, sampling: Any) -> Any:
        self.asked.append((prompt, sampling))
        if self.error is not None:
            raise self.error
        forced = sampling if isinstance(sampling, list) else [11]
        logprobs = {token: SimpleNamespace(logprob=-1.0 - n) for n, token in enumerate(reversed(forced))}
        answer = SimpleNamespace(
            text="<think>a</think> yes", token_ids=[11], logprobs=[logprobs], finish_reason=self.finish
        )
        return SimpleNamespace(prompt_token_ids=prompt["prompt_token_ids"], outputs=[answer])

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def backend(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Vllm:
    monkeypatch.setenv("RAYBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "Engine", _Engine)
    return Vllm(Vllm.Options(model=str(tiny_llama(tmp_path / "llama"))))


def row(name: str = "a", text: str = "Is it?", **fields: Any) -> Row:
    return {"id": name, "messages": [{"role": "user", "content": text}], "images": [], "labels": None, **fields}


def ask(backend: Vllm, *rows: Row) -> dict[str, Any]:
    async def collect() -> dict[str, Any]:
        return {name: result async for name, result in backend.generate(rows)}

    return asyncio.run(collect())


def test_prompts_go_in_as_token_ids_with_one_bos_and_a_fixed_date(backend: Vllm) -> None:
    found = ask(backend, row("a"), row("b"))
    assert {name: one.text for name, one in found.items()} == {"a": "yes", "b": "yes"}
    assert found["a"].reasoning == "a"
    assert found["a"].mean_logprob == -1.0
    prompt, sampling = backend.engine.asked[0]
    tokenizer = backend.prompts.tokenizer
    assert prompt["prompt_token_ids"].count(tokenizer.bos_token_id) == 1
    assert prompt["prompt_token_ids"][0] == tokenizer.bos_token_id
    assert "26 Jul 2024" in backend.prompts.render(row()["messages"])
    assert (sampling["temperature"], sampling["top_p"], sampling["max_tokens"]) == (0.0, 1.0, 256)
    assert tokenizer.convert_tokens_to_ids("<|eot_id|>") in sampling["stop_tokens"]


def test_labels_are_forced_and_read_raw(backend: Vllm) -> None:
    (found,) = ask(backend, row(labels=["A", "B"])).values()
    assert found.text == "B"
    assert found.label_logprobs == {"A": -2.0, "B": -1.0}
    assert found.finish_reason == "label"
    with pytest.raises(ModelError, match="is not one token"):
        ask(backend, row(labels=["CORRECT ANSWER", "B"]))


def test_one_rows_trouble_is_its_own_failure(backend: Vllm) -> None:
    backend.engine.error = REFUSED("prompt refused")
    (found,) = ask(backend, row()).values()
    assert (found.reason, found.detail) == ("model", "VLLMClientError: prompt refused")
    shown = row(messages=[{"role": "user", "content": [{"type": "image", "image": 0}]}])
    assert ask(backend, shown)["a"].reason == "no_image_input"
    assert ask(backend, row(text="word " * 100))["a"].reason == "context_length"


def test_an_answer_that_the_context_cut_short_is_a_failure(backend: Vllm) -> None:
    backend.engine.context, backend.engine.finish = 10_000, "length"
    assert isinstance(ask(backend, row(sampling={"max_tokens": 5}))["a"], Failure)
    (whole,) = ask(backend, row(sampling={"max_tokens": 1})).values()
    assert isinstance(whole, Response)
    assert whole.finish_reason == "length"


def test_a_dead_engine_is_closed_and_raised(backend: Vllm) -> None:
    backend.engine.error = ENGINE_GONE("gone")
    with pytest.raises(ENGINE_GONE):
        ask(backend, row())
    assert backend.engine.closed


def test_identity_is_that_of_hf_and_holds_what_decides(backend: Vllm) -> None:
    options = backend.options.model_copy(update={"engine_args": {"max_num_seqs": 8, "kv_cache_dtype": "fp8"}})
    identity, theirs = Vllm.identity(options), describe(prompt_side(options))
    assert {name: identity[name] for name in ("model", "revision", "template", "dtype")} == {
        name: theirs[name] for name in ("model", "revision", "template", "dtype")
    }
    assert identity["engine_args"] == deciding(options.engine_args) == {"kv_cache_dtype": "fp8"}
    assert deciding({"load_format": "dummy"}) == {"load_format": "dummy"}, "random weights answer otherwise"
    wide = options.model_copy(update={"tensor_parallel": 4, "concurrency": 8, "max_model_len": 99})
    assert Vllm.identity(wide) == identity, "how it is spread changes no key"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pipeline_parallel_size": 2}, "one replica stays on one node"),
        ({"distributed_executor_backend": "ray"}, "one replica stays on one node"),
        ({"dtype": "half"}, "dtype is set by dtype"),
        ({"tensor_parallel_size": 2}, "is set by tensor_parallel"),
    ],
)
def test_engine_arguments_that_are_ours(arguments: Row, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Vllm.Options(model="m", engine_args=arguments)


def test_a_replica_asks_for_each_gpu_that_its_weights_are_spread_over() -> None:
    assert ModelSpec(name="m", backend="vllm", model="m", tensor_parallel=4, gpus=1).gpus == 4
    assert ModelSpec(name="m", backend="vllm", model="m", gpus=0.5).gpus == 0.5


def test_without_vllm_the_sentence_says_how_to_get_it(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setenv("RAYBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(ModelError, match=r"pip install 'raybench\[vllm\]'"):
        Vllm(Vllm.Options(model=str(tiny_llama(tmp_path / "llama"))))
