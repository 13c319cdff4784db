"""Prompt families for describing an image: brief and detailed, each one meaning in many wordings.

The second study instructs its models with 11 wordings of "describe briefly" and 16
of "describe in detail" (its Tables 7 and 8) and reports how little else changes.
These are families of the same make in words of our own, so that the spread over
wordings can be swept (`prompts: all`) and stated beside a score.
"""

from __future__ import annotations

__all__ = ["BRIEF", "DETAILED", "LONGEST", "SHORT_ANSWERS", "YES_NO", "described"]

BRIEF: tuple[str, ...] = (
    "What does this {kind} show? One or two sentences are enough.",
    "Say in a few words what can be seen in this {kind}.",
    "Sum up this {kind} in a single sentence.",
    "Give the essentials of this {kind}, nothing more.",
    "In short: what is to be seen in this {kind}?",
    "State the main finding of this {kind} as briefly as you can.",
    "Put the content of this {kind} into one clear sentence.",
    "Name what matters in this {kind}; keep it to two lines.",
    "Tell a colleague in one breath what this {kind} shows.",
    "Write a one-sentence caption for this {kind}.",
    "Outline this {kind} in under thirty words.",
)

DETAILED: tuple[str, ...] = (
    "Report everything of note in this {kind}.",
    "Go through this {kind} region by region and say what you see.",
    "Write a full account of this {kind}, normal and abnormal structures alike.",
    "Set out at length what this {kind} shows.",
    "Take your time and give all the particulars of this {kind}.",
    "Describe this {kind} so fully that someone without it could picture it.",
    "List each visible structure of this {kind} and its appearance.",
    "Cover modality, plane, anatomy, signal and abnormalities of this {kind} in turn.",
    "Work from the overall impression of this {kind} down to its fine detail.",
    "Give an in-depth reading of this {kind}.",
    "What is shown in this {kind}? Leave nothing out.",
    "Compose a long and precise passage on the contents of this {kind}.",
    "Account for location, size, shape and brightness of all findings in this {kind}.",
    "Dictate the findings section that a radiologist would write for this {kind}.",
    "Look closely at this {kind} and tell all that you notice.",
    "Explain the contents of this {kind} step by step and with care.",
)

#: How a VQA task asks for one word or phrase; the first of each task's variants stays its default.
SHORT_ANSWERS: dict[str, str] = {
    "short": "{question}\nAnswer with a single word or phrase.",
    "plain": "{question}",
    "tagged": "{question}\nWrite your final answer, and only that, between <answer> and </answer>.",
}

#: How a task with two words to choose from may put them.
YES_NO = "{question}\nReply with one word: {choices}."

#: Tokens that a detailed description may take.
LONGEST = 512


def described(kind: str) -> dict[str, str]:
    """Return the brief and the detailed family for one kind of image: "brief-01" first, then on.

    >>> list(described("chest X-ray"))[0], len(described("chest X-ray"))
    ('brief-01', 27)
    """
    families = (("brief", BRIEF), ("detailed", DETAILED))
    return {
        f"{family}-{number:02d}": text.replace("{kind}", kind)
        for family, texts in families
        for number, text in enumerate(texts, 1)
    }
