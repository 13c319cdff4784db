"""Multiple choice: letters, texts, both, and the accidents that must not happen."""

from __future__ import annotations

import pytest

from raybench.parsing.choice import read_choice

CHOICES = ["Pneumonia", "Pleural effusion", "Nodule", "Mass"]


@pytest.mark.parametrize(
    ("text", "value", "form"),
    [
        ("B", "Pleural effusion", "exact_contract"),
        ("B.", "Pleural effusion", "exact_contract"),
        ("(B)", "Pleural effusion", "exact_contract"),
        ("B)", "Pleural effusion", "exact_contract"),
        ("A", "Pneumonia", "exact_contract"),
        ("**D**", "Mass", "recovered:letter"),
        ("d", "Mass", "recovered:letter"),
        ("Ｂ", "Pleural effusion", "exact_contract"),
        ("Option C", "Nodule", "recovered:letter"),
        ("Answer: C", "Nodule", "recovered:letter"),
        ("\\boxed{C}", "Nodule", "recovered:letter"),
        ("<answer>C</answer>", "Nodule", "recovered:letter"),
        ("The answer is **D**", "Mass", "recovered:announced"),
        ("The correct answer is (B).", "Pleural effusion", "recovered:announced"),
        ("The correct answer is option B: pleural effusion.", "Pleural effusion", "recovered:announced"),
        ("Answer: b", "Pleural effusion", "recovered:letter"),
        ("答案：B", "Pleural effusion", "recovered:announced"),
        ("答案是（C）。", "Nodule", "recovered:announced"),
        ("正确答案为D", "Mass", "recovered:announced"),
        ("选B", "Pleural effusion", "recovered:announced"),
        ("B. Pleural effusion", "Pleural effusion", "exact_contract"),
        ("(C) Nodule", "Nodule", "exact_contract"),
        ("C: a nodule in the left lung", "Nodule", "recovered:leading_letter"),
        ("C, because the shadow is round.", "Nodule", "recovered:leading_letter"),
        ("D - there is a mass", "Mass", "recovered:leading_letter"),
        ("A\nThe consolidation is typical.", "Pneumonia", "recovered:leading_letter"),
        ("C is correct.", "Nodule", "recovered:leading_letter"),
        ("Pleural effusion", "Pleural effusion", "exact_contract"),
        ("pleural effusion.", "Pleural effusion", "exact_contract"),
        ("The answer is pleural effusion, not a mass.", "Pleural effusion", "recovered:announced"),
        ("The image shows a mass.", "Mass", "recovered:mention"),
        ("A nodule is present.", "Nodule", "recovered:mention"),
        ("A mass", "Mass", "recovered:mention"),
        ("The answer is a nodule.", "Nodule", "recovered:announced"),
        ("The answer is A nodule.", "Nodule", "recovered:announced"),
        ("I would choose C here.", "Nodule", "recovered:named_letter"),
        ("Not pneumonia. Option B is wrong, so D.", "Mass", "recovered:named_letter"),
        ("No pneumonia, no nodule; there is a mass.", "Mass", "recovered:mention"),
        ("The answer is B. Later on the answer is C.", "Pleural effusion", "recovered:announced"),
        ("The answer may vary; the answer is B at first, but the final answer is C.", "Nodule", "recovered:announced"),
    ],
)
def test_read(text, value, form):
    answer = read_choice(text, CHOICES)
    assert (answer.outcome, answer.value, answer.format) == ("answered", value, form)
    assert answer.extractor.startswith("choice:")


@pytest.mark.parametrize(
    ("text", "extractor"),
    [
        ("B. Nodule", "choice:disagreement"),
        ("(C) Mass", "choice:disagreement"),
        ("The answer is B, nodule.", "choice:disagreement"),
        ("Answer: D (pneumonia)", "choice:disagreement"),
        ("I choose option C, the mass.", "choice:disagreement"),
        ("A or B", "choice:several"),
        ("The answer is A and C.", "choice:several"),
        ("A, C", "choice:several"),
        ("E", ""),
        ("Z.", ""),
        ("A nodule or a mass.", ""),
        ("I think it is hard to say.", ""),
        ("A lung is seen.", ""),
        ("It is not a mass.", ""),
        ("The answer is not B.", ""),
        ("Nodules of the massive kind in pneumoniae.", None),
        ("42", ""),
    ],
)
def test_unparsed(text, extractor):
    answer = read_choice(text, CHOICES)
    if extractor is None:  # a plural is the word, "massive" is not "mass"
        assert answer.value == "Nodule"
        return
    assert (answer.outcome, answer.value, answer.extractor) == ("unparsed", None, extractor)


def test_refusals():
    answer = read_choice("I'm sorry, but I can't help with medical images.", CHOICES)
    assert (answer.outcome, answer.extractor.split(":")[0]) == ("refused", "refusal")
    assert read_choice("", CHOICES).extractor == "refusal:empty:no_content"


def test_a_choice_may_read_like_a_refusal():
    choices = ["Benign", "I cannot tell from the image"]
    assert read_choice("I cannot tell from the image", choices).value == choices[1]


def test_bacteria_are_not_letters():
    choices = ["E. coli", "S. aureus", "A. fumigatus", "Candida", "Virus"]
    assert read_choice("E. coli", choices).value == "E. coli"
    assert read_choice("E. coli is the cause.", choices).value == "E. coli"
    assert read_choice("E. Virus", choices).value == "Virus"


def test_letters_that_are_choices_themselves():
    assert read_choice("B", ["A", "B", "AB", "O"]).value == "B"
    assert read_choice("O", ["A", "B", "AB", "O"]).value == "O"
    assert read_choice("A", ["B", "A"]).extractor == "choice:disagreement"


def test_choices_that_differ_by_case_or_hold_one_another():
    assert read_choice("Lung mass", ["mass", "lung mass"]).value == "lung mass"
    assert read_choice("left lung", ["Left lung", "Right lung"]).value == "Left lung"
    assert read_choice("是的", ["是的", "不是"]).value == "是的"
    assert read_choice("左肺。", ["右肺", "左肺"]).value == "左肺"
    assert read_choice("3 cm", ["2 cm", "3 cm"]).value == "3 cm"
