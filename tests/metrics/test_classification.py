"""Classification metrics against scikit-learn, under weights of one and repeated rows."""

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    matthews_corrcoef,
    recall_score,
)

from raybench.metrics.classification import PLUGIN as Classification

METRICS = {metric.name: metric for metric in Classification.metrics}
NOTHING = "<none of them>"


def columns(true, said, labels, positive=None):
    """Build statistics as a caller does: the union of the records' keys, 0 where a record has none."""
    rows = [
        Classification().statistics(
            {
                "outcome": "unparsed" if value == NOTHING else "answered", "value": None if value == NOTHING else value,
                "target": target, "choices": labels, "positive": positive, "text": "", "slices": {}, "question": "",
            }
        )
        for target, value in zip(true, said, strict=True)
    ]  # fmt: skip
    keys = sorted({key for row in rows for key in row})
    return {key: np.array([row.get(key, 0.0) for row in rows]) for key in keys}


def official(true, said, positive):
    present = sorted((set(true) | set(said)) - {NOTHING})
    wanted = {
        "accuracy": accuracy_score(true, said),
        "macro_f1": f1_score(true, said, labels=present, average="macro", zero_division=0),
        "mcc": matthews_corrcoef(true, said),
        "balanced_accuracy": recall_score(true, said, labels=sorted(set(true)), average="macro"),
    }
    if positive is not None:
        wanted["f1"] = f1_score(true, said, labels=[positive], average="macro")
        wanted["sensitivity"] = recall_score(true, said, labels=[positive], average="macro")
    return wanted


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    ("labels", "positive"), [(["healthy", "Unhealthy"], "Unhealthy"), (["a", "b", "c", "d"], None)]
)
@pytest.mark.parametrize("unread", [0.0, 0.2])
def test_equal_to_scikit_learn(seed, labels, positive, unread):
    rng = np.random.default_rng(seed)
    true = rng.choice(labels, 60)
    said = np.where(rng.random(60) < 0.5, true, rng.choice(labels, 60)).astype(object)
    said[rng.random(60) < unread] = NOTHING
    weights = np.vstack([np.ones(60, dtype=int), rng.integers(0, 4, (3, 60))])
    statistics = columns(true, said, labels, positive)
    for row, counts in enumerate(weights):
        for name, value in official(np.repeat(true, counts), np.repeat(said, counts), positive).items():
            assert METRICS[name].values(statistics, weights.astype(float))[row] == pytest.approx(value, abs=1e-12), name


def test_balanced_accuracy_is_that_of_scikit_learn():
    true, said = ["a"] * 6 + ["b"] * 2, ["a"] * 5 + ["b"] * 2 + ["a"]
    value = METRICS["balanced_accuracy"].values(columns(true, said, ["a", "b"]), np.ones((1, 8)))[0]
    assert value == pytest.approx(balanced_accuracy_score(true, said))


def test_the_seed_study_table():
    """TP 1, FN 5, FP 4, TN 15: metrics.md section 7."""
    true = ["unhealthy"] * 6 + ["healthy"] * 19
    said = ["unhealthy"] + ["healthy"] * 5 + ["unhealthy"] * 4 + ["healthy"] * 15
    statistics = columns(true, said, ["healthy", "unhealthy"], "unhealthy")
    found = {name: metric.values(statistics, np.ones((1, 25)))[0] for name, metric in METRICS.items()}
    wanted = {"accuracy": 0.64, "f1": 2 / 11, "sensitivity": 1 / 6, "specificity": 15 / 19, "mcc": -0.047}
    assert {name: found[name] for name in wanted} == pytest.approx(wanted, abs=5e-4)
    assert found["balanced_accuracy"] == pytest.approx(0.478, abs=5e-4)


def test_unread_rows_are_wrong_on_either_side():
    true, said = ["sick", "well"], [NOTHING, NOTHING]
    statistics = columns(true, said, ["well", "sick"], "sick")
    for name in ("accuracy", "sensitivity", "specificity", "balanced_accuracy", "macro_f1", "f1"):
        assert METRICS[name].values(statistics, np.ones((1, 2)))[0] == 0.0, name


def test_without_a_positive_class_the_clinical_rates_have_no_value():
    statistics = columns(["a", "b"], ["a", "b"], ["a", "b"])
    for name in ("f1", "sensitivity", "specificity"):
        assert np.isnan(METRICS[name].values(statistics, np.ones((1, 2)))[0]), name
        assert statistics[METRICS[name].over].sum() == 0, name


def test_a_constant_prediction_has_mcc_zero_and_a_perfect_one_one():
    one = np.ones((1, 4))
    assert METRICS["mcc"].values(columns(["a", "a", "b", "a"], ["a"] * 4, ["a", "b"]), one)[0] == 0.0
    assert METRICS["mcc"].values(columns(["a", "a", "b", "a"], ["a", "a", "b", "a"], ["a", "b"]), one)[0] == 1.0
