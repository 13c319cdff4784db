"""What a board must say of its judges: which are uncalibrated or unsupported, and how scores were corrected."""

from __future__ import annotations

from collections.abc import Sequence

from raybench.leaderboard.lines import Board, Line
from raybench.schema import Row
from raybench.scoring.cards import UNCALIBRATED, UNSUPPORTED
from raybench.scoring.corrected import CORRECTED, HUMAN_ACCURACY, HUMAN_JUDGE

__all__ = ["judge_columns", "judge_mark", "judge_notes"]

_REFUSED = "refused: "


def judge_columns(profile: str, row: Row, declared: Sequence[str], lines: Sequence[Line]) -> list[tuple[str, str]]:
    """Return the columns of one judge: its own score, the corrected one where some line has it; or people's."""
    if row["judge"] == HUMAN_JUDGE:
        return [(profile, HUMAN_ACCURACY)]
    corrected = any((profile, CORRECTED) in line.scores for line in lines)
    return [(profile, declared[0]), *([(profile, CORRECTED)] if corrected else [])]


def judge_mark(board: Board, profile: str) -> str:
    """Return " (unsupported)" for a judge under the gate, else ""."""
    return f" ({UNSUPPORTED})" if UNSUPPORTED in _flags(board.lines, profile) else ""


def judge_notes(board: Board) -> list[str]:
    """Return the sentences on a board's judges."""
    shown = list(dict.fromkeys(profile for profile, _ in (board.metric, *board.columns)))
    judges = [each for each in shown if each.startswith("judge ") and each != f"judge {HUMAN_JUDGE}"]
    flags = {profile: _flags(board.lines, profile) for profile in judges}
    notes = []
    named = [profile.removeprefix("judge ") for profile in judges if UNCALIBRATED in flags[profile]]
    if named:
        whose = "" if len(named) == len(judges) else f" of {', '.join(named)}"
        notes.append(
            f"judge scores{whose} are uncalibrated: nobody has measured this judge against people on this data"
        )
    notes += [
        f"{profile} is unsupported: it missed the gate of its judge card, so its scores are shown, not to be relied on"
        for profile in judges
        if UNSUPPORTED in flags[profile]
    ]
    return notes + _correction_notes(board, judges)


def _flags(lines: Sequence[Line], profile: str) -> set[str]:
    return {
        flag for line in lines for (name, _), row in line.scores.items() if name == profile for flag in row["flags"]
    }


def _correction_notes(board: Board, judges: Sequence[str]) -> list[str]:
    """How corrected scores were made, and for whom a correction was refused."""
    notes: dict[str, None] = {}
    for line in board.lines:
        for profile in judges:
            row = line.scores.get((profile, CORRECTED))
            if row is None:
                continue
            refused = [flag.removeprefix(_REFUSED) for flag in row["flags"] if flag.startswith(_REFUSED)]
            for reason in refused:
                notes[f"{profile} on {line.model}: not corrected, {reason}"] = None
            if not refused and "ppi++" in row["signature"]:
                notes["accuracy_corrected: the judge's errors taken out with human labels of this run (PPI++)"] = None
            elif not refused:
                notes[
                    "accuracy_corrected: the judge's errors taken out with its judge card (Rogan-Gladen),"
                    " as far as the card's suite resembles these answers"
                ] = None
    return list(notes)
