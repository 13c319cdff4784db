"""Profile `classification`: accuracy, F1, MCC and the clinical rates, all from re-weighted confusion counts.

One record gives the columns "true:<label>", "pred:<label>" and, where both
agree, "tp:<label>" (labels case-folded). A refused, unparsed or off-list row
predicts none of the classes: it counts against recall and for no class's
precision. Definitions are scikit-learn's: `f1_score`, `matthews_corrcoef` with
that row as one more predicted class, `balanced_accuracy_score`.

`f1`, `sensitivity` and `specificity` need the task to name its positive class in
record["positive"]; without one they have no value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from raybench.interfaces import Array, MetricDef, Profile, Statistics
from raybench.schema import Row

__all__ = ["PLUGIN", "Classification"]


def _labels(statistics: Statistics) -> list[str]:
    """Return the labels that any column names, sorted."""
    return sorted({key.split(":", 1)[1] for key in statistics if key.startswith(("true:", "pred:"))})


def _counts(statistics: Statistics, weights: Array) -> tuple[Array, Array, Array]:
    """Return (true, predicted, right): weighted counts, each (B, k) in the order of `_labels`."""
    labels = _labels(statistics)
    zeros = np.zeros(weights.shape[1])

    def summed(kind: str) -> Array:
        columns = [np.asarray(statistics.get(f"{kind}:{label}", zeros), dtype=float) for label in labels]
        return np.asarray(weights @ np.stack(columns, axis=1))

    return summed("true"), summed("pred"), summed("tp")


def _ratio(numerator: Array, denominator: Array) -> Array:
    """Return numerator/denominator, NaN where there is nothing to divide by."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(denominator > 0, numerator / denominator, np.nan)


def _mean_defined(values: Array) -> Array:
    """Return the mean over classes (B, k) -> (B,) of those that are defined; NaN if none is."""
    defined = ~np.isnan(values)
    return _ratio(np.where(defined, values, 0).sum(axis=1), defined.sum(axis=1))


def _macro_f1(statistics: Statistics, weights: Array) -> Array:
    """Mean F1 over the classes that are true or predicted somewhere."""
    true, predicted, right = _counts(statistics, weights)
    return _mean_defined(_ratio(2 * right, true + predicted))


def _balanced_accuracy(statistics: Statistics, weights: Array) -> Array:
    """Mean recall over the classes that are true somewhere."""
    true, _, right = _counts(statistics, weights)
    return _mean_defined(_ratio(right, true))


def _mcc(statistics: Statistics, weights: Array) -> Array:
    """Matthews correlation for k classes (Gorodkin 2004); 0 for a constant prediction."""
    true, predicted, right = _counts(statistics, weights)
    total = true.sum(axis=1)
    predicted = np.column_stack([predicted, total - predicted.sum(axis=1)])
    covariance = right.sum(axis=1) * total - (true * predicted[:, :-1]).sum(axis=1)
    spread_true = total**2 - (true**2).sum(axis=1)
    spread_predicted = total**2 - (predicted**2).sum(axis=1)
    spread = np.sqrt(np.maximum(spread_true * spread_predicted, 0))
    value = np.where(spread > 1e-9, covariance / np.where(spread > 1e-9, spread, 1), 0.0)
    return np.where(total > 0, value, np.nan)


def _f1(statistics: Statistics, weights: Array) -> Array:
    """F1 of the named positive class: 2 TP / (true + predicted positives); NaN where there is neither."""
    right = weights @ np.asarray(statistics["positive_right"], dtype=float)
    true = weights @ np.asarray(statistics["positive"], dtype=float)
    predicted = weights @ np.asarray(statistics["positive_predicted"], dtype=float)
    return _ratio(2 * right, true + predicted)


class Classification(Profile):
    """Single-label classification; `positive` names the class that F1 and the clinical rates are about."""

    name = "classification"
    metrics = (
        MetricDef("accuracy", over="all", hit="hit"),
        MetricDef("f1", over="named", reduce=_f1, binary=False),
        MetricDef("macro_f1", over="all", reduce=_macro_f1, binary=False),
        MetricDef("mcc", over="all", reduce=_mcc, binary=False, unit="coefficient"),
        MetricDef("balanced_accuracy", over="all", reduce=_balanced_accuracy, binary=False),
        MetricDef("sensitivity", over="positive", hit="positive_right"),
        MetricDef("specificity", over="negative", hit="negative_right"),
    )

    def statistics(self, record: Row) -> Mapping[str, float]:
        choices = {_fold(choice) for choice in record["choices"]}
        true = _fold(record["target"])
        predicted = _fold(record["value"]) if record["outcome"] == "answered" else None
        if predicted is not None and choices and predicted not in choices:
            predicted = None
        columns = {"all": 1.0, "hit": float(predicted == true), f"true:{true}": 1.0}
        if predicted is not None:
            columns[f"pred:{predicted}"] = 1.0
        if predicted == true:
            columns[f"tp:{true}"] = 1.0
        return columns | _positive_columns(true, predicted, record.get("positive"))


def _positive_columns(true: str, predicted: str | None, positive: Any) -> dict[str, float]:
    """Return the columns of the named positive class; without one they are all 0.

    An unreadable prediction is wrong on a negative row too: it is no true negative.
    """
    named = positive is not None
    is_positive = named and true == _fold(positive)
    says_positive = named and predicted == _fold(positive)
    return {
        "named": float(named),
        "positive": float(is_positive),
        "positive_predicted": float(says_positive),
        "positive_right": float(is_positive and says_positive),
        "negative": float(named and not is_positive),
        "negative_right": float(named and not is_positive and not says_positive and predicted is not None),
    }


def _fold(value: Any) -> str:
    return " ".join(str(value).split()).casefold()


PLUGIN = Classification
