"""Pictures of every page, light and dark, from a result folder: `make screenshots`.

    python -m tests.dashboard.screenshots results/quickstart docs/images

The two models of the newest run are compared on its first detection task, else on its first task.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.dashboard.conftest import executable, settle, until
from tests.dashboard.serving import serving

__all__ = ["take"]

WIDTH, HEIGHT = 1280, 860


def take(folder: Path, out: Path) -> list[Path]:
    """Write `dashboard-<page>-<light|dark>.png` into `out`, in 256 colours, and return their paths."""
    out.mkdir(parents=True, exist_ok=True)
    written = []
    with serving(folder) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=["--no-sandbox"])
        for theme in ("light", "dark"):
            context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=theme)  # type: ignore[arg-type]
            page = context.new_page()
            for name, query in _pages(url):
                page.goto(f"{url}/?{urlencode(query, doseq=True)}")
                settle(page)
                until(page, "![...document.querySelectorAll('td.rank')].some((each) => each.textContent === '…')", 300)
                page.wait_for_load_state("networkidle")
                page.wait_for_timeout(300)
                path = out / f"dashboard-{name}-{theme}.png"
                _save(page.screenshot(), path)
                written.append(path)
        browser.close()
    return written


def _save(png: bytes, path: Path) -> None:
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(path, optimize=True)


def _ask(url: str, name: str, **params: str) -> Any:
    with urlopen(f"{url}/api/{name}?{urlencode(params)}") as reply:
        return json.load(reply)


def _pages(url: str) -> Iterator[tuple[str, dict[str, Any]]]:
    meta = _ask(url, "meta")
    task = next((each for each in meta["tasks"] if "detection" in each["task"]), meta["tasks"][0])
    place = {name: task[name] for name in ("task", "dataset", "split")}
    yield "leaderboard", {}
    yield "task", {**place, "pick": meta["models"][:2]}
    yield "samples", {"page": "samples", **place}
    if len(meta["models"]) > 1:
        pair = dict(zip("ab", meta["models"], strict=False))
        yield "compare", {"page": "compare", **pair, **place}
        found = _ask(url, "compare", **pair)
        flips = [(item, flip) for item in found["items"] if item["task"] == task["task"] for flip in item["flips"]]
        if flips:
            item, flip = flips[0]
            side = "a" if flip["better"] == pair["a"] else "b"
            cell = {name: item[name] for name in ("variant", "images")}
            walk = {"model": list(pair.values()), "list": "flips", "side": side, **pair, **cell}
            yield "sample", {"page": "sample", **place, "sample": flip["sample"], **walk}
    yield "speed", {"page": "pareto", **place}
    if meta["judges"]:
        yield "judge", {"page": "judge"}
    yield "run", {"page": "run"}


if __name__ == "__main__":
    for path in take(Path(sys.argv[1]), Path(sys.argv[2])):
        print(path)
