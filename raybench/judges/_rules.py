"""What needs no judge: no attempt at an answer, and the reference word for word.

Judges that hold a reference call empty openers correct ("master keys", arXiv
2507.08794), so those never reach one. An exact match settles CORRECT only, after
the refusal check; nothing is ever settled as wrong.

>>> no_attempt("answered", "Which side?", "Thought process:", ())
'opener'
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from raybench.parsing.normalise import has_content, medical, plain
from raybench.parsing.refusal import refusal

__all__ = ["is_exact", "no_attempt", "prompt_sentences", "sampled"]

#: Whole candidates that only announce an answer.
_OPENERS = frozenset(
    {
        "answer", "the answer", "the answer is", "the correct answer is", "correct answer", "final answer",
        "my answer", "my final answer is", "the final answer is", "solution", "the solution is", "thought process",
        "thinking process", "thinking", "thought", "thoughts", "reasoning", "explanation", "analysis", "response",
        "output", "result", "conclusion", "grade", "verdict", "candidate", "reference answer", "assistant",
        "let's think step by step", "let us think step by step", "let's solve this problem step by step",
        "let's solve this step by step", "let me think", "let's begin", "step 1", "here is the answer",
        "here's the answer", "sure", "certainly", "of course", "okay", "ok",
        "解", "解答", "答案", "回答", "解析", "思考过程", "让我们一步一步思考", "かいせつ", "解説", "答え",
        "respuesta", "solución", "réponse", "solution étape par étape", "antwort", "lösung", "ответ", "решение",
    }
)  # fmt: skip
_LABEL = re.compile(r"^(?:question|q|answer|a|candidate|candidate answer|reference|reference answer)\s*[:：]\s*")
_EDGES = " .:!?：。！？…-\n\"'"
#: A shorter sentence of the prompt ("on the left") may be an answer.
_SENTENCE_WORDS = 4


def no_attempt(outcome: str, question: str, candidate: str, prompt: Sequence[str]) -> str | None:
    """Return the rule by which a candidate is no attempt, or None if a judge must look.

    Args:
        outcome: what the task's parser made of it.
        prompt: sentences of the judge's own static prompt (see `prompt_sentences`).
    """
    if outcome == "refused":
        return "refused"
    if not has_content(candidate):
        return "blank"
    said, asked = plain(candidate).strip(_EDGES), plain(question).strip(_EDGES)
    if said in _OPENERS:
        return "opener"
    if said == asked or (asked and _bare(said) == asked):
        return "question repeated"
    sentences = {part for part in _sentences(said) if part != asked and _bare(part) != asked and part not in _OPENERS}
    if asked and not sentences and asked in said:
        return "question repeated"
    return "prompt repeated" if sentences and sentences <= set(prompt) else None


def _bare(text: str) -> str:
    """Text without a leading "question:" and a trailing "answer:"."""
    text = _LABEL.sub("", text).strip(_EDGES)
    return re.sub(r"\s+(?:answer|response)$", "", text).strip(_EDGES)


def _sentences(text: str) -> list[str]:
    return [part for piece in re.split(r"[\n.?!;。？！；]+", text) if (part := " ".join(piece.split()).strip(_EDGES))]


def prompt_sentences(template: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the sentences of a template that could be no answer, as `no_attempt` compares them."""
    return _prompt_sentences(f"{template['system']}\n{template['user']}")


@lru_cache(maxsize=16)
def _prompt_sentences(text: str) -> tuple[str, ...]:
    # A template's lines are broken anywhere: sentences count both as they stand and joined.
    joined = plain(text.replace("\n", " "))
    found = {part for part in _sentences(joined) + _sentences(plain(text)) if len(part.split()) >= _SENTENCE_WORDS}
    return tuple(sorted(found))


def is_exact(candidate: str, reference: str) -> bool:
    """Say whether a candidate is the reference but for case, markup, articles and punctuation, and declines nothing.

    Negation, side, every number, sign and unit must be equal (`parsing.normalise.medical`).
    """
    said = medical(candidate)
    return bool(said) and has_content(said) and said == medical(reference) and refusal(candidate) is None


def sampled(digest: str, share: float) -> bool:
    """Say whether an item is in a share (0-1) of all items, chosen by its content and so the same on every run."""
    return int(digest[-12:], 16) < share * 16**12
