"""The end of a run: small parts merged, and what coverage and judges make of its exit code."""

from __future__ import annotations

from raybench.engine.pipeline import call
from raybench.engine.plan import register_plan
from raybench.engine.session import Session
from raybench.errors import ModelError
from raybench.schema import CELL, Row
from raybench.store import Store, stream
from raybench.store.compact import compact

__all__ = ["finish", "raise_if_none_loaded"]

_NOT_RUN = "not run"


def finish(session: Session) -> None:
    """Merge small parts; coverage, null verdicts and limits decide the exit code."""
    spec, result = session.spec, session.result
    session.progress.phase = "finishing"
    planned, nulls = call(_settle, spec.output, session.run_id, [judge.name for judge in spec.judges])
    counts = {tuple(row[name] for name in CELL): row for row in planned}
    for cell in result.cells:
        row = counts[tuple(cell[name] for name in CELL)]
        cell["failed"] = row["failed"]
        if not (session.halted() and row["reasons"] == _NOT_RUN):
            result.problems += _uncovered(row, spec.min_coverage)
    judged = [cell for calls in result.judge_calls.values() for cell in calls["cells"]]
    for row in nulls:
        share, limit = row["null_verdicts"] / row["judged"], spec.max_null_verdicts
        if share > limit and any(all(cell[name] == row[name] for name in CELL) for cell in judged):
            result.problems.append(
                f"judge {row['judge']} gave no verdict on {row['null_verdicts']} of {row['judged']} answers of"
                f" {row['model']} on {row['task']} ({share:.1%}, over {limit:.1%})"
            )
    if halted := session.halted():
        calls = session.calls_left()
        left = f"{sum(row['failed'] for row in planned)} rows" + (f" and {calls} judge calls" if calls > 0 else "")
        result.problems.append(f"stopped: {halted}; {left} are left, and the same command goes on with them")
    detail = [*result.problems, *(f"{name}: {why}" for name, why in (result.errors | result.left_out).items())]
    session.record("incomplete" if result.exit_code else "done", detail="; ".join(detail) or None)


def _uncovered(row: Row, least: float) -> list[str]:
    coverage = 1 - row["failed"] / row["planned"]
    if coverage >= least:
        return []
    return [
        f"{row['model']} on {row['task']} ({row['variant']}): {row['failed']} of {row['planned']} rows failed"
        f" ({row['reasons']}); coverage {coverage:.1%} is under {least:.1%};"
        " run again to retry them"
    ]


_PLANNED_SQL = f"""
SELECT {", ".join(f"p.{name}" for name in CELL)}, count(*) AS planned,
    count(*) FILTER (r.key IS NULL) AS failed,
    string_agg(DISTINCT coalesce(a.reason, '{_NOT_RUN}'), ', ') FILTER (r.key IS NULL) AS reasons
FROM plan p
LEFT JOIN (SELECT DISTINCT key FROM all_responses) r USING (key)
LEFT JOIN (SELECT key, arg_max(reason, committed_at) AS reason FROM attempts GROUP BY key) a USING (key)
GROUP BY ALL
"""
_NULLS_SQL = f"""
SELECT DISTINCT {", ".join(CELL)}, judge, null_verdicts, answered + refused + unparsed AS judged FROM scores
WHERE judge IS NOT NULL AND slice = 'all' AND answered + refused + unparsed > 0 AND list_contains(?, judge)
"""


def _settle(output: str, run_id: str, judges: list[str]) -> tuple[list[Row], list[Row]]:
    """Compact a folder; return how each planned cell ended, and the judges' null verdicts."""
    store = Store(output)
    compact(store, min_parts=4)
    planned: list[Row] = []
    if any(name.startswith("units-") for name in store.files.names(f"runs/{run_id}/plan")):
        with store.connect(("responses", "attempts")) as connection:
            register_plan(connection, store, run_id)
            planned = list(stream(connection, _PLANNED_SQL))
    return planned, store.query(_NULLS_SQL, [judges], ("scores",))


def raise_if_none_loaded(session: Session, needed: list[str]) -> None:
    """A run whose every model (or judge) with work ended early and that did nothing is bad input."""
    errors = session.result.errors
    if needed and not session.result.generated and not session.result.judged and all(n in errors for n in needed):
        raise ModelError("; ".join(f"{name}: {reason}" for name, reason in errors.items()))
