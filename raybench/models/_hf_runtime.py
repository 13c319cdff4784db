"""A loaded Hugging Face model at work: prompts rendered, batches encoded, tokens generated.

Nothing here knows rows or failures; `hf` turns what comes out into responses.

    runtime = Runtime(options)
    text = runtime.render([{"role": "user", "content": [{"type": "text", "text": "Organ?"}]}])
    batch = runtime.encode([text], [[]])
    runtime.generate(batch, temperature=0.0, top_p=1.0, max_tokens=8, seed=0, stop=[])
"""

from __future__ import annotations

import bisect
import gc
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from raybench.errors import ModelError
from raybench.models._hf_identity import HuggingFaceOptions
from raybench.models._hf_loading import load
from raybench.models._hf_prefix import SharedPrefix
from raybench.models._hf_prompts import Prompts

if TYPE_CHECKING:
    import torch

__all__ = ["Generated", "Runtime"]


@dataclass(frozen=True)
class Generated:
    """One row's generated tokens: `text` cut before a stop string, `tokens` counts its end token too."""

    text: str
    tokens: int
    mean_logprob: float
    finish_reason: str


class _Logprobs:
    """Log probability of each chosen token under the raw logits; keeps one step's logits in memory.

    It runs before temperature and top-p, so the number is the model's own also when sampling.
    """

    def __init__(self) -> None:
        self.steps: list[torch.Tensor] = []
        self._last: torch.Tensor | None = None

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self.settle(input_ids)
        self._last = scores.float().log_softmax(dim=-1)
        return scores

    def settle(self, input_ids: torch.Tensor) -> None:
        """Read the token that the last logits led to."""
        if self._last is not None:
            self.steps.append(self._last.gather(1, input_ids[:, -1:].to(self._last.device)))
            self._last = None


class _StopAt:
    """Ends a row whose new text holds a stop string; looks at the last tokens only."""

    def __init__(self, tokenizer: Any, stop: Sequence[str], start: int) -> None:
        self._tokenizer, self._stop, self._start = tokenizer, stop, start
        #: A token is at least one byte of text, bar tokens that decode to nothing.
        self._window = max(len(one.encode()) for one in stop) + 8

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **_: Any) -> torch.Tensor:
        import torch

        tails = self._tokenizer.batch_decode(input_ids[:, max(self._start, input_ids.shape[1] - self._window) :])
        done = [any(one in tail for one in self._stop) for tail in tails]
        return torch.tensor(done, device=input_ids.device)


class Runtime(Prompts):
    """A loaded model and how it is prompted.

    Raises:
        ModelError: the model cannot be loaded (see `load`).
    """

    def __init__(self, options: HuggingFaceOptions) -> None:
        import torch

        loaded = load(options)
        super().__init__(options, loaded)
        self.model, self.context, self._stops = loaded.model, loaded.context, loaded.stops
        self._prefix = SharedPrefix(loaded.model)
        #: The error that means a batch was too large.
        self.OutOfMemory = torch.OutOfMemoryError

    def encode(self, texts: Sequence[str], images: Sequence[Sequence[Any]]) -> Any:
        """Return left-padded model inputs for a batch of rendered prompts and their PIL images.

        Raises:
            ModelError: the tokens start with two BOS, or lack the one they need.
        """
        keywords: dict[str, Any] = {
            "text": list(texts),
            "padding": True,
            "return_tensors": "pt",
            "add_special_tokens": not self.has_bos(texts[0]),
        }
        if any(images):
            keywords["images"] = [list(some) for some in images]
        batch = self.templater(**keywords)
        self._check_tokens(batch)
        return batch

    def _check_tokens(self, batch: Any) -> None:
        if not bool(batch["attention_mask"][:, -1].all()):
            raise ModelError(f"the processor of {self.options.model!r} pads on the right: batches would be wrong")
        for ids, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True):
            self.check_start(ids[mask.bool()][:2].tolist())

    def lengths(self, batch: Any) -> list[int]:
        """Return prompt tokens of each row, padding left out."""
        return [int(n) for n in batch["attention_mask"].sum(dim=1)]

    def label_logprobs(self, batch: Any, tokens: Sequence[int]) -> list[list[float]]:
        """Return (rows x labels) raw log probabilities of the next token, in one forward pass.

        What text prompts begin with alike is read once for many batches (see `SharedPrefix`).
        """
        import torch

        placed = self._placed(batch)
        with torch.inference_mode():
            whole = partial(self._next_logits, placed)
            logits = whole() if self.reads_images else self._prefix.logits(placed, whole)
            logprobs = logits.float().log_softmax(dim=-1)
        chosen: list[list[float]] = logprobs[:, list(tokens)].tolist()
        return chosen

    def _next_logits(self, placed: dict[str, Any]) -> torch.Tensor:
        """Return (rows, vocabulary) raw logits of the next token.

        `generate` makes the pass, as it alone knows each family's positions for padded rows.
        """
        config = self._config(temperature=0.0, top_p=1.0, max_tokens=1)
        config.output_logits = config.return_dict_in_generate = True
        logits: torch.Tensor = self.model.generate(**placed, generation_config=config).logits[0]
        return logits

    def generate(
        self, batch: Any, *, temperature: float, top_p: float, max_tokens: int, seed: int | None, stop: Sequence[str]
    ) -> list[Generated]:
        """Generate an answer for each row; greedy at temperature 0, where the seed plays no part."""
        import torch
        import transformers

        start = batch["input_ids"].shape[1]
        logprobs = _Logprobs()
        criteria = [_StopAt(self.tokenizer, stop, start)] if stop else []
        if temperature > 0 and seed is not None:
            torch.manual_seed(seed)
        with torch.inference_mode():
            output = self.model.generate(
                **self._placed(batch),
                generation_config=self._config(temperature, top_p, max_tokens),
                logits_processor=transformers.LogitsProcessorList([logprobs]),
                stopping_criteria=transformers.StoppingCriteriaList(criteria),
            )
            logprobs.settle(output)
        chosen = torch.cat(logprobs.steps, dim=1).tolist()
        new = output[:, start:].tolist()
        return [self._read(ids, steps, stop) for ids, steps in zip(new, chosen, strict=True)]

    def _config(self, temperature: float, top_p: float, max_tokens: int) -> Any:
        """Return a generation config with every sampling field set, so that no default leaks in."""
        import transformers

        sampling: dict[str, Any] = {"do_sample": False}
        if temperature > 0:
            sampling = {"do_sample": True, "temperature": temperature, "top_p": top_p, "top_k": 0}
        return transformers.GenerationConfig(
            **sampling,
            num_beams=1,
            repetition_penalty=1.0,
            no_repeat_ngram_size=0,
            max_new_tokens=max_tokens,
            bos_token_id=self.tokenizer.bos_token_id,
            eos_token_id=list(self._stops),
            pad_token_id=self.tokenizer.pad_token_id,
            use_cache=True,
        )

    def _placed(self, batch: Any) -> dict[str, Any]:
        """Return the inputs on the model's device, pixels in its dtype."""
        import torch

        device, dtype = self.model.device, self.model.dtype
        placed = {}
        for name, value in batch.items():
            if isinstance(value, torch.Tensor):
                placed[name] = value.to(device, dtype) if value.is_floating_point() else value.to(device)
            else:
                placed[name] = value
        return placed

    def _read(self, ids: list[int], logprobs: list[float], stop: Sequence[str]) -> Generated:
        """Cut one row's new tokens where it ended; what follows is padding."""
        ended = next((n + 1 for n, token in enumerate(ids) if token in self._stops), None)
        count = ended or len(ids)
        stopped = self._stop_point(ids[:count], stop)
        count = stopped or count
        text = self.tokenizer.decode(ids[:count], skip_special_tokens=True)
        for one in stop:
            text = text.partition(one)[0]
        return Generated(text, count, sum(logprobs[:count]) / count, "stop" if ended or stopped else "length")

    def _stop_point(self, ids: list[int], stop: Sequence[str]) -> int | None:
        """Return how many tokens it took until a stop string was there, None if there is none."""

        def stopped(count: int) -> bool:
            text = self.tokenizer.decode(ids[:count])
            return any(one in text for one in stop)

        if not stop or not stopped(len(ids)):
            return None
        return bisect.bisect_left(range(len(ids)), True, lo=1, key=stopped)

    def close(self) -> None:
        """Free the weights."""
        self.model = None
        self._prefix = SharedPrefix(None)
        self.free()

    def free(self) -> None:
        """Give cached accelerator memory back."""
        import torch

        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
