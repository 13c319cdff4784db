"""Profile `radeval`: RaTEScore (Zhao et al. 2024) through the package `RadEval`, which holds sixteen report scorers.

Not installed with raybench: `pip install RadEval`; the weights come from the hub.
Added to a task by `profiles: [radeval]`. One pair is scored at a time, so that
intervals and slices come from re-weighting, as for every other metric.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from raybench.errors import DataError
from raybench.interfaces import MetricDef, Profile
from raybench.metrics._optional import load, opened, texts
from raybench.schema import Row

__all__ = ["PLUGIN", "RadEval"]


@lru_cache(maxsize=1)
def _scorer() -> Any:
    return opened("radeval", load("RadEval", "radeval").RadEval, do_ratescore=True)


class RadEval(Profile):
    """Similarity of medical entities in response and reference; an optional package with weights."""

    name = "radeval"
    metrics = (MetricDef("ratescore", over="all", hit="ratescore", binary=False),)

    @classmethod
    def check(cls) -> None:
        """Load the scorer, so that what is missing is known before anything is generated."""
        _scorer()

    def statistics(self, record: Row) -> Mapping[str, float]:
        said, reference = texts(record)
        if not said[0].strip():
            return {"all": 1.0, "ratescore": 0.0}
        found = _scorer()(refs=reference, hyps=said)
        if "ratescore" not in found:
            raise DataError(f"profile radeval: RadEval returned no ratescore, only {', '.join(map(str, found))}")
        return {"all": 1.0, "ratescore": float(found["ratescore"])}


PLUGIN = RadEval
