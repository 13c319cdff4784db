"""Bugs found in other evaluation suites' judges, each as a test that ours passes (read in their source; see docs)."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from raybench.judges._reading import read_number
from raybench.judges._verdict_text import read_verdict
from raybench.judges.claims import Claims
from raybench.judges.criteria import Criteria
from raybench.judges.pairwise import Pairwise
from raybench.judges.panel import Panel
from raybench.judges.reference_verdict import ReferenceVerdict
from raybench.judges.relative10 import Relative10
from raybench.judges.rubric5 import Rubric5
from raybench.parsing.refusal import refusal
from raybench.schema import Response

LABELS = ReferenceVerdict.labels
PROTOCOL = ReferenceVerdict()


def record(text, question="Is there an abnormality?", target="no", outcome="answered", **more):
    return {"outcome": outcome, "text": text, "question": question, "target": target, **more}


def judged(label):
    return {"status": "ok", "label": label, "score": None, "label_probs": None}


@pytest.mark.parametrize(("text", "letter"), [("CORRECT", "A"), ("INCORRECT", "B"), ("NOT_ATTEMPTED", "C")])
def test_1_a_word_is_not_searched_for_letters(text, letter):
    """simple-evals searches "(A|B|C)": CORRECT and INCORRECT give C, NOT_ATTEMPTED gives A, anything else C."""
    assert read_verdict(text, LABELS) == letter
    assert PROTOCOL.parse(Response(text)).label == text


def test_1_no_match_is_no_grade():
    found = PROTOCOL.parse(Response("The answers agree in part."))
    assert (found.status, found.label, found.score) == ("parse_failed", None, None)


@pytest.mark.parametrize("text", ["0 (lesion measures 1 cm)", "Score: 0/1", "garbage", "1 of the findings is right"])
def test_2_a_digit_somewhere_is_no_hit_and_garbage_no_miss(text):
    """lmms-eval's binary reader: any 1 anywhere is correct, everything else is 0."""
    assert PROTOCOL.parse(Response(text)).status == "parse_failed"
    assert read_number(text, 1, 5) is None


def test_3a_polarity_is_said_once_and_holds_to_the_score():
    """MedEvalKit's judge labels are inverted (0 is correct), and a missing tag is incorrect."""
    for letter, label in LABELS.items():
        verdict = PROTOCOL.parse(Response(letter, label_logprobs={letter: -0.01}))
        assert verdict.label == label
        hit = PROTOCOL.statistics({"status": verdict.status, "label": verdict.label})["correct"]
        assert hit == verdict.score == float(label == "CORRECT")
        assert f"{letter} = {label}" in PROTOCOL.messages(PROTOCOL.items([record("x")])[0])[0]["content"]


def test_3bcd_hits_never_pass_n_and_are_divided_once():
    """MedEvalKit zeroes closed hits, judges closed items twice (over 100 %), divides open accuracy by n twice."""
    labels = ["CORRECT"] * 27 + ["INCORRECT"] * 60 + ["NOT_ATTEMPTED"] * 13
    rows = [dict(PROTOCOL.statistics(judged(label))) for label in labels]
    columns = {name: np.asarray([row[name] for row in rows]) for name in rows[0]}
    values = {m.name: float(m.values(columns, np.ones((1, 100)))[0]) for m in PROTOCOL.metrics()[:3]}
    assert values == pytest.approx(
        {"judge_accuracy": 0.27, "judge_attempted_rate": 0.87, "judge_accuracy_given_attempted": 27 / 87}
    )
    for label in LABELS.values():  # a record is judged once, whatever it counts for
        assert PROTOCOL.statistics(judged(label))["judged"] == 1


def test_3e_no_inside_a_word_is_not_no():
    """MedEvalKit: `'no' in response` makes "abnormality", "nodule" and "cannot help" a no."""
    for text in ("Yes, there is an abnormality", "Yes, a nodule is present"):
        item = PROTOCOL.items([record(text)])[0]
        assert item["decided"] is None, "nothing is settled as right by a substring"
    declined = "I'm sorry, I cannot help"
    assert refusal(declined) is not None
    assert PROTOCOL.items([record(declined, outcome="refused")])[0]["decided"].label == "NOT_ATTEMPTED"
    assert PROTOCOL.items([record(declined)])[0]["decided"] is None


def test_3f_precision_and_recall_are_not_swapped():
    """MedEvalKit unpacks (f1, precision, recall) as (precision, recall, f1)."""
    protocol = Claims()
    item = protocol.items([record("Effusion. Fracture. Nodule.", target="Effusion.")])[0]
    words = ["STATED", "STATED", "NOT_STATED", "NOT_STATED"]
    found = {part["item"]: judged(word) for part, word in zip(item["parts"], words, strict=True)}
    row = protocol.aggregate(item, found)
    assert (row["recall"], row["precision"]) == (1.0, pytest.approx(1 / 3))
    columns = {name: np.asarray([value]) for name, value in row.items()}
    f1 = next(m for m in protocol.metrics() if m.name == "claims_f1")
    assert float(f1.values(columns, np.ones((1, 1)))[0]) == pytest.approx(0.5)


@pytest.mark.parametrize("plugin", [ReferenceVerdict, Rubric5, Criteria, Relative10, Claims])
def test_3g_a_judge_never_runs_hot(plugin):
    """MedEvalKit's HealthBench judge samples at temperature 0.6: every sampling field is set here, none by default."""
    from raybench.engine.stages import judge_rows

    rubric = {"context": {"criteria": json.dumps([{"criterion": "Names it", "points": 1}])}}
    base = record("a mass", task="t", dataset="d", split="s", sample="1", model="m", **rubric)
    rows = list(judge_rows([base], plugin(), {"name": "j", "config": "c", "identity": {}}))
    assert {row["sampling"] for row in rows} == {
        json.dumps({"max_tokens": 8, "seed": 0, "stop": [], "temperature": 0.0, "top_p": 1.0}, separators=(",", ":"))
    }


@pytest.mark.parametrize("protocol", [ReferenceVerdict(), Rubric5(), Criteria(), Relative10(), Claims(), Pairwise()])
def test_4_a_candidate_cannot_fill_the_template(protocol):
    """HealthBench fills by chained replaces: a candidate with the next placeholder's name is filled too."""
    hostile = "{criterion} {reference} {nonce} {claim} {second} {context}"
    item = {"question": "Q?", "reference": "the truth", "candidate": hostile, "other": "other", "context": "caption"}
    aspects = {
        "criteria": {"criterion": "Names it", "points": 1},
        "relative10": {"order": "reference_first", "scored": "candidate"},
        "claims": {"from": "reference", "claim": "the truth"},
        "pairwise": {"order": "straight"},
    }
    item["aspect"] = aspects.get(protocol.name)
    text = protocol.messages(item)[1]["content"][0]["text"]
    assert hostile in text


def test_5_a_judge_that_fails_is_not_left_out_of_a_panel():
    """HELM's jury averages whoever answered; if nobody did, a default score stands."""
    panel = Panel(Panel.Options(judges=("a", "b", "c")))
    words = {"a": judged("CORRECT"), "b": {**judged(None), "status": "parse_failed"}}
    (item,) = panel.items([record("x", verdicts=words)])
    assert item["decided"].status != "ok"
    assert item["decided"].score is None
    (nobody,) = panel.items([record("x", verdicts={})])
    assert (nobody["decided"].label, nobody["decided"].score) == (None, None)
    mean = Panel(Panel.Options(judges=("a", "b"), pool="mean"))
    assert mean.items([record("x", verdicts=words)])[0]["decided"].status != "ok"


def test_6_a_count_that_is_missing_is_not_zero():
    """GREEN: a section that cannot be read counts no error and no match, so the score is 0."""
    protocol = Claims()
    item = protocol.items([record("Effusion. Nodule.", target="Effusion.")])[0]
    some = {item["parts"][0]["item"]: judged("STATED")}
    row = protocol.aggregate(item, some)
    assert (row["judged"], row["null"]) == (0.0, 1.0)


def test_7_rows_without_a_verdict_are_counted_and_bound_the_score():
    """FastChat drops rows scored -1 from the denominator: failing raises the mean."""
    null = PROTOCOL.statistics({"status": "parse_failed", "label": None})
    assert (null["judged"], null["null"]) == (0.0, 1.0)
    assert {row["correct"] for row in PROTOCOL.possible()} == {0.0, 1.0}


def test_8_one_reminder_with_the_same_sampling_and_no_score_after_it():
    """VLMEvalKit retries at temperatures up to 2.0 and then scores 0."""
    from raybench.engine.stages import judge_rows, second_attempt

    base = record("a mass", task="t", dataset="d", split="s", sample="1", model="m")
    (row,) = judge_rows([base], PROTOCOL, {"name": "j", "config": "c", "identity": {}})
    again = second_attempt(row, PROTOCOL, Response("hm"), "parse_failed")
    assert again is not None
    assert again["sampling"] == row["sampling"]
    assert (again["attempt"], again["key"]) == (2, row["key"])
    assert again["messages"] != row["messages"]
    assert PROTOCOL.reminder in again["messages"]
    assert second_attempt(again, PROTOCOL, Response("hm"), "parse_failed") is None
    assert second_attempt(row, PROTOCOL, Response("I cannot help."), "refused_by_judge") is None
    assert second_attempt(row, PROTOCOL, Response("A", label_logprobs={"X": 0.0}), "parse_failed") is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ('The rubric says "score: 1 is wrong". The answer names it.\nScore: 5', 5),
        ("Score: 4\nWait, the side differs.\nFinal score: 1", 1),
        ("Score: 9", None),
        ("Score: 0", None),
        ("3", 3),
        ("**Rating: 2/5**", 2),
        ("Rating: 7/10", None),
        ("4.5", None),
        ("3\n4", None),
    ],
)
def test_9_the_last_announced_score_counts_and_only_on_its_scale(text, number):
    """prometheus-eval takes the first "score: n": quoted rubric text or the candidate can win."""
    assert read_number(text, 1, 5) == number
    found = Rubric5().parse(Response(text))
    assert found.label == (None if number is None else str(number))


def test_10_a_line_that_is_no_pair_of_numbers_breaks_nothing():
    """LLaVA-Med unpacks the first line into two numbers (else a crash), and a reference of 0 divides by zero."""
    protocol = Relative10()
    for text in ("8 7 6", "eight", "", "0", "Score: 0/10", "11"):
        assert protocol.parse(Response(text)).status == "parse_failed"
    assert min(row["reference"] for row in protocol.possible()) == 1.0
    assert all(math.isfinite(row["ratio"]) for row in protocol.possible())


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("GRADE: B\nNo, on reflection: GRADE: A", "A"),
        ("Gr\u200bade: A", "A"),
        ("GRADE: D", None),
        ("A and B", None),
        ("The verdict could be A or B.", None),
    ],
)
def test_the_policies_of_the_best_hardened_peer(text, letter):
    """inspect_ai: the last announced grade, zero-width characters ignored, off-menu letters unscored."""
    assert read_verdict(text, LABELS) == letter
