"""Load a Hugging Face checkpoint: weights, tokeniser or processor, and what is to be known of its prompts.

Only safetensors and GGUF are read, never pickles. A checkpoint that lacks weights
is refused: transformers would fill them with random numbers and go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raybench.errors import ModelError, one_line
from raybench.models._hf_identity import HuggingFaceOptions, check_folder, hub_revision, is_local, local_folder

__all__ = ["Loaded", "load", "pinned_template", "source_of"]

#: Ends of a turn in the families we know; used where the tokeniser has them.
_TURN_ENDS = ("<|eot_id|>", "<|end_of_text|>", "<|im_end|>", "<end_of_turn>", "<end_of_utterance>", "<|end|>")


@dataclass
class Loaded:
    """A checkpoint in memory.

    Attributes:
        model: None where only the prompt side was asked for.
        templater: the processor of an image-text model, else the tokeniser.
        reads_images: the model is an image-text one.
        template: the chat template with its clock stopped, None where the checkpoint has none.
        stops: ids of the tokens that end an answer.
        context: tokens that prompt and answer may have together, None if unknown.
        adds_bos: the tokeniser puts BOS in front of what it is given.
        dtype: of the checkpoint's weights, e.g. "bfloat16"; "" if its config does not say.
    """

    model: Any
    tokenizer: Any
    templater: Any
    reads_images: bool
    template: str | None
    stops: tuple[int, ...]
    context: int | None
    adds_bos: bool
    dtype: str = ""


def load(options: HuggingFaceOptions, weights: bool = True) -> Loaded:
    """Load a model as its options say, or its prompt side alone.

    Raises:
        ModelError: it cannot be loaded, in one sentence with the cause chained.
    """
    from safetensors import SafetensorError

    errors = (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, ImportError, EOFError)
    try:
        return _load(options, weights)
    except (*errors, SafetensorError) as error:
        raise ModelError(f"model {options.model!r} cannot be loaded: {one_line(error, 300)}") from error


def _load(options: HuggingFaceOptions, weights: bool) -> Loaded:
    import transformers

    transformers.utils.logging.disable_progress_bar()
    source = source_of(options)
    config = transformers.AutoConfig.from_pretrained(**source)
    reads_images = _is_image_text(options, config)
    kind = transformers.AutoProcessor if reads_images else transformers.AutoTokenizer
    templater: Any = kind.from_pretrained(**source)
    tokenizer: Any = templater.tokenizer if reads_images else templater
    _limit_pixels(options, templater)
    if options.gguf_file:
        source["config"] = config  # reading it out of the file again takes as long as the weights
    model: Any = _load_model(options, source, reads_images) if weights else None
    declared = (model.generation_config if weights else _generation_config(source, config)).eos_token_id
    stops = _stops(options, declared, tokenizer)
    if weights:
        # Sampling defaults of the checkpoint (Llama 3: T=0.6) must never leak into a run.
        model.generation_config = transformers.GenerationConfig()
        model = (_with_adapter(model, options.adapter) if options.adapter else model).eval()
    tokenizer.padding_side = "left"
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(stops[0])
    # Nothing is ever cut: `hf` fails a row that is too long, so the tokeniser need not warn of it.
    tokenizer.model_max_length = int(1e30)
    return Loaded(
        model=model,
        tokenizer=tokenizer,
        templater=templater,
        reads_images=reads_images,
        template=pinned_template(templater, tokenizer, options.date_string),
        stops=stops,
        context=getattr(config.get_text_config(), "max_position_embeddings", None),
        adds_bos=tokenizer("x")["input_ids"][:1] == [tokenizer.bos_token_id],
        dtype=str(getattr(config, "dtype", None) or "").removeprefix("torch."),
    )


def source_of(options: HuggingFaceOptions) -> dict[str, Any]:
    """Return the arguments that every `from_pretrained` shares."""
    source: dict[str, Any] = {
        "pretrained_model_name_or_path": options.model,
        "trust_remote_code": options.trust_remote_code,
    }
    if is_local(options.model):
        folder = local_folder(options.model)
        check_folder(folder, options.gguf_file)
        source["pretrained_model_name_or_path"] = str(folder)
    else:
        source["revision"] = hub_revision(options.model, options.revision, options.gguf_file or "config.json")
    if options.gguf_file:
        source["gguf_file"] = options.gguf_file
    return source


def _is_image_text(options: HuggingFaceOptions, config: Any) -> bool:
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING

    if options.modality != "auto":
        return options.modality == "image-text"
    remote = getattr(config, "auto_map", None) or {}
    return type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING or "AutoModelForImageTextToText" in remote


def _limit_pixels(options: HuggingFaceOptions, templater: Any) -> None:
    """Set the pixel limits of an image processor that has them (Qwen-VL and kin keep them in `size`).

    Raises:
        ModelError: it has none: a limit that does nothing would still change the key.
    """
    given = {"shortest_edge": options.min_pixels, "longest_edge": options.max_pixels}
    limits = {name: value for name, value in given.items() if value is not None}
    if not limits:
        return
    images = getattr(templater, "image_processor", None)
    known = getattr(getattr(images, "valid_kwargs", None), "__annotations__", {})
    if images is None or "min_pixels" not in known:
        raise ModelError(f"model {options.model!r} knows no min_pixels or max_pixels")
    images.size = {**dict(images.size), **limits}


def pinned_template(templater: Any, tokenizer: Any, date: str) -> str | None:
    template = getattr(templater, "chat_template", None) or tokenizer.chat_template
    if isinstance(template, dict):
        template = template.get("default")
    if template and "strftime_now" in template:
        template = "{% macro strftime_now(format) %}" + date + "{% endmacro %}" + str(template)
    return template or None


def _load_model(options: HuggingFaceOptions, source: Mapping[str, Any], reads_images: bool) -> Any:
    import torch
    import transformers

    extra: dict[str, Any] = {"dtype": options.dtype, "output_loading_info": True}
    if not options.gguf_file:
        extra["use_safetensors"] = True
    elif options.dtype == "auto":
        extra["dtype"] = "float32"
    if options.attn_implementation:
        extra["attn_implementation"] = options.attn_implementation
    device = options.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    spread = options.device == "auto" and torch.cuda.device_count() > 1
    if options.quantization:
        extra["quantization_config"] = _bitsandbytes(options.quantization)
    if spread or options.quantization:
        extra["device_map"] = "auto" if spread else {"": device}
    kind = transformers.AutoModelForImageTextToText if reads_images else transformers.AutoModelForCausalLM
    model, info = kind.from_pretrained(**source, **extra)
    _check_complete(options.model, info)
    if "device_map" not in extra:
        model = model.to(device)
    return model


def _check_complete(name: str, info: Mapping[str, Any]) -> None:
    """Refuse weights that are missing or of another shape.

    Raises:
        ModelError: some are.
    """
    for what, word in (("missing_keys", "lacks"), ("mismatched_keys", "has the wrong shape for")):
        names = sorted(str(one) for one in info.get(what) or ())
        if names:
            raise ModelError(
                f"model {name!r} {word} {len(names)} of its weights, {names[0]} among them: "
                "the checkpoint is incomplete or not of the architecture its config.json names"
            )


def _bitsandbytes(quantization: str) -> Any:
    import torch
    import transformers

    if quantization == "8bit":
        return transformers.BitsAndBytesConfig(load_in_8bit=True)
    return transformers.BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
    )


def _with_adapter(model: Any, adapter: str) -> Any:
    from peft import PeftModel

    name, _, revision = adapter.partition("@")
    if is_local(name):
        return PeftModel.from_pretrained(model, str(Path(name).expanduser()))
    return PeftModel.from_pretrained(model, name, revision=hub_revision(name, revision or None, "adapter_config.json"))


def _generation_config(source: Mapping[str, Any], config: Any) -> Any:
    """Return the checkpoint's generation config, or what transformers makes of its model config."""
    import transformers

    name, revision = source["pretrained_model_name_or_path"], source.get("revision")
    try:
        return transformers.GenerationConfig.from_pretrained(name, revision=revision)
    except OSError:  # it has none
        return transformers.GenerationConfig.from_model_config(config)


def _stops(options: HuggingFaceOptions, given: Any, tokenizer: Any) -> tuple[int, ...]:
    """Return the tokens that end an answer: the checkpoint's own and the known ends of a turn."""
    ends = list(given) if isinstance(given, list | tuple) else [given]
    vocabulary = tokenizer.get_vocab()
    ends += [tokenizer.eos_token_id, *(vocabulary.get(name) for name in _TURN_ENDS)]
    stops = sorted({int(end) for end in ends if end is not None})
    if not stops:
        raise ModelError(f"model {options.model!r} names no token that ends an answer (eos_token)")
    return tuple(stops)
