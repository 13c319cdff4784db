"""Profile `raybench-strict`: the parsed answer equals the target, with nothing credited by accident.

A yes or no, English or Chinese, is compared as such, once the parser has read
it by word, and so is a target that answers its question with the question's own
predicate ("正常" where "正常吗" is asked); anything else is equal after `parsing.normalise.medical`, which keeps
negation, side, numbers and units. Open rows also have token precision, recall
and F1 over the same normalised words (Chinese by character), each word counted
at most as often as both sides have it (Rajpurkar et al. 2016, SQuAD), so that
neither repetition nor a part of a word gains. Refused and unparsed rows are wrong.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from raybench.interfaces import MetricDef, Profile
from raybench.metrics._vqa import METRICS, vqa_statistics
from raybench.parsing.normalise import medical
from raybench.parsing.yes_no import fold_yes_no, read_yes_no
from raybench.schema import Row

__all__ = ["PLUGIN", "RaybenchStrict"]

_OVERLAP = ("precision", "recall", "f1")
_TOKEN = re.compile(r"[\u3400-\u9fff]|[^\s\u3400-\u9fff]+")


class RaybenchStrict(Profile):
    """raybench's own VQA scorer: word-bounded yes/no, medical-safe equality and token overlap."""

    name = "raybench-strict"
    metrics = (
        *METRICS,
        *(MetricDef(f"open_{name}", over="open", hit=name, binary=False) for name in _OVERLAP),
    )

    def statistics(self, record: Row) -> Mapping[str, float]:
        answered = record["outcome"] == "answered" and record["value"] is not None
        said, target = _canonical(record["value"]) if answered else "", _canonical(record["target"])
        if said in ("yes", "no") and target not in ("yes", "no"):
            target = read_yes_no(str(record["target"]), str(record["question"])).value or target
        columns = vqa_statistics(record, answered and said == target)
        return {**columns, **(_overlap(said, target) if columns["open"] else dict.fromkeys(_OVERLAP, 0.0))}


def _overlap(said: str, target: str) -> dict[str, float]:
    words, wanted = Counter(_TOKEN.findall(said)), Counter(_TOKEN.findall(target))
    shared = (words & wanted).total()
    if not shared:
        return dict.fromkeys(_OVERLAP, 0.0)
    precision, recall = shared / words.total(), shared / wanted.total()
    return {"precision": precision, "recall": recall, "f1": 2 * precision * recall / (precision + recall)}


def _canonical(value: Any) -> str:
    text = str(value)
    return fold_yes_no(text) or medical(text)


PLUGIN = RaybenchStrict
