"""What a matrix makes of a spec, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from raybench.errors import SpecError
from raybench.spec import build
from raybench.spec.matrix import crossed

MODEL = {"name": "a", "backend": "imported", "answers": "x.csv"}
TASK = {"task": "vqa", "data": "x.csv"}


def _built(matrix: dict[str, Any], **more: Any) -> Any:
    return build({"models": [MODEL, {**MODEL, "name": "b"}], "tasks": [TASK], "matrix": matrix, **more})


def test_sampling_is_crossed_with_every_model_and_overrides_the_spec() -> None:
    spec = _built(
        {"generation.temperature": [0, 0.7], "generation": {"max_tokens": [8]}}, generation={"temperature": 1}
    )
    assert [model.name for model in spec.models] == [
        "a@temperature=0", "a@temperature=0.7", "b@temperature=0", "b@temperature=0.7",
    ]  # fmt: skip
    sampled = [spec.sampling(model, {"temperature": 0.2, "max_tokens": 99}) for model in spec.models]
    assert [(s["temperature"], s["max_tokens"]) for s in sampled] == [(0, 8), (0.7, 8)] * 2


def test_entries_of_models_and_tasks_are_crossed() -> None:
    spec = _built({"models.text_field": ["x", "y"], "tasks.shots": [0, 2], "prompts": ["short", "plain"]})
    assert [(model.name, model.options["text_field"]) for model in spec.models][:2] == [
        ("a@text_field=x", "x"), ("a@text_field=y", "y"),
    ]  # fmt: skip
    assert [(task.shots, task.prompts) for task in spec.tasks] == [(0, ("short", "plain")), (2, ("short", "plain"))]


def test_two_axes_name_both_and_an_axis_of_one_names_none() -> None:
    names = [m["name"] for m in crossed({"models": [{"name": "a"}], "matrix": {
        "generation.seed": [1, 2], "generation.stop": [["."]], "generation.top_p": [0.5, 1]}})["models"]]  # fmt: skip
    assert names == ["a@seed=1,top_p=0.5", "a@seed=1,top_p=1", "a@seed=2,top_p=0.5", "a@seed=2,top_p=1"]


@pytest.mark.parametrize(
    ("matrix", "sentence"),
    [
        ({"generation.temprature": [0]}, r"unknown key 'generation.temprature' \(did you mean 'temperature'\?\)"),
        ({"temperature": [0]}, "unknown key 'temperature'.*allowed: prompts, images, generation.KEY"),
        ({"repeats": [1, 3]}, "repeats is a count"),
        ({"tasks.limit": [1, 2]}, "tasks.limit cannot be swept"),
        ({"models.name": ["x"]}, "models.name cannot be swept"),
        ({"generation.seed": 3}, "generation.seed needs a list of values, not 3"),
        ({"generation.seed": []}, "needs a list of values"),
        ({"generation.temperature": [-1]}, r"models\[0\] \(a\) matrix: temperature"),
        ({"models.gpus": ["many"]}, r"models\[0\].gpus"),
        ("all", "matrix: give keys and lists"),
    ],
)
def test_what_cannot_be_swept_is_told(matrix: Any, sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence):
        _built(matrix)
