"""Profile `classification`: accuracy, F1, MCC, clinical rates and label probabilities, all re-weighted.

One record gives the columns "true:<label>", "pred:<label>" and, where both
agree, "tp:<label>" (labels case-folded). A refused, unparsed or off-list row
predicts none of the classes: it counts against recall and for no class's
precision. Definitions are scikit-learn's: `f1_score`, `matthews_corrcoef` with
that row as one more predicted class, `balanced_accuracy_score`.

`f1`, `sensitivity` and `specificity` need the task to name its positive class in
record["positive"]; without one they have no value. Confusion counts are no
metric (they have no interval): `confusion` gives them.

Where the backend gave record["label_logprobs"], probabilities are their softmax
over the labels, and there are, over those rows only (ranked by log odds, which do
not saturate): `auroc` and `auprc`
(average precision) of the positive class; `macro_auroc`, one class against the
rest, averaged over the classes that have both; `brier`, half the squared distance of
probabilities and truth summed over classes (for two classes scikit-learn's
`brier_score_loss`); and `ece`, the expected calibration error of the most probable
label in 15 equal-width bins (Guo et al. 2017).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np

from raybench.interfaces import Array, MetricDef, Profile, Statistics
from raybench.metrics._probability import LARGEST, auprc, auroc, calibration_error, log_odds, softmax
from raybench.metrics._probability import divide as _ratio
from raybench.metrics._probability import mean_defined as _mean_defined
from raybench.schema import Row

__all__ = ["PLUGIN", "Classification", "confusion"]


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


def _column(statistics: Statistics, name: str, weights: Array) -> Array:
    """A column of the label probabilities, which no row need have: 0 where there is none."""
    return np.asarray(statistics.get(name, np.zeros(weights.shape[1])), dtype=float)


def _of_positive(statistics: Statistics, weights: Array, score: Callable[[Array, Array, Array], Array]) -> Array:
    """A ranking score of the named positive class."""
    truths, odds, ranked = (_column(statistics, name, weights) for name in ("positive", "odds", "ranked"))
    return score(truths, odds, weights * ranked)


def _macro_auroc(statistics: Statistics, weights: Array) -> Array:
    """Mean over classes of each one's AUROC against the rest."""
    labels = sorted(key.removeprefix("odds:") for key in statistics if key.startswith("odds:"))
    scored = weights * _column(statistics, "scored", weights)
    values = [
        auroc(_column(statistics, f"true:{each}", weights), _column(statistics, f"odds:{each}", weights), scored)
        for each in labels
    ]
    return _mean_defined(np.stack(values, axis=1)) if values else np.full(len(weights), np.nan)


def _brier(statistics: Statistics, weights: Array) -> Array:
    """Mean over rows of half the squared distance of probabilities and truth."""
    scored = weights * _column(statistics, "scored", weights)
    return _ratio(scored @ _column(statistics, "brier", weights), scored.sum(axis=1))


def _ece(statistics: Statistics, weights: Array) -> Array:
    """Expected calibration error of the most probable label."""
    right, confidence, scored = (_column(statistics, name, weights) for name in ("top_right", "confidence", "scored"))
    return calibration_error(right, confidence, weights * scored)


class Classification(Profile):
    """Single-label classification; `positive` names the class that F1 and the clinical rates are about."""

    name = "classification"
    beside = ("balanced_accuracy", "f1")
    metrics = (
        MetricDef("accuracy", over="all", hit="hit"),
        MetricDef("f1", over="named", reduce=_f1, additive=True, binary=False),
        MetricDef("macro_f1", over="all", reduce=_macro_f1, additive=True, binary=False),
        MetricDef("mcc", over="all", reduce=_mcc, additive=True, binary=False, unit="coefficient"),
        MetricDef("balanced_accuracy", over="all", reduce=_balanced_accuracy, additive=True, binary=False),
        MetricDef("sensitivity", over="positive", hit="positive_right"),
        MetricDef("specificity", over="negative", hit="negative_right"),
        MetricDef("auroc", over="ranked", reduce=partial(_of_positive, score=auroc), binary=False),
        MetricDef("macro_auroc", over="scored", reduce=_macro_auroc, binary=False),
        MetricDef("auprc", over="ranked", reduce=partial(_of_positive, score=auprc), binary=False),
        MetricDef("brier", over="scored", reduce=_brier, binary=False, higher_is_better=False),
        MetricDef("ece", over="scored", reduce=_ece, binary=False, higher_is_better=False),
    )

    def facts(self, statistics: Statistics) -> Mapping[str, Any]:
        """Return the confusion counts, as `confusion` gives them."""
        columns = {name: np.asarray(column) > 0 for name, column in statistics.items()}
        counts = {}
        for label in (name.removeprefix("true:") for name in columns if name.startswith("true:")):
            true = columns[f"true:{label}"]
            said = {name[5:]: int((true & column).sum()) for name, column in columns.items() if name[:5] == "pred:"}
            read = {**said, "": int(true.sum()) - sum(said.values())}
            counts[label] = {name: count for name, count in read.items() if count}
        return {"confusion": counts} if counts else {}

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
        positive = record.get("positive")
        return columns | _positive_columns(true, predicted, positive) | _probability_columns(record, true, positive)


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


def _probability_columns(record: Row, true: str, positive: Any) -> dict[str, float]:
    """Return the columns of label probabilities; a row without any is in none of their denominators."""
    given = record.get("label_logprobs") or {}
    if not given:
        return {"scored": 0.0, "ranked": 0.0}
    logprobs = {_fold(label): float(value) for label, value in given.items()}
    probabilities, odds = softmax(logprobs), log_odds(logprobs)
    top = max(probabilities, key=lambda label: probabilities[label])
    distance = sum((value - (label == true)) ** 2 for label, value in probabilities.items())
    return {
        "scored": 1.0,
        "ranked": float(positive is not None),
        "odds": odds.get(_fold(positive), -LARGEST),
        "brier": (distance + (true not in probabilities)) / 2,
        "confidence": probabilities[top],
        "top_right": float(top == true),
        **{f"odds:{label}": value for label, value in odds.items()},
    }


def confusion(records: Iterable[Row]) -> dict[str, dict[str, int]]:
    """Return true label -> predicted label -> count; what could not be read is predicted "".

    Args:
        records: with "outcome", "value", "target" and "choices", as `Classification.statistics` takes them.
    """
    counts: dict[str, dict[str, int]] = {}
    for record in records:
        choices = {_fold(choice) for choice in record["choices"]}
        said = _fold(record["value"]) if record["outcome"] == "answered" else ""
        row = counts.setdefault(_fold(record["target"]), {})
        said = said if not choices or said in choices else ""
        row[said] = row.get(said, 0) + 1
    return counts


def _fold(value: Any) -> str:
    return " ".join(str(value).split()).casefold()


PLUGIN = Classification
