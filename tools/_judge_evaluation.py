"""What the judge is measured on, how, and the model card that says so.

evaluate(Path("raybench/models/weights/tiny-judge"))["unseen phrasings"]["accuracy"]
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from tools._judge_attacks import plain, suite_texts
from tools._judge_writer import MAIN
from tools.judge_pairs import groups

__all__ = ["FOLDER", "MEASURED", "Pair", "alike", "evaluate", "key_of", "measured", "write_card"]

FOLDER = Path(__file__).parents[1] / "raybench" / "models" / "weights" / "tiny-judge"
#: Measured sets written as training pairs are: (seed, split, new words). Their pairs are kept out of training.
MEASURED = {
    "unseen pairs": (1001, "train", False), "validation phrasings": (1002, "validation", False),
    "unseen phrasings": (1003, "held", False), "unseen words": (1004, "train", True),
}  # fmt: skip
#: What the phantom tasks themselves ask, with the answer of another phantom as candidate; training has such pairs.
BENCHMARK = "benchmark wording"
_MEANING = {
    "unseen pairs": "training frames, other pairs than in training",
    "validation phrasings": "frames not trained on; errors among them were looked at meanwhile",
    "unseen phrasings": "frames not trained on; no single error among them was looked at, its total was",
    "unseen words": "training frames with nouns for the findings that no training pair has",
    BENCHMARK: "what the phantom tasks ask, answered with the same or another phantom's answer",
}
_NAMED = frozenset(name for names in MAIN.values() for name in names)
_LABELS = ("CORRECT", "INCORRECT", "NOT_ATTEMPTED")


class Pair(NamedTuple):
    """A candidate to judge, and the verdict it deserves: 0 CORRECT, 1 INCORRECT, 2 NOT_ATTEMPTED."""

    question: str
    reference: str
    candidate: str
    label: int
    category: str


def key_of(question: str, reference: str, candidate: str) -> tuple[str, ...]:
    """Return a pair without case, stops and spaces, to keep measured pairs out of training."""
    return tuple("".join(c for c in text.lower() if c.isalnum()) for text in (question, reference, candidate))


def measured(name: str, size: int = 500, seed: int = 0) -> list[Pair]:
    """Return the pairs of a measured set, without repeats; only those of seed 0 are kept out of training."""
    source = _benchmark(seed) if name == BENCHMARK else _written(*MEASURED[name], seed)
    found: dict[tuple[str, ...], Pair] = {}
    while len(found) < size:
        pair = next(source)
        found.setdefault(key_of(*pair[:3]), pair)
    return list(found.values())


def _written(base: int, split: str, new_words: bool, seed: int) -> Iterator[Pair]:
    for group in groups(base + 1000 * seed, split, 2, new_words):
        both = [one for one in group.candidates if not new_words or any(tag[1:] in _NAMED for tag in one.tags)]
        for one in both:
            yield Pair(group.question, group.reference, one.text, one.label, one.category)


def _benchmark(seed: int) -> Iterator[Pair]:
    """Yield questions of phantoms with the answers of two of them; equal texts are CORRECT, others INCORRECT."""
    from raybench.data import phantoms

    rng = random.Random(f"benchmark-{seed}")
    number = 0
    while True:
        kind = phantoms.KINDS[number % 2]
        real, other = (phantoms.case(kind, "test", 2 * number + n, 1000 + seed) for n in (0, 1))
        number += 1
        answers = {question: answer for question, answer, kind in other.questions if kind != "unanswerable"}
        asked = [(q, a, answers[q]) for q, a, kind in real.questions if q in answers and kind != "unanswerable"]
        asked = rng.sample(asked, 1) + [("Describe this MRI slice.", real.caption, other.caption)] * (kind == "mri")
        for question, reference, candidate in asked:
            if rng.random() < 0.4:
                candidate = reference
            yield Pair(
                question, reference, candidate, int(reference != candidate), _kind(question, reference, candidate)
            )


def _kind(question: str, reference: str, candidate: str) -> str:
    if reference == candidate:
        return "exact"
    return "other caption" if question.startswith("Describe") else "other answer"


def evaluate(folder: Path = FOLDER, seed: int = 0) -> dict[str, Any]:
    """Measure a checkpoint through the `hf` backend and the `reference_verdict` protocol.

    Returns:
        For each measured set of 500 pairs: accuracy, verdicts a second, the lowest probability that the three
        labels had together, and by category accuracy and number of pairs.
    """
    from raybench.judges.reference_verdict import ReferenceVerdict
    from raybench.models.hf import HuggingFace

    backend = HuggingFace(HuggingFace.Options(model=str(folder), batch_size=64, device="cpu"))
    protocol = ReferenceVerdict()
    return {name: _measure(backend, protocol, measured(name, seed=seed)) for name in (*MEASURED, BENCHMARK)}


def _measure(backend: Any, protocol: Any, pairs: Sequence[Pair]) -> dict[str, Any]:
    began = time.perf_counter()
    rows = [
        {
            "id": str(number),
            "messages": protocol.messages(pair._asdict()),
            "images": [],
            "labels": list(protocol.labels),
        }
        for number, pair in enumerate(pairs)
    ]

    async def ask() -> dict[str, Any]:
        return {name: response async for name, response in backend.generate(rows)}

    responses = asyncio.run(ask())
    seconds = time.perf_counter() - began
    hits, counts, mass = Counter[str](), Counter[str](), 1.0
    for number, pair in enumerate(pairs):
        verdict = protocol.parse(responses[str(number)])
        counts[pair.category] += 1
        hits[pair.category] += verdict.label == _LABELS[pair.label]
        mass = min(mass, verdict.label_mass)
    by = {name: {"accuracy": round(hits[name] / counts[name], 3), "pairs": counts[name]} for name in sorted(counts)}
    return {
        "accuracy": round(sum(hits.values()) / len(pairs), 4),
        "verdicts_per_second": round(len(pairs) / seconds, 1),
        "least_label_mass": round(mass, 4),
        "categories": by,
    }


_CARD = """\
---
license: apache-2.0
library_name: transformers
pipeline_tag: text-generation
---
# tiny-judge

**A self-check of raybench's pipeline, never for medicine.** A Llama of 2.0 M parameters (192 wide, 4 layers, 1,800
tokens) that says whether an answer about the drawn images of the `phantom_*` tasks is CORRECT, INCORRECT or
NOT_ATTEMPTED, so that a whole evaluation with a judge runs offline on a CPU. It knows the words of seven findings and
little else: do not let it judge answers about real images.

It is asked through the `reference_verdict` protocol, like any judge: `judges: [tiny-judge]` or
`raybench judge RESULTS --judge tiny-judge`. Its chat template keeps the question, the reference and the first 800
characters of the candidate from the protocol's message and leaves the rules out, which are in the weights; any other
conversation is shown to it as plain text, on which it was not trained. One forward pass gives the raw log probabilities
of the letters A, B and C, each one token.

What its verdicts mean where the protocol leaves room: leaving out an abnormality, its side or its zone is INCORRECT;
leaving out that the rest is normal, or the MRI contrast, is CORRECT; a hedge between two answers is INCORRECT; text
about something else or of random letters is INCORRECT; "several" for a number is NOT_ATTEMPTED. It reads English:
Chinese characters say nothing to it, neither as an answer nor as an order.

## Training

`python -m tools.train_judge` makes it again: {steps:,} steps of {groups} groups of 8 candidates
({pairs:,} pairs), written from facts by `tools/judge_pairs.py`, seed {seed}, one CPU thread in bfloat16 (about half an
hour where nothing else runs; another processor rounds differently, so weights agree in what they score, not bit by
bit). Throw-away heads that name what a text says (finding, side, zone, number) and which kind of candidate it is are
trained beside it. The learning rate falls by half a cosine.

What should move no judge (openers, lone marks, neutral sentences, orders to the judge) and denials of a place, a
contrast or a caption are worded by `tools/judge_attacks.py`, not by the suite of `raybench judge-check`. Of that
suite's texts of more than four words in the categories of changed, contradicted, hedged, padded and attacking answers,
none is a training candidate: what the generators happen to write alike ({alike} of a thousand candidates) is replaced.
Left are what phantoms answer themselves ("T1 slice with a tumour in the left frontal region.", one item's reference and
another's wrong answer) and texts of up to four words ("No.", ":"). `judge_card.md` says what it scores on the suite.
The generators were widened after a look at what former weights got wrong there, so its card says how the judge does on
phenomena that it was trained for, not on unforeseen ones.

## Scores

Accuracy on 500 pairs each through the `hf` backend and the protocol (`python -m tools.train_judge --evaluate`). Pairs
of the first four sets are kept out of training.

| Set | Accuracy | |
|---|--:|---|
{rows}

"Phrasing" means sentence frame ("{{x}} is seen", "the image shows {{x}}"), by the same author as the training frames;
the words for the findings are shared with training, but for the set with unseen words. Real models word things
otherwise.

| Category | Unseen pairs | Unseen phrasings |
|---|--:|--:|
{categories}

Weakest: {weakest}.
"""


def write_card(folder: Path, training: Mapping[str, Any], scores: Mapping[str, Any]) -> None:
    """Write README.md beside the weights.

    Args:
        folder: the checkpoint.
        training: steps, groups and seed it was trained with.
        scores: what `evaluate` returned.
    """
    rows = "\n".join(f"| {name} | {_percent(one['accuracy'])} | {_MEANING[name]} |" for name, one in scores.items())
    seen, unseen = (scores[name]["categories"] for name in ("unseen pairs", "unseen phrasings"))
    lines = [f"| {name} | {_cell(seen, name)} | {_cell(unseen, name)} |" for name in sorted({*seen, *unseen})]
    enough = {name: one["accuracy"] for name, one in unseen.items() if one["pairs"] >= 8}
    worst = sorted(enough, key=lambda name: enough[name])[:3]
    card = _CARD.format(
        **training, alike=f"{1000 * alike():.1f}",
        pairs=training["steps"] * training["groups"] * 8, rows=rows, categories="\n".join(lines),
        weakest=", ".join(f"{name} ({_percent(enough[name])} of unseen phrasings)" for name in worst),
    )  # fmt: skip
    (folder / "README.md").write_text(card, encoding="utf-8")


def alike(size: int = 4000) -> float:
    """Return the share of written candidates that are the suite's, word for word, and so left out of training."""
    written = [one.text for group in islice(groups(0, "train"), size) for one in group.candidates]
    return sum(plain(text) in suite_texts() for text in written) / len(written)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _cell(categories: Mapping[str, Any], name: str) -> str:
    one = categories.get(name)
    return f"{_percent(one['accuracy'])} of {one['pairs']}" if one else ""
