"""The phantom tasks: samples whose prompts a model was trained on, read and graded like any other task's."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

from raybench import registry
from raybench.data import phantoms
from raybench.data.phantoms import KINDS, REFUSAL, case
from raybench.interfaces import Task
from raybench.tasks._phantom import PROMPTS, SELF_CHECK, conversations

TASKS = sorted(PROMPTS)


def made(name: str, **options: object) -> Task:
    plugin = registry.load("tasks", name)
    return plugin(plugin.Options(**{"count": 24, "size": 96, **options}))


def rows(task: Task, name: str) -> list[dict[str, object]]:
    """Rows as a task is asked them: with the image that the engine has looked at."""
    return [
        {**sample.to_row(name, number), "image_sha256": [""], "image_sizes": [[96, 96]], "box_convention": ""}
        for number, sample in enumerate(task.samples())
    ]


@pytest.mark.parametrize("name", TASKS)
def test_a_task_says_that_it_is_a_self_check(name):
    plugin = registry.load("tasks", name)
    assert plugin.self_check
    assert SELF_CHECK in plugin.__doc__.lower()
    untrained = {"confidence"} if name == "phantom_vqa" else set()
    assert plugin.prompts.items() >= PROMPTS[name].items()
    assert set(plugin.prompts) - set(PROMPTS[name]) == untrained


@pytest.mark.parametrize("name", TASKS)
def test_samples_are_the_same_twice_and_others_with_another_seed_or_split(name):
    first = list(made(name).samples())
    assert first == list(made(name).samples())
    assert len({sample.id for sample in first}) == len(first)
    assert len({sample.cluster for sample in first}) == 24, "rows of one image share a cluster"
    for other in (made(name, seed=1), made(name, split="validation")):
        assert not {sample.id for sample in first} & {sample.id for sample in other.samples()}
    for sample in first:
        assert sample.targets[0]
        assert sample.images[0].uri.startswith(phantoms.SCHEME)
        assert not sample.choices or sample.boxes or sample.targets[0] in (*sample.choices, "none")


@pytest.mark.parametrize("name", TASKS)
def test_every_trained_prompt_was_seen_with_the_target_it_is_graded_against(name):
    task = made(name)
    for sample, row in zip(task.samples(), rows(task, name), strict=True):
        kind, split, seed, index = sample.cluster.split("-")
        trained = {(each.task, each.variant, each.prompt): each.target
                   for each in conversations(case(kind, split, int(index), int(seed)))}  # fmt: skip
        for variant in PROMPTS[name]:
            (message,) = task.messages(row, variant)
            target = trained[name, variant, message["content"][-1]["text"]]
            if sample.slices.get("answer_type") == "unanswerable":
                assert target == REFUSAL
            else:
                assert target == sample.targets[0]


@pytest.mark.parametrize("name", TASKS)
def test_the_trained_target_is_read_as_right_and_a_refusal_as_refused(name):
    task = made(name)
    profile = registry.load("metrics", task.profiles[0].replace("-", "_"))()
    for row in rows(task, name):
        answer = task.parse(row, row["targets"][0])
        assert answer.outcome == "answered"
        assert task.parse(row, REFUSAL).outcome == "refused"
        if task.profiles[0] in ("classification", "raybench-strict"):
            record = {
                "outcome": answer.outcome, "value": answer.value, "text": row["targets"][0],
                "target": row["targets"][0], "choices": row["choices"], "slices": json.loads(row["slices"]),
                "question": row["questions"][0], "format": answer.format, "positive": None,
            }  # fmt: skip
            assert profile.statistics(record)["hit"] == 1
        if task.profiles[0] == "detection":
            written = [(box["label"], round(box["x0"], 2)) for box in json.loads(row["boxes"])]
            assert [(box["label"], box["x0"]) for box in answer.value] == written


def test_nonsense_is_unparsed_where_a_form_is_asked_for():
    for name in ("phantom_cxr_classification", "phantom_mri_diagnosis", "phantom_cxr_grounding"):
        task = made(name)
        assert task.parse(rows(task, name)[0], "the of and").outcome == "unparsed"


def test_vqa_asks_of_everything():
    samples = list(made("phantom_vqa", count=200).samples())
    assert len(samples) == 600
    kinds = Counter(sample.slices["answer_type"] for sample in samples)
    assert kinds["closed"] > 200
    assert kinds["open"] > 150
    assert 40 < kinds["unanswerable"] < 100
    yes = np.mean([sample.targets[0] == "yes" for sample in samples if sample.slices["answer_type"] == "closed"])
    assert 0.4 < yes < 0.6, "neither yes nor no is worth saying always"
    assert {sample.slices["modality"] for sample in samples} == set(KINDS)
