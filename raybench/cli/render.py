"""Boards, comparisons and rows as text: terminal tables, Markdown, LaTeX, CSV, JSON, plots."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from raybench import registry
from raybench.cli.watch import told
from raybench.leaderboard.trust import judge_mark, judge_notes
from raybench.schema import SCHEMA_VERSION, Row
from raybench.scoring.caveats import caveats
from raybench.scoring.corrected import CORRECTED, HUMAN_ACCURACY

if TYPE_CHECKING:
    from raybench.engine.doctor import Check
    from raybench.leaderboard import Board, Comparison, Line

__all__ = [
    "Cells",
    "board_cells",
    "boards",
    "checks",
    "comparisons",
    "facts",
    "listing",
    "readings",
    "rows_csv",
    "samples",
    "scores_json",
    "status",
    "table",
]


def table(header: Sequence[str], rows: Sequence[Sequence[str]], style: str, title: str = "") -> str:
    """Return a table as "table" (terminal), "markdown" or "latex" (booktabs); first column left, the rest right."""
    if style == "markdown":
        marks = "|".join([":--", *["--:"] * (len(header) - 1)])
        cells = [[cell.replace("|", "\\|") for cell in row] for row in (header, *rows)]
        lines = ["| " + " | ".join(row) + " |" for row in cells]
        return "\n".join([*([f"**{title}**\n"] if title else []), lines[0], f"|{marks}|", *lines[1:]]) + "\n"
    if style == "latex":
        lines = [" & ".join(_latex(cell) for cell in row) + r" \\" for row in (header, *rows)]
        start = r"\begin{tabular}{l" + "r" * (len(header) - 1) + "}"
        body = [start, r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule", r"\end{tabular}"]
        return "\n".join([*([f"% {title}"] if title else []), *body]) + "\n"
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    shown = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in (header, *rows)
    ]
    rule = "-" * max(len(line) for line in shown)
    return "\n".join([*([title] if title else []), shown[0], rule, *shown[1:]]) + "\n"


_LATEX = str.maketrans({
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", **{mark: f"\\{mark}" for mark in "&%_#${}"},
})  # fmt: skip


def _latex(text: str) -> str:
    return text.translate(_LATEX)


def _percent(value: float | None, unit: str = "fraction") -> str:
    if value is None:
        return "-"
    return f"{100 * value:.1f}" if unit == "fraction" else f"{value:.3f}"


def _interval(row: Row) -> str:
    if row["value"] is None:
        return "-"
    shown = _percent(row["value"], row["unit"])
    if row["low"] is None:
        return shown
    return f"{shown} [{_percent(row['low'], row['unit'])}, {_percent(row['high'], row['unit'])}]"


def scores_json(rows: Sequence[Row], strengths: Sequence[Row] = ()) -> str:
    """Return the one JSON document of `--format json`; "strengths" only where there are pairwise verdicts."""
    document = {"schema_version": SCHEMA_VERSION, "scores": list(rows)}
    more = {"strengths": list(strengths)} if strengths else {}
    return json.dumps(document | more, ensure_ascii=False, allow_nan=False) + "\n"


def rows_csv(rows: Sequence[Row]) -> str:
    """Return rows as CSV; lists are joined by semicolons."""
    if not rows:
        return ""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {k: ";".join(map(str, v)) if isinstance(v, list | tuple) else v for k, v in row.items()} for row in rows
    )
    return out.getvalue()


def boards(found: Sequence[Board], style: str) -> str:
    """Return every board as text."""
    return "\n".join(_board(board, style) for board in found)


def _board(board: Board, style: str) -> str:
    found = board_cells(board)
    comment = {"markdown": "\n", "latex": "% "}.get(style, "")
    tail = "".join(f"{comment}{note}\n" for note in found.notes)
    return table(found.header, found.rows, style, found.title) + tail


class Cells(NamedTuple):
    """A board as text: model, rank, headline, the other profiles and five counts a row."""

    title: str
    header: list[str]
    rows: list[list[str]]
    notes: list[str]


def board_cells(board: Board) -> Cells:
    """Return a board's texts, in the order of its lines."""
    title = (
        f"{board.task} on {board.dataset}/{board.split}: {board.metric[1]} ({board.metric[0]}), percent [95 % interval]"
    )
    header = ["model", "rank", board.metric[1], *(_column(column, board) for column in board.columns)]
    header += ["n", "clusters", "refused", "unparsed", "failed"]
    return Cells(title, header, [_line(line, board) for line in board.lines], _notes(board))


def _column(column: tuple[str, str], board: Board) -> str:
    profile, metric = column
    if profile == board.metric[0] or metric == HUMAN_ACCURACY:
        return metric
    return f"{profile} {_short(metric)}{judge_mark(board, profile)}"


def _short(metric: str) -> str:
    return metric.replace("overall_accuracy", "overall").replace("judge_accuracy", "accuracy")


def _line(line: Line, board: Board) -> list[str]:
    rank = "-".join(str(each) for each in sorted(set(line.ranks))) if line.ranks else "-"
    if line.kind == "reported":
        return _reported(line, board)
    marks = " (baseline)" if line.kind == "baseline" else " (partial)" if line.partial else ""
    others = [_beside(row) if (row := line.scores.get(key)) else "-" for key in board.columns]
    head = line.headline
    counts = [str(head[name]) for name in ("n", "n_clusters", "refused", "unparsed", "failed")]
    return [line.model + marks, rank, _interval(head), *others, *counts]


def _beside(row: Row) -> str:
    """A number beside the headline; what people and judge cards make of a judge's score has its interval."""
    trusted = row["metric"] in (CORRECTED, HUMAN_ACCURACY)
    return _interval(row) if trusted else _percent(row["value"], row["unit"])


def _reported(line: Line, board: Board) -> list[str]:
    """Published numbers: in a column of ours where profile, metric and data are the same, else named in the first."""
    head, here = line.headline, line.headline["dataset"] == board.dataset
    rows = line.scores if here else {}
    others = [_published(rows[key]) if key in rows else "" for key in board.columns]
    columns = (board.metric, *board.columns)
    named = [
        f"{_published(row)} {row['metric']}" + (f" ({row['profile']})" if row["profile"] else "")
        for key, row in line.scores.items() if not (here and key in columns)
    ]  # fmt: skip
    first = ", ".join(([_published(rows[board.metric])] if board.metric in rows else []) + named).strip()
    flags = dict.fromkeys(flag for row in line.scores.values() for flag in row["flags"])
    elsewhere = [f"on {head['dataset']}"] if head["dataset"] and not here else []
    setting = head["config"].split(";")[0]
    marks = ", ".join(["reported", *elsewhere, *([setting] if setting else []), *flags])
    return [f"{line.model} ({marks})", "-", first, *others, str(head["n"] or "-"), "", "", "", ""]


def _published(row: Row) -> str:
    shown = "no number" if row["value"] is None else _percent(row["value"], row["unit"])
    return f"<{shown}" if "censored" in row["flags"] else shown


_FLAGS = {
    "few clusters": "few clusters: an interval over fewer than 30 clusters is rough",
    "no spread": "no spread: no bootstrap draw differed, so Wilson's interval stands in",
    "constant": "constant: {models} said the same to every sample; the score is a property of the labels",
    "human": "human: a reader's own boxes, on the images that he or she read; the truth is made of them too",
}
#: Said elsewhere in the notes.
_SAID = {"partial"}


def _notes(board: Board) -> list[str]:
    notes = []
    if board.mde is not None:
        points = f"differences under {100 * board.mde:.1f} points cannot be told apart here"
        notes.append(f"{points} (paired, 80 % power, two models that disagree on 20 % of the rows)")
    notes += judge_notes(board)
    if any(line.partial for line in board.lines):
        notes.append("partial: scored on other samples, or on older labels (`raybench score` renews those); not ranked")
    if any(line.kind == "reported" for line in board.lines):
        notes.append("reported: published by others under rules of their own, not ranked; sources: --format json")
    ours, known = [line for line in board.lines if line.kind != "reported"], caveats(board.task)
    notes += known.values()
    for flag in sorted({flag for line in ours for flag in line.headline["flags"]} - _SAID - known.keys()):
        models = ", ".join(line.model for line in ours if flag in line.headline["flags"])
        notes.append(_FLAGS[flag].format(models=models) if flag in _FLAGS else f"flag: {flag}")
    others = [line for line in ours if "human" not in line.headline["flags"] and line.headline["coverage"] is not None]
    short = [line for line in others if line.headline["coverage"] < 1]
    notes += [
        f"{line.model}: coverage {line.headline['coverage']:.1%} (failed and unasked rows are not scored)"
        for line in short
    ]
    return notes


def comparisons(found: Sequence[Comparison], models: tuple[str, str], style: str, flips: int) -> str:
    """Return comparisons of two models as text in any style."""
    rows = [_comparison_row(item) for item in found]
    if style == "json":
        documents = [
            {**row, "flips": [vars(flip) for flip in item.flips]} for row, item in zip(rows, found, strict=True)
        ]
        return json.dumps({"schema_version": SCHEMA_VERSION, "models": list(models), "comparisons": documents}) + "\n"
    if style == "csv":
        return rows_csv(rows)
    header = [
        "task, metric",
        models[0],
        models[1],
        "difference [95 % interval]",
        "p",
        "only A right",
        "only B right",
        "n",
    ]
    lines = [
        [f"{row['task']} {row['profile']} {row['metric']}" + ("*" if row["headline"] else ""),
         _percent(row["value_a"], row["unit"]), _percent(row["value_b"], row["unit"]),
         _interval({**row, "value": row["difference"]}), _p(row["p"]),
         *("-" if row[name] is None else str(row[name]) for name in ("only_a", "only_b")), str(row["n"])]
        for row in rows
    ]  # fmt: skip
    text = table(header, lines, style, f"{models[0]} less {models[1]}, percent points; * headline")
    if style == "table":
        text += "".join(_flips_text(item, models, flips) for item in found if item.headline)
    return text


def _p(value: float | None) -> str:
    return "-" if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"


def _comparison_row(item: Comparison) -> Row:
    difference = item.difference
    return {
        "task": item.task, "dataset": item.dataset, "split": item.split, "variant": item.variant, "images": item.images,
        "profile": item.profile, "metric": item.metric, "headline": item.headline, "value_a": item.value_a,
        "value_b": item.value_b, "difference": difference.value, "low": difference.low, "high": difference.high,
        "p": difference.p, "test": difference.test, "n": difference.n, "n_clusters": difference.n_clusters,
        "only_a": difference.only_a, "only_b": difference.only_b, "not_shared": item.only, "mde": item.mde,
        "unit": item.unit, "flags": [*difference.flags, *caveats(item.task)],
    }  # fmt: skip


def _flips_text(item: Comparison, models: tuple[str, str], limit: int) -> str:
    where, test = f"{item.task} ({item.dataset}, {item.variant})", item.difference
    lines = [f"\n{where}: {test.test} over {test.n_clusters} clusters"]
    lines += [f"flag: {flag}" for flag in test.flags] + list(caveats(item.task).values())
    if item.only:
        lines.append(f"{item.only} samples that only one of the two has a score for are left out")
    if item.mde is not None:
        points = f"differences under {100 * item.mde:.1f} points cannot be told apart here"
        lines.append(f"{points} (paired, 80 % power, at the disagreement seen)")
    for model in models if limit else ():
        lines.append(f"\nbetter from {model}:")
        for flip in [flip for flip in item.flips if flip.better == model][:limit]:
            lines.append(f"  {flip.sample}  {flip.question}  reference: {flip.target}")
            lines += [f"      {models[0]}: {_cut(flip.text_a)}", f"      {models[1]}: {_cut(flip.text_b)}"]
    return "\n".join(lines) + "\n"


def _cut(text: str | None, width: int = 160) -> str:
    shown = " ".join((text or "").split())
    return shown if len(shown) <= width else shown[: width - 1] + "…"


def samples(rows: Sequence[Row]) -> str:
    """Return records for reading, one block each."""
    if not rows:
        return "no rows\n"
    notes = {note: None for row in rows for note in caveats(row["task"]).values()}
    return "\n".join([*(_sample(row) for row in rows), *(f"{note}\n" for note in notes)])


def _sample(row: Row) -> str:
    name = f"{row['sample']} ({row['dataset']}/{row['split']}, {row['variant']}, repeat {row['repeat']})"
    ended = ": ".join(part for part in (row["outcome"], row["reason"], row["detail"]) if part)
    lines = [name, f"  image     {', '.join(row['image_uris']) or '-'}", f"  question  {row['question']}",
             f"  reference {row['target']}", f"  answer    {_cut(row['text'], 400) or '-'}",
             f"  read as   {row['value']} by {row['extractor']} ({row['format']})" if row["extractor"] else None,
             f"  outcome   {ended}"]  # fmt: skip
    for verdict in row["verdicts"]:
        probs = json.loads(verdict["label_probs"] or "{}")
        shown = ", ".join(f"{label} {p:.2f}" for label, p in probs.items())
        by = f"{verdict['judge']} ({verdict['protocol']}, {verdict['decided_by']})"
        lines.append(f"  verdict   {verdict['label'] or verdict['status']} by {by} {shown}".rstrip())
    return "\n".join(line for line in lines if line is not None) + "\n"


def status(runs: Sequence[Row], cells: Sequence[Row]) -> str:
    """Return runs and cells as two tables."""
    lines = [[row["run_id"], row["status"], row["began"][:19], told(row), _cut(row["detail"], 80)] for row in runs]
    text = table(["run", "status", "began (UTC)", "progress", "detail"], lines, "table")
    names = ("planned", "responses", "answered", "refused", "unparsed", "failed", "pending")
    body = [
        [f"{row['model']} on {row['task']} ({row['dataset']}/{row['split']}, {row['variant']}, images {row['images']})",
         *(str(row[name]) for name in names)]
        for row in cells
    ]  # fmt: skip
    return text + "\n" + table(["cell", *names], body, "table")


def facts(found: Sequence[Row]) -> str:
    """Return the facts of run records: counts of counts as a table, anything else as JSON."""
    blocks = []
    for row in found:
        where = f"{row['dataset']}/{row['split']}, {row['variant']}, images {row['images']}"
        for name, value in row["facts"].items():
            title = f"{row['model']} on {row['task']} ({where}): {row['profile']} {name}"
            blocks.append(_fact(title, value))
    return "\n".join(blocks) or "no facts\n"


def _fact(title: str, value: Any) -> str:
    if isinstance(value, dict) and value and all(isinstance(each, dict) for each in value.values()):
        columns = sorted({name for each in value.values() for name in each}, key=lambda name: (not name, name))
        body = [[name, *(str(each.get(column, 0)) for column in columns)] for name, each in sorted(value.items())]
        return table(["true, read as", *(column or "(neither)" for column in columns)], body, "table", title)
    shown = {name: json.dumps(each) for name, each in value.items()} if isinstance(value, dict) else {"": value}
    return f"{title}\n{_plain([[name, str(each)] for name, each in shown.items()])}"


def readings(found: Sequence[Row], style: str) -> str:
    """Return what each box convention would read of a model's answers, and what this is not for."""
    header = ["reading", "answers with boxes", "boxes", "in range", "mean IoU"]
    rows = [
        [row["reading"] + (" (declared)" if row["declared"] else ""), str(row["with_boxes"]), str(row["boxes"]),
         _percent(row["in_range"]), _percent(row["mean_iou"])]
        for row in found
    ]  # fmt: skip
    title = f"{found[0]['answers']} answers read under each convention, percent"
    note = (
        "diagnosis only: scoring never chooses a reading by the truth; it takes the one that the model's entry declares"
        " (`boxes`)\n"
    )
    return table(header, rows, style, title) + note


def checks(found: Sequence[Check]) -> str:
    """Return the doctor's findings."""
    width = max(len(check.name) for check in found)
    return "".join(f"{'ok ' if check.ok else '-- '} {check.name.ljust(width)}  {check.detail}\n" for check in found)


def listing(kind: str) -> str:
    """Return the plugins (or catalogue entries) of a kind with one line each."""
    if kind in ("tasks", "metrics"):
        found = [(name, registry.load(kind, name)) for name in registry.names(kind)]
        # A profile's own spelling is the one that scores carry.
        marked = {name: caveats(name) for name, _ in found} if kind == "tasks" else {}
        marks = {name: f" ({', '.join(flags)})" for name, flags in marked.items() if flags}
        return _plain([[getattr(each, "name", name), _first_line(each) + marks.get(name, "")] for name, each in found])
    entries = [entry for entry in registry.catalogue().values() if (entry.get("kind") == "judge") == (kind == "judges")]
    rows = [
        [str(entry["name"]), _cut(f"{entry['backend']} {entry.get('model', '')}  {entry.get('notes', '')}".rstrip())]
        for entry in entries
    ]
    plugins = "judges" if kind == "judges" else "models"
    word = "protocols" if kind == "judges" else "backends"
    parts = [[name, _first_line(registry.load(plugins, name))] for name in registry.names(plugins)]
    return f"{word}:\n{_plain(parts)}\ncatalogue:\n{_plain(rows)}"


def _plain(rows: Sequence[Sequence[str]]) -> str:
    width = max((len(row[0]) for row in rows), default=0)
    return "".join(f"  {name.ljust(width)}  {text}\n" for name, text in rows)


def _first_line(plugin: Any) -> str:
    return (plugin.__doc__ or "").strip().split("\n")[0]
