"""The leaderboard as documents: one task with every column, and all tasks beside one another.

Only precomputed scores are read here. Ranks and speeds come from `ranks_document`, which a second request asks for,
and stand in the board from then on.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

from raybench import registry
from raybench.dashboard.correct import headline_of, headlines, metric_of
from raybench.dashboard.folder import View
from raybench.dashboard.lines import line_id, metric_document, score_document
from raybench.dashboard.overall import group_documents, group_ranks
from raybench.dashboard.ranking import cell_speed, kept_pairs, ranges, rank_pairs
from raybench.errors import StoreError, nearest
from raybench.leaderboard.boards import Board, Line, _add_reported, _board, _ranked_set
from raybench.leaderboard.reported import reported_rows
from raybench.leaderboard.trust import judge_notes
from raybench.schema import CELL, Row, canonical_json

__all__ = ["board_document", "find_boards", "pareto_document", "ranks_document"]


def find_boards(view: View, asked: Mapping[str, str], reported: bool = False) -> list[Board]:
    """Return the boards that a request names, without ranks.

    Args:
        asked: any of task, dataset, split, slice, images, profile, judge.

    Raises:
        StoreError: no scores of that task, slice, profile or judge.
    """
    key = ("boards", reported, canonical_json(dict(asked)))
    found: list[Board] = view.once(key, lambda: _find_boards(view, asked, reported))
    return found


def _find_boards(view: View, asked: Mapping[str, str], reported: bool) -> list[Board]:
    table = "score" if asked.get("slice", "all") == "all" else "any_score"
    where, parameters = ["true"], []
    for name in ("task", "dataset", "split", "slice"):
        if name in asked:
            where.append(f"{name} = ?")
            parameters.append(asked[name])
    if "images" in asked:
        where.append("(images = ? OR kind = 'baseline')")
        parameters.append(asked["images"])
    sql = f"SELECT * FROM {table} WHERE {' AND '.join(where)}"
    if not reported and not {"task", "profile", "judge"} & set(asked):
        sql, parameters = _headlines_of(view, sql, parameters)
    rows = view.scores(f"{sql} ORDER BY ALL", parameters)
    keys = sorted({(row["task"], row["dataset"], row["split"]) for row in rows if row["kind"] == "system"})
    if not keys and asked:
        known = [row["task"] for row in view.scores("SELECT DISTINCT task FROM score ORDER BY 1")]
        task = asked.get("task", "")
        listed = ", ".join(known) or "none"
        raise StoreError(f"no scores of {' / '.join(asked.values())}{nearest(task, known)}; tasks: {listed}")
    boards = []
    for place in keys:
        here = [row for row in rows if (row["task"], row["dataset"], row["split"]) == place]
        board = _board(place, here, headline_of(view, *place))
        wanted = _wanted_metric(board, asked)
        if wanted != board.metric:
            _rank_by(board, wanted)
        if reported and asked.get("slice", "all") == "all":
            _add_reported(board, [*here, *reported_rows({board.task})])
        boards.append(board)
    return boards


def _headlines_of(view: View, sql: str, parameters: list[str]) -> tuple[str, list[str]]:
    """Return a query for the headlines alone of the cells that `sql` selects: the overview shows no other column.

    A cell without a headline keeps all its rows, of which its line is made.
    """
    known = headlines(view).items()
    if not known:
        return sql, parameters
    marks = ", ".join(["(?, ?, ?, ?, ?)"] * len(known))
    sql = (
        f"SELECT * EXCLUDE (is_headline) FROM (SELECT *, (task, dataset, split, profile, metric) IN ({marks})"
        f" AS is_headline FROM ({sql})) QUALIFY is_headline OR NOT bool_or(is_headline) OVER"
        f" (PARTITION BY {', '.join(CELL)}, sample_set)"
    )
    return sql, [*(name for place, metric in known for name in (*place, *metric)), *parameters]


def _wanted_metric(board: Board, asked: Mapping[str, str]) -> tuple[str, str]:
    name = f"judge {asked['judge']}" if "judge" in asked else asked.get("profile", board.metric[0])
    if name == board.metric[0]:
        return board.metric
    for column in board.columns:
        if column[0] == name:
            return column
    raise StoreError(f"{board.task} has no scores by {name!r}; it has: {', '.join(each for each, _ in board.columns)}")


def _rank_by(board: Board, metric: tuple[str, str]) -> None:
    """Order a board by another column than the task's headline."""
    first = board.metric
    board.columns = [first, *(column for column in board.columns if column != metric)]
    board.metric = metric
    board.lines = [line for line in board.lines if metric in line.scores]
    for line in board.lines:
        line.headline = line.scores[metric]
    if not board.lines:
        return
    sign = -1 if board.lines[0].headline["higher_is_better"] else 1
    board.lines.sort(key=lambda line: (line.kind != "system", sign * (line.headline["value"] or 0), line.model))
    if any(line.kind == "system" for line in board.lines):
        ranked, _ = _ranked_set(board.lines)
        for line in board.lines:
            line.partial = line.headline["sample_set"] != ranked or line.headline["value"] is None


def board_document(view: View, asked: Mapping[str, str]) -> Row:
    """Return `/api/board`: one board if a task is named, else the overview."""
    chosen = {name: value for name, value in asked.items() if name != "reported"}
    if "task" not in chosen:
        return _overview(view, find_boards(view, chosen), chosen)
    boards = find_boards(view, chosen, asked.get("reported") == "1")
    if len(boards) > 1:
        places = ", ".join(f"{board.dataset}/{board.split}" for board in boards)
        raise StoreError(f"{chosen['task']} has several data sets here: name dataset and split; it has: {places}")
    return _single(view, boards[0], chosen)


def _single(view: View, board: Board, asked: Mapping[str, str]) -> Row:
    sample = {key: row for line in board.lines if line.kind != "reported" for key, row in line.scores.items()}
    columns = [metric_document(*column, row=sample.get(column)) for column in board.columns]
    lines = [_line(line, board) for line in board.lines]
    ranks = _known_ranks(view, asked)
    _fill(lines, ranks)
    return {
        "title": f"{board.task} on {board.dataset}/{board.split}", **_place(board), "slice": asked.get("slice", "all"),
        "metric": metric_document(*board.metric, row=sample.get(board.metric)), "columns": columns, "lines": lines,
        "mde": board.mde, "mde_sentence": _mde_sentence(board), "notes": _notes(board),
        "judges": sorted({key[0].removeprefix("judge ") for key in sample if key[0].startswith("judge ")}),
        "images": _images(view, board), "ranks_pending": ranks is None,
    }  # fmt: skip


def _place(board: Board) -> Row:
    return {"task": board.task, "dataset": board.dataset, "split": board.split}


def _images(view: View, board: Board) -> list[str]:
    sql = (
        "SELECT DISTINCT images FROM score WHERE kind = 'system' AND task = ? AND dataset = ? AND split = ? ORDER BY 1"
    )
    return [row["images"] for row in view.scores(sql, [board.task, board.dataset, board.split])]


def _line(line: Line, board: Board) -> Row:
    kept = {board.metric, *board.columns}
    return {
        "id": line_id(line), "model": line.headline["model"], "label": line.model, "kind": line.kind,
        "cell": {name: line.headline[name] for name in CELL} if line.kind == "system" else None,
        "ranks": None, "partial": line.partial, "headline": score_document(line.headline),
        "scores": {f"{p}|{m}": score_document(row) for (p, m), row in line.scores.items() if (p, m) in kept},
        "rows_per_second": None, "tokens_out": None,
    }  # fmt: skip


def _mde_sentence(board: Board) -> str | None:
    if board.mde is None:
        return None
    return (
        f"differences under {100 * board.mde:.1f} points cannot be told apart here (paired, 80 % power, two models"
        " that disagree on 20 % of the rows)"
    )


def _notes(board: Board) -> list[str]:
    notes = []
    notes += judge_notes(board)
    if any(line.partial for line in board.lines if line.kind == "system"):
        notes.append("partial: scored on other samples, or on older labels (`raybench score` renews those); not ranked")
    for line in board.lines:
        coverage = line.headline.get("coverage")
        if line.kind == "system" and coverage is not None and coverage < 1:
            notes.append(f"{line.model}: coverage {coverage:.1%} (failed and unasked rows are not scored)")
    return notes


# --- ranks and speeds ------------------------------------------------------------------------------------------------


def ranks_document(view: View, asked: Mapping[str, str]) -> Row:
    """Return `/api/ranks`: rank ranges and speeds of the lines of `board_document` for the same question."""
    boards = find_boards(view, asked)
    done = [_make_ranks(view, board, asked) for board in boards]
    return {
        "ranks": {name: span for each in done for name, span in each["ranks"].items()},
        "speed": {name: speed for each in done for name, speed in each["speed"].items()},
        "groups": {} if "task" in asked else group_ranks(boards, done),
    }


def _known_ranks(view: View, asked: Mapping[str, str]) -> Row | None:
    """The answer of `ranks_document` to this question, or to all tasks at once, if it has been asked."""
    known: Row | None = view.peek(("ranks", canonical_json(dict(asked))))
    if known is None and not set(asked) - {"task", "dataset", "split"}:
        known = view.peek(("ranks", "{}"))
    return known


def _make_ranks(view: View, board: Board, asked: Mapping[str, str]) -> Row:
    speed, slice_ = cell_speed(view), asked.get("slice", "all")
    systems = [line for line in board.lines if line.kind == "system"]
    found: Row = {
        "ranks": {}, "pairs": {},
        "speed": {
            line_id(line): speed[key] for line in systems
            if (key := canonical_json([line.headline[name] for name in CELL])) in speed
        },
    }  # fmt: skip
    lines = [line for line in systems if not line.partial and line.headline["variant"] != "*"]
    if board.metric[0].startswith("judge ") or not lines:
        return found
    metric = metric_of(*board.metric)
    if slice_ != "all" and metric.reduce is not None:
        return found
    cells = [(line_id(line), line.headline) for line in lines]
    query: Row = {"place": _place(board), "metric": board.metric, "slice": slice_, "lines": [name for name, _ in cells]}
    found["pairs"] = kept_pairs(view, query, lambda: rank_pairs(view, cells, board.metric[0], metric, slice_))
    found["ranks"] = ranges([name for name, _ in cells], found["pairs"], metric.higher_is_better)
    return found


def _fill(lines: Sequence[Row], ranks: Row | None) -> None:
    for line in lines if ranks else ():
        assert ranks is not None
        line["ranks"] = ranks["ranks"].get(line["id"])
        line |= ranks["speed"].get(line["id"], {})


# --- all tasks -------------------------------------------------------------------------------------------------------


def _overview(view: View, boards: Sequence[Board], asked: Mapping[str, str]) -> Row:
    entries, ranks = [], _known_ranks(view, asked)
    for board in boards:
        plugin = registry.load("tasks", board.task)
        systems = [line for line in board.lines if line.kind == "system"]
        lines = [_line(line, board) for line in board.lines]
        _fill(lines, ranks)
        kept = ("id", "model", "label", "kind", "cell", "ranks", "partial", "headline")
        entries.append({
            **_place(board), "group": plugin.group, "self_check": plugin.self_check,
            "metric": metric_document(*board.metric),
            "n": max((line.headline["n"] or 0 for line in systems), default=0),
            "lines": [{name: line[name] for name in kept} for line in lines],
            "mde": board.mde, "mde_sentence": _mde_sentence(board),
        })  # fmt: skip
    groups = group_documents(boards, entries, ranks["groups"] if ranks else {})
    return {"title": "Leaderboard", "overview": entries, "groups": groups, "ranks_pending": ranks is None}


# --- score against speed ---------------------------------------------------------------------------------------------


def pareto_document(view: View, asked: Mapping[str, str]) -> Row:
    """Return `/api/pareto`: each line's score, speed and price; frontier = no other is better and faster."""
    speed, prices, (board, *_) = cell_speed(view), _prices(view), find_boards(view, asked)
    sign = 1 if metric_document(*board.metric)["higher_is_better"] else -1
    points = []
    for line in board.lines:
        head = line.headline
        if line.kind == "system" and head["value"] is not None:
            known = speed.get(canonical_json([head[name] for name in CELL]), {})
            points.append({
                "id": line_id(line), "model": head["model"], "label": line.model, "score": head["value"],
                "low": head["low"], "high": head["high"], "n": head["n"], "partial": line.partial,
                "rows_per_second": known.get("rows_per_second"), "tokens_out": known.get("tokens_out"),
                "cost_per_1000": _cost(known, prices.get(head["model"], {})),
            })  # fmt: skip
    for point in points:
        rate = point["rows_per_second"]
        point["frontier"] = rate is not None and not any(
            (other["rows_per_second"] or -math.inf) >= rate and sign * other["score"] >= sign * point["score"]
            and (other["rows_per_second"], other["score"]) != (rate, point["score"])
            for other in points
        )  # fmt: skip
    return {**_place(board), "metric": metric_document(*board.metric), "points": points}


def _prices(view: View) -> dict[str, Row]:
    """Model -> its entry in the newest spec that names it."""
    found: dict[str, Row] = {}
    for run in view.scores("SELECT spec FROM runs WHERE spec IS NOT NULL ORDER BY committed_at"):
        found |= {entry.get("name"): entry for entry in json.loads(run["spec"]).get("models") or []}
    return found


def _cost(known: Row, entry: Row) -> float | None:
    """What a thousand answers cost at the prices that the spec gives; None where it gives none."""
    hourly, tokens = entry.get("price_per_hour"), entry.get("price_per_million_tokens")
    if hourly is None and tokens is None:
        return None
    cost = 0.0
    if hourly:
        if not known.get("rows_per_second"):
            return None
        cost += hourly / 3.6 / known["rows_per_second"]
    if tokens:
        if known.get("tokens_in") is None or known.get("tokens_out") is None:
            return None
        cost += (tokens[0] * known["tokens_in"] + tokens[1] * known["tokens_out"]) / 1000
    return cost
