"""Take a model's marked thinking apart from its answer.

>>> split_reasoning("<think>A heart, so the thorax.</think>\\n\\nThorax")
('A heart, so the thorax.', 'Thorax')
>>> split_reasoning("Thorax")
('', 'Thorax')
"""

from __future__ import annotations

__all__ = ["split_reasoning"]

OPEN, CLOSE = "<think>", "</think>"


def split_reasoning(text: str, opened: bool = False) -> tuple[str, str]:
    """Return (reasoning, answer) of one generated text.

    Args:
        opened: the prompt itself ended in `<think>`, so that the text starts inside it.

    A thought that was never closed (the tokens ran out) is all reasoning and an
    empty answer: a blank, which is counted as refused, never as a wrong word.
    """
    head, closed, tail = text.partition(CLOSE)
    if closed:
        return head.lstrip().removeprefix(OPEN).strip(), tail.lstrip()
    if opened or text.lstrip().startswith(OPEN):
        return text.lstrip().removeprefix(OPEN).strip(), ""
    return "", text
