"""Graded answers by pages: whitelisted filters, bound values, keys, so that the last page is as near as the first."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from raybench.dashboard.correct import Hits, headline_of, hits_of
from raybench.dashboard.folder import LIVE_RECORDS, View
from raybench.errors import StoreError
from raybench.schema import Row

__all__ = ["MAX_ROWS", "correct_of", "record_verdicts", "samples_document"]

MAX_ROWS = 200
_KEY = ("sample", "model", "config", "variant", "images", "repeat", "turn")
_EQUAL = ("model", "config", "variant", "images", "outcome")
_TEXT = 300


@dataclass
class _Filter:
    """SQL conditions with their parameters, and whether counting what they leave is cheap."""

    conditions: list[str] = field(default_factory=list)
    parameters: list[Any] = field(default_factory=list)
    is_cheap: bool = True

    def add(self, condition: str, *parameters: Any, cheap: bool = True) -> None:
        self.conditions.append(condition)
        self.parameters += parameters
        self.is_cheap = self.is_cheap and cheap

    @property
    def sql(self) -> str:
        return " AND ".join(self.conditions)


def samples_document(view: View, asked: Mapping[str, str]) -> Row:
    """Return `/api/samples`: one page of records, the key of the next, the number of all where that is cheap.

    Raises:
        StoreError: a malformed key, slice or limit.
    """
    place = [asked[name] for name in ("task", "dataset", "split")]
    hits = hits_of(headline_of(view, *place))
    chosen = _chosen(asked, place, hits)
    limit = _limit(asked.get("limit", "50"))
    paged = _Filter([*chosen.conditions], [*chosen.parameters])
    if "after" in asked:
        key = _decoded(asked["after"])
        paged.add("r.sample >= ?", key[0])
        paged.add(f"({', '.join(f'r.{name}' for name in _KEY)}) > ({', '.join('?' * len(_KEY))})", *key)
    columns = ", ".join(f"r.{name}" for name in _KEY)
    sql = f"SELECT {columns} FROM {LIVE_RECORDS} WHERE {paged.sql} ORDER BY {columns} LIMIT ?"
    # A row may lie in two parts after a crash: twice as many, then each once.
    found = view.rows(sql, [*paged.parameters, 2 * (limit + 1)])
    keys = list(dict.fromkeys(tuple(row[name] for name in _KEY) for row in found))
    rows = _rows(view, place, keys[:limit], hits)
    document: Row = {"rows": rows, "next": _encoded(keys[limit - 1]) if len(keys) > limit else None, "total": None}
    if "after" not in asked:
        document["facets"] = _facets(view, place, asked)
        if chosen.is_cheap:
            count = f"SELECT count(*) AS n FROM {LIVE_RECORDS} WHERE {chosen.sql}"
            document["total"] = view.rows(count, chosen.parameters)[0]["n"]
    return document


def _limit(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= MAX_ROWS:
        raise StoreError(f"limit: a number from 1 to {MAX_ROWS}, not {text!r}")
    return int(text)


def _encoded(key: tuple[Any, ...]) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode()


def _decoded(text: str) -> list[Any]:
    try:
        key = json.loads(base64.urlsafe_b64decode(text.encode()))
    except ValueError as error:
        raise StoreError("after: no key that this server gave out") from error
    kinds = [str] * 5 + [int] * 2
    if not isinstance(key, list) or [type(part) for part in key] != kinds:
        raise StoreError("after: no key that this server gave out")
    return key


# --- filters ----------------------------------------------------------------------------------------------------------


def _chosen(asked: Mapping[str, str], place: list[str], hits: Hits | None) -> _Filter:
    found = _Filter()
    found.add("r.task = ? AND r.dataset = ? AND r.split = ?", *place)
    for name in _EQUAL:
        if name in asked:
            found.add(f"r.{name} = ?", asked[name])
    if "slice" in asked:
        name, equals, value = asked["slice"].partition("=")
        if not equals or '"' in name:
            raise StoreError(f"slice: name=value, not {asked['slice']!r}")
        found.add("r.slices ->> ? = ?", f'$."{name}"', value, cheap=False)
    if "q" in asked:
        text = "(contains(lower(r.question), lower(?)) OR contains(lower(r.text), lower(?))"
        found.add(f"{text} OR contains(lower(r.target), lower(?)) OR r.sample = ?)", *[asked["q"]] * 4, cheap=False)
    if "correct" in asked:
        _add_correct(found, asked["correct"], hits)
    if "verdict" in asked or "judge" in asked:
        _add_verdict(found, asked.get("verdict"), asked.get("judge"))
    if asked.get("disagree") == "models":
        _add_disagreement(found, asked, place, hits)
    elif asked.get("disagree") == "judges":
        found.add(
            "(r.question, r.target, coalesce(r.text, '')) IN (SELECT (question, reference, candidate) FROM raw_verdicts"
            " WHERE status = 'ok' GROUP BY question, reference, candidate HAVING count(DISTINCT label) > 1)",
            cheap=False,
        )
    elif "disagree" in asked:
        raise StoreError(f"disagree: models or judges, not {asked['disagree']!r}")
    return found


def _binary(hits: Hits | None, word: str) -> Hits:
    if hits is None or not hits.binary:
        raise StoreError(f"{word}: this task's answers are graded by degree, none is right or wrong")
    return hits


def _add_correct(found: _Filter, wanted: str, hits: Hits | None) -> None:
    if wanted not in ("0", "1"):
        raise StoreError(f"correct: 0 or 1, not {wanted!r}")
    expression, parameters = _binary(hits, "correct").sql()
    found.add(f"r.outcome <> 'failed' AND {expression} {'>' if wanted == '1' else '<='} 0.5", *parameters, cheap=False)


def _add_verdict(found: _Filter, verdict: str | None, judge: str | None) -> None:
    conditions, parameters = ["true"], []
    if verdict is not None:
        conditions.append("upper(coalesce(label, status)) = upper(?)")
        parameters.append(verdict)
    if judge is not None:
        conditions.append("judge = ?")
        parameters.append(judge)
    found.add(
        "r.outcome <> 'failed' AND (r.question, r.target, coalesce(r.text, '')) IN"
        f" (SELECT (question, reference, candidate) FROM raw_verdicts WHERE {' AND '.join(conditions)})",
        *parameters, cheap=False,
    )  # fmt: skip


def _add_disagreement(found: _Filter, asked: Mapping[str, str], place: list[str], hits: Hits | None) -> None:
    """Samples on which some are right and some wrong: among all models, or between two."""
    expression, parameters = _binary(hits, "disagree").sql("o")
    models = [asked[name] for name in ("model", "other") if name in asked] if "other" in asked else []
    among = f" AND o.model IN ({', '.join('?' * len(models))})" if models else ""
    live = LIVE_RECORDS.replace("raw_records r", "raw_records o")
    found.add(
        f"(r.sample, r.turn) IN (SELECT (sample, turn) FROM (SELECT o.sample, o.turn, {expression} AS hit FROM {live}"
        f" WHERE o.task = ? AND o.dataset = ? AND o.split = ? AND o.outcome <> 'failed'{among})"
        " GROUP BY sample, turn HAVING max(hit) > 0.5 AND min(hit) <= 0.5)",
        *parameters, *place, *models, cheap=False,
    )  # fmt: skip


# --- rows -------------------------------------------------------------------------------------------------------------


def _rows(view: View, place: list[str], keys: list[tuple[Any, ...]], hits: Hits | None) -> list[Row]:
    if not keys:
        return []
    samples, models = sorted({key[0] for key in keys}), sorted({key[1] for key in keys})
    sql = (
        f"SELECT DISTINCT r.sample, r.model, r.config, r.variant, r.images, r.repeat, r.turn, r.outcome, r.question,"
        f" r.target, r.text, r.value, r.statistics FROM {LIVE_RECORDS}"
        " WHERE r.task = ? AND r.dataset = ? AND r.split = ?"
        f" AND r.sample IN ({', '.join('?' * len(samples))}) AND r.model IN ({', '.join('?' * len(models))})"
    )
    found = {tuple(row[name] for name in _KEY): row for row in view.rows(sql, [*place, *samples, *models])}
    images = _image_counts(view, place, samples)
    rows = [found[key] for key in keys if key in found]
    verdicts = record_verdicts(view, rows)
    return [
        {
            "key": _encoded(tuple(row[name] for name in _KEY)), **{name: row[name] for name in _KEY},
            "outcome": row["outcome"], "correct": correct_of(row, hits), "question": row["question"],
            "target": _cut(row["target"]), "text": _cut(row["text"]),
            "value": _small(row["value"]), "n_images": images.get(row["sample"], 0),
            "verdicts": [{"judge": each["judge"], "label": each["label"] or each["status"]} for each in verdicts[i]],
        }
        for i, row in enumerate(rows)
    ]  # fmt: skip


def correct_of(record: Row, hits: Hits | None) -> bool | None:
    """Return whether a record is right; None where that is no question of right or wrong."""
    if hits is None or not hits.binary or record["outcome"] == "failed":
        return None
    hit = hits.of(json.loads(record["statistics"] or "{}"))
    return None if hit is None else hit > 0.5


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= _TEXT else f"{text[:_TEXT]}…"


def _small(value: str | None) -> Any:
    """A parsed value for a list: whole if it is short."""
    return json.loads(value) if value is not None and len(value) <= _TEXT else None


def _image_counts(view: View, place: list[str], samples: list[str]) -> dict[str, int]:
    sql = (
        "SELECT sample, json_array_length(images) AS n FROM samples"
        f" WHERE task = ? AND dataset = ? AND split = ? AND sample IN ({', '.join('?' * len(samples))})"
    )
    return {row["sample"]: row["n"] for row in view.rows(sql, [*place, *samples])}


def record_verdicts(view: View, records: list[Row]) -> list[list[Row]]:
    """Return each record's verdicts: identical items are judged once, under the first sample that had them.

    The newest verdict of each (judge, protocol, item) counts, as in the view `verdicts`; only those on the records'
    own questions are read.
    """
    questions = sorted({row["question"] for row in records if row["outcome"] != "failed" and row["question"]})
    if not questions or not view.store.parts("verdicts"):
        return [[] for _ in records]
    sql = (
        "SELECT question, reference, candidate, judge, protocol, label, status, label_probs, rationale, decided_by"
        f" FROM raw_verdicts WHERE question IN ({', '.join('?' * len(questions))})"
        """ AND coalesce(aspect, '') NOT LIKE '%"repeat":%' AND coalesce(aspect, '') NOT LIKE '%"audit":%'"""
        " QUALIFY row_number() OVER (PARTITION BY judge, protocol, item ORDER BY committed_at DESC, key) = 1"
        " ORDER BY judge, protocol"
    )
    found: dict[tuple[str, str, str], list[Row]] = {}
    for row in view.rows(sql, questions):
        found.setdefault((row["question"], row["reference"], row["candidate"]), []).append(row)
    return [
        found.get((row["question"], row["target"], row["text"] or ""), []) if row["outcome"] != "failed" else []
        for row in records
    ]


def _facets(view: View, place: list[str], asked: Mapping[str, str]) -> Row:
    here = "task = ? AND dataset = ? AND split = ?"
    sql = f"SELECT r.outcome, r.model, count(*) AS n FROM {LIVE_RECORDS} WHERE {here} GROUP BY ALL"
    counts: list[Row] = view.once(("facets", *place), lambda: view.rows(sql, place))
    # The number of verdicts is that of judged items, of which identical answers share one: names only.
    sql_verdicts = (
        f"SELECT DISTINCT judge, lower(coalesce(label, status)) AS label FROM raw_verdicts WHERE {here} ORDER BY ALL"
    )
    said: list[Row] = view.once(("verdict labels", *place), lambda: view.rows(sql_verdicts, place))
    slices = view.scores(
        "SELECT slice AS value, max(planned) AS n FROM raw_scores WHERE task = ? AND dataset = ? AND split = ?"
        " AND kind = 'system' AND slice <> 'all' AND slice NOT LIKE '%=*' GROUP BY ALL ORDER BY 1",
        place,
    )
    model, outcome = asked.get("model"), asked.get("outcome")
    return {
        "outcome": _counted("outcome", [row for row in counts if model in (None, row["model"])]),
        "model": _counted("model", [row for row in counts if outcome in (None, row["outcome"])]),
        "slice": [{"value": row["value"], "n": None} for row in slices],
        "judge": _names(said, "judge"),
        "verdict": _names([row for row in said if asked.get("judge") in (None, row["judge"])], "label"),
    }


def _counted(name: str, rows: list[Row]) -> list[Row]:
    values = sorted({row[name] for row in rows})
    return [{"value": value, "n": sum(row["n"] for row in rows if row[name] == value)} for value in values]


def _names(rows: list[Row], name: str) -> list[Row]:
    return [{"value": value, "n": None} for value in sorted({row[name] for row in rows})]
