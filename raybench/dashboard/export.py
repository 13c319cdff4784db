"""The same pages as files: every answer asked for once and written down, so that any web server can show them.

`api/index.json` maps a question to its file. What cannot be written in advance is made in the browser from what is:
filters of samples from one list a task, a comparison the other way round from its mirror image.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from raybench.dashboard.app import answer, web_files
from raybench.dashboard.folder import Folder, View
from raybench.dashboard.pictures import THUMB_PX, picture
from raybench.dashboard.policy import check_local
from raybench.dashboard.sample import image_refs
from raybench.errors import DataError, RaybenchError, SpecError, StoreError
from raybench.schema import Row
from raybench.store import Files

__all__ = ["MAX_PAIRS", "MAX_SAMPLES", "Exported", "export"]

#: Samples of each task, and pairs of models, that are written.
MAX_SAMPLES, MAX_PAIRS = 500, 45
_MAX_SLICES = 60
_PAGE = 200


@dataclass
class Exported:
    """What an export wrote: the number of files, and sentences on what was left out."""

    files: int = 0
    notes: list[str] = field(default_factory=list)


class _Site:
    """The files of one export."""

    def __init__(self, folder: Folder, out: Files) -> None:
        self.folder, self.view, self.out = folder, folder.view(), out
        self.done = Exported()
        self.index: dict[str, str] = {}
        self.images: dict[str, str] = {}

    def write(self, name: str, data: bytes) -> None:
        self.out.write(name, data)
        self.done.files += 1

    def ask(self, name: str, asked: Mapping[str, str]) -> Any:
        """Answer a question and keep the answer as a file; None, with a note, where it has none."""
        try:
            if name == "board" and "task" in asked:
                answer(self.folder, self.view, "ranks", asked)
            document = answer(self.folder, self.view, name, asked)
        except RaybenchError as error:
            self.done.notes.append(
                f"{name} {' '.join(asked.values())}: {error}".replace(self.folder.root, "the folder")
            )
            return None
        self.keep(name, asked, document)
        return document

    def keep(self, name: str, asked: Mapping[str, str], document: Any) -> None:
        file = f"api/{name}/{len([each for each in self.index if each.startswith(f'{name} ')])}.json"
        self.index[f"{name} {_key(asked)}"] = file
        self.write(file, _json(document))


def export(root: str, out: str, max_samples: int = MAX_SAMPLES, max_pairs: int = MAX_PAIRS) -> Exported:
    """Write a result folder's pages as a static site; return what was written.

    Args:
        out: an empty or new folder, or an earlier export; a path or an fsspec URL.
        max_samples: of each task; `max_pairs`: of models that are compared.

    Raises:
        StoreError: no such result folder, or nothing is scored in it.
        SpecError: `out` holds other files.
        PolicyError: restricted data would leave this machine.
    """
    folder, target = Folder(root), Files(out)
    view = folder.view()
    check_local(view, target.is_local, f"to {out.split('?')[0]}")
    present = target.names("")
    if present and "index.html" not in present:
        raise SpecError(f"{out} holds other files: export into a new or empty folder")
    site = _Site(folder, target)
    meta = site.ask("meta", {})
    if not meta or not meta["tasks"]:
        raise StoreError(f"{root} has no scores yet: nothing to export; `raybench status` shows what is answered")
    answer(folder, site.view, "ranks", {})
    site.ask("board", {})
    for task in meta["tasks"]:
        _write_task(site, task, max_samples)
    _write_pairs(site, meta, max_pairs)
    for run in site.ask("runs", {}) or []:
        site.ask("run", {"run_id": run["run_id"]})
    for judge in meta["judges"]:
        site.ask("judge", {"judge": judge})
    for name, data in web_files().items():
        if name == "index.html":
            site.write(name, data.replace(b'data-adapter="live"', b'data-adapter="static"', 1))
        else:
            site.write(f"web/{name}", data)
    site.write("api/index.json", _json({"questions": site.index, "images": site.images}))
    return site.done


def _write_task(site: _Site, task: Row, max_samples: int) -> None:
    place = {name: task[name] for name in ("task", "dataset", "split")}
    slices = [f"{name}={value}" for name, values in task["slices"].items() for value in values]
    if len(slices) > _MAX_SLICES:
        site.done.notes.append(f"{task['task']}: the first {_MAX_SLICES} of {len(slices)} slices")
    whole = {**place, "reported": "1"}
    board = site.ask("board", whole)
    for column in board["columns"] if board else ():
        if not column["profile"].startswith("judge "):
            site.ask("board", {**whole, "profile": column["profile"]})
    for name, values in (("slice", slices[:_MAX_SLICES]), ("judge", board["judges"] if board else ())):
        for value in values:
            site.ask("board", {**whole, name: value})
    if len(task["images"]) > 1:
        for images in task["images"]:
            site.ask("board", {**whole, "images": images})
    site.ask("pareto", place)
    _write_samples(site, place, max_samples)


def _write_samples(site: _Site, place: dict[str, str], max_samples: int) -> None:
    """One list of the rows of the first samples, and a file a sample."""
    rows: list[Row] = []
    asked = {**place, "limit": str(_PAGE)}
    facets: Any = {}
    names: dict[str, None] = {}
    while len(names) <= max_samples:
        page = answer(site.folder, site.view, "samples", asked)
        facets = page.get("facets", facets)
        rows += page["rows"]
        names |= dict.fromkeys(row["sample"] for row in page["rows"])
        if page["next"] is None:
            break
        asked = {**asked, "after": page["next"]}
    kept = list(names)[:max_samples]
    if len(names) > max_samples:
        site.done.notes.append(f"{place['task']}: the first {max_samples} samples; scores are of all")
    slices = {name: _write_sample(site, {**place, "sample": name}, kept) for name in kept}
    shown = [{**row, "slices": slices[row["sample"]]} for row in rows if row["sample"] in slices]
    site.keep("samples", place, {"rows": shown, "next": None, "total": len(shown), "facets": facets})


def _write_sample(site: _Site, asked: dict[str, str], kept: list[str]) -> dict[str, str]:
    document = answer(site.folder, site.view, "sample", asked)
    for side in ("previous", "next"):  # neighbours that are not written are none
        if document[side] and document[side]["sample"] not in kept:
            document[side] = None
    site.keep("sample", asked, document)
    for n, ref in enumerate(image_refs(site.view, asked)):
        key = "|".join([*asked.values(), str(n)])
        try:
            data, _ = picture(ref, THUMB_PX)
        except DataError:
            site.done.notes.append(f"an image of {asked['task']} sample {asked['sample']} cannot be opened")
            continue
        name = f"images/{len(site.images)}.jpg"
        site.images[key] = name
        site.write(name, data)
    slices: dict[str, str] = document["sample"]["slices"]
    return slices


def _write_pairs(site: _Site, meta: Row, max_pairs: int) -> None:
    pairs = list(combinations(meta["models"], 2))
    if len(pairs) > max_pairs:
        site.done.notes.append(f"comparisons: the first {max_pairs} of {len(pairs)} pairs of models")
    tasks = sorted({task["task"] for task in meta["tasks"]})
    for a, b in pairs[:max_pairs]:
        whole = site.ask("compare", {"a": a, "b": b}) if _share(site.view, a, b) else None
        if whole is not None and len(meta["tasks"]) == 1:  # the same question
            site.keep("compare", {"a": a, "b": b, "task": tasks[0]}, whole)
            continue
        for task in tasks:
            if whole is not None and _share(site.view, a, b, task):
                site.ask("compare", {"a": a, "b": b, "task": task})


def _share(view: View, a: str, b: str, task: str | None = None) -> bool:
    sql = (
        "SELECT 1 FROM score x JOIN score y USING (task, dataset, split, variant, images)"
        " WHERE x.kind = 'system' AND y.kind = 'system' AND x.model = ? AND y.model = ?"
        " AND (? IS NULL OR task = ?) LIMIT 1"
    )
    return bool(view.scores(sql, [a, b, task, task]))


def _key(asked: Mapping[str, str]) -> str:
    """A question as `static.js` spells it."""
    return json.dumps(sorted(asked.items()), ensure_ascii=False, separators=(",", ":"))


def _json(document: Any) -> bytes:
    text = json.dumps(document, ensure_ascii=False, default=str)
    if "NaN" in text or "Infinity" in text:
        text = json.dumps(json.loads(text, parse_constant=lambda _: None), ensure_ascii=False)
    return text.encode("utf-8", "replace")
