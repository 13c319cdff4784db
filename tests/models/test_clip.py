"""The clip backend against transformers' own `logits_per_image` on a tiny random CLIP."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raybench.errors import DataError, ModelError
from raybench.models.clip import Clip, read_candidates
from raybench.schema import Failure, Response
from tests.checkpoints import tiny_clip, tiny_llama

RED, BLUE = (200, 20, 20), (20, 20, 200)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_clip(tmp_path_factory.mktemp("clip"))


def _row(name: str, colour: tuple[int, int, int] = RED, **fields: Any) -> dict[str, Any]:
    pixels = np.full((24, 32, 3), colour, dtype=np.uint8)
    image = {"bytes": pixels.tobytes(), "media_type": "image/x-rgb8", "width_px": 32, "height_px": 24}
    return {"id": name, "images": [image], "choices": [], "question": "What is it?", **fields}


def _generate(backend: Clip, rows: list[dict[str, Any]]) -> dict[str, Response | Failure]:
    async def collect() -> dict[str, Response | Failure]:
        return {key: result async for key, result in backend.generate(rows)}

    return asyncio.run(collect())


def test_it_chooses_as_transformers_does(folder: Path) -> None:
    import torch
    from PIL import Image
    from transformers import AutoModel, AutoProcessor

    backend = Clip(Clip.Options(model=str(folder), template="a picture of {answer}", batch_size=4))
    choices = ["effusion", "nodule", "normal lungs"]
    rows = [_row("red", choices=choices), _row("blue", BLUE, choices=choices)]
    found = _generate(backend, rows)
    model, processor = AutoModel.from_pretrained(folder).eval(), AutoProcessor.from_pretrained(folder)
    for name, colour in (("red", RED), ("blue", BLUE)):
        picture = Image.new("RGB", (32, 24), colour)
        texts = [f"a picture of {choice}" for choice in choices]
        batch = processor(text=texts, images=[picture], padding=True, return_tensors="pt")
        with torch.inference_mode():
            expected = model(**batch).logits_per_image[0].log_softmax(-1).tolist()
        answer = found[name]
        assert isinstance(answer, Response)
        assert answer.label_logprobs == pytest.approx(dict(zip(choices, expected, strict=True)), abs=1e-4)
        assert answer.text == choices[int(np.argmax(expected))]
        assert sum(np.exp(list(answer.label_logprobs.values()))) == pytest.approx(1)


def test_candidates_come_from_choices_then_the_question_then_the_list(folder: Path) -> None:
    backend = Clip(
        Clip.Options(model=str(folder), candidates=("left lung", "right lung"), template="{question} {answer}")
    )
    found = _generate(backend, [
        _row("choice", choices=["A", "B"]), _row("closed", question="Is there an effusion?"), _row("open"),
    ])  # fmt: skip
    keys = {name: set(answer.label_logprobs or {}) for name, answer in found.items() if isinstance(answer, Response)}
    assert keys == {"choice": {"A", "B"}, "closed": {"yes", "no"}, "open": {"left lung", "right lung"}}


def test_rows_it_has_no_word_for_fail_alone(folder: Path) -> None:
    backend = Clip(Clip.Options(model=str(folder)))
    found = _generate(backend, [_row("open"), {**_row("blind"), "images": []}, _row("fine", choices=["a", "b"])])
    assert isinstance(found["fine"], Response)
    failures = [answer for name in ("open", "blind") if isinstance(answer := found[name], Failure)]
    assert [failure.reason for failure in failures] == ["candidates", "images"]


def test_identity_holds_what_decides(folder: Path, tmp_path: Path) -> None:
    base = Clip.identity(Clip.Options(model=str(folder)))
    assert base["pinned"] is True
    others = [
        Clip.identity(Clip.Options(model=str(folder), template="{question} {answer}")),
        Clip.identity(Clip.Options(model=str(folder), candidates=("x",))),
    ]
    assert all(other != base for other in others)
    with pytest.raises(ModelError, match="not a CLIP-like model"):
        Clip(Clip.Options(model=str(tiny_llama(tmp_path / "llama"))))


def test_files_of_candidates(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("left\n\nright\nleft\n", "utf-8")
    (tmp_path / "b.json").write_text(json.dumps({"0": ["x", "y"]}), "utf-8")
    assert read_candidates(str(tmp_path / "a.txt")) == ("left", "right")
    assert read_candidates(str(tmp_path / "b.json")) == ("x", "y")
    (tmp_path / "c.json").write_text("3", "utf-8")
    with pytest.raises(DataError, match=r"c\.json holds no texts"):
        read_candidates(str(tmp_path / "c.json"))
    with pytest.raises(DataError, match=r"cannot read nope\.txt"):
        read_candidates("nope.txt")
