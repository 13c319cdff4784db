"""How long prompts are in a checkpoint's own tokens, found without loading its weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from raybench.models._hf_identity import HuggingFaceOptions
from raybench.models._hf_loading import pinned_template, source_of
from raybench.schema import Row

__all__ = ["count_tokens"]


def count_tokens(options: HuggingFaceOptions, chats: Sequence[Sequence[Row]]) -> list[int] | None:
    """Return the prompt tokens of text chats; None where the tokeniser cannot be read here."""
    try:
        import transformers

        tokenizer: Any = transformers.AutoTokenizer.from_pretrained(**source_of(options))
    except (ImportError, OSError, ValueError, LookupError, TypeError):
        return None
    template = pinned_template(tokenizer, tokenizer, options.date_string)
    return [_length(tokenizer, template, _plain(chat, options.system_prompt), options.date_string) for chat in chats]


def _plain(chat: Sequence[Row], system_prompt: str | None) -> list[Row]:
    turns = [{"role": turn["role"], "content": _text(turn["content"])} for turn in chat]
    if system_prompt and (not turns or turns[0]["role"] != "system"):
        turns.insert(0, {"role": "system", "content": system_prompt})
    return turns


def _text(content: str | Sequence[Row]) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part["type"] == "text")


def _length(tokenizer: Any, template: str | None, turns: list[Row], date: str) -> int:
    if template is None:
        text = "\n".join(turn["content"] for turn in turns)
    else:
        more = {"date_string": date} if "date_string" in template else {}
        text = tokenizer.apply_chat_template(
            turns, chat_template=template, tokenize=False, add_generation_prompt=True, **more
        )
    bos = tokenizer.bos_token
    return len(tokenizer(text, add_special_tokens=not (bos and text.startswith(bos)))["input_ids"])
