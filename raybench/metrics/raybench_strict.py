"""Profile `raybench-strict`: the parsed answer equals the target, with nothing credited by accident.

A yes or no, English or Chinese, is compared as such, once the parser has read
it by word; anything else is equal after `parsing.normalise.medical`, which keeps
negation, side, numbers and units. Refused and unparsed rows are wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raybench.interfaces import Profile
from raybench.metrics._vqa import METRICS, vqa_statistics
from raybench.parsing.normalise import medical
from raybench.parsing.yes_no import fold_yes_no
from raybench.schema import Row

__all__ = ["PLUGIN", "RaybenchStrict"]


class RaybenchStrict(Profile):
    """raybench's own VQA scorer: word-bounded yes/no, medical-safe equality."""

    name = "raybench-strict"
    metrics = METRICS

    def statistics(self, record: Row) -> Mapping[str, float]:
        answered = record["outcome"] == "answered" and record["value"] is not None
        return vqa_statistics(record, answered and _canonical(record["value"]) == _canonical(record["target"]))


def _canonical(value: Any) -> str:
    text = str(value)
    return fold_yes_no(text) or medical(text)


PLUGIN = RaybenchStrict
