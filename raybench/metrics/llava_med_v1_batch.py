"""Profile `llava-med-v1-batch`: LLaVA-Med's `run_eval_batch`, whose numbers its paper's tables are read from.

Closed and open accuracy are substring hits: the normalised reference occurs in
the normalised response, so "no" is found in "normal" and a longer answer wins.
`open_recall` is the paper's "Open". Source: microsoft/LLaVA-Med@b9a98a7
llava/eval/run_eval_batch.py, from a description; MUMC's own answers to VQA-RAD
give closed 84.9265 and recall 60.7542 with the original and here.
"""

from __future__ import annotations

from collections.abc import Mapping

from raybench.interfaces import MetricDef, Profile
from raybench.metrics._llava_med import OPEN_METRICS, overlap, statistics, texts
from raybench.schema import Row

__all__ = ["PLUGIN", "LlavaMedV1Batch"]


class LlavaMedV1Batch(Profile):
    """LLaVA-Med's batch scorer: substring accuracy, token recall."""

    name = "llava-med-v1-batch"
    metrics = (
        MetricDef("closed_accuracy", over="closed", hit="hit"),
        MetricDef("closed_recall", over="closed", hit="closed_recall", binary=False),
        MetricDef("open_accuracy", over="open", hit="hit"),
        *OPEN_METRICS,
    )

    def statistics(self, record: Row) -> Mapping[str, float]:
        pair = texts(record)
        columns = statistics(record, pair)
        recall = overlap(pair).recall if columns["closed"] else 0.0
        return {**columns, "hit": float(pair.contains), "closed_recall": recall}


PLUGIN = LlavaMedV1Batch
