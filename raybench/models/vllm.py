"""Hugging Face checkpoints through vLLM: the same prompts as the `hf` backend, many times the throughput on a GPU.

vLLM's asynchronous engine runs inside our own replica. Rows are rendered and
tokenised here, by the same code as in `hf`, and go in as token ids; the engine
forms its batches from whatever is open, and shares the work on common prefixes.

    backend = Vllm(Vllm.Options(model="llava-hf/llava-1.5-7b-hf", tensor_parallel=2))
    async for row_id, response in backend.generate(rows): ...

With labels, one step gives the raw log probability of each (unmasked, over the
whole vocabulary) and the text is the most probable. An engine that dies ends its
replica's process; the pool starts another.
"""

from __future__ import annotations

import io
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, ClassVar

from raybench.errors import ModelError, one_line
from raybench.interfaces import Backend, Capabilities
from raybench.models._concurrent import as_answered
from raybench.models._hf_identity import describe
from raybench.models._hf_loading import load
from raybench.models._hf_prompts import Prompts
from raybench.models._reasoning import split_reasoning
from raybench.models._vllm_engine import Engine
from raybench.models._vllm_options import VllmOptions, deciding, prompt_side
from raybench.schema import Failure, Response, Result, Row

__all__ = ["PLUGIN", "Vllm"]

#: Settings of the `hf` backend's identity that mean nothing here.
_FOREIGN = ("adapter", "attn_implementation", "gguf_file")


class Vllm(Backend):
    """Runs a checkpoint with vLLM on this machine's GPUs (or CPU build). Source: https://docs.vllm.ai"""

    Options = VllmOptions
    version: ClassVar[str] = "1"
    capabilities: ClassVar[Capabilities] = Capabilities(
        images=True, multi_turn=True, label_logprobs=True, pixels=True, concurrent=True
    )

    @classmethod
    def identity(cls, options: Any) -> Row:
        """Return what decides the answers: a folder's hash or a hub commit, and the options that matter.

        Raises:
            ModelError: the model does not exist, is incomplete, gated or out of reach.
        """
        described = describe(prompt_side(options))
        kept = {name: value for name, value in described.items() if name not in _FOREIGN}
        return {**kept, "quantization": options.quantization, "engine_args": deciding(options.engine_args)}

    @classmethod
    def open_rows(cls, options: Any) -> int:
        """Return the rows at the engine at once."""
        return int(options.concurrency)

    @property
    def window(self) -> int:
        """Rows at the engine at once."""
        return self.open_rows(self.options)

    def __init__(self, options: Any) -> None:
        """Load the model.

        Raises:
            ModelError: what is wrong with it, in one sentence.
        """
        self.options: VllmOptions = options
        try:
            loaded = load(prompt_side(options), weights=False)
        except ImportError as error:
            raise ModelError(
                f"the vllm backend needs vllm ({one_line(error, 120)}): pip install 'raybench[vllm]'"
            ) from error
        self.prompts, self._stops = Prompts(prompt_side(options), loaded), loaded.stops
        self._label_tokens: dict[tuple[str, ...], list[int]] = {}
        self.engine = Engine(options, loaded)

    def generate(self, rows: Sequence[Row]) -> AsyncIterator[Result]:
        """Answer rows as they complete.

        Raises:
            ModelError: a label is not one token, or prompts cannot be tokenised rightly.
        """
        return as_answered(rows, self._named)

    async def _named(self, row: Row) -> Result:
        return row["id"], await self._answer(row)

    async def _answer(self, row: Row) -> Response | Failure:
        """Answer one row; whatever is wrong with it is its own failure."""
        prompt = self._prompt(row)
        if isinstance(prompt, Failure):
            return prompt
        text, ids, images = prompt
        labels = tuple(row.get("labels") or ())
        given = {"max_tokens": 1} if labels else _sampling(row)
        if len(ids) + given["max_tokens"] > self.engine.context:
            return self._too_long(len(ids), given["max_tokens"])
        tokens = self._tokens_of(text, labels)
        wanted = self.engine.forced(tokens) if labels else self.engine.sampling(**given, stop_tokens=self._stops)
        shown = {"multi_modal_data": {"image": images}} if images else {}
        began = time.perf_counter()
        try:
            output = await self.engine.ask({"prompt_token_ids": ids, **shown}, wanted)
        except self.engine.Dead:
            self.engine.close()  # what is left of its processes holds the GPU
            raise
        except self.engine.Refused as error:
            return Failure("model", one_line(error.__cause__ or error, 200))
        return self._read(output, text, given, dict(zip(labels, tokens, strict=True)), time.perf_counter() - began)

    def _prompt(self, row: Row) -> tuple[str, list[int], list[Any]] | Failure:
        """Return a row's rendered text, its token ids (each image one token) and its images in that order."""
        parts = [part for turn in row["messages"] if isinstance(turn["content"], list) for part in turn["content"]]
        shown = [part["image"] for part in parts if part["type"] == "image"]
        if shown and not self.prompts.reads_images:
            return Failure("no_image_input", f"{self.options.model} reads no images")
        try:
            images = [_picture(row["images"][index]) for index in shown]
        except (OSError, ValueError, LookupError, SyntaxError) as error:  # what Pillow makes of broken files
            return Failure("image", one_line(error, 200))
        text, failure = self._render(row)
        return failure or (text, self.prompts.tokens(text), images)

    def _render(self, row: Row) -> tuple[str, Failure | None]:
        from jinja2.exceptions import TemplateError

        try:
            return self.prompts.render(row["messages"]), None
        except (TemplateError, ValueError, TypeError, LookupError) as error:  # templates refuse role orders and parts
            return "", Failure("template", one_line(error, 200))

    def _tokens_of(self, text: str, labels: tuple[str, ...]) -> list[int]:
        """Return the labels' tokens, checked once per label list (the template ends every prompt alike)."""
        if labels not in self._label_tokens:
            self._label_tokens[labels] = self.prompts.label_tokens(text, labels)
        return self._label_tokens[labels]

    def _too_long(self, tokens: int, wanted: int) -> Failure:
        context = self.engine.context
        return Failure(
            "context_length", f"{tokens} prompt tokens and {wanted} to generate exceed the context of {context}"
        )

    def _read(
        self, output: Any, text: str, given: Mapping[str, Any], labels: Mapping[str, int], seconds: float
    ) -> Response | Failure:
        """Read a finished output; an answer that only the context's end cut short is none."""
        asked, answer = list(output.prompt_token_ids), output.outputs[0]
        self.prompts.check_start(asked)  # of what was computed, images expanded
        new = len(answer.token_ids)
        common: Row = {"tokens_in": len(asked), "tokens_out": new, "seconds": seconds}
        if labels:
            found = {label: float(answer.logprobs[0][token].logprob) for label, token in labels.items()}
            best = max(found, key=lambda label: found[label])
            return Response(best, finish_reason="label", mean_logprob=found[best], label_logprobs=found, **common)
        if answer.finish_reason == "length" and new < given["max_tokens"]:
            return self._too_long(len(asked), given["max_tokens"])
        if answer.finish_reason in ("abort", "error"):
            return Failure("model", f"vLLM ended the request: {answer.finish_reason}")
        mean = sum(step[token].logprob for step, token in zip(answer.logprobs, answer.token_ids, strict=True))
        reasoning, said = split_reasoning(answer.text, opened=text.rstrip().endswith("<think>"))
        return Response(
            said, reasoning, str(answer.finish_reason or "stop"), mean_logprob=mean / new if new else None, **common
        )

    def versions(self) -> Mapping[str, str]:
        """Return the versions of vLLM, torch and transformers."""
        import torch
        import transformers
        import vllm

        found = {"vllm": vllm.__version__, "torch": torch.__version__, "transformers": transformers.__version__}
        return {name: str(version) for name, version in found.items()}

    def close(self) -> None:
        """End the engine and its processes."""
        self.engine.close()


def _picture(image: Row) -> Any:
    """Return a row's image as a PIL image."""
    from PIL import Image

    if image["media_type"] == "image/x-rgb8":
        return Image.frombytes("RGB", (image["width_px"], image["height_px"]), image["bytes"])
    return Image.open(io.BytesIO(image["bytes"])).convert("RGB")


def _sampling(row: Row) -> dict[str, Any]:
    """Return the row's sampling with every field set; at temperature 0 the others cannot matter."""
    given = row.get("sampling") or {}
    temperature, top_p = float(given.get("temperature") or 0.0), given.get("top_p")
    return {
        "temperature": temperature,
        "top_p": 1.0 if top_p is None or temperature == 0 else float(top_p),
        "max_tokens": int(given.get("max_tokens") or 256),
        "seed": given.get("seed"),
        "stop": [given["stop"]] if isinstance(given.get("stop"), str) else list(given.get("stop") or ()),
    }


PLUGIN = Vllm
