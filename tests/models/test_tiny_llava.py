"""The shipped tiny LLaVAs: they load by the usual classes, prompts are those of training, and they see.

The slow test asks about 300 new images of each kind and holds model a to its bars.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")

from PIL import Image  # noqa: E402

from raybench import registry  # noqa: E402
from raybench.data import phantoms  # noqa: E402
from raybench.models.hf import HuggingFace  # noqa: E402
from tools._tiny_checkpoint import COORDINATES  # noqa: E402
from tools._tiny_corpus import shrink  # noqa: E402
from tools._tiny_evaluation import Exchange, ask, average_precision, evaluate, exchanges, read_lines  # noqa: E402
from tools._tiny_packing import Packer, packed_attention, packed_logits, pixels  # noqa: E402
from tools.train_tiny import WEIGHTS  # noqa: E402

NAMES = ("tiny-llava-a", "tiny-llava-b")
#: Neither training nor the model cards use it.
SEED = 977


@functools.cache
def loaded(name: str) -> tuple[Any, Any]:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    model = AutoModelForImageTextToText.from_pretrained(WEIGHTS / name, dtype="auto").eval()
    return model, AutoProcessor.from_pretrained(WEIGHTS / name)


@functools.cache
def asked(images: int = 6) -> tuple[Exchange, ...]:
    return tuple(exchanges(SEED, images))


def prompt_of(processor: Any, text: str) -> str:
    content = [{"type": "image"}, {"type": "text", "text": text}]
    return str(processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True))


def picture(one: Exchange) -> Image.Image:
    return Image.fromarray(phantoms.render(one.phantom, 192)).convert("RGB")


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_holds_a_small_llava_with_its_card(name: str) -> None:
    model, processor = loaded(name)
    assert type(model).__name__ == "LlavaForConditionalGeneration"
    assert type(processor).__name__ == "LlavaProcessor"
    assert model.dtype == torch.float32
    assert sum(path.stat().st_size for path in (WEIGHTS / name).glob("*.safetensors")) <= 8_000_000
    assert sorted(path.suffix for path in (WEIGHTS / name).iterdir() if path.suffix in (".bin", ".pt")) == []
    card = (WEIGHTS / name / "README.md").read_text(encoding="utf-8")
    assert "license: apache-2.0" in card
    assert "never" in card


@pytest.mark.parametrize("name", NAMES)
def test_the_catalogue_names_the_shipped_folder(name: str) -> None:
    entry = registry.catalogue()[name]
    assert (entry["model"], entry["backend"], entry["boxes"]) == (f"raybench://{name}", "hf", "xyxy-norm")
    packaged = HuggingFace.identity(HuggingFace.Options(model=entry["model"]))
    assert packaged["revision"] == HuggingFace.identity(HuggingFace.Options(model=str(WEIGHTS / name)))["revision"]


@pytest.mark.parametrize("name", NAMES)
def test_processor_and_training_make_the_same_inputs(name: str) -> None:
    _, processor = loaded(name)
    packer = Packer(processor.tokenizer)
    for one in asked()[::7]:
        batch = processor(
            text=[prompt_of(processor, one.prompt)],
            images=[[picture(one)]],
            return_tensors="pt",
            add_special_tokens=False,
        )
        assert batch["input_ids"][0].tolist() == packer.prompt(one.prompt)
        trained = pixels(shrink(phantoms.render(one.phantom, 192))[None])
        np.testing.assert_allclose(batch["pixel_values"].numpy(), trained.numpy(), atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_each_coordinate_is_one_token(name: str) -> None:
    _, processor = loaded(name)
    for text in COORDINATES:
        assert len(processor.tokenizer(text, add_special_tokens=False)["input_ids"]) == 1
    text = phantoms.box_text([box for one in asked() for box in one.phantom.boxes])
    ids = processor.tokenizer(text, add_special_tokens=False)["input_ids"]
    assert processor.tokenizer.decode(ids, skip_special_tokens=True) == text


def test_packed_questions_are_answered_as_single_ones() -> None:
    model, processor = loaded("tiny-llava-a")
    packer = Packer(processor.tokenizer)
    long, short = [asked()[0], asked()[1]], [asked()[2], asked()[3], asked()[4]]
    packs = [packer.pack([[(one.prompt, one.target) for one in some]]) for some in (long, short)]
    images = pixels(shrink(phantoms.render(long[0].phantom, 192))[None])
    singles = []
    with torch.inference_mode():
        with packed_attention(model):
            together = packed_logits(model, images, packs, torch.tensor(packer.prefix))
        for one in (*long, *short):
            ids = torch.tensor([[*packer.prompt(one.prompt), *packer.ids(one.target)]])
            logits = model(input_ids=ids, pixel_values=images, attention_mask=torch.ones_like(ids)).logits[0]
            singles.append(logits[len(packer.prompt(one.prompt)) - 1 :])
    torch.testing.assert_close(together, torch.cat(singles), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_left_padded_batches_answer_as_single_rows(name: str) -> None:
    some = asked()[::11]
    assert ask(WEIGHTS / name, some, batch_size=len(some)) == ask(WEIGHTS / name, some, batch_size=1)


def test_model_a_answers_right_and_b_less_often() -> None:
    shares = {}
    for name in NAMES:
        answered = ask(WEIGHTS / name, asked(), batch_size=32)
        exact = [text == one.target for one, text in zip(asked(), answered, strict=True) if _is_short(one)]
        shares[name] = float(np.mean(exact))
    assert shares["tiny-llava-a"] > 0.92
    assert shares["tiny-llava-b"] < shares["tiny-llava-a"]


def _is_short(one: Exchange) -> bool:
    return one.task in ("phantom_cxr_classification", "phantom_vqa")


def test_box_lines_are_read_strictly() -> None:
    assert read_lines("none") == []
    assert read_lines("nodule [0.10, 0.20, 0.30, 0.40]\nopacity [0.50, 0.50, 1.00, 0.90]") == [
        ("nodule", 0.1, 0.2, 0.3, 0.4),
        ("opacity", 0.5, 0.5, 1.0, 0.9),
    ]
    for text in ("", "none\n", "nodule [0.10, 0.20, 0.30]", "nodule [0.30, 0.20, 0.10, 0.40]", "nodule 0.1"):
        assert read_lines(text) is None


def test_average_precision_of_hand_made_boxes() -> None:
    pytest.importorskip("pycocotools", reason="pycocotools is not installed")
    truth = [[("nodule", 0.1, 0.1, 0.3, 0.3)], [("nodule", 0.5, 0.5, 0.9, 0.9)]]
    assert average_precision(truth, truth) == 1.0
    # One of two found, without a false box: precision 1 up to recall 0.5, 51 of COCO's 101 recall points.
    assert average_precision(truth, [truth[0], []]) == pytest.approx(51 / 101)


@pytest.mark.slow
def test_model_a_keeps_its_bars_on_new_images_and_b_stays_behind() -> None:
    pytest.importorskip("pycocotools", reason="pycocotools is not installed")
    a = evaluate(WEIGHTS / "tiny-llava-a", SEED, 300)
    assert a["cxr_normal_or_abnormal"] >= 0.95
    assert a["cxr_normal_or_abnormal_with_choices"] >= 0.95
    assert a["yes_no"] >= 0.95
    assert a["cxr_ap50_any_finding"] >= 0.6
    assert a["mri_ap50_any_finding"] >= 0.6
    assert a["malformed_box_answers"] == 0
    assert a["refused_unanswerable"] >= 0.98
    assert a["refused_answerable"] <= 0.01
    b = evaluate(WEIGHTS / "tiny-llava-b", SEED, 300)
    for name in ("yes_no", "cxr_ap50_any_finding", "mri_ap50_any_finding"):
        assert b[name] < a[name] - 0.02
