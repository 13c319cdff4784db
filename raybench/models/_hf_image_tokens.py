"""How many tokens an image becomes in a checkpoint's prompt, from its processor alone."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from raybench.errors import ModelError
from raybench.models._hf_identity import HuggingFaceOptions
from raybench.models._hf_loading import load

__all__ = ["image_tokens"]


def image_tokens(options: HuggingFaceOptions, width_px: int, height_px: int) -> int | None:
    """Return the tokens of one image; None where the processor cannot say or is out of reach."""
    processor = _processor(options.model_dump_json())
    count = getattr(processor, "_get_num_multimodal_tokens", None)
    if count is None:
        return None
    try:
        (tokens,) = count(image_sizes=[(height_px, width_px)]).num_image_tokens
    except (AttributeError, LookupError, TypeError, ValueError, NotImplementedError):
        return None  # an image processor without the sizes that its model's formula wants
    return int(tokens)


@lru_cache(maxsize=8)
def _processor(options: str) -> Any:
    try:
        loaded = load(HuggingFaceOptions.model_validate_json(options), weights=False)
    except (ImportError, ModelError):
        return None
    return loaded.templater if loaded.reads_images else None
