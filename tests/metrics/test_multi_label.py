"""Multi-label metrics against scikit-learn, under weights of one and repeated rows."""

import json

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

from raybench.metrics.multi_label import PLUGIN as MultiLabel

METRICS = {metric.name: metric for metric in MultiLabel.metrics}
LABELS = ["Cardiomegaly", "Effusion", "Pleural_Thickening", "Mass"]


def record(true, said, outcome="answered", logprobs=None, choices=LABELS):
    return {
        "outcome": outcome, "value": said, "target": json.dumps(true), "targets": [json.dumps(true)],
        "choices": list(choices), "label_logprobs": logprobs,
    }  # fmt: skip


def columns(records):
    rows = [MultiLabel().statistics(each) for each in records]
    return {key: np.array([row.get(key, 0.0) for row in rows]) for key in sorted({key for row in rows for key in row})}


def draw(seed, n=70):
    rng = np.random.default_rng(seed)
    true = rng.random((n, 4)) < [0.5, 0.3, 0.2, 0.1]
    said = np.where(rng.random((n, 4)) < 0.7, true, rng.random((n, 4)) < 0.3)
    probabilities = np.clip(np.round(true * 0.3 + rng.random((n, 4)) * 0.6, 1), 0.1, 0.9)
    return true, said, probabilities, np.vstack([np.ones(n), rng.integers(0, 4, n)])


@pytest.mark.parametrize("seed", range(5))
def test_equal_to_scikit_learn(seed):
    true, said, probabilities, weights = draw(seed)
    records = [
        record(
            [label for label, yes in zip(LABELS, row, strict=True) if yes],
            [label for label, yes in zip(LABELS, answer, strict=True) if yes],
            logprobs=dict(zip(LABELS, map(float, np.log(chance)), strict=True)),
        )
        for row, answer, chance in zip(true, said, probabilities, strict=True)
    ]
    table = columns(records)
    for row, weight in enumerate(weights):
        counted = {"sample_weight": weight}
        each = [(true[:, i], probabilities[:, i]) for i in range(4)]
        wanted = {
            "macro_f1": f1_score(true, said, average="macro", zero_division=np.nan, **counted),
            "micro_f1": f1_score(true, said, average="micro", **counted),
            "micro_precision": precision_score(true, said, average="micro", **counted),
            "micro_recall": recall_score(true, said, average="micro", **counted),
            "subset_accuracy": accuracy_score(true, said, **counted),
            "macro_auroc": np.mean([roc_auc_score(t, p, **counted) for t, p in each]),
            "macro_auprc": np.mean([average_precision_score(t, p, **counted) for t, p in each]),
            "brier": np.mean([brier_score_loss(t, p, **counted) for t, p in each]),
        }
        for name, value in wanted.items():
            assert METRICS[name].values(table, weights)[row] == pytest.approx(value, abs=1e-12), name
        own = {metric.name: metric.values(table, weights)[row] for metric in MultiLabel.label_metrics(table)}
        assert own["f1:effusion"] == pytest.approx(f1_score(true[:, 1], said[:, 1], **counted), abs=1e-12)
        assert own["auroc:mass"] == pytest.approx(roc_auc_score(*each[3], **counted), abs=1e-12)
        assert len(own) == 4 * 5


def test_refused_rows_name_nothing_and_are_no_correct_healthy_image():
    table = columns(
        [record([], None, "refused"), record(["Mass"], None, "unparsed"), record([], []), record(["Mass"], ["mass"])]
    )
    ones = np.ones((1, 4))
    assert METRICS["subset_accuracy"].values(table, ones)[0] == 0.5
    assert METRICS["micro_recall"].values(table, ones)[0] == 0.5
    assert METRICS["micro_f1"].values(table, ones)[0] == pytest.approx(2 / 3)


def test_a_label_that_nobody_asked_for_is_a_false_positive():
    table = columns([record(["Mass"], ["Mass", "Scoliosis"])])
    assert METRICS["micro_precision"].values(table, np.ones((1, 1)))[0] == 0.5
    assert METRICS["macro_f1"].values(table, np.ones((1, 1)))[0] == 1.0
    assert METRICS["subset_accuracy"].values(table, np.ones((1, 1)))[0] == 0.0


def test_underscores_and_case_do_not_count_and_targets_may_be_a_list():
    row = record(["Pleural_Thickening"], ["pleural thickening"]) | {"target": "Mass", "targets": ["Mass", "Effusion"]}
    found = MultiLabel().statistics(row | {"value": ["effusion", "MASS"]})
    assert found["subset"] == 1.0
    assert MultiLabel().statistics(record(["Pleural_Thickening"], ["pleural thickening"]))["subset"] == 1.0


def test_rows_without_probabilities_are_in_no_denominator():
    given = [record(["Mass"], [], logprobs={"Mass": -0.1}), record([], [], logprobs={"Mass": -2.0})]
    with_gap, without = columns([*given, record(["Mass"], [])]), columns(given)
    for name in ("macro_auroc", "macro_auprc", "brier", "ece"):
        left, right = (METRICS[name].values(each, np.ones((1, len(each["all"]))))[0] for each in (with_gap, without))
        assert left == right, name
    assert np.isnan(METRICS["brier"].values(columns([record([], [])]), np.ones((1, 1)))[0])
