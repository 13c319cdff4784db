"""One label from a closed list, with negation."""

import pytest

from raybench.parsing.labels import read_label

LABELS = ["pneumonia", "normal", "effusion"]


@pytest.mark.parametrize(
    ("text", "value", "form"),
    [
        ("Pneumonia", "pneumonia", "exact_contract"),
        ("pneumonia.", "pneumonia", "exact_contract"),
        ("**pneumonia**", "pneumonia", "recovered:whole"),
        ("The X-ray shows pneumonia.", "pneumonia", "recovered:mention"),
        ("There is no effusion; findings consistent with pneumonia", "pneumonia", "recovered:mention"),
        ("No, this is pneumonia", "pneumonia", "recovered:mention"),
        ("The diagnosis is effusion, not pneumonia", "effusion", "recovered:announced"),
        ("pneumonia? effusion? Answer: normal", "normal", "recovered:announced"),
        ("normal. No pneumonia.", "normal", "recovered:mention"),
        ("Pneumonia is not seen. Normal chest", "normal", "recovered:mention"),
        ("Pleural effusions", "effusion", "recovered:mention"),
        ("Diagnosis: pneumonia. Another classification: normal", "pneumonia", "recovered:announced"),
        ("Answer: effusion. On reflection, final answer: normal", "normal", "recovered:announced"),
        ("Diagnosis: pneumonia or effusion. Answer: normal", "normal", "recovered:announced"),
        ("Effusion. Pneumonia cannot be excluded.", "effusion", "recovered:mention"),
    ],
)
def test_read(text, value, form):
    found = read_label(text, LABELS)
    assert (found.value, found.format) == (value, form)


@pytest.mark.parametrize(
    "text",
    [
        "no pneumonia",
        "No evidence of pneumonia",
        "pneumonia is ruled out",
        "cannot exclude pneumonia",
        "Pneumonia cannot be excluded",
        "Pneumonia can not be entirely ruled out.",
        "pneumonia, which couldn't be excluded",
        "Pneumonia or effusion cannot be excluded",
        "Pneumonia is difficult to exclude",
        "pneumonia or effusion",
        "abnormal",
        "not normal",
        "pneumonia: absent",
        "",
    ],
)
def test_not_read(text):
    assert read_label(text, LABELS) == (None, "", "unrecoverable")


def test_labels_that_hold_each_other_and_synonyms():
    assert read_label("viral pneumonia is seen", ["pneumonia", "viral pneumonia"]).value == "viral pneumonia"
    assert read_label("no finding", ["No Finding", "Mass"]).value == "No Finding"
    normal = {"normal": ["no abnormalities", "unremarkable"]}
    assert read_label("There are no abnormalities", ["normal", "abnormal"], normal).value == "normal"
    assert read_label("图像正常", ["正常", "异常"]).value == "正常"
    for text in ("肺炎不能排除", "肺炎不除外", "肺炎可能,待排", "不能排除肺炎", "肺炎无法排除"):
        assert read_label(text, ["肺炎", "正常"]).value is None, text
    assert read_label("最终答案是肺炎。答案是正常。", ["肺炎", "正常"]).value == "肺炎"
    assert read_label("不正常", ["正常", "异常"]).value is None
    assert read_label("anything", []).value is None
