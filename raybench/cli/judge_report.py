"""What a person is told of judging: the calls to make and what they take; then how steady the judge was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raybench.scoring.flips import Flips
    from raybench.stats.agreement import Rate

__all__ = ["judge_plan_lines", "steadiness_lines"]


def judge_plan_lines(name: str, calls: dict[str, Any]) -> list[str]:
    """Return what is to be judged and, of a dry run, what that would take."""
    told = f"judge {name}: {calls['items']} answers, {calls['decided']} decided by rule, {calls['rows']} calls to make"
    stored = calls.get("distinct", 0) - calls["rows"]
    more = [f"{stored} already judged"] if stored else []
    more += [f"{calls['checks']} to check rules or repeat"] if calls.get("checks") else []
    lines = [f"{told} ({', '.join(more)})" if more else told]
    if (estimate := calls.get("estimate")) and calls["rows"]:
        lines.append(f"judge {name}: {_tokens(estimate, calls['rows'])}; {_time(estimate)}")
    return lines


def _tokens(estimate: dict[str, Any], rows: int) -> str:
    counted = estimate["counted"]
    how = "estimated at 4 characters a token"
    if counted:
        how = "by its own tokeniser" + ("" if counted == rows else f", from {counted} of {rows} prompts")
    return f"{estimate['tokens_in']} tokens in ({how}), at most {estimate['tokens_out']} out"


def _time(estimate: dict[str, Any]) -> str:
    if estimate["seconds"] is None:
        return "time unknown: no verdict of it is stored here"
    return f"about {_span(estimate['seconds'])} at {estimate['rows_per_second']:.1f} verdicts/s a replica (measured)"


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def steadiness_lines(folder: str, name: str) -> list[str]:
    """Return what the stored verdicts say about a judge: null verdicts by state, flips, checked rules, flagged rows."""
    from raybench.scoring.flips import steadiness, template_flips
    from raybench.store import Store

    store = Store(folder)
    found, lines = steadiness(store, name), []
    nulls = {state: n for state, n in sorted(found.states.items()) if state != "ok"}
    if nulls:
        lines.append(f"judge {name}: no verdict by state: {', '.join(f'{n} {state}' for state, n in nulls.items())}")
    if found.second_attempts:
        lines.append(f"judge {name}: {found.second_attempts} verdicts took a format reminder")
    if found.reluctant:
        lines.append(
            f"judge {name}: on {found.reluctant} of {found.weighed} verdicts the labels had under half of the"
            " probability: it wanted to say something else"
        )
    if found.checked.n:
        lines.append(f"judge {name}: {_rate(found.checked)} of the checked exact matches called otherwise")
    if found.flagged:
        lines.append(f"judge {name}: {found.flagged} of {found.rows} verdicts are on answers that address the judge")
    if found.repeats.n:
        lines.append(f"judge {name}: flip rate over repeats {_rate(found.repeats)}")
    for protocol, template in _asked(store, name):
        lines += [line for flips in template_flips(store, name, template, protocol) for line in _flip_lines(flips)]
    return lines


def _asked(store: Any, name: str) -> list[tuple[str, str]]:
    sql = "SELECT DISTINCT protocol, template FROM all_verdicts WHERE judge = ? AND template IS NOT NULL ORDER BY ALL"
    return [(row["protocol"], row["template"]) for row in store.query(sql, [name], ("verdicts",))]


def _flip_lines(flips: Flips) -> list[str]:
    if not flips.rate.n:
        return []
    moves = ", ".join(f"{n} {there} to {here}" for (there, here), n in list(flips.moves.items())[:6])
    first, second = (f"{judge} [{template[:8]}]" for judge, template in (flips.first, flips.second))
    return [f"{second} against {first}: flips {_rate(flips.rate)}{': ' if moves else ''}{moves}"]


def _rate(found: Rate) -> str:
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    hits = round(found.value * found.n)
    return f"{100 * found.value:.1f} % [{100 * found.low:.1f}, {100 * found.high:.1f}] ({hits} of {found.n})"
