"""What a micro-batch's prompts begin with alike, read once: a judge's rules and examples are most of every prompt.

The keys and values of the shared beginning are kept from batch to batch, and a batch computes only what follows. The
beginning is found in the tokens, so nothing has to name it; it grows no longer than what batches share, and a batch
that shares little is computed whole. The numbers are those of whole prompts but for rounding: the first batch, and the
first with rows of different length, are computed both ways, and a model whose probabilities differ is asked whole
prompts from then on.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

__all__ = ["SharedPrefix"]

#: Fewer shared tokens are not worth a pass of their own.
_LEAST_TOKENS = 64
#: How far a probability of the next token may be off: rounding of single precision, and of half.
_CLOSE, _CLOSE_HALF = 1e-3, 3e-2


class SharedPrefix:
    """Logits of the next token over batches of text prompts with a common beginning.

    Args:
        model: a loaded causal language model.
    """

    def __init__(self, model: Any) -> None:
        self._model, self._usable = model, True
        #: Most models can leave out the logits of tokens that are not the last.
        known = inspect.signature(model.forward).parameters if model is not None else {}
        self._last_only = {"logits_to_keep": 1} if "logits_to_keep" in known else {}
        self._tokens: torch.Tensor | None = None
        self._layers: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._checked: set[bool] = set()

    def logits(self, batch: Mapping[str, Any], whole: Callable[[], torch.Tensor]) -> torch.Tensor:
        """Return (rows, vocabulary) logits after the last token of left-padded prompts.

        Args:
            batch: "input_ids" and "attention_mask" on the model's device; with anything else `whole` is taken.
            whole: computes the same without a shared beginning.
        """
        if not self._usable or set(batch) != {"input_ids", "attention_mask"} or not self._prepare(batch):
            return whole()
        found = self._rest(batch)
        padded = not bool(batch["attention_mask"].all())
        if padded in self._checked:
            return found
        self._checked.add(padded)
        expected = whole()
        self._usable = _difference(found, expected) <= (_CLOSE if found.element_size() >= 4 else _CLOSE_HALF)
        if not self._usable:
            self._tokens, self._layers = None, []
        return expected

    def _prepare(self, batch: Mapping[str, Any]) -> bool:
        """Keep the keys and values of what the batch shares with what is kept; False where that is too little."""
        shared = _common(batch["input_ids"], batch["attention_mask"])
        if self._tokens is not None:
            known = _agreeing(self._tokens, shared)
            # Another template may begin like the one that is kept: what it shares more is read anew.
            if known >= _LEAST_TOKENS and 2 * known >= len(shared):
                self._tokens = self._tokens[:known]
                self._layers = [(keys[:, :, :known], values[:, :, :known]) for keys, values in self._layers]
                return True
        if len(shared) < _LEAST_TOKENS:
            return False
        self._tokens, self._layers = shared, self._read(shared)
        self._usable = bool(self._layers)
        return self._usable

    def _read(self, tokens: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return each layer's keys and values; [] for a model that keeps something else (windows, states)."""
        from transformers import DynamicCache
        from transformers.cache_utils import DynamicLayer

        cache = DynamicCache(config=self._model.config)
        if any(type(layer) is not DynamicLayer for layer in cache.layers):
            return []
        self._model(input_ids=tokens[None], past_key_values=cache, use_cache=True, **self._last_only)
        return [(layer.keys, layer.values) for layer in cache.layers]

    def _rest(self, batch: Mapping[str, Any]) -> torch.Tensor:
        """Return the logits after the last token, computed from the kept beginning on."""
        import torch
        from transformers import DynamicCache

        assert self._tokens is not None
        start, rows = len(self._tokens), len(batch["input_ids"])
        width = int(batch["attention_mask"].sum(dim=1).max()) - start
        ids = batch["input_ids"][:, -width:]
        # A shorter row's last `width` tokens begin inside what is kept (or its padding): those are hidden.
        lengths = batch["attention_mask"].sum(dim=1, keepdim=True) - start
        places = torch.arange(width, device=ids.device)[None] - (width - lengths)
        mask = (places >= 0).to(batch["attention_mask"].dtype)
        cache = DynamicCache(config=self._model.config)
        for number, (keys, values) in enumerate(self._layers):
            cache.update(keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1), number)
        output = self._model(
            input_ids=ids,
            attention_mask=torch.cat([mask.new_ones(rows, start), mask], dim=1),
            position_ids=(start + places).clamp(min=start),
            past_key_values=cache,
            use_cache=True,
            **self._last_only,
        )
        last: torch.Tensor = output.logits[:, -1]
        return last


def _common(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the tokens that all rows begin with, one token short of the shortest row."""
    rows = [row[kept.bool()] for row, kept in zip(ids, mask, strict=True)]
    shared = rows[0][: min(len(row) for row in rows) - 1]
    for row in rows[1:]:
        shared = shared[: _agreeing(shared, row)]
    return shared


def _agreeing(one: torch.Tensor, other: torch.Tensor) -> int:
    """Return how many tokens two rows have in common from their start."""
    n = min(len(one), len(other))
    differ = (one[:n] != other[:n]).nonzero()
    return int(differ[0]) if len(differ) else n


def _difference(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Return the greatest difference of a token's probability; a number that is none differs from all."""
    gap = (found.float().softmax(dim=-1) - expected.float().softmax(dim=-1)).abs().max()
    return float(gap.nan_to_num(nan=1.0))
