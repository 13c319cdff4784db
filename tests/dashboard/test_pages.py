"""The pages on the real server over 50,000 graded rows: every page, deep links, keys, exports, what a stranger asks."""

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
from tests.dashboard.conftest import settle, until
from tests.dashboard.serving import serving
from tests.dashboard.stand_in import EVIL
from tests.dashboard.synthetic import synthetic
from tests.results import fill, questions

pytestmark = pytest.mark.slow  # each starts a browser

Opener = Callable[..., Any]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server over 20 models on four question sets and one detection set."""
    folder = tmp_path_factory.mktemp("pages") / "results"
    synthetic(folder)
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


@pytest.mark.parametrize("page", ["board", "compare", "samples", "pareto", "judge", "run"])
@pytest.mark.parametrize("dark", [False, True])
def test_every_page_by_its_link(open_page: Opener, site: str, page: str, dark: bool) -> None:
    models = ask(site, "meta")["models"]
    pair = {"a": models[0], "b": models[1]} if page == "compare" else {}
    shown = open_page(link(site, page=page, **pair), dark=dark)
    assert shown.locator("#main table.data").count() >= 1
    assert "This cannot be shown" not in shown.inner_text("#main")


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
        for query in (
            {},
            place,
            {"page": "samples", **place},
            {"page": "sample", **place, "sample": "s01"},
            {"page": "run"},
        ):
            shown = open_page(link(url, **query))
            assert shown.evaluate("window.pwned") is None
            assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert "This cannot be shown" not in shown.inner_text("#main")
