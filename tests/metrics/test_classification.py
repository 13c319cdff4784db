"""Classification metrics against scikit-learn, under weights of one and repeated rows."""

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    f1_score,
    matthews_corrcoef,
    recall_score,
    roc_auc_score,
)

from raybench.metrics.classification import PLUGIN as Classification
from raybench.metrics.classification import confusion

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


def test_the_seed_study_model_that_calls_everything_unhealthy():
    """25 images, 6 unhealthy, all called unhealthy: accuracy .24, F1 .387 (metrics.md section 7)."""
    true = ["unhealthy"] * 6 + ["healthy"] * 19
    statistics = columns(true, ["unhealthy"] * 25, ["healthy", "unhealthy"], "unhealthy")
    found = {name: METRICS[name].values(statistics, np.ones((1, 25)))[0] for name in ("accuracy", "f1", "specificity")}
    assert found == pytest.approx({"accuracy": 0.24, "f1": 12 / 31, "specificity": 0.0}, abs=1e-12)
    assert round(found["f1"], 3) == 0.387


def test_confusion_counts():
    rows = [
        {"outcome": "answered", "value": said, "target": true, "choices": ["sick", "well"]}
        for true, said in [("sick", "Sick"), ("sick", "well"), ("well", "well"), ("well", "maybe")]
    ]
    rows.append({"outcome": "refused", "value": None, "target": "well", "choices": ["sick", "well"]})
    assert confusion(rows) == {"sick": {"sick": 1, "well": 1}, "well": {"well": 1, "": 2}}


# --- label probabilities ---------------------------------------------------------------------------------------------


def probability_columns(true, logprobs, positive=None):
    labels = sorted({label for each in logprobs if each for label in each})
    rows = [
        Classification().statistics({
            "outcome": "answered", "value": target, "target": target, "choices": labels, "positive": positive,
            "label_logprobs": given, "text": "", "slices": {}, "question": "",
        })
        for target, given in zip(true, logprobs, strict=True)
    ]  # fmt: skip
    return {key: np.array([row.get(key, 0.0) for row in rows]) for key in sorted({key for row in rows for key in row})}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("labels", [["no", "yes"], ["a", "b", "c"]])
def test_probability_metrics_equal_scikit_learn_with_sample_weights(seed, labels):
    rng = np.random.default_rng(seed)
    n, positive = 80, labels[-1]
    true = rng.choice(labels, n)
    probabilities = np.round(rng.dirichlet(np.ones(len(labels)), n), 1) + 0.05  # with ties
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    # Raw logprobs leave mass to other tokens; the softmax over the labels takes it out again.
    logprobs = [dict(zip(labels, map(float, np.log(row * 0.7)), strict=True)) for row in probabilities]
    statistics = probability_columns(true, logprobs, positive)
    weights = np.vstack([np.ones(n), rng.integers(0, 4, n), rng.random(n)])
    is_positive, score = (true == positive).astype(int), np.round(probabilities[:, -1], 12)
    for row, weight in enumerate(weights):
        wanted = {
            "auroc": roc_auc_score(is_positive, score, sample_weight=weight),
            "auprc": average_precision_score(is_positive, score, sample_weight=weight),
            "macro_auroc": np.mean(
                [
                    roc_auc_score(true == each, np.round(probabilities[:, i], 12), sample_weight=weight)
                    for i, each in enumerate(labels)
                ]
            ),
            "brier": brier_score_loss(true, probabilities, sample_weight=weight, labels=labels, scale_by_half=True),
        }
        for name, value in wanted.items():
            assert METRICS[name].values(statistics, weights)[row] == pytest.approx(value, abs=1e-9), name


def test_expected_calibration_error_in_fifteen_bins():
    # 0.65 and 0.62 fall in bin (9/15, 10/15]: accuracy 1/2 against 0.635. 0.9 in (13/15, 14/15]: 1 against 0.9.
    logprobs = [{"no": float(np.log(1 - p)), "yes": float(np.log(p))} for p in (0.65, 0.62, 0.9)]
    statistics = probability_columns(["yes", "no", "yes"], logprobs)
    wanted = 2 / 3 * abs(0.5 - 0.635) + 1 / 3 * abs(1 - 0.9)
    assert METRICS["ece"].values(statistics, np.ones((1, 3)))[0] == pytest.approx(wanted)
    assert not METRICS["ece"].higher_is_better


def test_rows_without_probabilities_are_in_no_denominator():
    given = {"no": -2.0, "yes": -0.2}
    with_gap = probability_columns(["yes", "no", "no"], [given, {"no": -0.1, "yes": -3.0}, None], "yes")
    without = probability_columns(["yes", "no"], [given, {"no": -0.1, "yes": -3.0}], "yes")
    for name in ("auroc", "auprc", "macro_auroc", "brier", "ece"):
        values = [METRICS[name].values(each, np.ones((1, len(each["all"]))))[0] for each in (with_gap, without)]
        assert values[0] == values[1], name
        assert with_gap[METRICS[name].over].sum() == 2
    nobody = probability_columns(["yes", "no"], [None, None], "yes")
    assert all(np.isnan(METRICS[name].values(nobody, np.ones((1, 2)))[0]) for name in ("auroc", "brier", "ece"))


def test_a_sure_model_is_still_ranked():
    # Both probabilities round to 1.0; the log odds know which is higher.
    logprobs = [{"no": -50.0, "yes": -0.0}, {"no": -40.0, "yes": -0.0}]
    statistics = probability_columns(["yes", "no"], logprobs, "yes")
    assert METRICS["auroc"].values(statistics, np.ones((1, 2)))[0] == 1.0
