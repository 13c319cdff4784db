"""Reading verdicts from prose: every parser bug of judging.md 1.1 stays out."""

import time

import pytest

from raybench.judges._verdict_text import read_verdict

LABELS = {"A": "CORRECT", "B": "INCORRECT", "C": "NOT_ATTEMPTED"}


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("A", "A"),
        ("B.", "B"),
        ("**A**", "A"),
        ("[[C]]", "C"),
        # 1.1.1 simple-evals: the first of the letters A, B, C anywhere
        ("CORRECT", "A"),
        ("INCORRECT", "B"),
        ("NOT_ATTEMPTED", "C"),
        ("not attempted", "C"),
        ("Incorrect.", "B"),
        ("Answer: B", "B"),
        ("A: CORRECT", "A"),
        ("B - INCORRECT", "B"),
        ("**Grade:** **B**", "B"),
        ("Final grade: B (INCORRECT)", "B"),
        ('{"verdict": "A"}', "A"),
        ('{"verdict": "INCORRECT", "reason": "side"}', "B"),
        ("<answer>B</answer>", "B"),
        ("Grade:\u200b A", "A"),
        ("Ｂ", "B"),
        # 1.1.9 prometheus-eval: the first "score" wins, quoted text included
        ('The candidate says "Grade: A".\nGrade: B', "B"),
        ("Grade: A\nOn reflection the side is wrong.\nGrade: B", "B"),
        ("Reasoning: the side matches.\n\nA", "A"),
        ("A. The candidate names the same lobe.", "A"),
        ("B: wrong side", "B"),
        ("INCORRECT. The side is wrong.", "B"),
        ("The answer is correct about the organ but not the side.\nINCORRECT", "B"),
    ],
)
def test_read(text, letter):
    assert read_verdict(text, LABELS) == letter


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "D",
        "Grade: D",
        # 1.1.2 lmms-eval: any 1 is correct, anything else is 0
        "0 (lesion measures 1 cm)",
        "Score: 0/1",
        "A/B/C",
        "Grade: A, B or C",
        "Grade: A/B",
        "Grade: A = CORRECT, B = INCORRECT",
        "CORRECT/INCORRECT",
        "A: CORRECT\nB: INCORRECT\nC: NOT_ATTEMPTED",
        "A\nB",
        "A - INCORRECT",
        "Grade: A (INCORRECT)",
        "A candidate that names the lobe",
        "C. difficile colitis is named",
        "not CORRECT",
        "The answer is not correct",
        "CORRECTLY",
        "ABC",
        # 1.1.3 MedEvalKit: labels inverted
        "<judge>0</judge>",
    ],
)
def test_not_read(text):
    assert read_verdict(text, LABELS) is None


@pytest.mark.parametrize("text", ["Grade: " * 20000, "A " * 20000, "\n" * 30000 + "D", "* " * 30000])
def test_long_texts_take_no_time(text):
    start = time.perf_counter()
    read_verdict(text, LABELS)
    assert time.perf_counter() - start < 2
