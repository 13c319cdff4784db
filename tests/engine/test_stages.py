"""Pure steps: what a content key holds and what it does not, images by hash, judge rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from raybench import registry
from raybench.engine.stages import (
    hash_images,
    judge_rows,
    load_images,
    next_turn,
    prompt_variants,
    request,
    unit_rows,
    with_examples,
)
from raybench.errors import DataError, SpecError
from raybench.schema import Response, Row, Sample
from raybench.spec import TaskSpec, open_plugin

Make = Callable[..., Path]


def _task(path: Path) -> Any:
    plugin, options = open_plugin("tasks", "vqa", TaskSpec.model_validate({"task": "vqa", "data": str(path)}))
    task = plugin(options)
    task.prompts = {"short": task.prompts["short"]}
    return task


def _model(**changes: Any) -> Row:
    sampling = {"temperature": 0.0, "top_p": 1.0, "max_tokens": 8, "seed": 0, "stop": []}
    identity = {"backend": "hf", "revision": "1"}
    model = {"name": "m", "config": "c", "identity": identity, "sampling": sampling, "nonce": ""}
    return {**model, "extra": lambda _: {}, **changes}


def _units(path: Path, model: Row | None = None, images: str = "with", repeats: int = 1, **task: Any) -> list[Row]:
    found = _task(path)
    for name, value in task.items():
        setattr(found, name, value)
    rows = [hash_images(sample.to_row("vqa", i)) for i, sample in enumerate(found.samples())]
    return [unit for row in rows for unit in unit_rows(row, found, model or _model(), images, repeats)]


def test_every_unit_has_its_own_key_and_keys_are_stable(table: Make) -> None:
    path = table(10)
    keys = [unit["key"] for unit in _units(path)]
    assert len(set(keys)) == 10
    assert keys == [unit["key"] for unit in _units(path)]


@pytest.mark.parametrize(
    "changes",
    [
        {"identity": {"backend": "hf", "revision": "2"}},
        {"sampling": {"temperature": 0.5, "top_p": 1.0, "max_tokens": 8, "seed": 0, "stop": []}},
        {"sampling": {"temperature": 0.0, "top_p": 1.0, "max_tokens": 9, "seed": 0, "stop": []}},
        {"nonce": "run"},
        {"extra": lambda sample: {"sample": sample}},
    ],
)
def test_what_decides_an_answer_is_in_the_key(changes: Row, table: Make) -> None:
    path = table(3)
    before, after = ({unit["key"] for unit in _units(path, model)} for model in (_model(), _model(**changes)))
    assert not before & after


def test_what_decides_nothing_is_not_in_the_key(table: Make) -> None:
    path = table(3)
    renamed = _units(path, _model(name="other", config="d"))
    assert [unit["key"] for unit in renamed] == [unit["key"] for unit in _units(path)]


def test_prompt_images_and_repeat_are_in_the_key(table: Make) -> None:
    path = table(3)
    base = {unit["key"] for unit in _units(path)}
    assert not base & {unit["key"] for unit in _units(path, prompts={"short": "{question}!"})}
    assert not base & {unit["key"] for unit in _units(path, images="none")}
    repeated = _units(path, repeats=2)
    assert base < {unit["key"] for unit in repeated}
    assert len({unit["key"] for unit in repeated}) == 6


def test_a_changed_image_changes_the_key_and_a_corrected_label_does_not(table: Make) -> None:
    path = table(5)
    before = {unit["sample"]: unit for unit in _units(path)}
    (path.parent / "0.png").write_bytes((path.parent / "1.png").read_bytes())
    path.write_text(path.read_text("utf-8").replace("number 3 shown?,yes", "number 3 shown?,no"), "utf-8")
    after = {unit["sample"]: unit for unit in _units(path)}
    assert [s for s in before if before[s]["key"] != after[s]["key"]] == ["0"]
    assert [s for s in before if before[s]["sample_hash"] != after[s]["sample_hash"]] == ["3"]


def test_equal_content_has_one_key(tmp_path: Path) -> None:
    path = tmp_path / "twins.csv"
    path.write_text("id,question,answer\na,Is it?,yes\nb,Is it?,no\n", "utf-8")
    assert len({unit["key"] for unit in _units(path)}) == 1


def test_a_known_hash_is_kept_until_size_or_time_changes(table: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    row = next(_task(table(1)).samples()).to_row("vqa", 0)
    hashed = hash_images(row)
    monkeypatch.setattr("raybench.engine.stages.read_bytes", lambda uri: pytest.fail(f"{uri} was read again"))
    assert hash_images(hashed)["image_sha256"] == hashed["image_sha256"]


def test_messages_name_images_by_hash_and_requests_by_position(table: Make) -> None:
    unit = load_images(_units(table(1))[0], pixels=True)
    parts = json.loads(unit["messages"])[0]["content"]
    assert [part["type"] for part in parts] == ["image", "text"]
    assert parts[0]["sha256"] == json.loads(unit["image_refs"])[0]["sha256"]
    sent = request(unit)
    assert sent["messages"][0]["content"][0] == {"type": "image", "image": 0}
    assert (sent["images"][0]["width_px"], sent["images"][0]["height_px"]) == (16, 12)
    assert len(sent["images"][0]["bytes"]) == 16 * 12 * 3


def test_without_images_nothing_of_them_is_sent(table: Make) -> None:
    unit = load_images(_units(table(1), images="none")[0], pixels=True)
    assert request(unit)["images"] == []
    assert [part["type"] for part in request(unit)["messages"][0]["content"]] == ["text"]


def test_a_caption_stands_in_the_place_of_the_image(table: Make) -> None:
    path = table(2)
    task = _task(path)
    row = {**hash_images(next(task.samples()).to_row("vqa", 0)), "context": '{"caption": "Clear lungs."}'}
    (unit,) = unit_rows(row, task, _model(), "caption", 1)
    texts = [part["text"] for part in json.loads(unit["messages"])[0]["content"]]
    assert texts[0] == "Description of the image: Clear lungs.\n"
    assert "number 0 shown?" in texts[1]
    assert request(load_images(unit, pixels=True))["images"] == []
    with pytest.raises(DataError, match="sample '0' of questions has no caption"):
        list(unit_rows({**row, "context": "{}"}, task, _model(), "caption", 1))


@pytest.mark.parametrize(("history", "said"), [("own", "A model said this."), ("reference", "gold 1")])
def test_a_conversation_shows_earlier_answers(history: str, said: str, table: Make) -> None:
    task = _task(table(1))
    task.history = history
    asked = {"questions": ["One?", "Two?", "Three?"], "targets": ["gold 1", "gold 2", "gold 3"]}
    row = {**hash_images(next(task.samples()).to_row("vqa", 0)), **asked}
    (unit,) = unit_rows(row, task, _model(), "with", 1)
    assert unit["turns"] == 3
    second = next_turn(unit, [Response("A model said this.")])
    assert second is not None
    messages = json.loads(second["messages"])
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    assert messages[1]["content"][0]["text"] == said
    assert messages[2]["content"][0]["text"].startswith("Two?")
    third = next_turn(second, [Response("A model said this."), Response("And this.")])
    assert third is not None
    assert len(json.loads(third["messages"])) == 5
    assert next_turn(third, [Response("a"), Response("b"), Response("c")]) is None
    (other,) = unit_rows({**row, "questions": ["One?", "Two?", "Four?"]}, task, _model(), "with", 1)
    assert other["key"] != unit["key"]


def test_worked_examples_name_their_variant() -> None:
    examples = [
        Sample("1", "d", "train", ("Is it {big}?",), ("yes",)),
        Sample("2", "d", "train", ("Where?",), ("left",)),
    ]
    found = with_examples({"short": "{question}"}, examples)
    assert list(found) == ["short+2shot"]
    assert found["short+2shot"].endswith("Question: Where?\nAnswer: left\n\n{question}")


def test_an_unreadable_image_is_an_error_of_its_row(table: Make) -> None:
    path = table(1)
    (path.parent / "0.png").unlink()
    loaded = load_images(_units(path)[0], pixels=True)
    assert "cannot read image" in loaded["error"]


def test_prompt_variants(table: Make) -> None:
    plugin, options = open_plugin("tasks", "vqa", TaskSpec.model_validate({"task": "vqa", "data": str(table(1))}))
    task = plugin(options)
    assert list(prompt_variants(task, "default", None)) == ["short"]
    assert list(prompt_variants(task, "all", None)) == list(task.prompts)
    assert list(prompt_variants(task, ["plain"], None)) == list(prompt_variants(task, "plain", None)) == ["plain"]
    assert prompt_variants(task, "mine.csv", lambda path: {path: "{question}"}) == {"mine.csv": "{question}"}
    with pytest.raises(SpecError, match=r"unknown variant 'shrt' \(did you mean 'short'\?\)"):
        prompt_variants(task, ["shrt"], None)


def test_identical_items_have_one_judge_key_and_rules_need_no_call() -> None:
    protocol = registry.load("judges", "reference_verdict")
    protocol = protocol(protocol.Options())
    base = {"task": "t", "dataset": "d", "split": "s", "question": "Is it?", "target": "yes", "choices": []}
    records = [
        {**base, "sample": "1", "model": "a", "outcome": "answered", "text": "no"},
        {**base, "sample": "2", "model": "b", "outcome": "answered", "text": "no"},
        {**base, "sample": "3", "model": "b", "outcome": "refused", "text": ""},
        {**base, "sample": "4", "model": "b", "outcome": "failed", "text": None},
    ]
    judge = {"name": "j", "config": "c", "identity": {"model": "x"}}
    rows = list(judge_rows(records, protocol, judge))
    assert [row["sample"] for row in rows] == ["1", "2", "3"]
    assert rows[0]["key"] == rows[1]["key"] != rows[2]["key"]
    labels = [(row["decided"], row.get("label")) for row in rows]
    assert labels == [(False, None), (False, None), (True, "NOT_ATTEMPTED")]
    other = next(judge_rows(records, protocol, {**judge, "identity": {"model": "y"}}))
    assert other["key"] != rows[0]["key"]
    assert other["item"] == rows[0]["item"]
