"""Several questions behind one image: how they are laid out as tensors, and the attention that keeps them apart.

A question costs a tenth of what its image does, so a training step asks several
behind one prefix (role, image tokens). Each attends to the prefix and to itself, and
starts at the position right after the prefix: it sees what it would see alone.

    packer = Packer(tokenizer)
    packs = [packer.pack([[("Where are the findings?", "none")]])]
    with packed_attention(model):
        logits = packed_logits(model, pixels(images), packs, torch.tensor(packer.prefix))
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np

from tools._tiny_checkpoint import PATCHES

__all__ = ["Packer", "flat", "image_features", "packed_attention", "packed_logits", "pixels"]


def pixels(images: Any) -> Any:
    """Return (n, 3, 96, 96) float32 in -2..2 from (n, 96, 96) uint8: what the processor gives."""
    import torch

    grey = torch.tensor(images).float().div(255).sub(0.5).div(0.25)
    return grey.unsqueeze(1).expand(-1, 3, -1, -1)


class Packer:
    """Turns images and their conversations into packed token tensors."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        user, image, assistant = tokenizer.convert_tokens_to_ids(["<|user|>", "<image>", "<|assistant|>"])
        self.prefix = [tokenizer.bos_token_id, user, *[image] * PATCHES]
        self._assistant = assistant
        self._known: dict[str, list[int]] = {}

    def ids(self, text: str) -> list[int]:
        """Return the tokens of a prompt's or answer's text."""
        if text not in self._known:
            self._known[text] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return self._known[text]

    def prompt(self, text: str) -> list[int]:
        """Return a whole prompt as the model gets it at inference."""
        return [*self.prefix, *self.ids(text), self._assistant]

    def pack(self, turns: list[list[tuple[str, str]]]) -> dict[str, Any]:
        """Return tensors of shape (images, questions, length): ids, target, weight.

        `target` is the next token where it belongs to an answer, else -1. Padding stands
        on the right, where no real token looks.
        """
        import torch

        rows = [[self._row(prompt, answer) for prompt, answer in some] for some in turns]
        length = -(-max(len(row[0]) for some in rows for row in some) // 8) * 8
        shape = (len(rows), len(rows[0]), length)
        ids = np.full(shape, self._tokenizer.pad_token_id, np.int64)
        target, weight = np.full(shape, -1, np.int64), np.zeros(shape, np.float32)
        for i, some in enumerate(rows):
            for j, (tokens, said) in enumerate(some):
                learnt = slice(len(tokens) - len(said), len(tokens))
                ids[i, j, : len(tokens)], target[i, j, learnt] = tokens, said
                # Long answers weigh more than short ones, though not by their length.
                weight[i, j, learnt] = 1 / math.sqrt(len(said))
        return {"ids": torch.from_numpy(ids), "target": torch.from_numpy(target), "weight": torch.from_numpy(weight)}

    def _row(self, prompt: str, answer: str) -> tuple[list[int], list[int]]:
        """Return the tokens after the prefix but the last, and those to be learnt (the end included)."""
        said = [*self.ids(answer), self._tokenizer.eos_token_id]
        return [*self.ids(prompt), self._assistant, *said[:-1]], said


def image_features(model: Any, images: Any) -> Any:
    """Return (n, patches, width) of the tower's last layer, as LLaVA takes them."""
    seen = model.model.vision_tower(images, output_hidden_states=True)
    return seen.hidden_states[-1][:, 1:]


@contextmanager
def packed_attention(model: Any) -> Iterator[None]:
    """Let the language model attend as packed questions need, and the tower by plain products."""
    from transformers import AttentionInterface

    AttentionInterface.register("packed", _packed_attention)
    model.set_attn_implementation({"vision_config": "eager", "text_config": "packed"})
    try:
        yield
    finally:
        model.set_attn_implementation("sdpa")


def packed_logits(model: Any, images: Any, packs: list[dict[str, Any]], prefix: Any) -> Any:
    """Return (answer tokens, vocabulary) where a target is set: image by image, in each pack by pack.

    Args:
        model: a LLaVA within `packed_attention`.
        images: (n, 3, 96, 96) as of `pixels`.
        packs: of `Packer.pack`, each for the same n images.
        prefix: (tokens,) ids before a question.
    """
    import torch

    language, start = model.model.language_model, len(prefix)
    before = language.embed_tokens(prefix[: start - PATCHES]).expand(len(images), -1, -1)
    seen = model.model.multi_modal_projector(image_features(model, images)).to(before.dtype)
    layout = tuple(tuple(pack["ids"].shape[1:]) for pack in packs)
    places = [torch.arange(start), *(torch.arange(start, start + length).repeat(count) for count, length in layout)]
    hidden = language(
        inputs_embeds=torch.cat([before, seen, language.embed_tokens(flat(packs, "ids"))], dim=1),
        position_ids=torch.cat(places)[None],
        use_cache=False,
        prefix=start,
        layout=layout,
    ).last_hidden_state
    return model.lm_head(hidden[:, start:][flat(packs, "target") >= 0])


def flat(packs: list[dict[str, Any]], name: str) -> Any:
    """Return (images, tokens) of all packs side by side."""
    import torch

    return torch.cat([pack[name].flatten(1) for pack in packs], dim=1)


def _packed_attention(
    _module: Any, query: Any, key: Any, value: Any, _mask: Any, *, scaling: float, **layout: Any
) -> tuple[Any, None]:
    """Causal attention within the prefix, and from each question to the prefix and to itself.

    Tensors are (images, heads, prefix + the packs' questions x length, width). A fraction of
    a masked square's scores need computing, and torch's fused CPU kernel is slow backwards.
    """
    import torch

    start, query = layout["prefix"], query * scaling
    first_key, first_value = key[:, :, :start], value[:, :, :start]
    ahead = query[:, :, :start] @ first_key.transpose(-1, -2) + _future(start)
    seen = [ahead.softmax(-1).to(value.dtype) @ first_value]
    for questions, length in layout["layout"]:
        end = start + questions * length
        asked, keys, values = (one[:, :, start:end].unflatten(2, (questions, length)) for one in (query, key, value))
        common = (asked.flatten(2, 3) @ first_key.transpose(-1, -2)).unflatten(2, (questions, length))
        own = asked @ keys.transpose(-1, -2) + _future(length)
        shares = torch.cat([common, own], dim=-1).softmax(-1).to(value.dtype)
        cut = first_key.shape[2]
        seen.append(shares[..., :cut].flatten(2, 3) @ first_value + (shares[..., cut:] @ values).flatten(2, 3))
        start = end
    return torch.cat(seen, dim=2).transpose(1, 2), None


@lru_cache(maxsize=64)
def _future(length: int) -> Any:
    """Return (length, length) bfloat16: minus infinity where a key comes after its query, else 0."""
    import torch

    return torch.full((length, length), float("-inf"), dtype=torch.bfloat16).triu(1)
