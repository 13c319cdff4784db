"""Protocol `pairwise`: which of two models' answers to the same sample agrees better with the reference?

Every pair is asked in both orders with one forced letter (A first, B second, C
tie). Two words that agree give a winner; two that disagree are a tie, so that a
judge who always prefers a slot decides nothing. Equal answers tie by rule, and an
answer that attempts something wins against one that does not. The pair's key
does not depend on which model is named first.

A cell's score is its win rate, a tie counting one half, over all other models of
the folder (or one, `against`). `raybench.leaderboard.strengths` fits Bradley-Terry strengths.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from raybench.interfaces import MetricDef
from raybench.judges._injection import injection_flags
from raybench.judges._prompted import Prompted, PromptOptions
from raybench.judges._rules import no_attempt
from raybench.judges._template import nonce
from raybench.schema import Row, Verdict, digest

__all__ = ["PLUGIN", "Pairwise"]

#: What must be equal for two models' records to be answers to the same call.
_PLACE = ("task", "dataset", "split", "variant", "images", "sample", "turn", "repeat")
#: Points of the answer that is shown first.
_FIRST_POINTS = {"FIRST": 1.0, "TIE": 0.5, "SECOND": 0.0}


class Pairwise(Prompted):
    """Two models' answers side by side in both orders; disagreement is a tie."""

    class Options(PromptOptions):
        """Settings.

        Attributes:
            against: one model that all others are held against; "" for every pair.
        """

        template: str | dict[str, Any] = "pairwise-v1"
        against: str = ""

    name = "pairwise"
    labels: ClassVar[Mapping[str, str]] = {"A": "FIRST", "B": "SECOND", "C": "TIE"}
    needs = ("partners",)
    example = (
        "Question: {question}\nReference answer: {reference}\nFirst answer: {first}\nSecond answer: {second}\n"
        "Better: {label}"
    )

    def items(self, records: Sequence[Row]) -> list[Row | None]:
        places: dict[tuple[Any, ...], list[int]] = {}
        for i, record in enumerate(records):
            if record["outcome"] != "failed":
                places.setdefault(tuple(record.get(name) for name in _PLACE), []).append(i)
        out: list[Row | None] = [None] * len(records)
        for together in places.values():
            for i in together:
                others = [records[j] for j in together if self._meets(records[i], records[j])]
                out[i] = self._item(records[i], others)
        return out

    def _meets(self, one: Row, other: Row) -> bool:
        names = {one.get("model"), other.get("model")}
        return len(names) == 2 and (not self.options.against or self.options.against in names)

    def _item(self, record: Row, others: Sequence[Row]) -> Row:
        """Return a record's item: its pairs in both orders, or a tie with nobody where it did not attempt anything."""
        item: Row = {"question": str(record["question"]), "reference": str(record["target"])}
        candidate = str(record["text"] or "")
        item |= {"candidate": candidate, "flags": injection_flags(candidate)}
        parts = [part for other in others for part in self._pair(item, record, other)]
        name = digest([self.name, self.template_hash, *[item[key] for key in ("question", "reference", "candidate")]])
        if not parts:
            # Nobody to be held against: nothing is asked, and nothing counts.
            absent = self._lost(record) if record["outcome"] != "failed" else None
            return {**item, "item": name, "decided": absent, "parts": None if absent else []}
        return {**item, "item": name, "decided": None, "parts": parts}

    def _lost(self, record: Row) -> Verdict | None:
        rule = self._absent(record)
        return Verdict("ok", "TIE", None, rationale=f"rule: {rule}; nobody to be held against") if rule else None

    def _absent(self, record: Row) -> str | None:
        text = str(record["text"] or "")
        prompt = self.prompt_sentences if self.options.rules else ()
        return no_attempt(record["outcome"], str(record["question"]), text, prompt) if self.options.rules else None

    def _pair(self, item: Row, one: Row, other: Row) -> list[Row]:
        """Return the two calls of a pair; its texts stand in one order whichever model is judged."""
        texts = [str(one["text"] or ""), str(other["text"] or "")]
        absent = [self._absent(one), self._absent(other)]
        low, high = (0, 1) if (texts[0], absent[0] or "") <= (texts[1], absent[1] or "") else (1, 0)
        content = [self.name, self.template_hash, item["question"], item["reference"], texts[low], texts[high]]
        decided = self._decided(texts, absent, low)
        players = [str((one, other)[which].get("model")) for which in (low, high)]
        shared = {**item, "candidate": texts[low], "other": texts[high], "decided": decided, "own": low}
        orders = ("straight",) if decided is not None else ("straight", "swapped")
        shared["opponent"] = str(other.get("model"))
        return [
            {
                **shared, "item": digest([*content, order, absent[low], absent[high]]),
                "aspect": {"order": order, "players": players},
            }
            for order in orders
        ]  # fmt: skip

    def _decided(self, texts: Sequence[str], absent: Sequence[str | None], low: int) -> Verdict | None:
        """Settle equal texts and answers that are none, as a word on the pair in its stored order."""
        if texts[0] == texts[1] or all(absent):
            return Verdict("ok", "TIE", 0.5, rationale="rule: equal" if texts[0] == texts[1] else "rule: no attempt")
        if not any(absent):
            return None
        label = "SECOND" if absent[low] else "FIRST"
        return Verdict("ok", label, _FIRST_POINTS[label], rationale=f"rule: {absent[0] or absent[1]}")

    def messages(self, item: Row) -> list[Row]:
        texts = [self._cut(item["candidate"]), self._cut(item["other"])]
        if item["aspect"]["order"] == "swapped":
            texts.reverse()
        fields = {"question": item["question"], "reference": item["reference"], "first": texts[0], "second": texts[1]}
        return self._chat(fields, {"nonce": nonce(item["candidate"] + item["other"])})

    def _score(self, letter: str) -> float:
        return _FIRST_POINTS[self.labels[letter]]

    def metrics(self) -> tuple[MetricDef, ...]:
        return (
            MetricDef("pairwise_win_rate", over="judged", hit="points", binary=False),
            MetricDef("pairwise_tie_rate", over="judged", hit="ties", binary=False),
            MetricDef("pairwise_order_consistency", over="asked_twice", hit="agreed", binary=False),
        )

    def statistics(self, verdict: Row) -> Mapping[str, float]:
        """Return the statistics of a record that no pair judges: it is in no denominator."""
        return {"judged": 0.0, "points": 0.0, "ties": 0.0, "null": float(verdict["status"] != "ok")}

    def aggregate(self, item: Row, found: Mapping[str, Row]) -> Mapping[str, float]:
        """Average a record's points over its opponents; a pair without both words leaves the record without a score."""
        played = self.contests(item, found)
        if not played:
            return self.statistics({"status": "ok", "label": None})
        points = [each for _, each, _ in played if each is not None]
        if len(points) < len(played):
            return self.statistics({"status": "engine_error", "label": None})
        agreed = [float(same) for _, _, same in played if same is not None]
        ties = sum(each == 0.5 for each in points) / len(points)
        statistics = {"judged": 1.0, "points": sum(points) / len(points), "ties": ties, "null": 0.0}
        return statistics | ({"asked_twice": 1.0, "agreed": sum(agreed) / len(agreed)} if agreed else {})

    def contests(self, item: Row, found: Mapping[str, Row]) -> list[tuple[str, float | None, bool | None]]:
        """Return (opponent, points, whether both orders agree) of each pair of a record.

        Points are 1, 0.5 or 0 for the record's own model; None where a word is missing. What a rule
        settled was asked in no order: None.
        """
        pairs: dict[tuple[str, str], list[Row]] = {}
        for part in item["parts"] or ():
            pairs.setdefault((part["opponent"], part["other"] if part["own"] == 0 else part["candidate"]), []).append(
                part
            )
        out: list[tuple[str, float | None, bool | None]] = []
        for (opponent, _), parts in pairs.items():
            words = [_low_points(part, found.get(part["item"])) for part in parts]
            same = len(set(words)) == 1
            low = None if None in words else words[0] if same else 0.5
            own = low if low is None or parts[0]["own"] == 0 else 1 - low
            out.append((opponent, own, same if len(words) == 2 else None))
        return out

    def possible(self) -> Sequence[Mapping[str, float]]:
        return [
            {"judged": 1.0, "points": points, "ties": float(points == 0.5), "asked_twice": 1.0, "agreed": agreed}
            for points in (0.0, 0.5, 1.0)
            for agreed in (0.0, 1.0)
        ]


def _low_points(part: Row, verdict: Row | None) -> float | None:
    """Points (0, 0.5, 1) of the text that is stored first, by one word on a pair; None without a word."""
    if verdict is None or verdict["status"] != "ok" or verdict["label"] is None:
        return None
    first = _FIRST_POINTS[verdict["label"]]
    return 1 - first if part["aspect"]["order"] == "swapped" else first


PLUGIN = Pairwise
