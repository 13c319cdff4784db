"""Profile `bert-score`: BERTScore F1 of RoBERTa-large embeddings (Zhang et al. 2020), by the package `bert-score`.

Not installed with raybench: `pip install bert-score`; the weights come from the hub.
Added to a task by `profiles: [bert-score]`. A negation flip keeps it near 0.9
(RadEval's own note), so never read it alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from raybench.interfaces import MetricDef, Profile
from raybench.metrics._optional import load, opened, texts
from raybench.schema import Row

__all__ = ["PLUGIN", "BertScore"]


@lru_cache(maxsize=1)
def _scorer() -> Any:
    return opened("bert-score", load("bert_score", "bert-score").BERTScorer, model_type="roberta-large", lang="en")


class BertScore(Profile):
    """Semantic similarity of response and reference; an optional package with weights of its own."""

    name = "bert-score"
    metrics = (MetricDef("bert_score_f1", over="all", hit="f1", binary=False),)

    @classmethod
    def check(cls) -> None:
        """Load the scorer, so that what is missing is known before anything is generated."""
        _scorer()

    def statistics(self, record: Row) -> Mapping[str, float]:
        said, reference = texts(record)
        if not said[0].strip():
            return {"all": 1.0, "f1": 0.0}
        _, _, f1 = _scorer().score(said, reference)
        return {"all": 1.0, "f1": float(f1[0])}


PLUGIN = BertScore
