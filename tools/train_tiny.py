"""Makes the models that raybench ships: tiny-llava-a, tiny-llava-b and tiny-judge.

    python tools/train_tiny.py all                         # about an hour and a half on 2 cores
    python tools/train_tiny.py vlm-b --out /tmp/weights
    python tools/train_tiny.py evaluate raybench/models/weights/tiny-llava-a --seed 1 --images 300
    python tools/train_tiny.py evaluate raybench/models/weights/tiny-llava-a --card     # and write its README.md

Both LLaVAs learn from drawn images of the split `train`, seed 0; b is the same model
trained far less, so that a comparison has something to find. Steps are counted and
seeds fixed, so the same machine makes the same model. `evaluate` prints as JSON what a
checkpoint scores through `generate()` and its own processor on images of the split
`test`, which no training run sees.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))  # a script's own folder is the path's first entry, not its project

from tools._tiny_training import Recipe  # noqa: E402

__all__ = ["RECIPES", "WEIGHTS", "main", "train_vlm"]

WEIGHTS = ROOT / "raybench" / "models" / "weights"
RECIPES = {
    "tiny-llava-a": Recipe(seed=1),
    "tiny-llava-b": Recipe(seed=2, cases=3_000, vision_steps=700, joint_steps=500),
}


def train_vlm(name: str, out: Path, threads: int = 2) -> Path:
    """Train one of RECIPES and write its folder below `out`; returns the folder."""
    import torch

    from tools._tiny_checkpoint import new_processor, save, train_tokenizer
    from tools._tiny_corpus import build
    from tools._tiny_training import train

    recipe, began = RECIPES[name], time.perf_counter()
    torch.set_num_threads(threads)
    corpus = build(recipe.cases, "train", seed=0, workers=threads)
    tokenizer = train_tokenizer(corpus.texts())
    print(
        f"{name}: {len(corpus.images)} images, {len(tokenizer)} tokens, {time.perf_counter() - began:.0f} s", flush=True
    )
    model = train(corpus, tokenizer, recipe)
    save(model, new_processor(tokenizer), out / name)
    print(f"{name}: written to {out / name} after {time.perf_counter() - began:.0f} s", flush=True)
    return out / name


def measure(folder: Path, seed: int, images: int, card: bool) -> None:
    """Print a checkpoint's scores as JSON; write them into its model card if wanted."""
    import torch

    from tools._tiny_card import write_card
    from tools._tiny_evaluation import evaluate

    torch.set_num_threads(1)  # a replica's share
    scores = evaluate(folder, seed, images)
    print(json.dumps(scores, indent=2))
    if card:
        write_card(folder, RECIPES[folder.name], scores)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Make or measure the models that raybench ships.")
    parser.add_argument("what", choices=["vlm-a", "vlm-b", "judge", "all", "evaluate"])
    parser.add_argument("folder", nargs="?", type=Path, help="the checkpoint to evaluate")
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="where folders are written")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--card", action="store_true", help="write what evaluate finds into the folder's README.md")
    parser.add_argument("--seed", type=int, default=1, help="of the test images")
    parser.add_argument("--images", type=int, default=300, help="test images of each kind")
    given = parser.parse_args(arguments)
    if given.what == "evaluate":
        if given.folder is None:
            parser.error("evaluate needs the folder of a checkpoint")
        measure(given.folder, given.seed, given.images, given.card)
        return 0
    for name in ("tiny-llava-a", "tiny-llava-b"):
        if given.what in (name.replace("tiny-llava", "vlm"), "all"):
            train_vlm(name, given.out, given.threads)
    if given.what in ("judge", "all"):
        from tools.train_judge import main as train_judge

        train_judge([])
    return 0


if __name__ == "__main__":
    sys.exit(main())
