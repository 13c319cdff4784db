"""docs/tasks.md names every benchmark task, its options and its hub copy."""

from __future__ import annotations

from pathlib import Path

import pytest

from raybench import registry

PAGE = Path(__file__).parents[2] / "docs" / "tasks.md"
BENCHMARKS = (
    "vqa_rad", "slake", "path_vqa", "pmc_vqa", "medical_chat", "cxr_classification", "cxr_grounding", "cxr_report",
    "mri_description", "mri_detection", "mri_diagnosis",
)  # fmt: skip


@pytest.mark.parametrize("name", BENCHMARKS)
def test_the_page_tells_of_the_task(name):
    page = PAGE.read_text("utf-8")
    options = registry.load("tasks", name).Options.model_fields
    assert f"`{name}`" in page
    assert not [option for option in options if f"`{option}`" not in page and f"`{option}:" not in page]
    hub = options.get("hub")
    assert hub is None or f"`{hub.default}`" in page
    assert "data: DIR" in page
