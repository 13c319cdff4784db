"""Hugging Face models through transformers: vision-language models, and text models as judges or text-only bounds.

Any checkpoint of AutoModelForImageTextToText (LLaVA, Mllama, Qwen-VL, SmolVLM,
Idefics, InternVL-HF) or AutoModelForCausalLM (GGUF included) works through its
own processor and chat template. Rows are answered in left-padded micro-batches.

    backend = HuggingFace(HuggingFace.Options(model="llava-hf/llava-1.5-7b-hf", batch_size=16))
    async for row_id, response in backend.generate(rows): ...

Greedy rows of one micro-batch share a forward pass; rows sampled with a seed run
one at a time, so that an answer never depends on its neighbours. With labels, one
forward pass gives the raw log probability of each (unmasked, over the whole
vocabulary) and the text is the most probable.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar

from raybench.errors import ModelError, one_line
from raybench.interfaces import Backend, Capabilities
from raybench.models._hf_identity import HuggingFaceOptions, describe
from raybench.models._hf_image_tokens import image_tokens
from raybench.models._hf_runtime import Generated, Runtime
from raybench.models._hf_tokens import count_tokens
from raybench.models._reasoning import split_reasoning
from raybench.schema import Failure, Response, Result, Row, canonical_json

__all__ = ["PLUGIN", "HuggingFace"]

T = TypeVar("T")


@dataclass(frozen=True)
class _Prompt:
    """A row made ready: its rendered text, its PIL images in the order of the text, its effective sampling."""

    id: str
    text: str
    images: tuple[Any, ...]
    sampling: Mapping[str, Any]
    labels: tuple[str, ...]

    @property
    def group(self) -> str:
        """Rows of one group may share a micro-batch; "" means alone."""
        settings = dict(self.sampling)
        if not self.labels and settings["temperature"] > 0 and settings["seed"] is not None:
            return ""
        settings.pop("seed")
        return canonical_json([self.labels, {} if self.labels else settings, bool(self.images)])


class HuggingFace(Backend):
    """Runs a checkpoint with transformers on this machine's CPU or GPU. Source: https://huggingface.co/docs/transformers"""

    Options = HuggingFaceOptions
    version: ClassVar[str] = "1"
    capabilities: ClassVar[Capabilities] = Capabilities(images=True, multi_turn=True, label_logprobs=True, pixels=True)

    @classmethod
    def identity(cls, options: Any) -> Row:
        """Return what decides the answers: a folder's hash or a hub commit, and the options that matter.

        Raises:
            ModelError: the model does not exist, is incomplete, gated or out of reach.
        """
        return describe(options)

    @classmethod
    def image_tokens(cls, options: Any, width_px: int, height_px: int) -> int | None:
        """Return the tokens of one image by the checkpoint's own processor."""
        return image_tokens(options, width_px, height_px)

    @classmethod
    def count_tokens(cls, options: Any, chats: Sequence[Sequence[Row]]) -> list[int] | None:
        """Return the prompt tokens of text chats by the checkpoint's own tokeniser."""
        return count_tokens(options, chats)

    @property
    def window(self) -> int:
        """Rows of one micro-batch."""
        return self.options.batch_size

    def __init__(self, options: Any) -> None:
        """Load the model.

        Raises:
            ModelError: what is wrong with it, in one sentence.
        """
        self.options: HuggingFaceOptions = options
        try:
            self.runtime = Runtime(options)
        except ImportError as error:
            raise ModelError(
                f"the hf backend needs transformers and torch ({one_line(error, 120)}): pip install 'raybench[hf]'"
            ) from error
        self._label_tokens: dict[tuple[str, ...], list[int]] = {}
        self._spelt: dict[tuple[str, ...], bool] = {}

    async def generate(self, rows: Sequence[Row]) -> AsyncIterator[Result]:
        """Answer rows micro-batch by micro-batch; the computation blocks the event loop.

        Raises:
            ModelError: a label is not one token, or prompts cannot be tokenised rightly.
        """
        prompts: list[_Prompt] = []
        for row in rows:
            prompt = self._prepare(row)
            if isinstance(prompt, Failure):
                yield row["id"], prompt
            else:
                prompts.append(prompt)
        for batch in self._batches(prompts):
            for result in self._answer(batch, {}):
                yield result
            await asyncio.sleep(0)

    def _prepare(self, row: Row) -> _Prompt | Failure:
        """Render one row; whatever is wrong with it is its own failure."""
        shown = [part["image"] for turn in row["messages"] for part in _parts(turn) if part["type"] == "image"]
        if shown and not self.runtime.reads_images:
            return Failure("no_image_input", f"{self.options.model} reads no images")
        images = _guarded("image", lambda: tuple(_picture(row["images"][index]) for index in shown))
        if isinstance(images, Failure):
            return images
        text = _guarded("template", lambda: self.runtime.render(row["messages"]))
        if isinstance(text, Failure):
            return text
        prompt = _Prompt(row["id"], text, images, _sampling(row), tuple(row.get("labels") or ()))
        if row.get("labels_else_text") and not self._has_tokens_for(prompt):
            return replace(prompt, labels=())
        return prompt

    def _has_tokens_for(self, prompt: _Prompt) -> bool:
        """Say whether each label is one token of its own; looked up once per label list."""
        if prompt.labels not in self._spelt:
            try:
                self._tokens_of(prompt)
            except ModelError:
                self._spelt[prompt.labels] = False
            else:
                self._spelt[prompt.labels] = True
        return self._spelt[prompt.labels]

    def _batches(self, prompts: Sequence[_Prompt]) -> Iterator[list[_Prompt]]:
        """Cut prompts into micro-batches of one group, alike in length."""
        groups: dict[str, list[_Prompt]] = {}
        for prompt in prompts:
            groups.setdefault(prompt.group, []).append(prompt)
        for key, group in groups.items():
            size = self.options.batch_size if key else 1
            ordered = sorted(group, key=lambda prompt: len(prompt.text)) if key else group
            for start in range(0, len(ordered), size):
                yield ordered[start : start + size]

    def _answer(self, prompts: Sequence[_Prompt], notes: Mapping[str, Any]) -> Iterator[Result]:
        """Answer one micro-batch; halve it when memory runs out, split it when a row spoils it."""
        texts, images = [p.text for p in prompts], [p.images for p in prompts]
        batch = _guarded("processor", lambda: self.runtime.encode(texts, images))
        if isinstance(batch, Failure):
            yield from self._one_by_one(prompts, notes, batch)
            return
        lengths = self.runtime.lengths(batch)
        long = {p.id: f for p, n in zip(prompts, lengths, strict=True) if (f := self._too_long(p, n))}
        if long:
            yield from long.items()
            rest = [prompt for prompt in prompts if prompt.id not in long]
            if rest:
                yield from self._answer(rest, notes)
            return
        try:
            results = self._compute(prompts, batch, lengths, notes)
        except self.runtime.OutOfMemory:
            results = None  # retried outside this block, where the traceback no longer holds tensors
        except ValueError as error:
            yield from self._one_by_one(prompts, notes, Failure("model", one_line(error, 200)))
            return
        yield from results if results is not None else self._halved(prompts)

    def _one_by_one(self, prompts: Sequence[_Prompt], notes: Mapping[str, Any], failure: Failure) -> Iterator[Result]:
        if len(prompts) == 1:
            yield prompts[0].id, failure
            return
        for prompt in prompts:
            yield from self._answer([prompt], notes)

    def _halved(self, prompts: Sequence[_Prompt]) -> Iterator[Result]:
        self.runtime.free()
        if len(prompts) == 1:
            yield prompts[0].id, Failure("out_of_memory", "the row alone does not fit into memory")
            return
        size = (len(prompts) + 1) // 2
        for start in range(0, len(prompts), size):
            yield from self._answer(prompts[start : start + size], {"halved_batch": size})

    def _too_long(self, prompt: _Prompt, tokens: int) -> Failure | None:
        wanted = 1 if prompt.labels else int(prompt.sampling["max_tokens"])
        context = self.runtime.context
        if context is None or tokens + wanted <= context:
            return None
        return Failure(
            "context_length", f"{tokens} prompt tokens and {wanted} to generate exceed the context of {context}"
        )

    def _compute(
        self, prompts: Sequence[_Prompt], batch: Any, lengths: Sequence[int], notes: Mapping[str, Any]
    ) -> list[Result]:
        began = time.perf_counter()
        if prompts[0].labels:
            labels = prompts[0].labels
            rows = self.runtime.label_logprobs(batch, self._tokens_of(prompts[0]))
            responses = [_labelled(dict(zip(labels, values, strict=True))) for values in rows]
        else:
            answers = self.runtime.generate(batch, **prompts[0].sampling)
            responses = [_free(p, answer) for p, answer in zip(prompts, answers, strict=True)]
        seconds = time.perf_counter() - began
        return [
            (prompt.id, Response(**fields, tokens_in=tokens, seconds=seconds, notes=dict(notes)))
            for prompt, fields, tokens in zip(prompts, responses, lengths, strict=True)
        ]

    def _tokens_of(self, prompt: _Prompt) -> list[int]:
        """Return the labels' tokens, checked once per label list (the template ends every prompt alike)."""
        if prompt.labels not in self._label_tokens:
            self._label_tokens[prompt.labels] = self.runtime.label_tokens(prompt.text, prompt.labels)
        return self._label_tokens[prompt.labels]

    def versions(self) -> Mapping[str, str]:
        """Return the versions of torch and transformers."""
        import torch
        import transformers

        return {"torch": str(torch.__version__), "transformers": str(transformers.__version__)}

    def close(self) -> None:
        """Free the weights."""
        self.runtime.close()


def _guarded(reason: str, act: Callable[[], T]) -> T | Failure:
    """Return what `act` returns, or its error as a row's failure.

    PIL, Jinja templates and processors raise anything on a bad row; a `ModelError` is no row's fault.
    """
    try:
        return act()
    except ModelError:
        raise
    except Exception as error:
        return Failure(reason, one_line(error, 200))


def _parts(turn: Row) -> Sequence[Row]:
    return turn["content"] if isinstance(turn["content"], list) else ()


def _picture(image: Row) -> Any:
    """Return a row's image as a PIL image."""
    from PIL import Image

    if image["media_type"] == "image/x-rgb8":
        return Image.frombytes("RGB", (image["width_px"], image["height_px"]), image["bytes"])
    return Image.open(io.BytesIO(image["bytes"])).convert("RGB")


def _sampling(row: Row) -> dict[str, Any]:
    """Return the row's sampling with every field set; at temperature 0 the others cannot matter."""
    given = row.get("sampling") or {}
    temperature = float(given.get("temperature") or 0.0)
    top_p = given.get("top_p")
    return {
        "temperature": temperature,
        "top_p": 1.0 if top_p is None or temperature == 0 else float(top_p),
        "max_tokens": int(given.get("max_tokens") or 256),
        "seed": given.get("seed"),
        "stop": [given["stop"]] if isinstance(given.get("stop"), str) else list(given.get("stop") or ()),
    }


def _labelled(logprobs: dict[str, float]) -> Row:
    label = max(logprobs, key=lambda name: logprobs[name])
    return {
        "text": label,
        "finish_reason": "label",
        "tokens_out": 1,
        "mean_logprob": logprobs[label],
        "label_logprobs": logprobs,
    }


def _free(prompt: _Prompt, answer: Generated) -> Row:
    reasoning, text = split_reasoning(answer.text, opened=prompt.text.rstrip().endswith("<think>"))
    return {
        "text": text,
        "reasoning": reasoning,
        "finish_reason": answer.finish_reason,
        "tokens_out": answer.tokens,
        "mean_logprob": answer.mean_logprob,
    }


PLUGIN = HuggingFace
