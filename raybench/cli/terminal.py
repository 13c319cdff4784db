"""Boards on a terminal: the ranking with its intervals drawn, and what does not fit beside it below.

Numbers and notes are those of the plain text that a pipe gets; here they are set with rich. A line that the paired
tests cannot tell from the leader has a bar before its rank. Where the columns of the other scorer profiles do not fit
the terminal, they follow in tables of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from raybench.cli import render

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from raybench.leaderboard import Board, Line

__all__ = ["show_boards"]

_TIED = "┃"
_MARKS = {"system": "●", "baseline": "□"}
_STYLES = {"system": "", "baseline": "dim", "reported": "italic"}
#: Widths to try for the drawn intervals, the widest that fits first; 0 draws none.
_PLOT_CHARS, _NAME_CHARS = (30, 22, 14, 0), 36
#: Cells of a line: name, rank, headline, the other profiles, and five counts.
_FIRST, _COUNTS = 3, 5


def show_boards(found: Sequence[Board], console: Console | None = None) -> None:
    """Print every board, none of it wider than the terminal.

    Args:
        console: where to; standard output if none is given.
    """
    from rich.console import Console

    screen = console or Console(highlight=False)
    for board in found:
        _show(board, screen)


def _show(board: Board, console: Console) -> None:
    from rich.text import Text

    found = render.board_cells(board)
    console.print(Text(_safe(found.title), style="bold"))
    columns, notes = list(range(_FIRST, len(found.header) - _COUNTS)), found.notes
    whole = _ranking(board, found, columns, _PLOT_CHARS[1])
    if not columns or console.measure(whole, options=console.options.update(max_width=10_000)).maximum <= console.width:
        console.print(whole)
    else:
        tables = [_ranking(board, found, [], chars) for chars in _PLOT_CHARS]
        console.print(next((each for each in tables if _need(each, console) <= console.width), tables[-1]))
        for chunk in _chunks(found, columns, console.width):
            console.print(_others(board, found, chunk))
    if any(line.kind == "reported" for line in board.lines):
        console.print(_published(board, found))
    if any(line.ranks and line.ranks[0] == 1 for line in board.lines):
        notes = [f"{_TIED} cannot be told from the leader (paired tests, Holm-adjusted over all pairs)", *notes]
    for note in notes:
        console.print(Text(_safe(note), style="dim"))
    console.print()


def _need(table: Table, console: Console) -> int:
    """The least width of a table whose numbers are not broken."""
    return console.measure(table, options=console.options.update(max_width=10_000)).minimum


def _table() -> Table:
    from rich import box
    from rich.table import Table

    return Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold", show_edge=False)


def _ranking(board: Board, found: render.Cells, extra: Sequence[int], plot_chars: int) -> Table:
    """Rank, model, headline with its interval in numbers and as a line, chosen other columns, counts."""
    table = _table()
    table.add_column("", width=1)
    table.add_column("rank", justify="right", no_wrap=True)
    names = [cells[0] for line, cells in _measured(board, found)]
    table.add_column("model", overflow="fold", min_width=min(_NAME_CHARS, max(map(len, names), default=5)))
    table.add_column(found.header[2], justify="right", no_wrap=True)
    if plot_chars:
        table.add_column(_axis(board, plot_chars), no_wrap=True, width=plot_chars)
    shown = [*extra, *range(len(found.header) - _COUNTS, len(found.header))]
    for i in shown:
        table.add_column(_short(found.header[i]), justify="right")
    for line, cells in _measured(board, found):
        tied = _TIED if line.ranks and line.ranks[0] == 1 else ""
        plot = [_whisker(line, board, plot_chars)] if plot_chars else []
        texts = [tied, cells[1], cells[0], cells[2], *plot, *(cells[i] for i in shown)]
        table.add_row(*(_cell(text) for text in texts), style=_STYLES[line.kind])
    return table


def _others(board: Board, found: render.Cells, columns: Sequence[int]) -> Table:
    """The same lines under other profiles' first metrics."""
    table = _table()
    table.add_column("model", overflow="fold", min_width=12)
    for i in columns:
        table.add_column(found.header[i], justify="right")
    for line, cells in _measured(board, found):
        table.add_row(_cell(cells[0]), *(_cell(cells[i]) for i in columns), style=_STYLES[line.kind])
    return table


def _published(board: Board, found: render.Cells) -> Table:
    """Numbers of others under rules of their own, each with the name of its metric."""
    table = _table()
    table.add_column("published", overflow="fold", min_width=12)
    table.add_column("value", overflow="fold")
    table.add_column("n", justify="right")
    others = range(_FIRST, len(found.header) - _COUNTS)
    for line, cells in zip(board.lines, found.rows, strict=True):
        if line.kind == "reported":
            named = [f"{cells[i]} {found.header[i]}" for i in others if cells[i]]
            own = f"{cells[2]} {found.header[2]}" if board.metric in line.scores else cells[2]
            text = ", ".join([*([own] if cells[2] else []), *named])
            table.add_row(_cell(cells[0]), _cell(text), _cell(cells[-_COUNTS]), style=_STYLES["reported"])
    return table


def _measured(board: Board, found: render.Cells) -> list[tuple[Line, list[str]]]:
    return [(line, cells) for line, cells in zip(board.lines, found.rows, strict=True) if line.kind != "reported"]


def _chunks(found: render.Cells, columns: Sequence[int], width: int) -> list[list[int]]:
    """Columns in groups that fit beside a model's name; a heading breaks at its spaces."""
    room = width - min(40, max(len(row[0]) for row in found.rows)) - 2
    out: list[list[int]] = [[]]
    left = room
    for i in columns:
        words = [len(word) for word in found.header[i].split()]
        need = max([*words, *(len(row[i]) for row in found.rows)]) + 2
        if need > left and out[-1]:
            out.append([])
            left = room
        out[-1].append(i)
        left -= need
    return out


def _short(name: str) -> str:
    return {"clusters": "clus-\nters", "refused": "re-\nfused", "unparsed": "un-\nparsed"}.get(name, name)


def _span(board: Board) -> tuple[float, float]:
    heads = [line.headline for line in board.lines if line.kind != "reported"]
    known = [float(head[name]) for head in heads for name in ("value", "low", "high") if head.get(name) is not None]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    return (low, high) if high > low else (low - 0.05, high + 0.05)


def _axis(board: Board, chars: int) -> str:
    """The two ends of the axis, as the numbers are written."""
    unit = board.lines[0].headline["unit"] if board.lines else "fraction"
    low, high = (f"{100 * end:.0f}" if unit == "fraction" else f"{end:.2f}" for end in _span(board))
    return f"{low}{high.rjust(chars - len(low))}"


def _whisker(line: Line, board: Board, chars: int) -> str:
    """A value as a mark and its 95 % interval as a line: ├───●──┤; dashed where the line is partial."""
    head, (low, high) = line.headline, _span(board)
    if head.get("value") is None:
        return ""

    def place(value: float) -> int:
        return round((value - low) / (high - low) * (chars - 1))

    drawn = [" "] * chars
    if head.get("low") is not None and head.get("high") is not None:
        start, end = place(head["low"]), place(head["high"])
        drawn[start : end + 1] = ("╌" if line.partial else "─") * (end + 1 - start)
        drawn[start], drawn[end] = "├", "┤"
    drawn[place(head["value"])] = _MARKS[line.kind]
    return "".join(drawn)


def _cell(text: str) -> str:
    from rich.markup import escape

    return escape(_safe(text))


def _safe(text: str) -> str:
    """Text without what would steer the terminal: names come from other people's folders."""
    return "".join(char if char.isprintable() or char == "\n" else "�" for char in text)
