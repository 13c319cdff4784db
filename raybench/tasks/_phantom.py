"""What the phantom tasks share: options, samples, and the same conversations for training and for testing.

`conversations` returns, for one phantom, every (task, variant, prompt, target)
that the tasks can ask of it, so that a model trained on it has seen exactly the
prompts that the tasks put.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from pydantic import Field

from raybench.data import phantoms
from raybench.data.phantoms import Phantom, Question
from raybench.interfaces import Options, render
from raybench.schema import ImageRef, Sample

__all__ = [
    "PROMPTS",
    "QUESTIONS",
    "SELF_CHECK",
    "Conversation",
    "PhantomOptions",
    "conversations",
    "phantom_cases",
    "phantom_sample",
    "pick_questions",
    "vqa_samples",
]

SELF_CHECK = "a self-check of the pipeline, never a medical claim"

#: Task -> variant -> template.
PROMPTS: Mapping[str, Mapping[str, str]] = {
    "phantom_cxr_classification": {"plain": "{question}", "choices": "{question} Choose from: {choices}."},
    "phantom_cxr_grounding": {"plain": "{question}"},
    "phantom_mri_description": {"plain": "{question}"},
    "phantom_mri_detection": {"plain": "{question}"},
    "phantom_mri_diagnosis": {"choices": "{history} {question} Choose from: {choices}."},
    "phantom_vqa": {"plain": "{question}", "short": "{question} Answer briefly."},
}
#: Task -> what it asks of every image; `phantom_vqa` asks each image's own questions.
QUESTIONS: Mapping[str, str] = {
    "phantom_cxr_classification": "Is this chest X-ray normal or abnormal?",
    "phantom_cxr_grounding": "Where are the findings?",
    "phantom_mri_description": "Describe this MRI slice.",
    "phantom_mri_detection": "Where are the findings?",
    "phantom_mri_diagnosis": "What is the diagnosis?",
}


class PhantomOptions(Options):
    """Which phantoms are drawn.

    Attributes:
        split: train, validation or test; models shipped with raybench were trained on train.
        seed: another seed gives other images of the same split.
        count: number of images.
        size: their height and width in pixels.
    """

    split: Literal["train", "validation", "test"] = "test"
    seed: int = Field(0, ge=0)
    count: int = Field(60, ge=1)
    size: int = Field(256, ge=16, le=2048)


class Conversation(NamedTuple):
    """One exchange about a phantom: the prompt exactly as the task puts it, and the wanted response."""

    task: str
    variant: str
    prompt: str
    target: str


def conversations(phantom: Phantom) -> tuple[Conversation, ...]:
    """Return all exchanges the tasks can have about a phantom; unanswerable questions have a refusal as target."""
    found = []
    for task in QUESTIONS:
        if task.startswith(f"phantom_{phantom.kind}_"):
            sample = phantom_sample(task, phantom)
            found += _exchanges(task, sample, sample.targets[0])
    for number, asked in enumerate(phantom.questions):
        sample = _vqa_sample(phantom, number, asked)
        found += _exchanges("phantom_vqa", sample, phantoms.REFUSAL if asked[2] == "unanswerable" else asked[1])
    return tuple(found)


def _exchanges(task: str, sample: Sample, target: str) -> list[Conversation]:
    row = sample.to_row(task, 0)
    return [Conversation(task, variant, render(template, row), target) for variant, template in PROMPTS[task].items()]


def phantom_cases(kinds: Sequence[str], options: PhantomOptions) -> Iterator[Phantom]:
    """Yield `count` cases; several kinds take turns."""
    for number in range(options.count):
        kind = kinds[number % len(kinds)]
        yield phantoms.case(kind, options.split, number // len(kinds), options.seed)


def phantom_sample(task: str, phantom: Phantom, size_px: int = 256) -> Sample:
    """Return the sample that a task makes of a phantom.

    Args:
        task: a key of QUESTIONS.
        phantom: the case.
        size_px: height and width of its image.
    """
    targets, choices, context = _wanted(task, phantom)
    return Sample(
        id=phantom.id,
        dataset=f"phantom-{phantom.kind}",
        split=phantom.split,
        questions=(QUESTIONS[task],),
        targets=(targets,),
        images=(ImageRef(phantoms.image_uri(phantom, size_px)),),
        choices=choices,
        boxes=phantom.boxes,
        cluster=phantom.id,
        slices=phantom.slices,
        context=context,
    )


def _wanted(task: str, phantom: Phantom) -> tuple[str, tuple[str, ...], dict[str, str]]:
    """Return target, choices and context of a task that asks every image the same."""
    if task == "phantom_cxr_classification":
        return phantom.label, ("normal", "abnormal"), {"positive": "abnormal", "caption": phantom.caption}
    if task == "phantom_mri_diagnosis":
        return phantom.diagnosis, phantom.choices, {"history": phantom.history, "caption": phantom.caption}
    if task == "phantom_mri_description":
        return phantom.caption, (), {}
    return phantoms.box_text(phantom.boxes), phantoms.FINDINGS[phantom.kind], {"caption": phantom.caption}


def pick_questions(phantom: Phantom, count: int) -> list[tuple[int, Question]]:
    """Return up to `count` of a phantom's questions with their numbers.

    Closed and open ones take turns; the third is unanswerable on a third of the images.

    "Yes" and "no" are picked equally often where the image has both.
    """
    chance = random.Random(f"{phantom.id}-questions")
    asked = list(enumerate(phantom.questions))
    pools = {
        name: [item for item in asked if item[1][1] == name and item[1][2] == "closed"] for name in ("yes", "no")
    } | {name: [item for item in asked if item[1][2] == name] for name in ("open", "unanswerable")}
    picked: list[tuple[int, Question]] = []
    for number in range(count):
        name = "open" if number % 2 else "yes" if chance.random() < 0.5 else "no"
        if number == 2 and chance.random() < 1 / 3:
            name = "unanswerable"
        pool = [item for item in pools[name] if item not in picked] or [item for item in asked if item not in picked]
        if pool:
            picked.append(pool[int(chance.random() * len(pool))])
    return picked


def _vqa_sample(phantom: Phantom, number: int, asked: Question, size_px: int = 256) -> Sample:
    question, answer, kind = asked
    return Sample(
        id=f"{phantom.id}-q{number}",
        dataset="phantom-vqa",
        split=phantom.split,
        questions=(question,),
        targets=(answer,),
        images=(ImageRef(phantoms.image_uri(phantom, size_px)),),
        cluster=phantom.id,
        slices={**phantom.slices, "answer_type": kind},
        context={"caption": phantom.caption},
    )


def vqa_samples(phantom: Phantom, count: int, size_px: int) -> Iterator[Sample]:
    """Yield the samples of the questions that are picked for a phantom."""
    for number, asked in pick_questions(phantom, count):
        yield _vqa_sample(phantom, number, asked, size_px)
