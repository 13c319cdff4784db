"""Lettered options: how multiple choice is put, and which letter is which choice."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Sequence

from raybench.errors import DataError
from raybench.schema import Row

__all__ = ["PROMPTS", "chosen", "letters", "unlettered", "with_options"]

#: Variants over {question} and {options}, one lettered option a line.
PROMPTS: dict[str, str] = {
    "letter": "{question}\n{options}\nAnswer with the letter of the right option only.",
    "plain": "{question}\n{options}",
    "text": "{question}\n{options}\nAnswer with the text of the right option, word for word.",
    "reasoned": "{question}\n{options}\nThink it through, then end with a line of the form: Answer: <letter>",
    "tagged": "{question}\n{options}\nWrite the letter of the right option, and only that, between <answer> and "
    "</answer>.",
}


def letters(choices: Sequence[str]) -> list[str]:
    """Return "A", "B", ... for the choices."""
    return list(string.ascii_uppercase[: len(choices)])


def with_options(sample: Row) -> Row:
    """Return the sample row with the context field `options`: one line "A. ..." a choice."""
    lines = [
        f"{letter}. {choice}" for letter, choice in zip(letters(sample["choices"]), sample["choices"], strict=True)
    ]
    context = {**json.loads(sample["context"] or "{}"), "options": "\n".join(lines)}
    return {**sample, "context": json.dumps(context, ensure_ascii=False)}


def unlettered(choice: str, letter: str) -> str:
    """Return a choice without the letter that some files put before it ("A:Lung" -> "Lung").

    >>> unlettered(" B: Left lung", "B"), unlettered("Blood", "B")
    ('Left lung', 'Blood')
    """
    return re.sub(rf"^\s*\(?{letter}\s*[:.)]\s*", "", choice).strip()


def chosen(answer: str, choices: Sequence[str], where: str) -> str:
    """Return the choice that an answer names, by its text (case does not count) or by its letter.

    Raises:
        DataError: fewer than two choices, too many, two alike, or the answer is none of them.
    """
    if not 2 <= len(choices) <= len(string.ascii_uppercase):
        raise DataError(f"{where}: {len(choices)} choices; from 2 to {len(string.ascii_uppercase)} are allowed")
    folded = {choice.casefold(): choice for choice in choices}
    if len(folded) < len(choices):
        raise DataError(f"{where}: a choice stands twice (case does not count): {', '.join(choices)}")
    by_letter = dict(zip(letters(choices), choices, strict=True))
    found = folded.get(answer.casefold()) or by_letter.get(answer.strip(" .:()").upper())
    if found is None:
        raise DataError(f"{where}: answer {answer!r} is neither a letter nor one of the choices: {', '.join(choices)}")
    return found
