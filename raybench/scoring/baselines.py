"""What trivial systems would score on the same samples: constant answers from the labels.

A score below the majority answer says little; every leaderboard shows it beside
the models, as rows of `kind: baseline`.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

import duckdb

from raybench.schema import CELL, Row
from raybench.store import stream

__all__ = ["baseline_records"]

_SQL = f"""
SELECT u.key, u.sample, u.repeat, s.sample_hash, s.cluster, s.slices, s.questions, s.targets, s.choices, s.context
FROM units u JOIN samples s USING (task, dataset, split, sample)
SEMI JOIN all_responses r USING (key)
WHERE {" AND ".join(f"u.{name} = ?" for name in CELL)}
QUALIFY row_number() OVER (PARTITION BY u.sample ORDER BY u.repeat) = 1 ORDER BY s.ordinal, u.sample
"""


def baseline_records(connection: duckdb.DuckDBPyConnection, cell: Mapping[str, str]) -> dict[str, Iterator[Row]]:
    """Return baseline name -> rows to grade, over the samples of one cell that were answered.

    `majority` answers each kind of question (closed, open) with its most common
    target; `always <answer>` gives one of the two most common closed answers, or
    one class, throughout.
    """
    parameters = [cell[name] for name in CELL]
    targets: dict[str, Counter[str]] = defaultdict(Counter)
    for row in stream(connection, _SQL, parameters):
        targets[_kind(row)][row["targets"][0].strip().lower()] += 1
    if not targets:
        return {}
    majority = {kind: _most_common(counts)[0] for kind, counts in targets.items()}
    constants = {answer for kind, counts in targets.items() if kind != "open" for answer in _most_common(counts)[:2]}

    def rows(answers: Mapping[str, str] | str) -> Iterator[Row]:
        for row in stream(connection, _SQL, parameters):
            text = answers if isinstance(answers, str) else answers[_kind(row)]
            yield {**row, "text": text, "present": True, "reason": None}

    return {"majority": rows(majority), **{f"always {answer}": rows(answer) for answer in sorted(constants)}}


def _kind(row: Row) -> str:
    return str(json.loads(row["slices"]).get("answer_type", ""))


def _most_common(counts: Counter[str]) -> list[str]:
    """Most common first; ties in alphabetical order, so that a baseline is reproducible."""
    return sorted(counts, key=lambda answer: (-counts[answer], answer))
