"""Settings of the `vllm` backend, and which of the engine's own arguments decide an answer.

What vLLM knows and this backend does not is passed through by name in
`engine_args`. Arguments that change speed and memory only stay out of the content
key; any other is part of it, unknown ones included.

>>> deciding({"max_num_seqs": 64, "kv_cache_dtype": "fp8"})
{'kv_cache_dtype': 'fp8'}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator

from raybench.interfaces import Options
from raybench.models._hf_identity import HuggingFaceOptions

__all__ = ["VllmOptions", "deciding", "prompt_side"]

#: Arguments that this backend sets itself, by its own setting of that meaning.
_OWN = {
    "model": "model", "tokenizer": "model", "revision": "revision", "tokenizer_revision": "revision",
    "dtype": "dtype", "quantization": "quantization", "trust_remote_code": "trust_remote_code",
    "tensor_parallel_size": "tensor_parallel", "max_model_len": "max_model_len",
    "enable_prefix_caching": "nothing: it is always on", "logprobs_mode": "nothing: log probabilities are raw",
}  # fmt: skip
#: Arguments by which one engine would reach over more than one node (or more GPUs than it asked Ray for).
_SPREADING = (
    "pipeline_parallel_size", "data_parallel_size", "data_parallel_size_local", "nnodes", "node_rank", "master_addr",
    "master_port", "distributed_executor_backend", "data_parallel_backend", "data_parallel_address",
)  # fmt: skip
#: Arguments that change speed and memory, not answers.
_HARMLESS = frozenset({
    "gpu_memory_utilization", "max_num_seqs", "max_num_batched_tokens", "enforce_eager", "cpu_offload_gb",
    "num_gpu_blocks_override", "block_size", "swap_space", "kv_cache_memory_bytes", "download_dir",
    "limit_mm_per_prompt", "mm_processor_cache_gb", "mm_processor_cache_type", "disable_log_stats", "seed",
    "compilation_config", "cudagraph_capture_sizes", "async_scheduling", "enable_chunked_prefill",
    "disable_custom_all_reduce", "max_parallel_loading_workers", "use_tqdm_on_load", "max_logprobs",
})  # fmt: skip


class VllmOptions(Options):
    """Settings of the `vllm` backend.

    Attributes:
        model: hub id, local folder of safetensors, or `raybench://NAME` for weights that come with this package.
        revision: branch, tag or commit of a hub id; None for its default branch.
        dtype: "auto" is the checkpoint's own, also where that is float32 (vLLM's own "auto" would halve it).
        quantization: one of vLLM's methods; None takes what the checkpoint says.
        tensor_parallel: GPUs of one node that share one replica's weights; the replica asks Ray for as many.
        max_model_len: tokens that prompt and answer may have together; None is the model's.
        concurrency: rows at the engine at once; it forms its batches from them.
        min_pixels, max_pixels: limits of image processors that have them (Qwen-VL and kin).
        system_prompt, modality, trust_remote_code, date_string: as of the `hf` backend.
        engine_args: further arguments of vLLM's AsyncEngineArgs by name, e.g. {"gpu_memory_utilization": 0.8}.
    """

    model: str
    revision: str | None = None
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    quantization: str | None = None
    tensor_parallel: int = Field(default=1, ge=1)
    max_model_len: int | None = Field(default=None, ge=1)
    concurrency: int = Field(default=256, ge=1, le=4096)
    min_pixels: int | None = Field(default=None, ge=1)
    max_pixels: int | None = Field(default=None, ge=1)
    system_prompt: str | None = None
    modality: Literal["auto", "image-text", "text"] = "auto"
    trust_remote_code: bool = False
    date_string: str = "26 Jul 2024"
    engine_args: dict[str, Any] = Field(default_factory=dict)

    @field_validator("engine_args")
    @classmethod
    def _not_ours(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in value:
            if name in _OWN:
                raise ValueError(f"engine_args: {name} is set by {_OWN[name]}")
            if name in _SPREADING:
                raise ValueError(
                    f"engine_args: {name}: one replica stays on one node; "
                    "use tensor_parallel for its GPUs and replicas for more nodes"
                )
        return value


def prompt_side(options: VllmOptions) -> HuggingFaceOptions:
    """Return the options by which transformers' tokenizer, processor and template of the same model are loaded."""
    names = ("model", "revision", "dtype", "min_pixels", "max_pixels", "system_prompt", "modality",
             "trust_remote_code", "date_string")  # fmt: skip
    return HuggingFaceOptions(**{name: getattr(options, name) for name in names})


def deciding(engine_args: Mapping[str, Any]) -> dict[str, Any]:
    """Return the engine arguments that may change an answer."""
    return {name: value for name, value in sorted(engine_args.items()) if name not in _HARMLESS}
