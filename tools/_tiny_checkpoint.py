"""The tiny LLaVA before training: tokeniser, processor, architecture, and how a finished one is saved.

The architecture is LLaVA's (https://arxiv.org/abs/2304.08485) at a hundredth of a
percent of the size: a CLIP vision tower, a projector, a Llama. Images are squeezed to
96 x 96 px without a crop, so boxes refer to the whole image. Coordinates 0.00-1.00
are one token each.

    tokenizer = train_tokenizer(texts)
    model = new_model(tokenizer)
    save(model, new_processor(tokenizer), Path("raybench/models/weights/tiny-llava-a"))
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = ["COORDINATES", "IMAGE_PX", "PATCHES", "PATCH_PX", "new_model", "new_processor", "save", "train_tokenizer"]

IMAGE_PX, PATCH_PX = 96, 12
#: Image tokens of one image.
PATCHES = (IMAGE_PX // PATCH_PX) ** 2
COORDINATES = tuple(f"{n / 100:.2f}" for n in range(101))
VOCABULARY = 1024
CONTEXT = 1024

#: Roles are tokens of their own, so the answer's first word never merges with the prompt.
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ '<|' + message['role'] + '|>' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>' }}{% endfor %}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'text') %}{{ part['text'] }}{% endfor %}"
    "{% endif %}{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
_SPECIALS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
_EXTRA = ("<image>", "<|system|>", "<|user|>", "<|assistant|>")
#: Words with their space, single digits, the separator between coordinates, other marks.
_PIECES = r" ?[A-Za-z]+| ?\d|, $|\s*[^\sA-Za-z\d]+|\s+"
_COORDINATE = re.compile(r"[01]\.\d\d")


def train_tokenizer(texts: Iterable[str]) -> Any:
    """Return a byte-level BPE tokeniser of `VOCABULARY` tokens at most that puts BOS in front."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(COORDINATES),
        special_tokens=[*_SPECIALS.values(), *_EXTRA],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
        min_frequency=2,
    )
    tokenizer.train_from_iterator((piece for text in texts for piece in _COORDINATE.split(text)), trainer)
    tokenizer.add_tokens([AddedToken(one, normalized=False) for one in COORDINATES])
    bos = _SPECIALS["bos_token"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", special_tokens=[(bos, tokenizer.token_to_id(bos))]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        additional_special_tokens=list(_EXTRA),
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
        padding_side="left",
        **_SPECIALS,
    )
    fast.chat_template = TEMPLATE
    return fast


def new_processor(tokenizer: Any) -> Any:
    """Return the processor: squeeze to 96 x 96 px (bicubic), scale to -2..2, one <image> becomes 64 tokens."""
    from transformers import LlavaProcessor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    images = CLIPImageProcessorPil(
        size={"height": IMAGE_PX, "width": IMAGE_PX},
        do_center_crop=False,
        crop_size={"height": IMAGE_PX, "width": IMAGE_PX},
        image_mean=[0.5, 0.5, 0.5],
        image_std=[0.25, 0.25, 0.25],
    )
    return LlavaProcessor(
        images,
        tokenizer,
        patch_size=PATCH_PX,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,  # the tower's CLS, which "default" leaves out
        chat_template=TEMPLATE,
    )


def new_model(tokenizer: Any) -> Any:
    """Return a randomly filled model of 1.8 M parameters (seed torch first)."""
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    vision = CLIPVisionConfig(
        hidden_size=128,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=4,
        image_size=IMAGE_PX,
        patch_size=PATCH_PX,
        hidden_act="gelu",  # one fused operation; CLIP's quick_gelu is two
        projection_dim=128,
    )
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=160,
        intermediate_size=448,
        num_hidden_layers=3,
        num_attention_heads=5,
        num_key_value_heads=5,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=PATCHES,
        vision_feature_layer=-1,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
    )
    model = LlavaForConditionalGeneration(config)
    _initialise(model.model.language_model, tokenizer.convert_tokens_to_ids(list(COORDINATES)))
    return model


def _initialise(language: Any, coordinates: list[int]) -> None:
    """Fill the language model so that it soon looks where a question's words point.

    Weights are as wide as the narrow layers need. Keys start equal to queries, so that a
    word attends to what resembles it, image tokens among them. Neighbouring coordinates
    start alike: each is a few cosines of its value.
    """
    import torch

    for parameter in language.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.05)
    for layer in language.layers:
        layer.self_attn.k_proj.weight.data.copy_(layer.self_attn.q_proj.weight.data)
    embedded = language.embed_tokens.weight.data
    torch.nn.init.normal_(embedded, std=0.08)
    angles = torch.pi * torch.arange(len(coordinates))[:, None] / 100 * torch.arange(12)
    waves = torch.cat([angles.cos(), angles[:, 1:].sin()], dim=1) / 12**0.5
    embedded[coordinates] = waves @ torch.randn(waves.shape[1], embedded.shape[1]) * 0.08


def save(model: Any, processor: Any, folder: Path) -> None:
    """Write a checkpoint folder: weights as float16 (half the size), computed with as float32."""
    import torch
    from safetensors.torch import load_file, save_file

    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    weights = folder / "model.safetensors"
    halves = {name: tensor.to(torch.float16) for name, tensor in load_file(weights).items()}
    save_file(halves, weights, metadata={"format": "pt"})
    weights.chmod(0o644)  # safetensors writes for the owner alone
    config = folder / "config.json"
    settings = json.loads(config.read_text(encoding="utf-8"))
    # "dtype: auto" follows this field, not the file: float32 is exact and quicker on CPUs.
    for part in (settings, settings["vision_config"], settings["text_config"]):
        part["dtype"] = "float32"
    config.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")
