"""What a card measures: gates, rates and calibration, against scikit-learn and judges whose quality is known."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import cohen_kappa_score

from raybench.judges._suite import CATEGORIES, Item, gates, suite
from raybench.scoring.card_page import _gate as gate_said
from raybench.scoring.measuring import Judged, calibration, length_slope, measure

BARS = {name: {gate.category: gate.least for gate in gates(name)} for name in ("phantom", "medical")}


def judged_by(items: list[Item], say: Callable[[Item], str | None]) -> list[Judged]:
    return [
        Judged(item.category, item.language, CATEGORIES[item.category].attack, item.cluster, item.detail, item.label,
               said := say(item), said, item.candidate)
        for item in items
    ]  # fmt: skip


@pytest.fixture(scope="module")
def items() -> list[Item]:
    return suite("medical")


def test_a_perfect_judge_is_supported(items: list[Item]) -> None:
    card = measure(judged_by(items, lambda item: item.label), BARS["medical"])
    assert card["supported"], card["reasons"]
    assert card["sensitivity"]["value"] == card["specificity"]["value"] == card["kappa"]["value"] == 1.0
    assert all(entry["passed"] for entry in card["categories"].values() if entry["gate"])


@pytest.mark.parametrize(
    ("say", "sensitivity", "specificity"),
    [
        (lambda item: "CORRECT", 1.0, 0.0),
        (lambda item: "INCORRECT", 0.0, 1.0),
        (lambda item: None, 0.0, 0.0),
    ],
)
def test_a_judge_that_does_not_look_is_unsupported(
    items: list[Item], say: Callable[[Item], str | None], sensitivity: float, specificity: float
) -> None:
    card = measure(judged_by(items, say), BARS["medical"])
    assert not card["supported"]
    assert card["reasons"]
    assert (card["sensitivity"]["value"], card["specificity"]["value"]) == (sensitivity, specificity)
    assert card["kappa"]["value"] == pytest.approx(0.0, abs=0.01) or say(items[0]) is None


def test_a_coin_is_unsupported(items: list[Item]) -> None:
    rng = random.Random(0)
    card = measure(judged_by(items, lambda _: rng.choice(("CORRECT", "INCORRECT"))), BARS["medical"])
    assert not card["supported"]
    assert card["kappa"]["low"] < 0 < card["kappa"]["high"]
    assert card["sensitivity"]["low"] < 0.5 < card["sensitivity"]["high"]


def test_a_judge_that_fails_one_language_is_unsupported(items: list[Item]) -> None:
    def say(item: Item) -> str:
        return "NOT_ATTEMPTED" if item.language == "zh" and item.category == "synonym" else item.label

    card = measure(judged_by(items, say), BARS["medical"])
    assert card["reasons"] == ["synonym (zh): 0.0% of 300 as deserved, under 90%"]


def test_too_few_items_support_nobody(items: list[Item]) -> None:
    card = measure(judged_by(suite("medical", 20), lambda item: item.label), BARS["medical"])
    assert "identity (en): 20 items, 300 are needed" in card["reasons"]
    entries = {name: entry for name, entry in card["categories"].items() if entry["gate"]}
    assert {gate_said(entry) for entry in entries.values()} == {"**too few items**"}, "no share was missed"
    poor = measure(judged_by(suite("medical", 20), lambda _: "CORRECT"), BARS["medical"])["categories"]
    assert {name: gate_said(poor[name]) for name in ("identity", "negation_flip")} == {
        "identity": "**too few items**", "negation_flip": "**missed**",
    }  # fmt: skip


def test_rates_are_over_answers_not_attacks_and_agree_with_scikit_learn(items: list[Item]) -> None:
    rng = random.Random(1)
    judged = judged_by(items, lambda item: item.label if rng.random() < 0.8 else "CORRECT")
    card = measure(judged, BARS["medical"])
    ordinary = [one for one in judged if not one.attack]
    truth = [one.truth == "CORRECT" for one in ordinary]
    called = [one.label == "CORRECT" for one in ordinary]
    assert card["kappa"]["value"] == pytest.approx(cohen_kappa_score(truth, called))
    wrong = [said for said, true in zip(called, truth, strict=True) if not true]
    assert card["specificity"]["value"] == pytest.approx(1 - sum(wrong) / len(wrong))
    assert card["specificity"]["n"] == len(wrong)


def test_calibration_by_hand() -> None:
    rows = [("CORRECT", 0.95), ("CORRECT", 0.95), ("INCORRECT", 0.95), ("INCORRECT", 0.15)]
    judged = [Judged("c", "en", False, str(i), "", truth, "CORRECT", None, "x", p) for i, (truth, p) in enumerate(rows)]
    found = calibration(judged)
    assert found is not None
    assert found["ece"] == pytest.approx((3 * abs(0.95 - 2 / 3) + 0.15) / 4)
    assert [(bin_["low"], bin_["n"]) for bin_ in found["curve"]] == [(0.1, 1), (0.9, 3)]
    assert calibration(judged_by([], lambda item: None)) is None


def test_length_slope_against_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    truth, length = rng.integers(0, 2, 1500), rng.integers(2, 400, 1500)
    log = np.log2(length + 1)
    called = rng.random(1500) < 1 / (1 + np.exp(-(3 * truth - 1.5 + 0.6 * (log - log.mean()))))
    judged = [
        Judged(
            "c",
            "en",
            False,
            "",
            "",
            ("INCORRECT", "CORRECT")[int(t)],
            ("INCORRECT", "CORRECT")[int(c)],
            None,
            "x" * int(n),
        )
        for t, c, n in zip(truth, called, length, strict=True)
    ]
    found = length_slope(judged)
    assert found is not None
    fit = LogisticRegression(C=1e9).fit(np.column_stack([truth, log]), called)
    assert found["per_doubling"] == pytest.approx(fit.coef_[0][1], rel=0.03)  # ours has a weak prior
    assert found["low"] < 0.6 < found["high"]


def test_a_judge_that_is_never_wrong_has_a_finite_length_slope() -> None:
    found = length_slope(judged_by(suite("phantom", 40, ["identity", "negation_flip"]), lambda item: item.label))
    assert found is not None
    assert abs(found["per_doubling"]) < 3
