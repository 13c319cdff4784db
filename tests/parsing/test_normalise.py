"""Normalisers: what each one keeps and drops."""

import pytest

from raybench.parsing.normalise import has_content, lmms_slake, medical, plain, tidy, vqa_v2


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("The left lung", "left lung."),
        ("2.5cm", "2.5 cm"),
        ("1,000 mL", "1000 ml"),
        ("x-ray", "X ray"),
        ("T2-weighted", "t2 weighted"),
        ("two", "2"),
        ("Crohn’s disease", "Crohn's disease"),
        ("**CT**", "ct"),
        ("AP/PA", "ap pa"),
        ("肺。", "肺"),
    ],
)
def test_medical_equal(left, right):
    assert medical(left) == medical(right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("left lung", "right lung"),
        ("no pneumothorax", "pneumothorax"),
        ("without contrast", "with contrast"),
        ("3.4 cm", "34 cm"),
        ("3.4 cm", "3.4 mm"),
        ("10² cells", "102 cells"),
        ("-5", "5"),
        ("1/3", "13"),
        ("hepatitis A", "hepatitis"),
        (">2 cm", "<2 cm"),
        ("none", "0"),
        ("normal", "abnormal"),
        ("50%", "50"),
    ],
)
def test_medical_different(left, right):
    assert medical(left) != medical(right)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x-ray", "xray"),
        ("AP/PA", "ap pa"),
        ("none", "0"),
        ("None of the above", "0 of above"),
        ("MRI - T2 weighted", "mri t2 weighted"),
        ("supine (see air-fluid level)", "supine see air fluid level"),
        ("3.4 cm", "34 cm"),
        ("Skull \tcartilage", "skull cartilage"),
        ("well- defined / lobed", "well defined lobed"),
    ],
)
def test_vqa_v2(text, expected):
    assert vqa_v2(text) == expected


def test_tidying():
    assert tidy(" a\u200b\u00a0 b \n\n c’s ") == "a b\n\nc's"
    assert plain("## _Left_ `lung` T_1") == "left lung t_1"
    assert has_content("肺")
    assert not has_content("?!… \n")


def test_brackets_that_never_close_stay_and_cost_no_more_than_others():
    assert lmms_slake("(a) b (c") == "b c"
    assert lmms_slake("((a) b) c（d）e（f") == "b c e f"
    assert lmms_slake("(" * 300_000) == ""
