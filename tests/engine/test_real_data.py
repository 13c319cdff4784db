"""The shipped model on real images: near zero, shown as such, and nothing fails."""

from __future__ import annotations

from pathlib import Path

import pytest

import raybench
from raybench.engine.run import run
from raybench.spec import build

pytestmark = [pytest.mark.usefixtures("local_ray"), pytest.mark.data, pytest.mark.slow]


def test_tiny_llava_on_vqa_rad_nih_and_brain_mri(test_data: Path, tmp_path: Path) -> None:
    result = run(
        build({
            "output": str(tmp_path / "out"), "models": ["tiny-llava-a"],
            "tasks": [
                {"task": "vqa_rad", "data": str(test_data / "vqa-rad")},
                {"task": "cxr_classification", "data": str(test_data / "nih-cxr14")},
                {"task": "mri_detection", "data": str(test_data / "brain-mri-tumor")},
            ],
        })
    )  # fmt: skip
    assert (result.exit_code, result.problems, result.generated) == (0, [], 451 + 24 + 25)
    scores = raybench.load(str(tmp_path / "out")).scores
    heads = scores.query("headline and kind == 'system'").set_index("task")
    assert heads["n"].to_dict() == {"vqa_rad": 451, "cxr_classification": 24, "mri_detection": 25}
    assert heads["failed"].sum() == 0
    assert heads.loc["mri_detection", "value"] < 0.2
    assert heads.loc["vqa_rad", "value"] < 0.6  # yes/no by chance; open questions near zero
    opened = scores.query("task == 'vqa_rad' and metric == 'open_accuracy' and profile == 'raybench-strict'")
    assert opened.query("slice == 'all' and kind == 'system'")["value"].iloc[0] < 0.1
