"""The vllm backend on CUDA, held against the hf backend: forced labels, raw log probabilities, images, two GPUs."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("vllm", reason="vLLM is not installed: pip install 'raybench[vllm]'")

from raybench.judges.reference_verdict import ReferenceVerdict
from raybench.models.hf import HuggingFace
from raybench.models.vllm import Vllm
from tests.gpu.test_hf_gpu import ask, questions, verdict_rows

pytestmark = pytest.mark.gpu

PROTOCOL = ReferenceVerdict()
#: bfloat16 arithmetic in another order, in log probability.
CLOSE = 0.15


def engine_of(model: str, **options: Any) -> Vllm:
    return Vllm(Vllm.Options(model=model, engine_args={"gpu_memory_utilization": 0.4}, **options))


def test_forced_labels_have_raw_log_probabilities() -> None:
    theirs = ask(HuggingFace(HuggingFace.Options(model="raybench://tiny-judge", device="cuda")), verdict_rows())
    backend = engine_of("raybench://tiny-judge")
    try:
        ours = ask(backend, verdict_rows())
    finally:
        backend.close()
    for name, one in theirs.items():
        assert ours[name].text == one.text
        assert dict(ours[name].label_logprobs) == pytest.approx(dict(one.label_logprobs), abs=CLOSE)


@pytest.mark.parametrize("checkpoint", ["RAYBENCH_LLAVA"], indirect=True)
def test_a_llava_class_checkpoint_answers_images(checkpoint: str) -> None:
    backend = Vllm(Vllm.Options(model=checkpoint, dtype="bfloat16"))
    try:
        found = ask(backend, questions(8, images=True))
    finally:
        backend.close()
    assert all(one.text.strip() and one.tokens_in > 500 for one in found.values())


@pytest.mark.parametrize("checkpoint", ["RAYBENCH_LLAMA3"], indirect=True)
def test_a_llama_3_class_checkpoint_judges(checkpoint: str) -> None:
    backend = Vllm(Vllm.Options(model=checkpoint, dtype="bfloat16", max_model_len=4096))
    try:
        right, wrong = ask(backend, verdict_rows()).values()
    finally:
        backend.close()
    assert PROTOCOL.parse(right).label == "CORRECT"
    assert PROTOCOL.parse(wrong).label == "INCORRECT"
    assert PROTOCOL.parse(right).label_mass > 0.5


@pytest.mark.gpu(count=2)
@pytest.mark.parametrize("checkpoint", ["RAYBENCH_LLAMA3"], indirect=True)
def test_tensor_parallel_spreads_one_replica_over_two_gpus(checkpoint: str) -> None:
    backend = Vllm(Vllm.Options(model=checkpoint, dtype="bfloat16", max_model_len=2048, tensor_parallel=2))
    try:
        found = ask(backend, questions(4))
    finally:
        backend.close()
    assert all(one.text.strip() for one in found.values())
