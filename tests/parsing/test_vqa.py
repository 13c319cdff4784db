"""The reader of VQA responses: form by question or choices, refusal first."""

import json
import os
from pathlib import Path

import pytest

from raybench.parsing.vqa import question_form, read_classification, read_free_text, read_vqa
from raybench.schema import Answer


@pytest.fixture
def data() -> Path:
    folder = os.environ.get("RAYBENCH_TEST_DATA")
    if not folder:
        pytest.skip("RAYBENCH_TEST_DATA is not set: it names the folder that holds vqa-rad/testset.json")
    return Path(folder)


@pytest.mark.parametrize(
    ("question", "choices", "form"),
    [
        ("Is there a nodule?", (), "yes_no"),
        ("In this image, are the lungs normal?", (), "yes_no"),
        ("Evidence of mass? Please choose from: [yes, no]", (), "yes_no"),
        ("图中是否存在异常？", (), "yes_no"),
        ("图像里包含肝脏吗？", (), "yes_no"),
        ("Is this an axial or coronal image?", (), "either_or"),
        ("Where is the lesion?", (), "open"),
        ("Where is the lesion?", ("Yes", "No"), "yes_no"),
        ("Is it left?", ("left", "right"), "choice"),
    ],
)
def test_forms(question, choices, form):
    assert question_form(question, choices) == form


@pytest.mark.data
def test_forms_of_vqa_rad(data):
    rows = json.loads((data / "vqa-rad" / "testset.json").read_text())
    asked = [(question_form(row["question"]), str(row["answer"]).lower() in ("yes", "no")) for row in rows]
    assert sum(answer for _, answer in asked) == 251
    assert asked.count(("yes_no", True)) == 248
    assert asked.count(("yes_no", False)) == 1


def test_outcomes():
    asked = "Is there a nodule?"
    assert read_vqa("Yes", asked) == Answer("answered", "yes", "yes_no:exact", "exact_contract")
    assert read_vqa("A nodule", asked) == Answer("unparsed", None, "", "unrecoverable")
    assert read_vqa(" ", asked).outcome == "refused"
    assert read_vqa("I cant help you with that.", asked).extractor == "refusal:policy:cannot_help"
    assert read_vqa("Coronal", "Is this an axial or coronal image?").value == "Coronal"
    assert read_vqa("Yes, there is", "Is there a mass or lesion?").value == "yes"
    assert read_vqa("It is on the Left.", "Which side?", ("left", "right")).value == "left"
    assert read_classification("I can't help", ["left"]).outcome == "refused"


def test_free_text_keeps_its_words():
    assert read_free_text(" Left  Lung ") == Answer("answered", "Left Lung", "free_text:whole", "exact_contract")
    assert read_free_text("**The answer is** Left lung").value == "Left lung"
    assert read_free_text("The answer is").value == "The answer is"


def test_chinese_what_questions_are_open_and_their_particle_questions_are_not() -> None:
    assert question_form("这张图片的成像方式是什么?") == "open"
    assert question_form("这是怎么了") == "open"
    assert question_form("肺部有病变么?") == "yes_no"
    assert question_form("肺部看起来健康吗?") == "yes_no"
