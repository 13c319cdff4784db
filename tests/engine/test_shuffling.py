"""Every sample is shown another patient's images, the same ones each time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from raybench.engine.importing import import_answers
from raybench.engine.shuffling import partners, with_images
from raybench.errors import DataError
from raybench.spec import build
from raybench.store import Store


def test_nobody_keeps_an_image_and_nobody_gets_another_of_the_same_patient() -> None:
    rows = [(f'["{patient}-{view}"]', f"P{patient}") for patient in range(7) for view in range(3)] * 2
    shown = list(partners(rows))
    owner = dict(rows)
    assert all(owner[images] != cluster for images, (_, cluster) in zip(shown, rows, strict=True))
    assert shown[:21] == shown[21:]  # questions about one image share what they are shown
    assert list(partners(rows)) == shown


def test_rows_without_images_keep_none_and_one_patient_cannot_be_shuffled() -> None:
    assert list(partners([("[]", "a"), ('["x"]', "a"), ('["y"]', "b")])) == ["[]", '["y"]', '["x"]']
    assert list(partners([("[]", "a")])) == ["[]"]
    with pytest.raises(DataError, match="at least two patients"):
        list(partners([('["x"]', "a"), ('["y"]', "a")]))


def test_rows_are_joined_by_sample() -> None:
    with pytest.raises(ValueError, match="beside sample 'a'"):
        with_images({"sample": "a", "images": "[]"}, {"sample": "b", "images": "[]"})


def test_the_modes_stand_side_by_side(tmp_path: Path, table: Callable[..., Path]) -> None:
    answers = tmp_path / "answers.csv"
    answers.write_text("id,text\n" + "".join(f"{i},yes\n" for i in range(10)), "utf-8")
    spec: dict[str, Any] = {
        "output": str(tmp_path / "out"), "tasks": [{"task": "vqa", "data": str(table(10))}],
        "models": [{"name": "m", "backend": "imported", "answers": str(answers)}],
        "images": ["with", "none", "shuffled"],
    }  # fmt: skip
    import_answers(build(spec))
    rows = Store(str(tmp_path / "out")).query("SELECT images, messages, sample FROM responses ORDER BY sample")
    seen = {(row["sample"], row["images"]): row["messages"] for row in rows}
    assert {images for _, images in seen} == {"with", "none", "shuffled"}
    for sample in {sample for sample, _ in seen}:
        assert len({seen[sample, images] for images in ("with", "none", "shuffled")}) == 3
        assert "sha256" not in seen[sample, "none"]
    owners = {seen[sample, "with"].split('sha256":"')[1][:64] for sample in map(str, range(10))}
    assert {seen[sample, "shuffled"].split('sha256":"')[1][:64] for sample in map(str, range(10))} == owners
    scores = Store(str(tmp_path / "out")).query("SELECT images FROM scores WHERE headline AND kind = 'system'")
    assert sorted(row["images"] for row in scores) == ["none", "shuffled", "with"]
