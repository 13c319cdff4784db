"""How a tiny LLaVA is trained: image tokens first, then everything on the tasks' questions.

Stage one teaches tower and projector to turn each patch into a token near the
embedding of the words for what lies over it, and from which throw-away heads read
where that begins and ends; the language model, left alone, would learn for a long
time to ignore the image. Stage two is next-token prediction on packed questions.
Coordinates are learned towards a Gaussian over their neighbours: 0.41 for 0.42 is
nearly right.

    model = train(corpus, tokenizer, Recipe(vision_steps=500, joint_steps=400))
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from raybench.data import phantoms
from tools._tiny_checkpoint import COORDINATES, IMAGE_PX, PATCH_PX, PATCHES, new_model
from tools._tiny_packing import Packer, flat, image_features, packed_attention, packed_logits, pixels

if TYPE_CHECKING:
    from tools._tiny_corpus import Corpus

__all__ = ["Recipe", "train"]

_SIDE = IMAGE_PX // PATCH_PX
#: Coordinates are few among an image's answers and the hardest to learn.
_COORDINATE_WEIGHT = 3.0


@dataclass(frozen=True)
class Recipe:
    """What decides a training run; steps are counted, not timed, so that a seed gives the same model again.

    Attributes:
        cases: phantoms of each kind in the training set.
        vision_steps, joint_steps: optimiser steps of the two stages.
        vision_images, images: images a step of the two stages.
        short: short questions an image of stage two, beside two that may be long.
        vision_rate: learning rate of stage one.
        rate, tower_rate: learning rates of stage two: of the language model, and of tower and projector.
        sigma: width of the Gaussian over coordinates, as a fraction of the image side.
    """

    seed: int = 0
    cases: int = 9_000
    vision_steps: int = 3_000
    joint_steps: int = 4_500
    vision_images: int = 32
    images: int = 12
    short: int = 6
    vision_rate: float = 1e-3
    rate: float = 1e-3
    tower_rate: float = 2e-4
    warmup: int = 100
    sigma: float = 0.015


def train(corpus: Corpus, tokenizer: Any, recipe: Recipe) -> Any:
    """Return a model trained on a corpus; prints its losses now and then."""
    import torch

    torch.manual_seed(recipe.seed)
    model = new_model(tokenizer)
    model.train()
    rng = np.random.default_rng(recipe.seed)
    with packed_attention(model):
        _train_vision(model, corpus, tokenizer, recipe, rng)
        _train_jointly(model, corpus, tokenizer, recipe, rng)
    return model.eval()


def _draws(count: int, size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield index arrays for ever, each item once an epoch."""
    while True:
        order = rng.permutation(count)
        for start in range(0, count - size + 1, size):
            yield order[start : start + size]


def _optimiser(groups: list[tuple[list[Any], float]], recipe: Recipe, steps: int) -> tuple[Any, Any]:
    """Return AdamW over (parameters, learning rate) groups, and its schedule: warm-up, then a cosine."""
    import torch

    split = [
        {"params": [one for one in some if (one.ndim > 1) == wide], "lr": rate, "weight_decay": 0.05 * wide}
        for some, rate in groups
        for wide in (True, False)
    ]
    optimiser = torch.optim.AdamW(split, betas=(0.9, 0.98), fused=True)

    def share(step: int) -> float:
        if step < recipe.warmup:
            return (step + 1) / recipe.warmup
        return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - recipe.warmup) / max(1, steps - recipe.warmup)))

    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, share)


def _step(loss: Any, parameters: list[Any], optimiser: Any, schedule: Any) -> None:
    import torch

    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimiser.step()
    schedule.step()


def _report(stage: str, step: int, began: float, *losses: float) -> None:
    seconds = time.perf_counter() - began
    print(f"{stage} {step + 1:5d} {seconds:6.0f} s  {' '.join(f'{loss:.4f}' for loss in losses)}", flush=True)


def _train_vision(model: Any, corpus: Corpus, tokenizer: Any, recipe: Recipe, rng: np.random.Generator) -> None:
    """Stage one: each image token says what lies over its patch, from where to where, and on which side it is."""
    import torch

    parts = model.model
    embed, tower, projector = parts.language_model.embed_tokens, parts.vision_tower, parts.multi_modal_projector
    heads = _Heads(corpus, tokenizer, recipe, embed.weight)
    parameters = [*tower.parameters(), *projector.parameters(), embed.weight, *heads.parameters()]
    optimiser, schedule = _optimiser([(parameters, recipe.vision_rate)], recipe, recipe.vision_steps)
    draws = _draws(len(corpus.images), recipe.vision_images, rng)
    began, mean = time.perf_counter(), [0.0, 0.0, 0.0]
    for step in range(recipe.vision_steps):
        chosen = next(draws)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            tokens = projector(image_features(model, pixels(corpus.images[chosen])))
            losses = heads.losses(tokens, chosen)
        _step(sum(losses), parameters, optimiser, schedule)
        mean = [0.98 * old + 0.02 * float(new.detach()) for old, new in zip(mean, losses, strict=True)]
        if (step + 1) % 100 == 0:
            _report("vision", step, began, *mean)


class _Heads:
    """What stage one reads from image tokens, by products with word embeddings and by linear maps thrown away later."""

    def __init__(self, corpus: Corpus, tokenizer: Any, recipe: Recipe, embedded: Any) -> None:
        import torch

        self._corpus, self._embedded, self._scale = corpus, embedded, _Coordinates(tokenizer, recipe.sigma)
        width = embedded.shape[1]
        self._words = _words(corpus.classes, tokenizer)
        self._facts = torch.nn.Linear(width, len(corpus.facts))
        self._edges = torch.nn.Linear(width, 4 * width)
        self._bias = torch.nn.Parameter(torch.full((self._words.shape[0],), -3.0))

    def parameters(self) -> list[Any]:
        """Return what is trained and thrown away."""
        return [*self._facts.parameters(), *self._edges.parameters(), self._bias]

    def losses(self, tokens: Any, chosen: np.ndarray) -> tuple[Any, Any, Any]:
        """Return the losses of words over patches, of edges where there is a finding, of facts of the whole image."""
        import torch
        from torch.nn import functional

        covered, boxes, has_box = _patch_targets(self._corpus, chosen)
        said = (tokens @ self._embedded[self._words.flatten()].T).unflatten(-1, self._words.shape)
        said = said.float() + self._bias[:, None]
        edges = self._edges(tokens[has_box]).unflatten(1, (4, -1)) @ self._embedded[self._scale.ids].T
        near = self._scale.near((boxes[has_box] * 100).round().long() + self._scale.ids[0])
        facts = torch.from_numpy(self._corpus.has[chosen]).float()
        return (
            functional.binary_cross_entropy_with_logits(said, covered[..., None].expand_as(said)) * 8,
            -(edges.float().log_softmax(-1) * near).sum(-1).mean() * 0.3,
            functional.binary_cross_entropy_with_logits(self._facts(tokens.mean(1)).float(), facts),
        )


def _words(classes: Sequence[str], tokenizer: Any) -> Any:
    """Return (classes + 2, 2) token ids: each finding in a question and in a list of boxes; right; left.

    Raises:
        ValueError: a word is not one token.
    """
    import torch

    words = [(f" {phantoms.PHRASES[name].split()[1]}", name) for name in classes]
    words += [(f" {side}", side) for side in phantoms.SIDES]
    ids = [[tokenizer(word, add_special_tokens=False)["input_ids"] for word in both] for both in words]
    if any(len(one) != 1 for both in ids for one in both):
        raise ValueError(f"each word must be one token: {words}")
    return torch.tensor(ids)[:, :, 0]


class _Coordinates:
    """The tokens 0.00 to 1.00, which follow one another in the vocabulary, and the Gaussian each is learned towards."""

    def __init__(self, tokenizer: Any, sigma: float) -> None:
        import torch

        self.ids = torch.tensor(tokenizer.convert_tokens_to_ids(list(COORDINATES)))
        values = torch.arange(len(COORDINATES)) / 100
        self._near = torch.softmax(-((values[:, None] - values[None]) ** 2) / (2 * sigma**2), dim=1)

    def holds(self, tokens: Any) -> Any:
        """Say of each token whether it is a coordinate."""
        return (tokens >= self.ids[0]) & (tokens <= self.ids[-1])

    def near(self, tokens: Any) -> Any:
        """Return (..., 101) probabilities around each token; a token that is no coordinate counts as the nearest."""
        return self._near[(tokens - self.ids[0]).clamp(0, len(self.ids) - 1)]


def _patch_targets(corpus: Corpus, chosen: np.ndarray) -> tuple[Any, Any, Any]:
    """Return, by patch, what lies there (n, patches, classes + sides), its box (n, patches, 4), and whether it has one.

    Where boxes overlap, the smallest counts.
    """
    import torch

    centre = (np.arange(_SIDE) + 0.5) / _SIDE
    x, y = np.tile(centre, _SIDE), np.repeat(centre, _SIDE)
    covered = np.zeros((len(chosen), PATCHES, len(corpus.classes) + 2), np.float32)
    covered[:, :, -2], covered[:, :, -1] = x < 0.5, x > 0.5  # the patient's right is on the image's left
    boxes = np.full((len(chosen), PATCHES, 4), np.nan, np.float32)
    for row, index in enumerate(chosen):
        for name, *box in sorted(corpus.boxes[index], key=_area, reverse=True):
            x0, y0, x1, y1 = box
            inside = (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
            nearest = np.argmin((x - (x0 + x1) / 2) ** 2 + (y - (y0 + y1) / 2) ** 2)
            inside[nearest] = True  # a small one lies between centres
            covered[row, inside, corpus.classes.index(name)] = 1
            boxes[row, inside] = box
    return torch.from_numpy(covered), torch.from_numpy(boxes), torch.from_numpy(~np.isnan(boxes[:, :, 0]))


def _area(box: tuple[str, float, float, float, float]) -> float:
    _, x0, y0, x1, y1 = box
    return (x1 - x0) * (y1 - y0)


def _train_jointly(model: Any, corpus: Corpus, tokenizer: Any, recipe: Recipe, rng: np.random.Generator) -> None:
    import torch

    packer = Packer(tokenizer)
    prefix = torch.tensor(packer.prefix)
    parameters = [*model.parameters()]
    language = [*model.model.language_model.parameters()]
    seeing = [*model.model.vision_tower.parameters(), *model.model.multi_modal_projector.parameters()]
    # What sees has learned already and must not follow a language model that has not.
    optimiser, schedule = _optimiser([(seeing, recipe.tower_rate), (language, recipe.rate)], recipe, recipe.joint_steps)
    draws = _draws(len(corpus.images), recipe.images, rng)
    scale = _Coordinates(tokenizer, recipe.sigma)
    began, mean = time.perf_counter(), 0.0
    for step in range(recipe.joint_steps):
        chosen = next(draws)
        drawn = [corpus.draw(index, recipe.short, rng) for index in chosen]
        packs = [packer.pack([pair[n] for pair in drawn]) for n in (0, 1)]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = packed_logits(model, pixels(corpus.images[chosen]), packs, prefix)
        loss = _loss(logits, packs, scale)
        _step(loss, parameters, optimiser, schedule)
        mean = mean * 0.98 + float(loss.detach()) * 0.02
        if (step + 1) % 100 == 0:
            _report("joint", step, began, mean)


def _loss(logits: Any, packs: list[dict[str, Any]], scale: _Coordinates) -> Any:
    """Return the weighted mean cross-entropy; coordinates against their Gaussian neighbourhood."""
    target, weight = flat(packs, "target"), flat(packs, "weight")
    target, weight = target[target >= 0], weight[target >= 0]
    logprobs = logits.float().log_softmax(-1)
    losses = -logprobs.gather(1, target[:, None])[:, 0]
    soft = -(logprobs[:, scale.ids] * scale.near(target)).sum(1)
    losses = losses.where(~scale.holds(target), soft)
    weight = weight * scale.holds(target).float().mul(_COORDINATE_WEIGHT - 1).add(1)
    return (losses * weight).sum() / weight.sum()
