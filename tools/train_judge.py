"""Train `tiny-judge`, a Llama of 2 million parameters that grades answers about the phantoms, on one CPU thread.

    python -m tools.train_judge                 # writes raybench/models/weights/tiny-judge and its card
    python -m tools.train_judge --evaluate      # measures what is there

The judge reads the `reference_verdict` protocol through its chat template, which
keeps the question, the reference and the candidate and leaves the rules out: the
rules are in the weights. Training reads groups of one question with several
candidates that share the question's tokens; heads that name what a text says
(finding, side, zone, number) help to learn it and are thrown away.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from tools._judge_attacks import plain, suite_texts
from tools._judge_evaluation import FOLDER, MEASURED, Pair, evaluate, key_of, measured, write_card
from tools._judge_model import LABELS, Batch, Settings, build_model, build_tokenizer, collate, encode, hidden, save
from tools._judge_writer import CATEGORIES, TAGS, Candidate, Group
from tools.judge_pairs import groups

__all__ = ["FOLDER", "Settings", "evaluate", "main", "train"]


class Heads(torch.nn.Module):
    """What is thrown away after training: which tags a text has, and which kind of candidate it is."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.reference, self.candidate = torch.nn.Linear(width, len(TAGS)), torch.nn.Linear(width, len(TAGS))
        self.category = torch.nn.Linear(width, len(CATEGORIES))


def losses(model: Any, heads: Heads, batch: Batch, label_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Return the label loss, the helping loss, and the share of right verdicts."""
    states = hidden(model, batch)
    answers = states[:, 1:].flatten(0, 1)
    logits = (answers.to(torch.bfloat16) @ model.model.embed_tokens.weight.to(torch.bfloat16).T).float()
    wanted = batch.labels.flatten()
    verdict = F.cross_entropy(logits, label_ids[wanted])
    named = F.binary_cross_entropy_with_logits(heads.reference(states[:, 0]), batch.tags[:, 0], reduction="sum") / len(
        states
    )
    told = F.binary_cross_entropy_with_logits(
        heads.candidate(answers), batch.tags[:, 1:].flatten(0, 1), reduction="sum"
    )
    kind = F.cross_entropy(heads.category(answers), batch.categories.flatten())
    right = (logits.detach()[:, label_ids].argmax(-1) == wanted).float().mean()
    return verdict, named + told / len(answers) + kind, float(right)


def batches(tokenizer: Any, settings: Settings, kept_out: frozenset[tuple[str, ...]]) -> Iterator[Batch]:
    """Write, tokenise and collate training groups without end; groups of one batch are alike in length."""
    source = groups(settings.seed, "train")
    rng = random.Random(settings.seed)
    while True:
        pool = encode(tokenizer, [_without(group, kept_out) for group in islice(source, 64 * settings.groups)])
        pool.sort(key=lambda row: row.length)
        starts = list(range(0, len(pool), settings.groups))
        rng.shuffle(starts)
        for start in starts:
            yield collate(pool[start : start + settings.groups])


def _without(group: Group, kept_out: frozenset[tuple[str, ...]]) -> Group:
    """Replace candidates that are measured, here or by `judge-check`, by another one of the group or by a refusal."""

    def is_measured(text: str) -> bool:
        return key_of(group.question, group.reference, text) in kept_out or plain(text) in suite_texts()

    if not any(is_measured(candidate.text) for candidate in group.candidates):
        return group
    spare = next((candidate for candidate in group.candidates if not is_measured(candidate.text)), None)
    spare = spare or Candidate("I cannot say.", 2, "refusal")
    chosen = (spare if is_measured(candidate.text) else candidate for candidate in group.candidates)
    return Group(group.question, group.reference, group.tags, tuple(chosen))


def rate_at(step: int, settings: Settings) -> float:
    """Return the learning rate: warm-up over 200 steps, then a half cosine to 2 % of the peak."""
    if step < 200:
        return settings.rate * (step + 1) / 200
    done = (step - 200) / max(1, settings.steps - 200)
    return settings.rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))


def _optimizer(model: Any, heads: Heads) -> torch.optim.AdamW:
    """Decay matrices only."""
    kinds = (
        ([p for p in model.parameters() if p.dim() > 1], 0.05),
        ([p for p in model.parameters() if p.dim() == 1], 0.0),
        (list(heads.parameters()), 0.0),
    )
    return torch.optim.AdamW(
        [{"params": some, "weight_decay": decay} for some, decay in kinds], betas=(0.9, 0.98), fused=True
    )


def train(settings: Settings, folder: Path = FOLDER, log: Callable[[str], None] = print) -> None:
    """Train from nothing and write the checkpoint folder, every 1,000 steps and at the end."""
    torch.set_num_threads(1)
    tokenizer, model, heads = build_tokenizer(settings), build_model(settings), Heads(settings.width)
    label_ids = torch.tensor(tokenizer.convert_tokens_to_ids(list(LABELS)))
    optimizer = _optimizer(model, heads)
    source = batches(tokenizer, settings, frozenset(key_of(*pair[:3]) for name in MEASURED for pair in measured(name)))
    began, sums = time.perf_counter(), [0.0, 0.0, 0.0]
    for step in range(1, settings.steps + 1):
        for part in optimizer.param_groups:
            part["lr"] = rate_at(step - 1, settings)
        verdict, helped, right = losses(model, heads, next(source), label_ids)
        (verdict + 0.15 * helped).backward()
        torch.nn.utils.clip_grad_norm_([*model.parameters(), *heads.parameters()], 1.0)
        optimizer.step()
        optimizer.zero_grad()
        sums = [a + b for a, b in zip(sums, (verdict.item(), helped.item(), right), strict=True)]
        if step % 100 == 0:
            means = " ".join(f"{one / 100:.3f}" for one in sums)
            log(f"step {step} of {settings.steps}, {time.perf_counter() - began:.0f} s: losses and accuracy {means}")
            sums = [0.0, 0.0, 0.0]
        if step % 1000 == 0 or step == settings.steps:
            save(model, tokenizer, folder)
            log(", ".join(f"{name} {quick_accuracy(model, tokenizer, measured(name)):.3f}" for name in MEASURED))


@torch.no_grad()
def quick_accuracy(model: Any, tokenizer: Any, pairs: Sequence[Pair]) -> float:
    """Return the share of right verdicts, straight from the model in training."""
    label_ids = torch.tensor(tokenizer.convert_tokens_to_ids(list(LABELS)))
    rows = encode(tokenizer, [Group(q, r, (), (Candidate(c, label, category),)) for q, r, c, label, category in pairs])
    right = 0.0
    for start in range(0, len(rows), 50):
        batch = collate(rows[start : start + 50])
        states = hidden(model, batch)[:, 1]
        logits = states @ model.model.embed_tokens.weight[label_ids].T
        right += float((logits.argmax(-1) == batch.labels[:, 0]).sum())
    return right / len(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train or measure, as the command line says."""
    parser = argparse.ArgumentParser(description="Train or measure tiny-judge.")
    parser.add_argument("--evaluate", action="store_true", help="measure the checkpoint and train nothing")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--steps", type=int, default=Settings.steps)
    parser.add_argument("--seed", type=int, default=0, help="of the pairs and first weights, or of the measured sets")
    given = parser.parse_args(arguments)
    if given.evaluate:
        print(json.dumps(evaluate(given.folder, given.seed), indent=1))
    else:
        settings = Settings(steps=given.steps, seed=given.seed)
        train(settings, given.folder)
        training = {name: getattr(settings, name) for name in ("steps", "groups", "seed")}
        write_card(given.folder, training, evaluate(given.folder))


if __name__ == "__main__":
    main()
