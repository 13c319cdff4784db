"""How steady a judge is, from stored verdicts: flips between repeats, between templates, and against rules.

Nothing here changes a score. A flip is another label for the same question,
reference and candidate; its rate has Wilson's interval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from raybench.schema import Row
from raybench.stats.agreement import Rate, rate
from raybench.store import Store

__all__ = ["Flips", "Steadiness", "flips_between", "steadiness", "template_flips"]


@dataclass(frozen=True)
class Flips:
    """Two verdict sets on the same items.

    Attributes:
        first, second: (judge, template hash).
        rate: share of items with another label; its `n` are the items that both judged.
        moves: (label there, label here) -> items, the commonest first, flips only.
        only_first, only_second: items with a verdict on one side only (the other has none that could be read).
    """

    first: tuple[str, str]
    second: tuple[str, str]
    rate: Rate
    moves: Mapping[tuple[str, str], int]
    only_first: int
    only_second: int


@dataclass(frozen=True)
class Steadiness:
    """What the stored verdicts of one judge say about the judge.

    Attributes:
        repeats: share of repeated items of which not all words agree.
        checked: share of rule-decided items, checked by the judge, on which the judge says otherwise.
        states: state of a verdict (ok, parse_failed, ...) -> calls.
        second_attempts: calls that took a format reminder.
        flagged: rows with injection-like patterns; `rows` all of the judge's.
        weighed: verdicts with label probabilities; `reluctant` those whose labels had under half of all probability:
            the judge wanted to say something else, perhaps to decline, which a forced label hides.
    """

    repeats: Rate
    checked: Rate
    states: Mapping[str, int]
    second_attempts: int
    by_rule: int
    flagged: int
    rows: int
    weighed: int
    reluctant: int


_REPEATS_SQL = """
WITH own AS (SELECT * FROM all_verdicts WHERE judge = ?),
again AS (SELECT json_extract_string(aspect, '$.of') AS item, label FROM own WHERE aspect LIKE '%"repeat"%'),
words AS (
    SELECT item, label FROM again
    UNION ALL SELECT o.item, o.label FROM own o SEMI JOIN again USING (item)
)
SELECT item, count(DISTINCT coalesce(label, '')) AS labels FROM words GROUP BY item HAVING count(*) > 1 ORDER BY item
"""
_CHECKED_SQL = """
SELECT a.label = r.label AS agrees FROM all_verdicts a JOIN all_verdicts r
USING (judge, judge_config, protocol, template, question, reference, candidate)
WHERE a.judge = ? AND a.aspect LIKE '%"audit"%' AND r.decided_by = 'rule' AND a.status = 'ok' ORDER BY a.item
"""
_COUNTS_SQL = """
SELECT count(*) AS rows, count(*) FILTER (decided_by = 'rule') AS by_rule,
    count(*) FILTER (coalesce(attempt, 1) > 1) AS second_attempts,
    count(*) FILTER (len(coalesce(injection_flags, [])) > 0) AS flagged,
    count(label_mass) AS weighed, count(*) FILTER (label_mass < 0.5) AS reluctant FROM all_verdicts WHERE judge = ?
"""
_STATES_SQL = """
SELECT CASE WHEN decided_by = 'panel' AND label = 'UNDECIDED' THEN 'undecided' ELSE status END AS status, count(*) AS n
FROM all_verdicts WHERE judge = ? AND decided_by <> 'rule' GROUP BY ALL
UNION ALL
SELECT 'engine_error', count(DISTINCT key) FROM attempts a WHERE judge = ?
    AND key NOT IN (SELECT key FROM all_verdicts) HAVING count(*) > 0
"""
_PAIRS_SQL = """
WITH sides AS (
    SELECT judge, template, question, reference, candidate, coalesce(other, '') AS other,
        coalesce(aspect, '') AS aspect, arg_max_null(label, committed_at) AS label
    FROM all_verdicts WHERE protocol = ? AND decided_by <> 'rule'
    AND coalesce(aspect, '') NOT LIKE '%"repeat"%' GROUP BY ALL
)
SELECT a.label AS first, b.label AS second, count(*) AS n
FROM (SELECT * FROM sides WHERE judge = ? AND template = ?) a
JOIN (SELECT * FROM sides WHERE judge = ? AND template = ?) b
USING (question, reference, candidate, other, aspect) GROUP BY ALL
"""
_OTHERS_SQL = """
WITH own AS (SELECT DISTINCT judge_config FROM all_verdicts WHERE judge = ? AND template = ? AND protocol = ?)
SELECT DISTINCT judge, template FROM all_verdicts SEMI JOIN own USING (judge_config)
WHERE protocol = ? AND template <> ? AND decided_by <> 'rule' ORDER BY ALL
"""


def steadiness(store: Store, judge: str) -> Steadiness:
    """Return what is known of one judge's steadiness from the verdicts of a folder."""
    tables = ("verdicts", "attempts")
    repeated = store.query(_REPEATS_SQL, [judge], tables)
    checked = store.query(_CHECKED_SQL, [judge], tables)
    (counts,) = store.query(_COUNTS_SQL, [judge], tables)
    states = {row["status"]: row["n"] for row in store.query(_STATES_SQL, [judge, judge], tables)}
    return Steadiness(
        repeats=rate([row["labels"] > 1 for row in repeated]), checked=rate([not row["agrees"] for row in checked]),
        states=states, **counts,
    )  # fmt: skip


def flips_between(store: Store, first: tuple[str, str], second: tuple[str, str], protocol: str) -> Flips:
    """Return how often two sets of verdicts, each named by (judge, template hash), differ on what both were asked.

    What a rule decided is left out: it cannot flip.
    """
    rows = store.query(_PAIRS_SQL, [protocol, *first, *second], ("verdicts",))
    both = [row for row in rows if row["first"] is not None and row["second"] is not None]
    moves = {(row["first"], row["second"]): row["n"] for row in both if row["first"] != row["second"]}
    hits = [float(row["first"] != row["second"]) for row in both for _ in range(row["n"])]
    return Flips(
        first, second, rate(hits), dict(sorted(moves.items(), key=lambda each: (-each[1], each[0]))),
        _alone(rows, "first", "second"), _alone(rows, "second", "first"),
    )  # fmt: skip


def template_flips(store: Store, judge: str, template: str, protocol: str) -> list[Flips]:
    """Return a judge's flips against every other template that the same model was asked with in this folder."""
    others = store.query(_OTHERS_SQL, [judge, template, protocol, protocol, template], ("verdicts",))
    own = (judge, template)
    return [flips_between(store, (row["judge"], row["template"]), own, protocol) for row in others]


def _alone(rows: Sequence[Row], there: str, absent: str) -> int:
    return int(sum(row["n"] for row in rows if row[there] is not None and row[absent] is None))
