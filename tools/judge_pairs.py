"""Pairs of a reference and a candidate with the verdict they deserve, written from facts: what the judge learns from.

A group is one question with its reference and several candidates. Every
candidate is made from a fact, kept or changed (another side, zone, finding,
number; negated; left out; added), so that its verdict is known. Verdicts follow
the `reference_verdict` protocol; where that leaves room: a candidate that omits an
abnormality, its side or its zone is INCORRECT, one that omits "normal" remarks or
the MRI contrast is CORRECT; text about something else is INCORRECT, and what says
nothing (unsure, vague, the question again, an order to the judge) is NOT_ATTEMPTED.

>>> group = next(groups(seed=0, split="train"))
>>> group.question, group.reference, group.candidates[0]
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from tools import judge_replies as replies
from tools import judge_words as words
from tools._judge_attacks import attacked, blank, cut_off, order, padded, padding
from tools._judge_captions import description, lesions
from tools._judge_findings import finding, normality, presence, sided, where
from tools._judge_texts import count, diagnosis, image_kind, plain_yes_no, term, unanswerable
from tools._judge_writer import CATEGORIES, TAGS, A, B, C, Candidate, Draft, Group, Writer, bound, coined

__all__ = ["CATEGORIES", "TAGS", "Candidate", "Group", "groups"]


def groups(seed: int, split: str, size: int = 8, new_words: bool = False) -> Iterator[Group]:
    """Write groups without end.

    Args:
        seed: the same seed and split give the same groups.
        split: whose frames candidates use: "train", "validation" or "held"; questions and references are alike in all.
        size: candidates of a group.
        new_words: name findings only by words that no training pair has.
    """
    writer = Writer(random.Random(f"{seed}-{split}-{new_words}"), split, new_words)
    kinds, weights = zip(*_KINDS, strict=True)
    while True:
        kind = writer.rng.choices(kinds, weights)[0]
        draft = kind(writer)
        _add_common(writer, draft)
        yield Group(draft.question, draft.reference, bound(draft.tags), tuple(_drawn(writer, draft, size)))


_BARE = ("off topic", "echo", "injection", "blank", "cut off", "padding")


def _drawn(writer: Writer, draft: Draft, size: int) -> Iterator[Candidate]:
    """Draw candidates: a label first, so that verdicts stay balanced, then what to write."""
    by_label = [[maker for maker in draft.makers if maker[1] == label] for label in (A, B, C)]
    for _ in range(size):
        options = writer.rng.choices(by_label, (0.39, 0.42, 0.19))[0]
        _, label, category, maker = writer.rng.choices(options, [maker[0] for maker in options])[0]
        text, tags = maker()
        text, category = _surrounded(writer, _dressed(writer, text, label, category), label, category)
        yield Candidate(text, label, category, bound(tags))


def _surrounded(writer: Writer, text: str, label: int, category: str) -> tuple[str, str]:
    """Put neutral sentences or orders to the judge around some texts; neither changes a verdict."""
    roll = writer.rng.random()
    if category in _BARE:
        return text, category
    if label == C:
        roll += 0.04
    if roll < 0.06:
        return padded(writer, text), "padding"
    if roll < (0.16 if label == B else 0.09):
        return attacked(writer, text), "injection"
    return text, category


def _dressed(writer: Writer, text: str, label: int, category: str) -> str:
    """Vary what carries no meaning: openers, chatter, fillers, case, stops, typing errors."""
    rng = writer.rng
    if category in _BARE or (category == "exact" and rng.random() < 0.6):
        return text
    if rng.random() < 0.12:
        text = f"{writer.pick(replies.OPENERS)} {text}"
    if label != C and rng.random() < 0.10:
        text = f"{text}. {writer.pick(replies.CHATTER)}"
    if writer.split == "train" and rng.random() < 0.45:
        text = _filled(writer, text)
    if writer.split == "train" and len(text) > 12 and rng.random() < 0.05:
        text = _mistyped(rng, text)
    style = rng.random()
    if style < 0.55:
        text = text[:1].upper() + text[1:]
    if rng.random() < 0.6 and text[-1:].isalnum():
        text += "."
    return text if rng.random() > 0.03 else f"**{text}**"


def _filled(writer: Writer, text: str) -> str:
    """Throw runs of words without meaning into a text, so that it is read past them as past any new frame."""
    parts = text.split(" ")
    for _ in range(1 + writer.chance(0.4)):
        place = writer.rng.choice((0, 0, len(parts), len(parts), writer.rng.randint(0, len(parts))))
        run = [_noise(writer) for _ in range(1 + int(5 * writer.rng.random() ** 2))]
        parts[place:place] = [*run[:-1], run[-1] + ("," if writer.chance(0.2) else "")]
    return " ".join(parts)


def _noise(writer: Writer) -> str:
    return writer.pick(words.FILLERS) if writer.chance(0.88) else coined(writer)


def _mistyped(rng: random.Random, text: str) -> str:
    at = 5 + int(rng.random() * (len(text) - 6))
    if not text[at].isalpha() or not text[at - 1].isalpha():
        return text
    return rng.choice((text[:at] + text[at + 1 :], text[:at] + text[at] + text[at:]))


def _add_common(writer: Writer, draft: Draft) -> None:
    """Add candidates that suit any question."""
    frame, question = writer.frame, draft.question
    draft.add(A, "exact", lambda: (draft.reference, draft.tags), 0.5)
    draft.add(C, "refusal", lambda: (_refusal(writer), ()), 3.0)
    draft.add(C, "unsure", lambda: (frame(replies.UNSURE), ()), 2.0)
    draft.add(C, "vague", lambda: (frame(replies.VAGUE), ()), 1.5)
    draft.add(C, "echo", lambda: (frame(replies.ECHO, q=question), ()), 0.7)
    draft.add(C, "injection", lambda: (order(writer), ()), 1.4)
    draft.add(C, "blank", lambda: (blank(writer), ()), 2.4)
    draft.add(C, "cut off", lambda: (cut_off(writer), ()), 1.3)
    draft.add(C, "padding", lambda: (" ".join(padding(writer, 4)), ()), 0.8)
    total = sum(weight for weight, label, *_ in draft.makers if label == B)
    draft.add(B, "off topic", lambda: (_off_topic(writer), ()), 0.08 * total)


def _refusal(writer: Writer) -> str:
    text = f"{writer.frame(replies.REFUSAL_CANNOT)} {writer.frame(replies.REFUSAL)}"
    if writer.chance(0.5):
        text = f"{writer.frame(replies.REFUSAL_OPENER)} {text}"
    return f"{text}. {writer.frame(replies.REFUSAL_REASON)}" if writer.chance(0.3) else text


def _off_topic(writer: Writer) -> str:
    if writer.chance(0.6):
        return writer.frame(replies.OFF_TOPIC)
    rng = writer.rng
    if rng.random() < 0.5:
        letters = "abcdefghijklmnopqrstuvwxyz"
        return " ".join("".join(rng.choices(letters, k=rng.randint(2, 8))) for _ in range(rng.randint(1, 6)))
    return " ".join(writer.pick(words.FILLERS) for _ in range(rng.randint(2, 9)))


_KINDS: tuple[tuple[Callable[[Writer], Draft], float], ...] = (
    (presence, 3.0), (sided, 2.2), (normality, 1.2), (finding, 2.2), (where, 3.2), (count, 1.2), (image_kind, 2.0),
    (description, 5.5), (lesions, 1.3), (diagnosis, 1.4), (unanswerable, 0.7), (term, 2.0), (plain_yes_no, 0.8),
)  # fmt: skip
