"""VQA profiles: MUMC's published accuracy, and what strict equality credits."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from raybench.metrics.contract import PLUGIN as Contract
from raybench.metrics.raybench_strict import PLUGIN as Strict
from raybench.metrics.vqa_v2_exact import PLUGIN as Exact
from raybench.parsing.vqa import read_vqa


@pytest.fixture
def data() -> Path:
    folder = os.environ.get("RAYBENCH_TEST_DATA")
    if not folder:
        pytest.skip("RAYBENCH_TEST_DATA is not set: it names the folder with vqa-rad/ and mumc-vqarad/")
    return Path(folder)


def record(text, target, question="Is there a nodule?", kind="closed"):
    answer = read_vqa(text, question)
    return {
        "outcome": answer.outcome, "value": answer.value, "format": answer.format, "text": text, "target": target,
        "choices": [], "slices": {"answer_type": kind}, "question": question,
    }  # fmt: skip


def scores(profile, records):
    rows = [profile.statistics(record) for record in records]
    columns = {key: np.array([row[key] for row in rows]) for key in rows[0]}
    weights = np.ones((1, len(rows)))
    return {m.name: (m.values(columns, weights)[0], int(columns[m.over].sum())) for m in profile.metrics}


@pytest.mark.data
def test_mumc_on_vqa_rad(data):
    rows = json.loads((data / "vqa-rad" / "testset.json").read_text())
    said = {p["qid"]: str(p["answer"]) for p in json.loads((data / "mumc-vqarad" / "final_pred.json").read_text())}
    records = [record(said[r["qid"]], str(r["answer"]), r["question"], r["answer_type"]) for r in rows]
    found = scores(Exact(), records)
    published = json.loads((data / "mumc-vqarad" / "final_acc.json").read_text())
    assert found["closed_accuracy"] == (pytest.approx(published["perAnswerType"]["CLOSED"] / 100, abs=5e-5), 272)
    assert found["open_accuracy"] == (pytest.approx(published["perAnswerType"]["OPEN"] / 100, abs=5e-5), 179)
    assert found["overall_accuracy"] == (pytest.approx(published["overall"] / 100, abs=5e-5), 451)


@pytest.mark.parametrize(
    ("text", "target", "question", "exact", "strict"),
    [
        ("No", "no", "Is there a nodule?", 1, 1),
        ("Yes, a nodule is present", "Yes", "Is there a nodule?", 0, 1),
        ("I'm sorry, I cannot help", "no", "Is there a nodule?", 0, 0),
        ("Unknown", "no", "Is there a nodule?", 0, 0),
        ("", "", "Is there a nodule?", 0, 0),
        ("不是", "否", "这是肝脏吗？", 0, 1),
        ("3.4 cm", "34 cm", "How large is it?", 1, 0),
        ("none", "0", "How many nodules?", 1, 0),
        ("the right side", "Right side.", "Where is it?", 1, 1),
        ("left side", "right side", "Where is it?", 0, 0),
    ],
)
def test_what_each_profile_credits(text, target, question, exact, strict):
    asked = record(text, target, question)
    assert Exact().statistics(asked)["hit"] == exact
    assert Strict().statistics(asked)["hit"] == strict


def test_a_blank_is_wrong_whatever_its_outcome():
    blank = record("", "") | {"outcome": "answered"}
    assert Exact().statistics(blank)["hit"] == 0


def test_closed_and_open_add_up():
    records = [record("yes", "yes", kind="CLOSED"), record("left", "right", "Where?", "open"), record("no", "yes")]
    assert scores(Strict(), records) == {
        "closed_accuracy": (0.5, 2), "open_accuracy": (0.0, 1), "overall_accuracy": (pytest.approx(1 / 3), 3),
    }  # fmt: skip
    assert all(metric.binary for metric in Strict.metrics)


def test_contract():
    said = ["Yes", "**Yes**", "I cant help you with that.", "maybe", ""]
    found = scores(Contract(), [record(text, "yes") for text in said])
    assert found == {"refused_rate": (0.4, 5), "unparsed_rate": (0.2, 5), "exact_contract_rate": (0.2, 5)}
    assert [metric.higher_is_better for metric in Contract.metrics] == [False, False, True]
