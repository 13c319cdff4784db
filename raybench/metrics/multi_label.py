"""Profile `multi-label`: several findings an image, each present or absent.

A record's target is a JSON list of findings (or its "targets" are one each), its
value a list of labels. Refused and unparsed rows name none: every true finding is
missed, and the row is right in `subset_accuracy` for nobody, a healthy image's
included. F1 is scikit-learn's: micro over all pairs of image and finding, macro over the
findings that are true or predicted somewhere. A predicted label outside the
choices is a false positive in micro F1 and precision, and belongs to no finding of the macro mean.

Where the backend gave record["label_logprobs"] (each finding's own log
probability of being present), `macro_auroc`, `macro_auprc`, `brier` and `ece` (15
equal-width bins of the predicted probability) are means over findings, over those
rows only. `MultiLabel.label_metrics` gives each finding's own.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from raybench.interfaces import Array, MetricDef, Profile, Statistics
from raybench.metrics._probability import LARGEST, auprc, auroc, brier, calibration_error, divide, mean_defined
from raybench.schema import Row

__all__ = ["PLUGIN", "MultiLabel"]

Score = Callable[[Array, Array, Array], Array]


def _column(statistics: Statistics, name: str, weights: Array) -> Array:
    """A column that no row need have: 0 where there is none."""
    return np.asarray(statistics.get(name, np.zeros(weights.shape[1])), dtype=float)


def _named(statistics: Statistics, *kinds: str) -> list[str]:
    """Labels that some column of these kinds names, sorted."""
    return sorted({label for key in statistics for kind, _, label in [key.partition(":")] if kind in kinds and label})


def _label_f1(statistics: Statistics, weights: Array, label: str) -> Array:
    true, predicted, right = (
        weights @ _column(statistics, f"{kind}:{label}", weights) for kind in ("true", "pred", "tp")
    )
    return divide(2 * right, true + predicted)


def _macro_f1(statistics: Statistics, weights: Array) -> Array:
    values = [_label_f1(statistics, weights, label) for label in _named(statistics, "true", "pred")]
    return mean_defined(np.stack(values, axis=1)) if values else np.full(len(weights), np.nan)


def _micro(statistics: Statistics, weights: Array, over: tuple[str, ...]) -> Array:
    """Right pairs over the mean of the `over` counts: F1 of both, precision or recall of one."""
    counts = [weights @ _column(statistics, name, weights) for name in over]
    return divide(weights @ _column(statistics, "right", weights) * len(over), np.sum(counts, axis=0))


def _label_score(statistics: Statistics, weights: Array, label: str, score: Score, kind: str) -> Array:
    """A score of one finding's probability (or log odds) over the rows that have it."""
    given = weights * _column(statistics, f"given:{label}", weights)
    truths, values = (_column(statistics, f"{name}:{label}", weights) for name in ("true", kind))
    return score(truths, values, given)


def _macro_score(statistics: Statistics, weights: Array, score: Score, kind: str) -> Array:
    values = [_label_score(statistics, weights, label, score, kind) for label in _named(statistics, "given")]
    return mean_defined(np.stack(values, axis=1)) if values else np.full(len(weights), np.nan)


#: Metric name -> (score, the column it reads, higher is better).
_SCORES: dict[str, tuple[Score, str, bool]] = {
    "auroc": (auroc, "odds", True),
    "auprc": (auprc, "odds", True),
    "brier": (brier, "prob", False),
    "ece": (calibration_error, "prob", False),
}


class MultiLabel(Profile):
    """Micro and macro F1 over findings, and ranking and calibration where probabilities are known."""

    name = "multi-label"
    metrics = (
        MetricDef("macro_f1", over="all", reduce=_macro_f1, additive=True, binary=False),
        MetricDef("micro_f1", over="all", reduce=partial(_micro, over=("true", "pred")), additive=True, binary=False),
        MetricDef("micro_precision", over="all", reduce=partial(_micro, over=("pred",)), additive=True, binary=False),
        MetricDef("micro_recall", over="all", reduce=partial(_micro, over=("true",)), additive=True, binary=False),
        MetricDef("subset_accuracy", over="all", hit="subset"),
        *(
            MetricDef(
                f"macro_{name}" if best else name, over="scored", binary=False, higher_is_better=best,
                reduce=partial(_macro_score, score=score, kind=kind),
            )
            for name, (score, kind, best) in _SCORES.items()
        ),
    )  # fmt: skip

    def statistics(self, record: Row) -> Mapping[str, float]:
        """Return counts of all findings and 1 for each true, predicted and right one."""
        choices = {_fold(choice) for choice in record["choices"]}
        true = {_fold(label) for label in _findings(record)}
        answered = record["outcome"] == "answered"
        value = [record["value"]] if isinstance(record["value"], str) else record["value"] or []
        said = {_fold(label) for label in value} if answered else set()
        listed = said & choices if choices else said
        columns = {
            "all": 1.0,
            "true": float(len(true)),
            "pred": float(len(said)),
            "right": float(len(true & said)),
            "subset": float(answered and true == said),
            **{f"true:{label}": 1.0 for label in true},
            **{f"pred:{label}": 1.0 for label in listed},
            **{f"tp:{label}": 1.0 for label in true & listed},
        }
        return columns | _probability_columns(record.get("label_logprobs") or {})

    def facts(self, statistics: Statistics) -> Mapping[str, Any]:
        """Return the values of each finding's own metrics (`label_metrics`)."""
        ones = np.ones((1, len(statistics["all"]))) if "all" in statistics else np.ones((1, 0))
        values = {metric.name: float(metric.values(statistics, ones)[0]) for metric in self.label_metrics(statistics)}
        return {"findings": {name: value for name, value in values.items() if math.isfinite(value)}} if values else {}

    @staticmethod
    def label_metrics(statistics: Statistics) -> tuple[MetricDef, ...]:
        """Return each finding's own metrics, e.g. "f1:effusion", "auroc:effusion"; "," and spaces stay in names."""
        own = [
            MetricDef(f"f1:{label}", over="all", reduce=partial(_label_f1, label=label), additive=True, binary=False)
            for label in _named(statistics, "true", "pred")
        ]
        for label in _named(statistics, "given"):
            own += [
                MetricDef(
                    f"{name}:{label}", over=f"given:{label}", binary=False, higher_is_better=best,
                    reduce=partial(_label_score, label=label, score=score, kind=kind),
                )
                for name, (score, kind, best) in _SCORES.items()
            ]  # fmt: skip
        return tuple(own)


def _findings(record: Row) -> list[str]:
    """The true findings: a JSON list in the target, or the targets themselves."""
    target = str(record["target"])
    if target.lstrip().startswith("["):
        return [str(label) for label in json.loads(target)]
    return [str(label) for label in record.get("targets") or [target] if str(label).strip()]


def _probability_columns(logprobs: Mapping[str, float]) -> dict[str, float]:
    columns = {"scored": float(bool(logprobs))}
    for label, value in logprobs.items():
        present = min(float(value), 0.0)
        absent = -math.expm1(present)  # 1 - p, exact where p is near 1
        odds = LARGEST if absent <= 0 else max(present - math.log(absent), -LARGEST)
        name = _fold(label)
        columns |= {f"given:{name}": 1.0, f"prob:{name}": math.exp(present), f"odds:{name}": round(odds, 9)}
    return columns


def _fold(value: Any) -> str:
    return " ".join(str(value).replace("_", " ").split()).casefold()


PLUGIN = MultiLabel
