"""Yes and no by word: the accidents of substring scorers must not happen."""

import pytest

from raybench.parsing.yes_no import fold_yes_no, read_yes_no


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
    ],
)
def test_not_read(text):
    assert read_yes_no(text) == (None, "", "unrecoverable")


def test_a_negated_finding_does_not_answer_a_question_about_normality():
    assert read_yes_no("No acute abnormality.", "Is there an abnormality?").value == "no"
    assert read_yes_no("No acute abnormality.", "Is the chest normal?").value is None
    assert read_yes_no("No.", "Is the chest normal?").value == "no"


def test_folding_takes_whole_answers_only():
    folded = [fold_yes_no(text) for text in ("Yes.", "没有", "no nodule", "正常")]
    assert folded == ["yes", "no", None, None]
