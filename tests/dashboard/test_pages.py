"""The pages on the real server: every page, deep links, keys, exports, what a stranger asks.

Over 50,000 graded rows; over 2,000,000 in `make test-slow`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode
from urllib.request import urlopen

import pytest

from raybench.store import Store
from tests.dashboard.conftest import settle, until, visit
from tests.dashboard.serving import serving
from tests.dashboard.stand_in import EVIL
from tests.dashboard.synthetic import synthetic
from tests.results import fill, questions

Opener = Callable[..., Any]


@pytest.fixture(scope="module", params=[50_000, pytest.param(2_000_000, marks=pytest.mark.slow)])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server over ten models on four question sets and one detection set."""
    folder = tmp_path_factory.mktemp("pages") / "results"
    synthetic(folder, rows=request.param, models=10)
    with serving(folder) as url:
        yield url


def ask(site: str, name: str, **params: str) -> Any:
    with urlopen(f"{site}/api/{name}?{urlencode(params)}") as reply:
        return json.load(reply)


def place_of(site: str, word: str) -> dict[str, str]:
    task = next(each for each in ask(site, "meta")["tasks"] if word in each["task"])
    return {name: task[name] for name in ("task", "dataset", "split")}


def link(site: str, **params: Any) -> str:
    return f"{site}/?{urlencode(params, doseq=True)}"


@pytest.mark.parametrize("dark", [False, True])
def test_every_page_by_its_link(open_page: Opener, site: str, dark: bool) -> None:
    models = ask(site, "meta")["models"]
    shown = open_page(site, dark=dark)
    for page in ("board", "compare", "samples", "pareto", "judge", "run"):
        pair = {"a": models[0], "b": models[1]} if page == "compare" else {}
        visit(shown, link(site, page=page, **pair))
        assert shown.locator("#main table.data").count() >= 1, page
        assert "This cannot be shown" not in shown.inner_text("#main"), page


def test_the_board_shows_what_the_server_says(open_page: Opener, site: str) -> None:
    place = place_of(site, "slake")
    shown = open_page(link(site, **place, published=1))
    board = ask(site, "board", **place, reported="1")
    values = [
        f"{100 * line['headline']['value']:.1f}" for line in board["lines"] if line["headline"]["value"] is not None
    ]
    assert shown.locator("tbody td.headline .value").all_inner_texts() == values
    until(shown, "!document.querySelector('td.rank')?.textContent.includes('…')")
    (row,) = [row for row in csv.DictReader(io.StringIO(_csv(shown))) if row["model"] == board["lines"][0]["label"]]
    ranked = ask(site, "board", **place, reported="1")["lines"][0]
    assert [int(row["rank best"]), int(row["rank worst"])] == list(ranked["ranks"])
    assert float(row["value"]) == ranked["headline"]["value"]


def _csv(page: Any) -> str:
    with page.expect_download() as waiting:
        page.get_by_role("button", name="CSV", exact=True).first.click()
    return Path(waiting.value.path()).read_text("utf-8")


def test_from_the_board_to_three_cases(open_page: Opener, site: str) -> None:
    """Which of these two models is better at finding tumours, by how much, and where do they differ?"""
    place = place_of(site, "detection")
    models = [line["model"] for line in ask(site, "board", **place)["lines"] if line["kind"] == "system"]
    a, b = models[0], models[-1]
    shown = open_page(link(site, **place))
    for model in (a, b):
        shown.get_by_label(f"Compare {model}", exact=True).first.check()
    shown.locator("#compare").click()
    shown.wait_for_selector(".verdict")
    found = ask(site, "compare", a=a, b=b)
    (item,) = [each for each in found["items"] if each["headline"] and each["task"] == place["task"]]
    verdict = shown.inner_text(".verdict")
    for value in (item["value_a"], item["value_b"], abs(item["difference"])):
        assert f"{100 * value:.1f}" in verdict
    assert item["flips"], "a detection task shows cases too"
    shown.locator(".case").first.click()
    shown.wait_for_selector(".stage")
    until(shown, "document.querySelector('.board img').naturalWidth > 0")
    assert shown.locator(".answer").count() == 2
    assert shown.locator(".overlay rect").count() >= 2
    assert "1 of" in shown.inner_text(".crumbs")


def test_samples_are_filtered_and_paged(open_page: Opener, site: str) -> None:
    place = place_of(site, "slake")
    model = ask(site, "meta")["models"][0]
    shown = open_page(link(site, page="samples", **place, model=model))
    assert shown.locator("tbody tr").count() == 50
    shown.get_by_role("button", name="Show more").click()
    until(shown, "document.querySelectorAll('tbody tr').length === 100")
    shown.select_option("#outcome", "refused")
    until(shown, "location.search.includes('outcome=refused')")
    settle(shown)
    expected = ask(site, "samples", **place, model=model, outcome="refused", limit="50")["rows"]
    assert shown.locator("tbody a.open").all_inner_texts() == [row["sample"] for row in expected]
    assert set(shown.locator("tbody .badge").all_inner_texts()) == {"refused"}
    shown.locator("tbody a.open").first.click()
    shown.wait_for_selector(".answer")
    shown.keyboard.press("j")
    until(shown, f"location.search.includes('sample={quote(expected[1]['sample'])}')")
    shown.keyboard.press("Escape")
    shown.keyboard.press("Escape")
    until(shown, "location.search.includes('page=samples')")
    settle(shown)
    assert shown.input_value("#outcome") == "refused"


def test_what_is_not_there_is_said(open_page: Opener, site: str) -> None:
    shown = open_page(link(site, page="sample", **place_of(site, "slake"), sample="no-such"), expect="status of 40")
    assert "no-such" in shown.inner_text("#main")


def test_an_empty_folder_says_what_to_run(open_page: Opener, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    with serving(folder) as url:
        assert "raybench run jobs/quickstart.yaml" in open_page(url).inner_text("#main")


def test_hostile_answers_through_the_whole_product(open_page: Opener, tmp_path: Path) -> None:
    """The same strings stored, scored, served and shown: as text."""
    from raybench.scoring import score_store

    samples = questions(["yes", "no", EVIL.replace("\0", "")])
    store = Store(str(tmp_path / "results"))
    fill(store, samples, {(f"m {EVIL}".replace("\0", ""), "short", 0): ["yes", EVIL, "x" * 100_000]})
    score_store(store)
    with serving(tmp_path / "results") as url:
        place = place_of(url, "vqa")
        shown = open_page(url)
        for query in (
            {},
            place,
            {"page": "samples", **place},
            {"page": "sample", **place, "sample": "s01"},
            {"page": "run"},
        ):
            visit(shown, link(url, **query))
            assert shown.evaluate("window.pwned") is None
            assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert "This cannot be shown" not in shown.inner_text("#main")


def test_columns_are_hidden_and_pinned_in_the_address(open_page: Opener, site: str) -> None:
    shown = open_page(link(site, **place_of(site, "slake")), width=700)
    shown.locator(".columnsmenu summary").click()
    shown.get_by_label("Refused", exact=True).uncheck()
    until(shown, "location.search.includes('hide=refused')")
    settle(shown)
    assert "Refused" not in shown.inner_text("thead")
    shown.get_by_label("Pin n", exact=True).click()
    until(shown, "location.search.includes('pin=n')")
    settle(shown)
    heads = shown.locator("thead th").all_inner_texts()
    assert heads.index("n") == heads.index("Model") + 1
    shown.eval_on_selector(".scroll", "each => { each.scrollLeft = 400; }")
    model, n = (shown.locator("tbody tr").first.locator(".pin").nth(i).bounding_box() for i in (0, 1))
    left = shown.locator(".scroll").bounding_box()["x"]
    assert model["x"] == pytest.approx(left, abs=2), "stays while the rest scrolls"
    assert n["x"] == pytest.approx(model["x"] + model["width"], abs=2)


def test_a_slice_of_a_comparison_has_its_own_verdict_and_cases(open_page: Opener, site: str) -> None:
    place = place_of(site, "slake")
    found = ask(site, "compare", a="model-00", b="model-09")
    (item,) = [each for each in found["items"] if each["headline"] and each["task"] == place["task"]]
    (row,) = [each for each in item["slices"] if each["slice"] == "finding=tumour"]
    shown = open_page(link(site, page="compare", a="model-00", b="model-09", **place))
    shown.select_option("#slice", "finding=tumour")
    until(shown, "location.search.includes('slice=finding')")
    settle(shown)
    verdict = shown.inner_text(".verdict")
    assert "finding: tumour" in verdict
    assert f"{100 * row['value_a']:.1f}" in verdict
    assert f"{count_text(row['n'])} that both" in verdict
    inside = [flip for flip in item["flips"] if flip["slices"]["finding"] == "tumour"]
    assert shown.locator(".case").count() == min(
        3, len([each for each in inside if each["better"] == "model-00"])
    ) + min(3, len([each for each in inside if each["better"] == "model-09"]))
    shown.locator(".case").first.click()
    shown.wait_for_selector(".answer")
    assert "tumour" in shown.inner_text(".asking")


def count_text(n: int) -> str:
    return f"{n:,} sample{'' if n == 1 else 's'}"


def test_kinds_of_images_filter_all_tasks(open_page: Opener, site: str) -> None:
    shown = open_page(site)
    shown.select_option("#modality", "modality=mri")
    until(shown, "location.search.includes('slice=modality')")
    settle(shown)
    place = place_of(site, "slake")
    lines = ask(site, "board", **place, slice="modality=mri")["lines"]
    best = max(line["headline"]["value"] for line in lines if line["kind"] == "system")
    column = shown.locator("thead th", has_text="slake")
    at = column.evaluate("each => each.cellIndex")
    values = shown.eval_on_selector_all(
        "tbody tr", f"rows => rows.map((row) => row.cells[{at}]?.querySelector('.value')?.textContent)"
    )
    assert f"{100 * best:.1f}" in values
