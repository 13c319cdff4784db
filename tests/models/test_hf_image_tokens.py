"""Image tokens from the processor alone, against the prompt that the same processor builds."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from raybench import registry
from raybench.models._hf_identity import HuggingFaceOptions
from raybench.models._hf_loading import load


@pytest.mark.parametrize("size", [(64, 48), (640, 480)])
def test_as_many_as_stand_in_the_prompt(size: tuple[int, int]) -> None:
    entry = registry.catalogue()["tiny-llava-a"]
    options = HuggingFaceOptions(model=entry["model"])
    processor = load(options, weights=False).templater
    made = processor(text=processor.image_token, images=Image.new("RGB", size), return_tensors="pt")
    placed = int((made["input_ids"] == processor.image_token_id).sum())
    assert placed > 1
    assert registry.load("models", "hf").image_tokens(options, *size) == placed


def test_unknown_where_there_is_no_processor(tmp_path: Path) -> None:
    options = HuggingFaceOptions(model=str(tmp_path))
    assert registry.load("models", "hf").image_tokens(options, 10, 10) is None
