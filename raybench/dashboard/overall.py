"""Several tasks of one group and scale as one number: the plain mean, where every task is there.

Its interval adds the tasks' variances, which are of different samples. Its ranks come from the mean of the paired
differences in the same way (normal approximation), Holm-adjusted over all pairs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import NormalDist
from typing import Any

from raybench import registry
from raybench.dashboard.lines import line_id
from raybench.dashboard.ranking import Pair, Pairs, ranges
from raybench.leaderboard import Board, Line
from raybench.schema import Row

__all__ = ["group_documents", "group_ranks", "main_line"]

_Z = NormalDist().inv_cdf(0.975)


def main_line(board: Board, model: str) -> Line | None:
    """Return the line that stands for a model: the mean over prompt variants, else its best ranked one."""
    own = [line for line in board.lines if line.kind == "system" and line.headline["model"] == model]
    seen = [line for line in own if line.headline["images"] == "with"] or own
    means = [line for line in seen if line.headline["variant"] == "*"]
    whole = [line for line in seen if not line.partial and line.headline["variant"] != "*"]
    return next(iter(means + whole + seen), None)


def _groups(boards: Sequence[Board]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for i, board in enumerate(boards):
        found.setdefault(registry.load("tasks", board.task).group, []).append(i)
    return found


def _one_scale(boards: Sequence[Board]) -> bool:
    heads = [line.headline for board in boards for line in board.lines if line.kind == "system"]
    return len({(head["unit"], head["higher_is_better"], head["metric"]) for head in heads}) == 1


def group_documents(boards: Sequence[Board], entries: Sequence[Row], ranks: Mapping[str, Any]) -> list[Row]:
    """Return the groups of the overview: a line a model, a cell a task, and the overall where it may be had."""
    out = []
    for group, places in _groups(boards).items():
        here = [boards[i] for i in places]
        keys = [f"{board.task}|{board.dataset}|{board.split}" for board in here]
        documents = {line["id"]: line for i in places for line in entries[i]["lines"]}
        models = sorted({line.headline["model"] for board in here for line in board.lines if line.kind == "system"})
        lines = [_group_line(model, here, keys, documents) for model in models]
        sign = -1 if here[0].lines[0].headline["higher_is_better"] else 1
        order = {line["model"]: _order(line, keys, sign) for line in lines}
        lines.sort(key=lambda line: (*order[line["model"]], line["model"]))
        single = ranks.get(group, {}) if len(here) > 1 else {}
        for line in lines:
            line["ranks"] = single.get(line["model"]) if len(here) > 1 else line.pop("only", None)
            line.pop("only", None)
        out.append({"group": group, "tasks": keys, "lines": lines})
    return out


def _order(line: Row, keys: Sequence[str], sign: int) -> tuple[bool, float]:
    known = [cell["value"] for key in keys if (cell := line["cells"].get(key)) and cell["value"] is not None]
    value = line["overall"]["value"] if line["overall"] else sum(known) / len(known) if known else 0.0
    return len(known) < len(keys), sign * value


def _group_line(model: str, boards: Sequence[Board], keys: Sequence[str], documents: Mapping[str, Row]) -> Row:
    cells: dict[str, Row] = {}
    only = None
    for board, key in zip(boards, keys, strict=True):
        line = main_line(board, model)
        if line is not None:
            document = documents[line_id(line)]
            cells[key], only = {**document["headline"], "partial": line.partial}, document["ranks"]
    known = [cell for cell in cells.values() if cell["value"] is not None and not cell["partial"]]
    whole = len(known) == len(keys)
    overall = _mean(list(cells.values())) if whole and len(keys) > 1 and _one_scale(boards) else None
    return {"model": model, "overall": overall, "cells": cells, "only": only}


def _mean(cells: Sequence[Row]) -> Row:
    n = len(cells)
    value = sum(cell["value"] for cell in cells) / n
    found: Row = {"value": value, "low": None, "high": None, "n_tasks": n, "unit": cells[0]["unit"]}
    if all(cell["low"] is not None and cell["high"] is not None for cell in cells):
        error = math.sqrt(sum(((cell["high"] - cell["low"]) / (2 * _Z)) ** 2 for cell in cells)) / n
        found |= {"low": value - _Z * error, "high": value + _Z * error}
        if found["unit"] == "fraction":
            found |= {"low": max(0.0, found["low"]), "high": min(1.0, found["high"])}
    return found


def group_ranks(boards: Sequence[Board], done: Sequence[Row]) -> dict[str, dict[str, list[int]]]:
    """Return group -> model -> (best, worst) rank by the overall; only models that every task ranks.

    Args:
        done: for each board its "ranks" (line -> range) and "pairs" (two lines -> test).
    """
    out = {}
    for group, places in _groups(boards).items():
        if len(places) < 2 or not _one_scale([boards[i] for i in places]):
            continue
        named = [_ranked_lines(boards[i], done[i]["ranks"]) for i in places]
        models = sorted(set.intersection(*(set(each) for each in named)))
        pairs = {
            (a, b): _overall_test([
                _directed(done[i]["pairs"], lines[a], lines[b]) for i, lines in zip(places, named, strict=True)
            ])
            for a, b in combinations(models, 2)
        }  # fmt: skip
        out[group] = ranges(models, pairs, boards[places[0]].lines[0].headline["higher_is_better"])
    return out


def _ranked_lines(board: Board, ranks: Mapping[str, Any]) -> dict[str, str]:
    """Model -> the id of its ranked line."""
    models = {line.headline["model"] for line in board.lines if line.kind == "system"}
    lines = {model: line_id(line) for model in models if (line := main_line(board, model)) is not None}
    return {model: name for model, name in lines.items() if name in ranks}


def _directed(pairs: Pairs, a: str, b: str) -> Pair:
    if (a, b) in pairs:
        return pairs[a, b]
    other = pairs[b, a]
    return Pair(-other.value, other.error, other.p)


def _overall_test(tests: Sequence[Pair]) -> Pair:
    value = sum(test.value for test in tests) / len(tests)
    error = math.sqrt(sum(test.error**2 for test in tests)) / len(tests)
    p = 2 * NormalDist().cdf(-abs(value) / error) if error > 0 else float(value == 0)
    return Pair(value, error, p)
