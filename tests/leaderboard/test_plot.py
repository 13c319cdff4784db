"""Plots: every line with a value is drawn and named, the same boards give the same bytes."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from raybench.errors import SpecError
from raybench.leaderboard.boards import Board, Line
from raybench.leaderboard.plot import plot

pytest.importorskip("matplotlib")


def head(value, low=None, high=None, unit="fraction"):
    return {
        "value": value, "low": low, "high": high, "unit": unit, "higher_is_better": True, "profile": "p", "metric": "m",
    }  # fmt: skip


def board(unit="fraction"):
    lines = [
        Line("a $x$ <b>", "system", head(0.8, 0.7, 0.9, unit), {}, (1, 2)),
        Line("second", "system", head(0.6, 0.5, 0.7, unit), {}, (2, 2)),
        Line("some", "system", head(0.5, 0.4, 0.6, unit), {}, None, partial=True),
        Line("never", "system", head(None, unit=unit)),
        Line("majority", "baseline", head(0.3, 0.2, 0.4, unit)),
        Line("paper", "reported", head(0.7, unit=unit)),
    ]
    return Board("vqa", "d", "test", ("p", "m"), lines, [])


def texts(path):
    return ["".join(node.itertext()) for node in ET.parse(path).iter() if node.tag.endswith("}text")]


def test_an_svg_names_every_line_with_a_value(tmp_path):
    path = tmp_path / "board.svg"
    plot([board()], str(path))
    found = texts(path)
    for text in ("a $x$ <b>", "second", "some (partial)", "majority (baseline)", "paper (published)", "1–2", "2",
                 "vqa on d/test", "m (p), percent with 95 % interval"):  # fmt: skip
        assert text in found
    assert "never" not in "".join(found)


def test_the_same_boards_give_the_same_bytes(tmp_path):
    for name in ("a.svg", "b.svg"):
        plot([board(), board("coefficient")], str(tmp_path / name))
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_other_formats(tmp_path):
    plot([board()], str(tmp_path / "b.PNG"))
    plot([board()], str(tmp_path / "b.pdf"))
    assert (tmp_path / "b.PNG").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "b.pdf").read_bytes().startswith(b"%PDF")


def test_what_cannot_be_drawn_is_a_sentence(tmp_path):
    with pytest.raises(SpecError, match=r"\.svg, \.png, \.pdf"):
        plot([board()], str(tmp_path / "b.jpg"))
    with pytest.raises(SpecError, match="no scored line"):
        plot([], str(tmp_path / "b.svg"))
