"""The ranking on a terminal: the numbers of the plain text, ties marked, nothing wider than the screen."""

from __future__ import annotations

import io

from rich.console import Console

from raybench.cli import render
from raybench.cli.terminal import show_boards
from raybench.leaderboard.boards import Board, Line

METRIC = ("strict", "overall_accuracy")
OTHERS = [(f"profile-with-a-long-name-{i}", "overall_accuracy") for i in range(9)]


def head(value, low, high, **more):
    return {
        "value": value, "low": low, "high": high, "unit": "fraction", "higher_is_better": True, "n": 451,
        "n_clusters": 203, "refused": 3, "unparsed": 2, "failed": 0, "flags": [], "coverage": 1.0, "dataset": "d",
        "profile": METRIC[0], "metric": METRIC[1], "config": "", **more,
    }  # fmt: skip


def board(names=("model-a", "model-b"), others=OTHERS):
    def line(name, kind, value, ranks=None):
        scores = {key: head(value - 0.01 * i, None, None) for i, key in enumerate(others)}
        scores[METRIC] = head(value, value - 0.05, value + 0.05)
        return Line(name, kind, scores[METRIC], scores, ranks)

    lines = [line(names[0], "system", 0.671, (1, 2)), line(names[1], "system", 0.633, (1, 2)),
             line("model-c", "system", 0.4, (3, 3)), line("majority", "baseline", 0.34)]  # fmt: skip
    paper = head(0.702, None, None, config="zero-shot; x", flags=["leak"])
    lines.append(Line("paper", "reported", paper, {METRIC: paper}))
    return Board("vqa_rad", "d", "test", METRIC, lines, list(others), 0.04)


def printed(found, width):
    out = io.StringIO()
    show_boards([found], Console(file=out, width=width, force_terminal=True, color_system=None))
    return out.getvalue().splitlines()


def test_a_wide_board_is_folded_into_tables_that_fit():
    plain = render.boards([board()], "table")
    assert max(map(len, plain.splitlines())) > 200, "what a pipe gets stays one wide table"
    for width in (80, 120):
        lines = printed(board(), width)
        assert max(map(len, lines)) <= width
        words = " ".join(lines).split()
        for number in ("67.1", "[62.1,", "68.3]", "66.1", "59.1", "451", "203"):
            assert number in words, (width, number)


def test_ranks_ties_and_drawn_intervals():
    lines = printed(board(), 120)
    (first,) = [line for line in lines if "67.1 [62.1, 72.1]" in line]
    assert first.split()[:3] == ["┃", "1-2", "model-a"]
    (third,) = [line for line in lines if "40.0 [35.0, 45.0]" in line]
    assert third.split()[:2] == ["3", "model-c"]
    assert first.index("●") > third.index("●"), "the better value stands to the right"
    assert "├" in first
    assert "┤" in first
    assert any("□" in line and "majority (baseline)" in line for line in lines)
    (paper,) = [line for line in lines if "70.2" in line]
    assert "paper (reported, zero-shot, leak)" in paper
    assert "┃" not in paper, "published numbers are not ranked"
    assert any("differences under 4.0 points cannot be told apart here" in line for line in lines)


def test_few_columns_stay_in_one_table():
    lines = printed(board(others=OTHERS[:1]), 200)
    (row,) = [line for line in lines if "model-a" in line]
    assert row.split()[3:6] == ["67.1", "[62.1,", "72.1]"]
    assert "67.1" in row.split()[6:], "the other profile stands beside the headline"


def test_names_cannot_steer_the_terminal():
    lines = printed(board(names=("\x1b[2Jgone [bold]", "\u202eevil\x07")), 120)
    text = "\n".join(lines)
    assert "\x1b[2J" not in text
    assert "\x07" not in text
    assert "\u202e" not in text
    assert "�[2Jgone [bold]" in text
