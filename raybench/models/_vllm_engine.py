"""vLLM's asynchronous engine, started and stopped: the one file that knows its names.

    engine = Engine(options, loaded)          # blocks while the weights load
    output = await engine.ask(prompt, engine.sampling(...), "row 1")

The engine lives in an event loop and a thread of its own, so that it may be asked
from any loop, and its weights in processes of its own, which end with it.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from raybench.errors import ModelError, nearest, one_line
from raybench.models._hf_loading import Loaded, source_of
from raybench.models._vllm_options import VllmOptions, prompt_side

__all__ = ["Engine"]

#: Seconds between looks at whether the engine of an open request is alive.
_LOOK_SECONDS = 1.0
_MISSING = "the vllm backend needs vllm: pip install 'raybench[vllm]'"


class Engine:
    """One running engine.

    Attributes:
        Dead: the error that says that the engine's processes are gone.
        Refused: the errors that are about one request.
        context: tokens that prompt and answer may have together.

    Raises:
        ModelError: vLLM is missing, an argument is unknown, or the model cannot be loaded.
    """

    def __init__(self, options: VllmOptions, loaded: Loaded) -> None:
        os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")  # nothing is reported to anyone
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
        # A process that has threads (torch's, an event loop's) must not be forked: the child may wait for ever.
        os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")
        try:
            from vllm import SamplingParams
            from vllm.exceptions import VLLMClientError
            from vllm.v1.engine.async_llm import AsyncLLM
            from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError
        except ImportError as error:
            raise ModelError(f"{_MISSING} ({one_line(error, 120)})") from error
        self.Dead = EngineDeadError
        self.Refused = (VLLMClientError, EngineGenerateError, ValueError)
        self._sampling = SamplingParams
        arguments = _arguments(options, loaded)
        try:
            self._engine = AsyncLLM.from_engine_args(arguments)
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, ImportError) as error:
            raise ModelError(f"model {options.model!r} cannot be loaded: {one_line(error, 300)}") from error
        self.context = int(self._engine.model_config.max_model_len)
        self._numbers = itertools.count()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def sampling(
        self, *, temperature: float, top_p: float, max_tokens: int, seed: int | None, stop: Sequence[str],
        stop_tokens: Sequence[int],
    ) -> Any:  # fmt: skip
        """Return sampling parameters with every field set, so that no default of the checkpoint leaks in."""
        return self._sampling(
            n=1, temperature=temperature, top_p=top_p, top_k=0, min_p=0.0, seed=seed if temperature > 0 else None,
            repetition_penalty=1.0, presence_penalty=0.0, frequency_penalty=0.0, max_tokens=max_tokens, min_tokens=0,
            stop=list(stop), stop_token_ids=list(stop_tokens), ignore_eos=False, skip_special_tokens=True,
            include_stop_str_in_output=False, logprobs=0, output_kind=_final(),
        )  # fmt: skip

    def forced(self, tokens: Sequence[int]) -> Any:
        """Return sampling parameters that force one of some tokens and report the raw log probability of each."""
        return self._sampling(
            n=1, temperature=0.0, max_tokens=1, allowed_token_ids=list(tokens), logprob_token_ids=list(tokens),
            ignore_eos=True, detokenize=False, output_kind=_final(),
        )  # fmt: skip

    async def ask(self, prompt: Mapping[str, Any], sampling: Any) -> Any:
        """Return the finished output of one request; may be awaited in any event loop."""
        asked = asyncio.run_coroutine_threadsafe(self._ask(prompt, sampling), self._loop)
        return await asyncio.wrap_future(asked)

    async def _ask(self, prompt: Mapping[str, Any], sampling: Any) -> Any:
        answer = asyncio.ensure_future(self._answer(prompt, sampling))
        # Of a request that was on its way when the engine died, vLLM may say nothing for ever (0.32).
        try:
            while not (await asyncio.wait({answer}, timeout=_LOOK_SECONDS))[0]:
                if self._engine.errored:
                    raise self.Dead
            return await answer
        finally:
            answer.cancel()

    async def _answer(self, prompt: Mapping[str, Any], sampling: Any) -> Any:
        outputs = self._engine.generate(dict(prompt), sampling, str(next(self._numbers)))
        return [output async for output in outputs][-1]

    def close(self) -> None:
        """End the engine's processes and its loop."""
        self._engine.shutdown()
        self._loop.call_soon_threadsafe(self._loop.stop)


def _final() -> Any:
    from vllm.sampling_params import RequestOutputKind

    return RequestOutputKind.FINAL_ONLY


def _arguments(options: VllmOptions, loaded: Loaded) -> Any:
    """Return vLLM's engine arguments.

    Raises:
        ModelError: one is unknown, or the machine has fewer GPUs than the replica is to use.
    """
    from dataclasses import fields

    from vllm.engine.arg_utils import AsyncEngineArgs

    known = {field.name for field in fields(AsyncEngineArgs)}
    for name in options.engine_args:
        if name not in known:
            raise ModelError(f"engine_args: vLLM knows no {name!r}{nearest(name, sorted(known))}")
    source = source_of(prompt_side(options))
    own: dict[str, Any] = {
        "model": source["pretrained_model_name_or_path"], "revision": source.get("revision"),
        "tokenizer_revision": source.get("revision"), "dtype": _dtype(options, loaded),
        "quantization": options.quantization, "trust_remote_code": options.trust_remote_code,
        "max_model_len": options.max_model_len, "enable_prefix_caching": True, "logprobs_mode": "raw_logprobs",
        "generation_config": "vllm",  # the checkpoint's sampling defaults must never leak into a run
        "disable_log_stats": True, "seed": 0,
    }  # fmt: skip
    if options.tensor_parallel > 1:
        own |= {"tensor_parallel_size": options.tensor_parallel, "distributed_executor_backend": "mp"}
        _check_gpus(options.tensor_parallel)
    limits = {"min_pixels": options.min_pixels, "max_pixels": options.max_pixels}
    if given := {name: value for name, value in limits.items() if value is not None}:
        own["mm_processor_kwargs"] = given
    return AsyncEngineArgs(**{**own, **options.engine_args})


def _dtype(options: VllmOptions, loaded: Loaded) -> str:
    return options.dtype if options.dtype != "auto" else loaded.dtype or "auto"


def _check_gpus(wanted: int) -> None:
    import torch

    found = torch.cuda.device_count()
    if found < wanted:
        raise ModelError(
            f"tensor_parallel: {wanted} needs as many GPUs in one node and this replica has {found}; "
            "one replica cannot reach over nodes"
        )
