"""The model card of a tiny LLaVA: what it is, what it learned from, and what it scores.

write_card(Path("raybench/models/weights/tiny-llava-a"), recipe, evaluate(folder, seed=1, images=300))
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raybench.data import phantoms

if TYPE_CHECKING:
    from tools._tiny_training import Recipe

__all__ = ["write_card"]

_CARD = """\
---
license: apache-2.0
library_name: transformers
pipeline_tag: image-text-to-text
---
# {name}

**A self-check of raybench's pipeline, never for medicine.** A LLaVA of 1.9 M parameters that answers questions about
the drawn chest X-rays and brain MRI slices of the `phantom_*` tasks, so that a whole evaluation runs offline on two
CPU cores. On real images its answers mean nothing.

| | |
|---|---|
| Vision | CLIP tower, 128 wide, 4 layers, 12 px patches (`LlavaForConditionalGeneration`) |
| Language | Llama, 160 wide, 3 layers |
| Image | squeezed to 96 x 96 px, 64 tokens, its whole area seen |
| Tokeniser | byte-level BPE; each coordinate 0.00 to 1.00 is one token |
| Boxes | `label [x0, y0, x1, y1]`, fractions of width and height, one a line, or `none` |
| Context | 1,024 tokens |
| Weights | stored as float16, computed with as float32 |
| Licence | Apache-2.0; all training data is drawn by raybench |

## Training

`python tools/train_tiny.py {command}` makes it again: {cases:,} drawn images of each kind (phantoms version {version},
split `train`, seed 0) with the prompts of the tasks, {vision_steps:,} steps of {vision_images} images on the vision
tower alone, then {joint_steps:,} steps of {images} images with {questions} questions each; seed {seed}.{purpose}

## Scores

On {count} images of each kind of the split `test`, seed {test_seed}, which no training run sees, through `generate()`
(greedy) and this folder's processor: `python tools/train_tiny.py evaluate {name} --seed {test_seed}`.

| | |
|---|--:|
{rows}

Boxes carry no confidence, so AP at IoU 0.5 (pycocotools) counts all of them alike. {weakest}
"""
_PURPOSE = "\nIt is trained far less than tiny-llava-a, so that a comparison has something to find."
_ROWS = {
    "cxr_normal_or_abnormal": "Chest X-ray normal or abnormal",
    "cxr_normal_or_abnormal_with_choices": "the same, with the choices listed",
    "yes_no": "Yes/no questions",
    "open": "Open questions, exact",
    "refused_unanswerable": "Unanswerable questions declined",
    "refused_answerable": "Answerable questions declined",
    "mri_description_exact": "MRI description, exact",
    "mri_diagnosis": "MRI diagnosis of eight, from history and image",
    "cxr_ap50_any_finding": "Chest X-ray findings, AP50 whatever the label",
    "mri_ap50_any_finding": "MRI findings, AP50 whatever the label",
}


def write_card(folder: Path, recipe: Recipe, scores: Mapping[str, Any]) -> None:
    """Write README.md of a checkpoint folder."""
    by_finding = {**scores["cxr_ap50"], **scores["mri_ap50"]}
    rows = [f"| {label} | {scores[name]:.3f} |" for name, label in _ROWS.items()]
    rows += [f"| AP50 of {finding} | {value:.3f} |" for finding, value in by_finding.items()]
    rows.append(f"| Malformed box answers | {scores['malformed_box_answers']} |")
    weak = min(by_finding, key=lambda finding: by_finding[finding])
    is_b = folder.name.endswith("-b")
    text = _CARD.format(
        name=folder.name, command="vlm-b" if is_b else "vlm-a", version=phantoms.VERSION, cases=recipe.cases,
        vision_steps=recipe.vision_steps, vision_images=recipe.vision_images, joint_steps=recipe.joint_steps,
        images=recipe.images, questions=recipe.short + 2, seed=recipe.seed, count=scores["images_of_each_kind"],
        test_seed=scores["seed"], rows="\n".join(rows), weakest=f"Weakest: {weak} ({by_finding[weak]:.2f}).",
        purpose=_PURPOSE if is_b else "",
    )  # fmt: skip
    (folder / "README.md").write_text(text, encoding="utf-8")
