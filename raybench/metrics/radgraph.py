"""Profile `radgraph`: F1 of clinical entities and relations (Delbrouck et al. 2024), by the package `radgraph`.

Not installed with raybench: `pip install radgraph`; the weights come from the hub
(StanfordAIMI). Added to a task by `profiles: [radgraph]`. Levels: simple (entities),
partial (and whether they have a relation), complete (and which).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from raybench.interfaces import MetricDef, Profile
from raybench.metrics._optional import load, opened, texts
from raybench.schema import Row

__all__ = ["PLUGIN", "RadGraph"]

_LEVELS = ("simple", "partial", "complete")


@lru_cache(maxsize=1)
def _scorer() -> Any:
    return opened("radgraph", load("radgraph", "radgraph").F1RadGraph, reward_level="all")


class RadGraph(Profile):
    """Clinical entities and relations shared by response and reference; an optional package with weights."""

    name = "radgraph"
    metrics = tuple(MetricDef(f"radgraph_{level}", over="all", hit=level, binary=False) for level in _LEVELS)

    @classmethod
    def check(cls) -> None:
        """Load the scorer, so that what is missing is known before anything is generated."""
        _scorer()

    def statistics(self, record: Row) -> Mapping[str, float]:
        said, reference = texts(record)
        if not said[0].strip():
            return {"all": 1.0, **dict.fromkeys(_LEVELS, 0.0)}
        _, rewards, _, _ = _scorer()(hyps=said, refs=reference)
        return {"all": 1.0, **{level: float(reward[0]) for level, reward in zip(_LEVELS, rewards, strict=True)}}


PLUGIN = RadGraph
