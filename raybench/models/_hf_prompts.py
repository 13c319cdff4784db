"""How a checkpoint is asked: its chat template, its special tokens, the token of a label. No weights.

What generates (transformers, vLLM) shares this, so that both are shown the same prompt.

    prompts = Prompts(options, load(options, weights=False))
    text = prompts.render([{"role": "user", "content": [{"type": "text", "text": "Organ?"}]}])
    prompts.tokens(text)
"""

from __future__ import annotations

from collections.abc import Sequence

from raybench.errors import ModelError
from raybench.models._hf_identity import HuggingFaceOptions
from raybench.models._hf_loading import Loaded
from raybench.schema import Row

__all__ = ["Prompts"]

_PLAIN_IMAGE = "<image>"


class Prompts:
    """The prompt side of a loaded checkpoint."""

    def __init__(self, options: HuggingFaceOptions, loaded: Loaded) -> None:
        self.options = options
        self.tokenizer, self.templater = loaded.tokenizer, loaded.templater
        self.reads_images = loaded.reads_images
        self._template, self._adds_bos = loaded.template, loaded.adds_bos

    def render(self, messages: Sequence[Row]) -> str:
        """Return the prompt text of a conversation, ready for the answer's first token."""
        turns = list(messages)
        if self.options.system_prompt and (not turns or turns[0]["role"] != "system"):
            turns.insert(0, {"role": "system", "content": self.options.system_prompt})
        if self._template is None:
            return self._plain(turns)
        chat = [{"role": turn["role"], "content": self._content(turn["content"])} for turn in turns]
        date = {"date_string": self.options.date_string} if "date_string" in self._template else {}
        return str(
            self.templater.apply_chat_template(
                chat, chat_template=self._template, tokenize=False, add_generation_prompt=True, **date
            )
        )

    def _content(self, content: str | Sequence[Row]) -> str | list[Row]:
        """Give image-text templates lists of parts and text templates strings, as their authors expect."""
        parts = _parts(content)
        if not self.reads_images:
            return "\n".join(part["text"] for part in parts if part["type"] == "text")
        return [{"type": "image"} if part["type"] == "image" else part for part in parts]

    def _plain(self, turns: Sequence[Row]) -> str:
        """Render a conversation for a checkpoint without a chat template ("plain-v1" in identities)."""
        image = getattr(self.templater, "image_token", None) or _PLAIN_IMAGE
        lines = []
        for turn in turns:
            parts = _parts(turn["content"])
            text = "\n".join(image if part["type"] == "image" else part["text"] for part in parts)
            lines.append(text if turn["role"] == "system" else f"{turn['role'].upper()}: {text}")
        return "\n".join([*lines, "ASSISTANT:"])

    def has_bos(self, text: str) -> bool:
        """Say whether a rendered prompt already starts with the BOS token's text."""
        bos = self.tokenizer.bos_token
        return bool(bos) and text.startswith(bos)

    def tokens(self, text: str) -> list[int]:
        """Return a rendered prompt's token ids, one BOS in front where the model wants one; images are one token each.

        Raises:
            ModelError: there are two BOS, or the one it needs is missing.
        """
        ids: list[int] = self.tokenizer(text, add_special_tokens=not self.has_bos(text))["input_ids"]
        self.check_start(ids)
        return ids

    def check_start(self, ids: Sequence[int]) -> None:
        """Check the first tokens of a prompt.

        Raises:
            ModelError: there are two BOS, or the one it needs is missing.
        """
        bos = self.tokenizer.bos_token_id
        if bos is not None and list(ids[:2]) == [bos, bos]:
            raise ModelError(f"prompts of {self.options.model!r} would start with two {self.tokenizer.bos_token}")
        if self._adds_bos and list(ids[:1]) != [bos]:
            raise ModelError(f"prompts of {self.options.model!r} would lack their {self.tokenizer.bos_token}")

    def label_tokens(self, prompt: str, labels: Sequence[str]) -> list[int]:
        """Return the token of each label where the answer to a rendered prompt begins.

        After a prompt that ends in text ("ASSISTANT:") an answer begins with a
        space, so it is " A" that is looked up there; after a newline or a header
        token it is "A".

        Raises:
            ModelError: a label is not one token there.
        """
        space = " " if prompt[-1:].isascii() and prompt[-1:].isprintable() and not self._ends_special(prompt) else ""
        before = self.tokenizer(prompt, add_special_tokens=False)["input_ids"]
        tokens = []
        for label in labels:
            after = self.tokenizer(prompt + space + label, add_special_tokens=False)["input_ids"]
            if len(after) != len(before) + 1 or after[:-1] != before:
                raise ModelError(f"label {label!r} is not one token where {self.options.model!r} begins its answer")
            tokens.append(int(after[-1]))
        if len(set(tokens)) != len(tokens):
            raise ModelError(f"labels {list(labels)} are not different tokens of {self.options.model!r}")
        return tokens

    def _ends_special(self, prompt: str) -> bool:
        return prompt.endswith((" ", *self.tokenizer.get_added_vocab()))


def _parts(content: str | Sequence[Row]) -> list[Row]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)
