"""The judge's tokeniser, chat template and architecture, and its forward pass over groups in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import transformers

from tools._judge_writer import CATEGORIES, TAGS, Group
from tools.judge_pairs import groups

__all__ = [
    "LABELS",
    "TEMPLATE",
    "Batch",
    "Encoded",
    "Settings",
    "build_model",
    "build_tokenizer",
    "collate",
    "encode",
    "hidden",
    "save",
]

LABELS = ("a", "b", "c")
_SPECIALS = ("<s>", "</s>", "<pad>", "<q>", "<r>", "<c>", "<g>")
_TAG_IDS = {tag: number for number, tag in enumerate(TAGS)}
_CATEGORY_IDS = {name: number for number, name in enumerate(CATEGORIES)}

#: Renders the protocol's user message as question, reference, candidate; any other conversation as its plain text.
#: What could be a token of this tokeniser is taken out of the text, and a candidate is read up to 800 characters.
TEMPLATE = r"""
{%- macro flat(text) -%}{{ text | replace('<', ' ') | replace('>', ' ') | trim }}{%- endmacro -%}
{%- set ns = namespace(user='', plain='') -%}
{%- for message in messages -%}
  {%- set part = namespace(text='') -%}
  {%- if message['content'] is string -%}
    {%- set part.text = message['content'] -%}
  {%- else -%}
    {%- for piece in message['content'] -%}
      {%- if piece['type'] == 'text' -%}{%- set part.text = part.text ~ piece['text'] -%}{%- endif -%}
    {%- endfor -%}
  {%- endif -%}
  {%- set ns.plain = ns.plain ~ ' ' ~ part.text -%}
  {%- if message['role'] == 'user' -%}{%- set ns.user = part.text -%}{%- endif -%}
{%- endfor -%}
{%- set opened = ns.user.split('\n<<<CANDIDATE ', 1) -%}
{%- set asked = opened[0].split('\nReference answer: ', 1) -%}
{%- set nonce = opened[-1].split('>>>\n', 1)[0] -%}
{%- set closed = opened[-1].split('\n<<<END CANDIDATE ' ~ nonce ~ '>>>', 1) -%}
{%- if opened | length == 2 and asked | length == 2 and closed | length == 2 and asked[0].startswith('Question: ') -%}
  {{- bos_token ~ '<q> ' ~ flat(asked[0][10:]) ~ '<r> ' ~ flat(asked[1]) -}}
  {{- '<c> ' ~ flat(closed[0][nonce | length + 4:][:800]) ~ '<g>' -}}
{%- else -%}
  {{- bos_token ~ ' ' ~ flat(ns.plain) ~ '<g>' -}}
{%- endif -%}
"""


@dataclass(frozen=True)
class Settings:
    """What decides the weights, beside this file.

    Attributes:
        steps, groups: updates, and groups of 8 candidates in each.
        rate: peak learning rate.
        seed: of pairs and initial weights.
        vocabulary, width, layers, heads, inner: of the model.
    """

    steps: int = 6000
    groups: int = 16
    rate: float = 1.5e-3
    seed: int = 0
    vocabulary: int = 1800
    width: int = 192
    layers: int = 4
    heads: int = 6
    inner: int = 448


def build_tokenizer(settings: Settings) -> Any:
    """Return a lower-case byte-level BPE learnt from training pairs, with the chat template."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.NFKC(), normalizers.Lowercase(),
        normalizers.Replace(Regex("[’‘]"), "'"),
        normalizers.Replace(Regex(r"[*_`#|~\"“”\\\[\](){}]+"), " "),
        normalizers.Replace(Regex(r"(?<=\w)[-–—](?=\w)"), " "),
        normalizers.Replace(Regex(r"\s+"), " "),
    ])  # fmt: skip
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r" ?[\p{L}']+| ?\p{N}| ?[^\s\p{L}\p{N}]|\s+"), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])  # fmt: skip
    tokenizer.decoder = decoders.ByteLevel()
    texts = (
        f" {text}"
        for group in islice(groups(settings.seed + 1, "train"), 6_000)
        for text in (group.question, group.reference, *(candidate.text for candidate in group.candidates))
        if text.isascii()
    )
    trainer = trainers.BpeTrainer(
        vocab_size=settings.vocabulary,
        special_tokens=list(_SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>", padding_side="left",
        additional_special_tokens=list(_SPECIALS[3:]), chat_template=TEMPLATE.strip(),
        clean_up_tokenization_spaces=False,
    )  # fmt: skip


def build_model(settings: Settings) -> Any:
    """Return the untrained model."""
    torch.manual_seed(settings.seed)
    config = transformers.LlamaConfig(
        vocab_size=settings.vocabulary, hidden_size=settings.width, intermediate_size=settings.inner,
        num_hidden_layers=settings.layers, num_attention_heads=settings.heads, num_key_value_heads=settings.heads,
        max_position_embeddings=4096, tie_word_embeddings=True, bos_token_id=0, eos_token_id=1, pad_token_id=2,
        rms_norm_eps=1e-5, initializer_range=0.04,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config)


@dataclass
class Batch:
    """Groups side by side: (groups, tokens) of ids and positions, an attention bias, and where to read what.

    `read` (groups, 1 + candidates) points at each <c> and <g>; labels and
    categories are (groups, candidates); tags (groups, 1 + candidates, tags).
    """

    ids: torch.Tensor
    positions: torch.Tensor
    bias: torch.Tensor
    read: torch.Tensor
    labels: torch.Tensor
    categories: torch.Tensor
    tags: torch.Tensor


@dataclass
class Encoded:
    """A group as tokens: the shared prefix, and one list for each candidate."""

    prefix: list[int]
    answers: list[list[int]]
    group: Group

    @property
    def length(self) -> int:
        return len(self.prefix) + sum(map(len, self.answers))


def encode(tokenizer: Any, found: Sequence[Group]) -> list[Encoded]:
    """Tokenise groups as the chat template would."""
    texts = []
    for group in found:
        texts.append(f"<s><q> {_clean(group.question)}<r> {_clean(group.reference)}<c>")
        texts += [f" {_clean(candidate.text)}<g>" for candidate in group.candidates]
    ids = iter(tokenizer(texts, add_special_tokens=False)["input_ids"])
    return [Encoded(next(ids), [next(ids) for _ in group.candidates], group) for group in found]


def _clean(text: str) -> str:
    return text.replace("<", " ").replace(">", " ").strip()[:800]


def collate(rows: Sequence[Encoded]) -> Batch:
    """Put groups side by side; a candidate sees the prefix and itself, at the positions it would have alone."""
    size, count = max(row.length for row in rows), len(rows[0].answers)
    ids = torch.full((len(rows), size), 2)
    positions = torch.zeros(len(rows), size, dtype=torch.long)
    segment = torch.full((len(rows), size), -1)
    read = torch.zeros(len(rows), count + 1, dtype=torch.long)
    tags = torch.zeros(len(rows), count + 1, len(TAGS))
    for number, row in enumerate(rows):
        start = len(row.prefix)
        ids[number, :start] = torch.tensor(row.prefix)
        positions[number, :start] = torch.arange(start)
        segment[number, :start] = 0
        read[number, 0] = start - 1
        at = start
        for which, answer in enumerate(row.answers, 1):
            end = at + len(answer)
            ids[number, at:end] = torch.tensor(answer)
            positions[number, at:end] = torch.arange(start, start + len(answer))
            segment[number, at:end] = which
            read[number, which] = end - 1
            at = end
        for which, named in enumerate((row.group.tags, *(candidate.tags for candidate in row.group.candidates))):
            for tag in named:
                tags[number, which, _TAG_IDS[tag]] = 1.0
    seen = (segment[:, None, :] == segment[:, :, None]) | (segment[:, None, :] == 0)
    seen &= torch.ones(size, size, dtype=torch.bool).tril()
    bias = torch.zeros(seen.shape, dtype=torch.bfloat16).masked_fill_(~seen, -1e4)[:, None]
    labels = torch.tensor([[c.label for c in row.group.candidates] for row in rows])
    categories = torch.tensor([[_CATEGORY_IDS[c.category] for c in row.group.candidates] for row in rows])
    return Batch(ids, positions, bias, read, labels, categories, tags)


def hidden(model: Any, batch: Batch) -> torch.Tensor:
    """Return the last hidden states where a batch is read, (groups, 1 + candidates, width).

    The same arithmetic as the model's own forward pass in bfloat16, without what
    training does not need: the last layer is computed at the read positions only.
    """
    config, core, half = model.config, model.model, torch.bfloat16
    heads, width = config.num_attention_heads, config.hidden_size // config.num_attention_heads
    theta = config.rope_parameters["rope_theta"]
    angles = batch.positions[:, :, None] * (theta ** (-torch.arange(0, width, 2) / width))
    turn = (angles.cos().to(half)[:, None], angles.sin().to(half)[:, None])
    x = F.embedding(batch.ids, core.embed_tokens.weight)
    for number, layer in enumerate(core.layers):
        last = number == len(core.layers) - 1
        attention = layer.self_attn
        normed = _normed(x, layer.input_layernorm)
        key = _turned(_split(F.linear(normed, attention.k_proj.weight.to(half)), heads), *turn)
        value = _split(F.linear(normed, attention.v_proj.weight.to(half)), heads)
        bias = batch.bias
        if last:
            at = batch.read[:, :, None]
            x, normed = (torch.gather(one, 1, at.expand(-1, -1, one.shape[-1])) for one in (x, normed))
            turn = tuple(torch.gather(one[:, 0], 1, at.expand(-1, -1, one.shape[-1]))[:, None] for one in turn)
            bias = torch.gather(bias[:, 0], 1, at.expand(-1, -1, bias.shape[-1]))[:, None]
        query = _turned(_split(F.linear(normed, attention.q_proj.weight.to(half)), heads), *turn)
        weights = ((query * width**-0.5) @ key.transpose(-1, -2) + bias).softmax(-1)
        mixed = (weights @ value).transpose(1, 2).flatten(2)
        x = x + F.linear(mixed, attention.o_proj.weight.to(half))
        normed = _normed(x, layer.post_attention_layernorm)
        inner = F.silu(F.linear(normed, layer.mlp.gate_proj.weight.to(half)))
        inner = inner * F.linear(normed, layer.mlp.up_proj.weight.to(half))
        x = x + F.linear(inner, layer.mlp.down_proj.weight.to(half))
    return F.rms_norm(x, (x.shape[-1],), core.norm.weight, core.norm.variance_epsilon)


def _normed(x: torch.Tensor, norm: Any) -> torch.Tensor:
    return F.rms_norm(x, (x.shape[-1],), norm.weight, norm.variance_epsilon).to(torch.bfloat16)


def _split(x: torch.Tensor, heads: int) -> torch.Tensor:
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def _turned(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    first, second = x.chunk(2, -1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), -1)


def save(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write the checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    for path in folder.iterdir():
        path.chmod(0o644)
    tokenizer.save_pretrained(folder)
