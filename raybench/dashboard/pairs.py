"""Two models on the same samples, for the page: every common metric, slices and the cases in which they differ.

Hits are read as columns, so that a large folder needs little memory; metrics that are no mean of hits go through the
leaderboard's own comparison. Numbers are those of `raybench compare`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from raybench import registry
from raybench.dashboard.correct import Hits, headline_of, hits_of
from raybench.dashboard.folder import LIVE_RECORDS, View
from raybench.dashboard.ranking import Columns, cell_columns, paired_columns, where_cell
from raybench.dashboard.words import shown, without_identity
from raybench.errors import StoreError, nearest
from raybench.interfaces import Array, MetricDef
from raybench.leaderboard.hits import Graded, Paired, graded, paired
from raybench.schema import CELL, Row
from raybench.stats.paired import PairedDifference, mde, paired_difference

__all__ = ["FLIPS", "compare_document", "properties"]

#: Flips shown: with a task, and without.
FLIPS = (500, 100)
_PLACE = ("task", "dataset", "split")
_SHARED = (*_PLACE, "variant", "images")


def compare_document(view: View, asked: Mapping[str, str]) -> Row:
    """Return `/api/compare` of models `a` and `b`: all metrics of one task, or the headline of each.

    Raises:
        StoreError: an unknown model or task, or nothing that both were scored on.
    """
    a, b, task = asked["a"], asked["b"], asked.get("task")
    cells = view.scores(
        f"SELECT {', '.join(CELL)}, max(planned) AS planned FROM score WHERE kind = 'system' AND variant <> '*'"
        " GROUP BY ALL ORDER BY ALL"
    )
    for word, name, known in (("model", a, _known(cells, "model")), ("model", b, _known(cells, "model")),
                              ("task", task, _known(cells, "task"))):  # fmt: skip
        if name is not None and name not in known:
            raise StoreError(f"no scores of {word} {name!r}{nearest(name, known)}; there are: {', '.join(known)}")
    pairs = [
        (x, y) for x in cells for y in cells
        if x["model"] == a and y["model"] == b and all(x[name] == y[name] for name in _SHARED)
        and task in (None, x["task"])
    ]  # fmt: skip
    if not pairs:
        raise StoreError(f"{a} and {b} have no task, data set and prompt variant in common")
    whole = task is not None or len({tuple(x[name] for name in _PLACE) for x, _ in pairs}) == 1
    items = [item for x, y in pairs for item in _items(view, x, y, whole)]
    if not items:
        raise StoreError(f"{a} and {b} have no scored sample in common")
    return {"models": [a, b], "items": items, "properties": properties(view, a, b, pairs)}


def _known(cells: Sequence[Row], name: str) -> list[str]:
    return sorted({cell[name] for cell in cells})


def _items(view: View, a: Row, b: Row, whole: bool) -> list[Row]:
    """The metrics of one pair of cells; the headline first."""
    headline = headline_of(view, *(a[name] for name in _PLACE))
    names = [headline[0], *(name for name in registry.load("tasks", a["task"]).profiles if name != headline[0])]
    metrics = [
        (name, metric) for name in (names if whole else names[:1])
        for metric in registry.load("metrics", name).metrics if whole or metric.name == headline[1]
    ]  # fmt: skip
    metrics.sort(key=lambda each: (each[0], each[1].name) != headline)
    means = [(name, metric) for name, metric in metrics if metric.hit is not None and metric.reduce is None]
    flips = hits_of(headline)
    wanted = [Hits(name, (metric,), metric.binary) for name, metric in means] + ([flips] if flips else [])
    sides = cell_columns(view, (a, b), wanted, slices=True) if wanted else []
    out = []
    for name, metric in metrics:
        is_head = (name, metric.name) == headline
        if (name, metric) in means:
            found = _of_hits(sides, means.index((name, metric)), is_head)
        else:
            found = _reduced(view, (a, b), name, metric, is_head)
        if found is not None:
            out.append({**_named(a, name, metric), "headline": is_head, "slices": [], "flips": [], **found})
            if is_head and flips is not None:
                out[-1] |= _flips(view, (a, b), [side.counted(len(means)) for side in sides], flips, FLIPS[not whole])
    return out


def _named(cell: Row, profile: str, metric: MetricDef) -> Row:
    return {
        **{name: cell[name] for name in _SHARED}, "profile": profile, "metric": metric.name, "label": metric.name,
        "unit": metric.unit, "higher_is_better": metric.higher_is_better,
    }  # fmt: skip


def _of_hits(sides: Sequence[Columns], metric: int, headline: bool) -> Row | None:
    """A metric that is a mean of hits, and the same in each slice for the headline."""
    a, b = (side.counted(metric) for side in sides)
    in_a, in_b = paired_columns(a, b)
    if not len(in_a):
        return None
    hits, clusters = (a.hits[0][in_a], b.hits[0][in_b]), a.clusters[in_a]
    only = len(np.union1d(a.names, b.names)) - len(in_a)
    rows = _slice_rows(a.slices[in_a], hits, clusters) if headline else []
    return {**_difference(*hits, clusters), "only": only, "slices": rows}


def _difference(a: Array, b: Array, clusters: Array) -> Row:
    found = paired_difference(a, b, clusters)
    return {"value_a": float(a.mean()), "value_b": float(b.mean()), **_fields(found), "mde": _mde(found)}


def _fields(found: PairedDifference) -> Row:
    return {
        "difference": found.value, "low": found.low, "high": found.high, "p": found.p, "test": found.test,
        "n": found.n, "n_clusters": found.n_clusters, "only_a": found.only_a, "only_b": found.only_b,
        "flags": list(found.flags),
    }  # fmt: skip


def _mde(found: PairedDifference) -> float | None:
    discordance = ((found.only_a or 0) + (found.only_b or 0)) / found.n if found.n else 0
    return mde(found.n, discordance) if discordance else None


def _slice_rows(texts: Array, hits: tuple[Array, Array], clusters: Array) -> list[Row]:
    """One row a slice, from the slices that the samples themselves carry."""
    kinds, codes = np.unique(texts.astype(str), return_inverse=True)
    parsed = [json.loads(text) if text not in ("", "None") else {} for text in kinds]
    pairs = sorted({f"{name}={value}" for each in parsed for name, value in each.items() if value})
    names = {name for name in {pair.partition("=")[0] for pair in pairs}
             if sum(pair.startswith(f"{name}=") for pair in pairs) <= _MAX_VALUES}  # fmt: skip
    out = []
    for pair in pairs:
        name, _, value = pair.partition("=")
        inside = np.asarray([str(each.get(name, "")) == value for each in parsed])[codes]
        if name in names and inside.any() and not inside.all():
            out.append({"slice": pair, **_difference(hits[0][inside], hits[1][inside], clusters[inside])})
    return out


#: A slice column with more values than this is an identifier.
_MAX_VALUES = 40


#: A reduced metric is bootstrapped anew in each slice: for at most so many samples and slices.
_MAX_RESAMPLED, _MAX_RESAMPLED_SLICES = 2000, 40


def _reduced(view: View, cells: tuple[Row, Row], profile: str, metric: MetricDef, headline: bool) -> Row | None:
    sides = [_graded(view, cell, profile) for cell in cells]
    found = paired(sides[0], sides[1], metric)
    if found.value_a is None or found.value_b is None:
        return None
    rows = _reduced_slices(view, cells[0], sides, metric, found.samples) if headline else []
    return {**_paired_row(found), "mde": None, "only": found.left_out, "slices": rows}


def _paired_row(found: Paired) -> Row:
    return {"value_a": found.value_a, "value_b": found.value_b, **_fields(found.difference)}


def _reduced_slices(
    view: View, cell: Row, sides: Sequence[Graded], metric: MetricDef, samples: Sequence[str]
) -> list[Row]:
    """The same comparison on the samples of each slice; nothing where that would take long."""
    if len(samples) > _MAX_RESAMPLED:
        return []
    where, values = where_cell(cell)
    sql = f"SELECT DISTINCT r.sample, r.slices FROM {LIVE_RECORDS} WHERE {where}"
    parsed = {row["sample"]: json.loads(row["slices"] or "{}") for row in view.rows(sql, values)}
    inside: dict[str, list[str]] = {}
    for name in samples:
        for key, value in parsed.get(sides[0].rows[name]["sample"], {}).items():
            inside.setdefault(f"{key}={value}", []).append(name)
    names = [key for key in sorted(inside) if not key.endswith("=") and len(inside[key]) < len(samples)]
    out = []
    for key in names if len(names) <= _MAX_RESAMPLED_SLICES else ():
        parts = [Graded({name: side.statistics[name] for name in inside[key]}, side.rows) for side in sides]
        found = paired(parts[0], parts[1], metric)
        if found.value_a is not None and found.value_b is not None:
            out.append({"slice": key, **_paired_row(found)})
    return out


def _graded(view: View, cell: Row, profile: str) -> Graded:
    """Whole statistics, kept for the profile's other metrics."""

    def make() -> Graded:
        with view.store.connect(("records", "scores")) as connection:
            return graded(connection, cell, profile)

    found: Graded = view.once(("graded", profile, *(cell[name] for name in CELL)), make)
    return found


# --- the cases in which they differ ----------------------------------------------------------------------------------


def _flips(view: View, cells: tuple[Row, Row], sides: Sequence[Columns], hits: Hits, limit: int) -> Row:
    in_a, in_b = paired_columns(sides[0], sides[1])
    difference = sides[0].hits[0][in_a] - sides[1].hits[0][in_b]
    if not hits.metrics[0].higher_is_better:
        difference = -difference
    names = {int(name): float(size) for name, size in _largest(difference, sides[0], in_a, limit)}
    texts = [_texts(view, cell, list(names)) for cell in cells]
    flips = [
        {**{key: texts[0][name][key] for key in ("sample", "turn", "question", "target", "slices")},
         "text_a": texts[0][name]["text"], "text_b": texts[1][name]["text"], "size": abs(size),
         "better": cells[0]["model"] if size > 0 else cells[1]["model"]}
        for name, size in names.items() if name in texts[0] and name in texts[1]
    ]  # fmt: skip
    flips.sort(key=lambda flip: (-flip["size"], flip["sample"]))
    return {"flips": flips, **({"flips_by": hits.by} if hits.by else {})}


def _largest(difference: Array, side: Columns, places: Array, limit: int) -> list[tuple[Any, Any]]:
    """The largest differences, half of the room kept for each direction."""
    out = []
    for sign in (1, -1):
        chosen = np.flatnonzero(sign * difference > 0)
        order = chosen[np.argsort(-sign * difference[chosen], kind="stable")][: limit // 2]
        out += [(side.names[places[i]], difference[i]) for i in order]
    return out


def _texts(view: View, cell: Row, names: Sequence[int]) -> dict[int, Row]:
    """What was asked and answered, by the hash of what is scored."""
    if not names:
        return {}
    where, values = where_cell(cell)
    sql = (
        "SELECT DISTINCT ON (name) hash(r.sample, r.turn) AS name, r.sample, r.turn, r.question, r.target, r.text,"
        f" r.slices FROM {LIVE_RECORDS} WHERE {where} AND hash(r.sample, r.turn) IN ({', '.join('?' * len(names))})"
        " ORDER BY name, r.repeat"
    )
    return {
        row["name"]: {
            **row, "text": _cut(row["text"]), "slices": without_identity(json.loads(row["slices"] or "{}")),
        } for row in view.rows(sql, [*values, *names])
    }  # fmt: skip


def _cut(text: str | None, length: int = 2000) -> str:
    return text if text and len(text) <= length else f"{(text or '')[:length]}…" if text else ""


# --- what else is different between them -----------------------------------------------------------------------------


def properties(view: View, a: str, b: str, pairs: Sequence[tuple[Row, Row]]) -> list[Row]:
    """Return what the newest runs say of the two models, where it differs: [{name, a, b}]."""
    sides: list[dict[str, Any]] = [{}, {}]
    for run in view.scores("SELECT spec FROM runs WHERE spec IS NOT NULL ORDER BY committed_at"):
        for entry in json.loads(run["spec"]).get("models") or []:
            for side, name in zip(sides, (a, b), strict=True):
                if entry.get("name") == name:
                    side.clear()
                    side.update(flat(shown(entry)))
    for i, side in enumerate(sides):
        side["config"] = ", ".join(sorted({pair[i]["config"] for pair in pairs}))
        side.pop("name", None)
    names = sorted({*sides[0], *sides[1]})
    return [
        {"name": name, "a": sides[0].get(name), "b": sides[1].get(name)}
        for name in names if sides[0].get(name) != sides[1].get(name)
    ]  # fmt: skip


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """Return a nested document as path -> value, e.g. "models[0].revision"."""
    if isinstance(value, Mapping):
        parts = [(f"{path}.{key}" if path else str(key), each) for key, each in value.items()]
    elif isinstance(value, list) and any(isinstance(each, Mapping | list) for each in value):
        parts = [(f"{path}[{i}]", each) for i, each in enumerate(value)]
    else:
        return {path: value}
    return {name: each for key, inner in parts for name, each in flat(inner, key).items()}
