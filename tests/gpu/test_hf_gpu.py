"""The hf backend on CUDA: the CPU's answers, placement of replicas, memory that runs out, real model families.

RAYBENCH_LLAVA=/models/llava-1.5-7b-hf RAYBENCH_LLAMA3=/models/Meta-Llama-3-8B-Instruct make test-gpu
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")

import raybench
from raybench.interfaces import Backend
from raybench.judges.reference_verdict import ReferenceVerdict
from raybench.models.hf import HuggingFace
from raybench.schema import Failure, Response, Row

pytestmark = pytest.mark.gpu

PROTOCOL = ReferenceVerdict()


def ask(backend: Backend, rows: list[Row]) -> dict[str, Any]:
    async def collect() -> dict[str, Any]:
        return {name: result async for name, result in backend.generate(rows)}

    return asyncio.run(collect())


def questions(count: int, images: bool = False, words: int = 0, max_tokens: int = 12) -> list[Row]:
    image = {"bytes": bytes([90, 20, 20]) * 64 * 64, "media_type": "image/x-rgb8", "width_px": 64, "height_px": 64}
    parts: list[Row] = [{"type": "image", "image": 0}] if images else []
    text = " ".join(["shape"] * words)
    return [
        {
            "id": str(n), "images": [image] if images else [], "labels": None,
            "messages": [{"role": "user", "content": [*parts, {"type": "text", "text": f"{text} Is it {n}?"}]}],
            "sampling": {"temperature": 0.0, "top_p": 1.0, "max_tokens": max_tokens, "seed": 0, "stop": []},
        }
        for n in range(count)
    ]  # fmt: skip


def verdict_rows() -> list[Row]:
    pairs = [("Is there a mass?", "no", "No mass is seen."), ("Is there a mass?", "no", "Yes, in the left lung.")]
    return [
        {
            "id": str(n), "images": [], "labels": list(PROTOCOL.labels),
            "messages": PROTOCOL.messages({"question": question, "reference": reference, "candidate": candidate}),
        }
        for n, (question, reference, candidate) in enumerate(pairs)
    ]  # fmt: skip


def backend_of(model: str, **options: Any) -> HuggingFace:
    return HuggingFace(HuggingFace.Options(model=model, **options))


@pytest.mark.parametrize("model", ["raybench://tiny-judge", "raybench://tiny-llava-a"])
def test_bfloat16_on_a_gpu_agrees_with_float32_on_the_cpu(model: str) -> None:
    rows = questions(8, images=model.endswith("llava-a"))
    gpu = ask(backend_of(model, dtype="bfloat16", device="cuda"), rows)
    cpu = ask(backend_of(model, dtype="float32", device="cpu"), rows)
    assert sum(gpu[name].text == cpu[name].text for name in cpu) >= 6
    for name, one in cpu.items():
        assert gpu[name].tokens_in == one.tokens_in
        assert gpu[name].mean_logprob == pytest.approx(one.mean_logprob, abs=0.1)


def test_memory_that_runs_out_halves_the_batch() -> None:
    import torch

    backend = backend_of("raybench://tiny-judge", device="cuda", batch_size=256)
    rows = questions(256, words=150)
    torch.cuda.empty_cache()
    allowed = torch.cuda.memory_reserved() + 300 * 2**20
    torch.cuda.set_per_process_memory_fraction(allowed / torch.cuda.get_device_properties(0).total_memory)
    try:
        found = ask(backend, rows)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert all(isinstance(one, Response) for one in found.values())
    assert any("halved_batch" in one.notes for one in found.values())


def run_of(folder: Path, rows: int, **model: Any) -> Any:
    table = folder / "questions.csv"
    lines = [f'{n},"Is number {n} shown?",{"yes" if n % 2 else "no"}' for n in range(rows)]
    table.write_text("\n".join(["id,question,answer", *lines]), "utf-8")
    entry = {"name": "tiny", "backend": "hf", "model": "raybench://tiny-judge", "gpus": 1, "batch_size": 8, **model}
    return raybench.run({
        "output": str(folder / "out"), "tasks": [{"task": "vqa", "data": str(table)}], "models": [entry],
    })  # fmt: skip


def test_a_replica_is_placed_on_its_gpu(tmp_path: Path, gpu_ray: None) -> None:
    assert run_of(tmp_path, 64).exit_code == 0
    assert len(raybench.load(tmp_path / "out").responses) == 64


@pytest.mark.gpu(count=2)
def test_two_replicas_work_on_two_gpus(tmp_path: Path, gpu_ray: None) -> None:
    assert run_of(tmp_path, 400, replicas=2).exit_code == 0
    assert raybench.load(tmp_path / "out").responses["replica"].nunique() == 2


@pytest.mark.parametrize("checkpoint", ["RAYBENCH_LLAVA"], indirect=True)
def test_a_llava_class_checkpoint_answers_images(checkpoint: str) -> None:
    found = ask(backend_of(checkpoint, dtype="bfloat16", batch_size=4), questions(8, images=True))
    assert not [one for one in found.values() if isinstance(one, Failure)]
    assert all(one.text.strip() for one in found.values())
    assert all(one.tokens_in > 500 for one in found.values()), "576 tokens an image at 336 px"


@pytest.mark.parametrize("checkpoint", ["RAYBENCH_LLAMA3"], indirect=True)
def test_a_llama_3_class_checkpoint_judges(checkpoint: str) -> None:
    right, wrong = ask(backend_of(checkpoint, dtype="bfloat16"), verdict_rows()).values()
    assert PROTOCOL.parse(right).label == "CORRECT"
    assert PROTOCOL.parse(wrong).label == "INCORRECT"
