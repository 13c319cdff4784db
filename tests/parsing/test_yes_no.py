"""Yes and no by word: the accidents of substring scorers must not happen."""

import json

import pytest

from raybench.parsing.vqa import question_form, read_vqa
from raybench.parsing.yes_no import fold_yes_no, read_yes_no
from tests.parsing.sentences import DENIALS


@pytest.mark.parametrize(
    ("text", "value", "form"),
    [
        ("Yes", "yes", "exact_contract"),
        ("no.", "no", "exact_contract"),
        (" YES\n", "yes", "exact_contract"),
        ("不包含", "no", "exact_contract"),
        ("是的。", "yes", "exact_contract"),
        ("**Yes**", "yes", "recovered:markup"),
        ("\\boxed{No}", "no", "recovered:markup"),
        ("<answer>no</answer>", "no", "recovered:markup"),
        ("Yes, there is no effusion", "yes", "recovered:leading"),
        ("Yes, a nodule is present", "yes", "recovered:leading"),
        ("Yes, there is an abnormality", "yes", "recovered:leading"),
        ("No - the heart is normal", "no", "recovered:leading"),
        ("是的，存在结节", "yes", "recovered:leading"),
        ("The answer is no.", "no", "recovered:announced"),
        ("No, wait. The answer is: **yes**", "yes", "recovered:announced"),
        ("The answer is no. Had there been air, the answer is yes.", "no", "recovered:announced"),
        ("The answer is no at first sight. Final answer: yes", "yes", "recovered:announced"),
        ("Based on the image, yes.", "yes", "recovered:closing"),
        ("I would say no", "no", "recovered:alone"),
        ("There is no effusion.", "no", "recovered:negated_finding"),
        ("没有异常", "no", "recovered:negated_finding"),
    ],
)
def test_read(text, value, form):
    found = read_yes_no(text)
    assert (found.value, found.format) == (value, form)
    assert found.extractor.startswith("yes_no:")


@pytest.mark.parametrize(
    "text",
    [
        "cannot",
        "Normal",
        "not",
        "It is not.",
        "A nodule",
        "Unknown",
        "I'm sorry, I cannot help",
        "yes or no",
        "Yes/No",
        "It could be yes, it could be no",
        "The answer is not clear: yes and no.",
        "No abnormality. Yes",
        "not yes",
        "non-contrast",
        "No. 3 rib is broken",
        "There is no effusion but there is pneumonia",
        "The image shows pneumonia with no effusion.",
        "eyes",
        "",
        "There is no doubt that a mass is present.",
        "No significant interval change of the effusion.",
        "No other abnormality.",
        "No fracture can be excluded.",
        "Without contrast the lesion cannot be characterised.",
        "Without the lateral view this is hard to tell.",
        "I do not know.",
    ],
)
def test_not_read(text):
    assert read_yes_no(text) == (None, "", "unrecoverable")


def test_a_negated_finding_does_not_answer_a_question_about_normality():
    assert read_yes_no("No acute abnormality.", "Is there an abnormality?").value == "no"
    assert read_yes_no("No acute abnormality.", "Is the chest normal?").value is None
    assert read_yes_no("No.", "Is the chest normal?").value == "no"


@pytest.mark.parametrize(("text", "question", "value"), DENIALS)
def test_a_denial_answers_what_was_asked(text, question, value):
    assert read_yes_no(text, question).value == value
    assert read_vqa(text, question).value == value


def test_folding_takes_whole_answers_only():
    folded = [fold_yes_no(text) for text in ("Yes.", "没有", "no nodule", "正常")]
    assert folded == ["yes", "no", None, None]


@pytest.mark.parametrize(
    ("text", "question", "value"),
    [
        ("Normal", "Is this normal?", "yes"),
        ("Abnormal.", "Is the heart normal?", "no"),
        ("It is not normal", "Is it normal?", "no"),
        ("Normal", "Is this abnormal?", "no"),
        ("The heart is enlarged", "Is the heart enlarged?", "yes"),
        ("absent", "Is the spleen present?", "no"),
        ("正常", "这张图片看起来正常吗?", "yes"),
        ("不正常", "这张图片看起来是否正常?", "no"),
        ("异常", "这张图片看起来正常吗?", "no"),
        ("不正常", "这张图正不正常?", "no"),
        ("正常", "是不是正常？", "yes"),
        ("健康", "肝脏是健康的吗?", "yes"),
        ("不健康", "肝脏是健康的吗?", "no"),
        ("无异常", "图片里是否存在异常?", "no"),
        ("未见异常", "有无异常？", "no"),
        ("图片中没有肝脏。", "图片中有肝脏吗？", "no"),
        ("该图像中未见肿块", "有肿块吗？", "no"),
    ],
)
def test_an_answer_in_the_questions_own_words(text, question, value):
    assert read_yes_no(text, question).value == value


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("normal", "Is it normal or abnormal?"),
        ("normal", "Is this not normal?"),
        ("正常", "这不正常吗？"),
        ("Abnormal", "Is the abnormality on the left?"),
        ("enlarged heart", "Is the heart enlarged?"),
        ("肝脏", "图里有肝脏吗？"),
        ("正常", ""),
    ],
)
def test_words_of_the_question_that_answer_nothing(text, question):
    assert read_yes_no(text, question).value is None


@pytest.mark.data
def test_every_answer_of_slake_to_a_yes_no_question_is_read(test_data):
    rows = json.loads((test_data / "slake" / "test.json").read_text("utf-8"))
    asked = [row for row in rows if question_form(row["question"]) == "yes_no"]
    said = {(row["q_lang"], read_yes_no(row["answer"], row["question"]).value) for row in asked}
    assert len(asked) > 600
    assert said == {(language, value) for language in ("en", "zh") for value in ("yes", "no")}
