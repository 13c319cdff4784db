"""Profile `llava-med-v1-gate`: LLaVA-Med's `run_eval`, with its yes/no gate and its closed vocabulary.

A closed row is right if "yes" or "no" occurs in the normalised response, be it
inside "cannot", and the normalised reference does too; so a closed question
answered "MRI" is wrong unless a "no" slips in. Open accuracy compares the
nearest answer of the training split (`parsing.closed_vocabulary`) with the
reference: it exists only where the task knows those answers and notes the
nearest one. Source: microsoft/LLaVA-Med@b9a98a7 llava/eval/run_eval.py, from a
description; on MUMC's answers to VQA-RAD it prints closed 81.6176, open 38.5475.
"""

from __future__ import annotations

from collections.abc import Mapping

from raybench.interfaces import MetricDef, Profile
from raybench.metrics._llava_med import OPEN_METRICS, statistics, texts
from raybench.parsing.closed_vocabulary import NEAREST
from raybench.parsing.normalise import llava_med
from raybench.schema import Row

__all__ = ["PLUGIN", "LlavaMedV1Gate"]


class LlavaMedV1Gate(Profile):
    """LLaVA-Med's single-file scorer: gated substring accuracy, closed-vocabulary open accuracy."""

    name = "llava-med-v1-gate"
    metrics = (
        MetricDef("closed_accuracy", over="closed", hit="hit"),
        MetricDef("open_accuracy", over="matched", hit="nearest"),
        *OPEN_METRICS,
    )

    def statistics(self, record: Row) -> Mapping[str, float]:
        pair = texts(record)
        columns = statistics(record, pair)
        gate = "yes" in pair.said or "no" in pair.said
        nearest = (record.get("notes") or {}).get(NEAREST)
        matched = bool(columns["open"]) and nearest is not None
        return {
            **columns,
            "hit": float(gate and pair.contains),
            "matched": float(matched),
            "nearest": float(matched and nearest == llava_med(pair.reference)),
        }


PLUGIN = LlavaMedV1Gate
