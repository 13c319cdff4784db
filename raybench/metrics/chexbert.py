"""Profile `chexbert`: F1 over the 14 CheXpert labels read from both reports (Smit et al. 2020), by `f1chexbert`.

Not installed with raybench: `pip install f1chexbert`; the weights come from the hub
(StanfordAIMI/RRG_scorers). Added to a task by `profiles: [chexbert]`. A label is
positive where CheXbert says positive or uncertain, as in that package.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any

import numpy as np

from raybench.interfaces import Array, MetricDef, Profile, Statistics
from raybench.metrics._optional import load, opened, texts
from raybench.metrics._probability import divide, mean_defined
from raybench.schema import Row

__all__ = ["PLUGIN", "CheXbert"]

_LABELS = 14
_KINDS = ("tp", "true", "pred")


@lru_cache(maxsize=1)
def _scorer() -> Any:
    return opened("chexbert", load("f1chexbert", "chexbert").F1CheXbert)


def _f1(statistics: Statistics, weights: Array, micro: bool) -> Array:
    columns = {
        kind: np.stack([statistics[f"{kind}:{i}"] for i in range(_LABELS)], axis=1).astype(float) for kind in _KINDS
    }
    right, true, predicted = (weights @ columns[kind] for kind in _KINDS)
    if micro:
        return divide(2 * right.sum(axis=1), (true + predicted).sum(axis=1))
    return mean_defined(divide(2 * right, true + predicted))


class CheXbert(Profile):
    """Findings that both reports state, by a labelling model; an optional package with weights."""

    name = "chexbert"
    metrics = (
        MetricDef("chexbert_micro_f1", over="all", reduce=partial(_f1, micro=True), additive=True, binary=False),
        MetricDef("chexbert_macro_f1", over="all", reduce=partial(_f1, micro=False), additive=True, binary=False),
    )

    @classmethod
    def check(cls) -> None:
        """Load the scorer, so that what is missing is known before anything is generated."""
        _scorer()

    def statistics(self, record: Row) -> Mapping[str, float]:
        said, reference = texts(record)
        true = _scorer().get_label(reference[0])
        predicted = _scorer().get_label(said[0]) if said[0].strip() else [0] * _LABELS
        columns = {"all": 1.0}
        for i, (truth, call) in enumerate(zip(true, predicted, strict=True)):
            columns |= {f"true:{i}": float(truth), f"pred:{i}": float(call), f"tp:{i}": float(truth and call)}
        return columns


PLUGIN = CheXbert
