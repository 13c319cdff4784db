"""What a tiny LLaVA learns from: drawn images at the model's size, and the exchanges that the tasks have about them.

corpus = build(cases=8000, split="train", seed=0)
corpus.draw(0, short=6, rng=rng)   # ([("Where are the findings?", "none"), ...], [...])
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from raybench.data import phantoms
from raybench.tasks._phantom import conversations
from tools._tiny_checkpoint import IMAGE_PX

__all__ = ["RENDER_PX", "Corpus", "Turn", "build", "shrink"]

#: Drawn at twice the model's size and squeezed as the processor does: quicker than the tasks' 256 px, and alike.
RENDER_PX = 192
Turn = tuple[str, str]

#: Kind -> task -> how many exchanges of it each image has in a training step; the rest are `phantom_vqa`.
_ALWAYS = {"cxr": ("phantom_cxr_grounding", "phantom_cxr_classification"), "mri": ("phantom_mri_detection",)}
_CLASSES = tuple(name for kind in phantoms.KINDS for name in phantoms.FINDINGS[kind])
_FACTS = (*phantoms.KINDS, *phantoms.CONTRASTS, *_CLASSES)


@dataclass(frozen=True)
class Corpus:
    """A set of cases.

    Attributes:
        images: (n, 96, 96) uint8 grey.
        boxes: for each case, (finding, x0, y0, x1, y1) in 0-1.
        has: (n, facts) bool: kind, contrast and findings.
        turns: for each case, task -> its (prompt, target) pairs.
    """

    images: np.ndarray
    boxes: list[list[tuple[str, float, float, float, float]]]
    has: np.ndarray
    turns: list[dict[str, list[Turn]]]
    classes: tuple[str, ...] = _CLASSES
    facts: tuple[str, ...] = _FACTS

    def draw(self, index: int, short: int, rng: np.random.Generator) -> tuple[list[Turn], list[Turn]]:
        """Return two exchanges that may be long and `short` that are not, of one case."""
        turns = self.turns[index]
        kind = "mri" if "phantom_mri_detection" in turns else "cxr"
        tasks = list(_ALWAYS[kind])
        if kind == "mri":
            tasks.append("phantom_mri_description" if rng.random() < 0.5 else "phantom_mri_diagnosis")
        long = [turns[task][int(rng.integers(len(turns[task])))] for task in tasks]
        asked = turns["phantom_vqa"]
        weights = np.array([_weight(*turn) for turn in asked])
        return long, [asked[n] for n in rng.choice(len(asked), size=short, replace=False, p=weights / weights.sum())]

    def texts(self) -> Iterator[str]:
        """Yield every prompt and target once a case."""
        for turns in self.turns:
            for pairs in turns.values():
                for prompt, target in pairs:
                    yield prompt
                    yield target


def _weight(prompt: str, target: str) -> float:
    """Say how often a question is drawn: what is learned at once seldom, what binds a finding to a side often."""
    if target == phantoms.REFUSAL or "contrast" in prompt or prompt.startswith("Is this a "):
        return 0.25
    return 2.0 if " side " in prompt or " on the " in prompt else 1.0


def build(cases: int, split: str, seed: int, workers: int = 2) -> Corpus:
    """Draw `cases` phantoms of each kind, in turns."""
    numbers = [(kind, index) for index in range(cases) for kind in phantoms.KINDS]
    with ProcessPoolExecutor(workers) as pool:
        drawn = list(pool.map(partial(_drawn, split=split, seed=seed), numbers, chunksize=64))
    return Corpus(
        images=np.stack([one[0] for one in drawn]),
        boxes=[one[1] for one in drawn],
        has=np.array([one[2] for one in drawn]),
        turns=_shared(one[3] for one in drawn),
    )


def _drawn(number: tuple[str, int], split: str, seed: int) -> tuple[Any, ...]:
    phantom = phantoms.case(number[0], split, number[1], seed)
    present = {phantom.kind, phantom.slices.get("contrast", ""), *phantom.findings}
    turns: dict[str, list[Turn]] = {}
    for exchange in conversations(phantom):
        turns.setdefault(exchange.task, []).append((exchange.prompt, exchange.target))
    boxes = [(box.label, box.x0, box.y0, box.x1, box.y1) for box in phantom.boxes]
    return shrink(phantoms.render(phantom, RENDER_PX)), boxes, [fact in present for fact in _FACTS], turns


def shrink(grey: np.ndarray) -> np.ndarray:
    """Return a grey image as (96, 96) uint8, resized as the processor resizes it."""
    return np.asarray(Image.fromarray(grey).resize((IMAGE_PX, IMAGE_PX), Image.Resampling.BICUBIC))


def _shared(cases: Iterable[dict[str, list[Turn]]]) -> list[dict[str, list[Turn]]]:
    """Return the same turns with equal ones held once: most questions are asked of every image."""
    known: dict[Turn, Turn] = {}
    return [{task: [known.setdefault(t, t) for t in turns] for task, turns in case.items()} for case in cases]
