"""Boards as dots with whiskers on one labelled axis each, as SVG, PNG or PDF.

Systems are filled dots with their rank range, baselines squares, published numbers diamonds; results on other samples
than the ranked ones have a dashed whisker. Marks differ in shape, never in colour alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raybench.errors import SpecError
from raybench.leaderboard.lines import Board, Line
from raybench.schema import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["FORMATS", "plot"]

FORMATS = (".svg", ".png", ".pdf")
_LINE_INCHES, _WIDTH_INCHES, _FRAME_INCHES, _DPI = 0.24, 7.2, 1.15, 200
_MARKS = {"system": ("o", "#0b5cad"), "baseline": ("s", "#57606a"), "reported": ("D", "#8a5a00")}
_LABEL_CHARS = 48


def plot(boards: Sequence[Board], path: str) -> None:
    """Write the boards under one another into one figure.

    Args:
        path: ends in .svg, .png or .pdf.

    Raises:
        SpecError: another ending, nothing to draw, or matplotlib is missing.
    """
    if Path(path).suffix.lower() not in FORMATS:
        raise SpecError(f"--plot {path}: the file name must end in {', '.join(FORMATS)}")
    shown = [(board, lines) for board in boards if (lines := _lines(board))]
    if not shown:
        raise SpecError("--plot: no scored line to draw")
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise SpecError("--plot needs the extra: pip install 'raybench[dashboard]'") from error
    heights = [_FRAME_INCHES + _LINE_INCHES * len(lines) for _, lines in shown]
    # The same boards give the same bytes: no date, and ids that do not change from run to run.
    settings: Any = {"svg.hashsalt": "raybench", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9}
    with mpl.rc_context(settings):
        figure = Figure(figsize=(_WIDTH_INCHES, sum(heights)), layout="constrained")
        axes = figure.subplots(len(shown), 1, squeeze=False, height_ratios=heights)[:, 0]
        for each, (board, lines) in zip(axes, shown, strict=True):
            _draw(each, board, lines)
        dateless: dict[str, Any] = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
        figure.savefig(path, dpi=_DPI, metadata=dateless.get(Path(path).suffix.lower()))


def _lines(board: Board) -> list[Line]:
    """What has a value under the metric that ranks the board."""
    heads = ((line, line.headline) for line in board.lines)
    return [line for line, head in heads if head.get("value") is not None and _is_of(head, board)]


def _is_of(head: Row, board: Board) -> bool:
    return (head["profile"], head["metric"]) == board.metric


def _draw(axes: Axes, board: Board, lines: Sequence[Line]) -> None:
    factor = 100.0 if lines[0].headline["unit"] == "fraction" else 1.0
    for place, line in enumerate(lines):
        head = line.headline
        mark, colour = _MARKS[line.kind]
        if head["low"] is not None and head["high"] is not None:
            dashes: Any = (0, (3, 2)) if line.partial else "solid"
            axes.hlines(place, factor * head["low"], factor * head["high"], colour, linestyles=dashes, linewidth=1.4)
        filled = colour if line.kind == "system" else "white"
        axes.plot(factor * head["value"], place, mark, color=colour, markerfacecolor=filled, markersize=5)
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.set_yticks(range(len(lines)), [_label(line) for line in lines])
    ranks = axes.secondary_yaxis("right")
    ranks.set_yticks(range(len(lines)), [_rank(line) for line in lines])
    for side in (axes.yaxis, ranks.yaxis):
        side.set_tick_params(length=0)
    axes.grid(axis="x", color="#d5dae0", linewidth=0.6)
    axes.set_axisbelow(True)
    for spine in ("top", "right", "left"):
        axes.spines[spine].set_visible(False)
    ranks.spines["right"].set_visible(False)
    profile, metric = board.metric
    unit = "percent" if factor == 100.0 else lines[0].headline["unit"]
    lower = "" if lines[0].headline["higher_is_better"] else ", lower is better"
    axes.set_xlabel(f"{metric} ({profile}), {unit} with 95 % interval{lower}")
    axes.set_title(_plain(f"{board.task} on {board.dataset}/{board.split}"), loc="left", fontsize=10)
    axes.set_title("rank", loc="right", fontsize=8)


def _label(line: Line) -> str:
    word = {"baseline": " (baseline)", "reported": " (published)"}.get(line.kind, " (partial)" if line.partial else "")
    name = line.model if len(line.model) <= _LABEL_CHARS else f"{line.model[: _LABEL_CHARS - 1]}…"
    return _plain(name) + word


def _rank(line: Line) -> str:
    if line.ranks is None:
        return "–"
    return "–".join(str(rank) for rank in sorted(set(line.ranks)))


def _plain(text: str) -> str:
    """Text that matplotlib draws as it stands: a dollar sign would begin a formula."""
    return text.replace("$", r"\$")
