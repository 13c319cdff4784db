"""Rows that hold a whole conversation, and VQA-RAD beyond its test file."""

from __future__ import annotations

import json

import pytest

from raybench.errors import DataError, SpecError
from raybench.tasks.vqa import Vqa
from raybench.tasks.vqa_rad import VqaRad
from tests.tasks import layouts


def vqa(path, **options):
    return list(Vqa(Vqa.Options(data=str(path), **options)).samples())


def test_lists_of_questions_and_answers_are_turns(tmp_path):
    layouts.text(
        tmp_path / "t.jsonl",
        json.dumps({"id": "c", "image": "a.png", "question": ["Is it a CT?", "哪个器官?"], "answer": ["yes", "肺"]}),
        json.dumps({"id": "y", "image": "a.png", "question": ["Is it?", "Is it not?"], "answer": ["yes", "No"]}),
        json.dumps({"id": "s", "image": "a.png", "question": "[sic] what is it?", "answer": "lung"}),
    )
    talk, closed, single = vqa(tmp_path / "t.jsonl")
    assert (talk.questions, talk.targets) == (("Is it a CT?", "哪个器官?"), ("yes", "肺"))
    assert [sample.slices["answer_type"] for sample in (talk, closed, single)] == ["open", "closed", "open"]
    assert single.questions == ("[sic] what is it?",)
    task = Vqa(Vqa.Options(data=str(tmp_path / "t.jsonl")))
    assert task.turns(talk.to_row("vqa", 0), "short") == ["哪个器官?\nAnswer with a single word or phrase."]


def test_a_cell_of_json_text_is_a_conversation_too(tmp_path):
    header = ["q", "gold"]
    layouts.table(tmp_path / "t.csv", header, [['["One?", "Two?"]', '["1", "2"]'], ["Three?", "3"]])
    first, second = vqa(tmp_path / "t.csv", columns={"question": "q", "answer": "gold"})
    assert (first.questions, first.targets) == (("One?", "Two?"), ("1", "2"))
    assert (second.questions, second.targets) == (("Three?",), ("3",))


@pytest.mark.parametrize(
    ("answer", "count"),
    [('["1"]', "2 questions and 1 answers"), ("1", "no list of answers"), ('["1", ""]', "2 answers")],
)
def test_every_turn_needs_its_answer(answer, count, tmp_path):
    layouts.table(tmp_path / "t.csv", ["question", "answer"], [['["One?", "Two?"]', answer]])
    with pytest.raises(DataError, match=f"t.csv, id 0: .*{count}; a conversation needs one answer a question"):
        vqa(tmp_path / "t.csv")


def test_vqa_rads_original_file(tmp_path):
    task = VqaRad(VqaRad.Options(data=str(layouts.vqa_rad_public(tmp_path))))
    first, second = task.samples()
    assert [sample.id for sample in (first, second)] == ["1", "2"], "the rows marked test_"
    assert (first.dataset, first.slices["phrase_type"]) == ("vqa_rad-osf", "freeform")
    assert (second.targets, second.slices["phrase_type"]) == (("2",), "para")
    assert first.images[0].uri == str(tmp_path / "VQA_RAD Image Folder" / "synpic54610.jpg")
    (example,) = task.examples(3)
    assert (example.id, example.split) == ("0", "train")
    assert task.expected_count() == 451
    assert task.leaks.startswith("289 of the 451 test questions")


def test_vqa_rads_training_file_gives_the_examples(tmp_path):
    row = {"qid": 1, "image_name": "a.jpg", "answer": "yes", "answer_type": "CLOSED", "question": "Is it?"}
    layouts.text(tmp_path / "testset.json", json.dumps([row]))
    task = VqaRad(VqaRad.Options(data=str(tmp_path)))
    with pytest.raises(SpecError, match=r"shots: .* holds no trainset\.json"):
        task.examples(1)
    layouts.text(tmp_path / "trainset.json", json.dumps([{**row, "qid": 2, "question": "Was it?"}]))
    assert [sample.questions for sample in task.examples(1)] == [("Was it?",)]
