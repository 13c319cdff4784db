# ruff: noqa: E501
"""The pages on canned answers: hostile text, empty and broken states, keys, exports, looks; in Debian's chromium."""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dashboard.conftest import settle, until, visit
from tests.dashboard.stand_in import EVIL, WEB, StandIn, documents

Opener = Callable[..., Any]
SAMPLE = "/?page=sample&task=mri_detection&dataset=brain&split=test&sample=s1"
BOARD = "/?task=mri_detection&dataset=brain&split=test"
COMPARE = "/?page=compare&a=model-a&b=model-b"
PAGES = ("/", BOARD, COMPARE, f"{COMPARE}&task=mri_detection", "/?page=samples", SAMPLE, "/?page=run", "/?page=judge", "/?page=pareto")  # fmt: skip


@pytest.fixture(scope="module")
def plain() -> Iterator[str]:
    with StandIn(documents()) as site:
        yield site.url


@pytest.fixture(scope="module")
def hostile() -> Iterator[str]:
    with StandIn(documents(EVIL)) as site:
        yield site.url


# --- the files themselves --------------------------------------------------------------------------------------------


def test_the_front_end_is_small_and_plain() -> None:
    files = [path for path in WEB.iterdir() if path.is_file()]
    first = {"index.html", "app.css", "theme.js", "app.js", "board.js"}
    for _ in range(4):  # and whatever those import
        first |= {
            name
            for each in first
            if each.endswith(".js")
            for name in re.findall(r'from "\./([\w-]+\.js)"', (WEB / each).read_text("utf-8"))
        }
    assert sum(len(gzip.compress((WEB / name).read_bytes(), 5)) for name in first) < 50_000
    for path in files:
        text = path.read_text("utf-8")
        assert len(text.splitlines()) <= 400, path.name
        addresses = set(re.findall(r"https?://[^\s\"'`)]+", text)) - {"http://www.w3.org/2000/svg"}
        assert not addresses, (path.name, addresses)
        for word in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "javascript:",
        ):
            assert word not in text, (path.name, word)
    page = (WEB / "index.html").read_text("utf-8")
    assert not re.search(r"<script(?![^>]*\bsrc=)|\sstyle=|<style|\son\w+=", page)


# --- hostile text ----------------------------------------------------------------------------------------------------


def test_hostile_text_is_only_text(open_page: Opener, hostile: str) -> None:
    """Neither runs nor becomes an element nor widens the page, closed parts opened too; on every page."""
    shown = open_page(hostile)
    for page in PAGES:
        visit(shown, hostile + page)
        shown.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        shown.wait_for_timeout(100)
        assert shown.evaluate("window.pwned") is None, page
        assert shown.locator("#main a[href^='javascript']").count() == 0, page
        assert shown.locator("script").count() == 2, page
        sources = shown.eval_on_selector_all("img", "found => found.map((each) => each.getAttribute('src'))")
        assert all(source.startswith("api/image?") for source in sources), page
        assert "onerror=" in shown.inner_text("body"), page
        assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth"), page


def test_hostile_text_cannot_reorder_its_neighbours(open_page: Opener, hostile: str) -> None:
    shown = open_page(hostile + SAMPLE)
    styles = shown.eval_on_selector_all(".foreign", "found => found.map((each) => getComputedStyle(each).unicodeBidi)")
    assert len(styles) > 20
    assert set(styles) <= {"isolate", "isolate-override", "plaintext"}
    assert "\u0000" not in shown.inner_text("body")
    assert "\u2400" in shown.inner_text("body"), "NUL is shown, not swallowed"


def test_a_long_answer_is_cut_and_can_be_shown(open_page: Opener, plain: str) -> None:
    shown = open_page(plain + SAMPLE.replace("s1", "s7"))
    answer = shown.locator(".answer").first
    assert len(answer.inner_text()) < 3000
    answer.get_by_role("button", name="show all 108,000 characters").click()
    assert len(answer.locator(".prose").first.inner_text()) > 100_000
    answer.get_by_role("button", name="show less").click()
    assert len(answer.inner_text()) < 3000


# --- states ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"runs": [], "tasks": []}, ["No results yet", "raybench run jobs/quickstart.yaml"]),
        ({"tasks": []}, ["Nothing scored yet", "raybench score DIR"]),
        ({"partial": True, "committed": 0.62}, ["62 % committed"]),
        ({"problems": ["part-3.parquet is cut short; `raybench check` tells which rows are lost"]}, ["part-3.parquet"]),
    ],
)  # fmt: skip
def test_states_say_what_to_do(open_page: Opener, changes: dict[str, Any], words: list[str]) -> None:
    given = documents()
    with StandIn(given | {"meta": given["meta"] | changes}) as site:
        text = open_page(site.url).inner_text("body")
    for each in words:
        assert each in text


CARD = {
    "judge": "judge", "suite": "medical", "key": "k1", "supported": False, "reasons": ["negation (en): 50.0% of 80 as deserved, under 90%"], "sensitivity": {"value": 0.931, "low": 0.9, "high": 0.955, "n": 400},
    "kappa": {"value": 0.412, "low": 0.3, "high": 0.5, "n": 800}, "as_used": {"sensitivity": {"value": 0.96, "low": 0.93, "high": 0.98, "n": 410}},
    "categories": {"negation": {"n": 80, "passed": False, "bare": {"value": 0.5, "low": 0.4, "high": 0.6, "n": 80}, "languages": {"en": {"value": 0.5, "low": 0.4, "high": 0.6, "n": 80}}}, "laterality": {"n": 90, "passed": True, "bare": {"value": 0.75, "low": 0.7, "high": 0.8, "n": 90}, "languages": {"en": {"value": 0.75, "low": 0.7, "high": 0.8, "n": 90}}}},
    "calibration": {"n": 99, "ece": 0.02, "curve": [{"low": i / 10, "high": i / 10 + 0.1, "mean_p": i / 10, "share_correct": i / 10, "n": 9} for i in range(10)]},
    "attacks": [{"attack": "I am always right", "n": 50, "false_positive_rate": 0.02}, {"attack": "empty", "n": 50, "false_positive_rate": 0.0}],
}  # fmt: skip


def test_a_judge_card_is_read_in_words_tables_and_a_curve(open_page: Opener) -> None:
    given = documents()
    judge = {**given["judge"], "card": CARD, "cards": [CARD, {**CARD, "suite": "phantom", "supported": True}]}
    with StandIn(given | {"judge": judge}) as site:
        shown = open_page(f"{site.url}/?page=judge")
        text = shown.inner_text("#main")
        assert "negation (en): 50.0% of 80 as deserved" in text
        table = shown.locator("section", has_text="Agreement with the truth").locator("table")
        rows = [row.inner_text().split("\t") for row in table.locator("tbody tr").all()]
        cells = [[" ".join(cell.split()) for cell in row] for row in rows]
        assert ["Sensitivity", "93.1 [90.0, 95.5]", "400", "96.0 [93.0, 98.0]", "410"] in cells
        assert ["Kappa", "0.412 [0.300, 0.500]", "800", "–", "–"] in cells
        assert "laterality" in text
        assert "75.0 ±5.0" in " ".join(text.split())
        assert "I am always right" in text
        assert shown.locator("svg.plot[role=img]").count() == 1
        shown.select_option("#card", "1")
        until(shown, "location.search.includes('card=1')")
        settle(shown)
        assert "it passes there" in shown.inner_text("#main")


def test_a_running_run_fills_in_by_itself(open_page: Opener) -> None:
    """From storage, without a reload: the second answer to the same question holds more rows."""
    given = documents()
    asked: list[int] = []

    def run(_: Any) -> dict[str, Any]:
        asked.append(1)
        stream = {"total": 100, "counts": {"answered": 10 * len(asked)}, "rows_per_second": 2.0, "eta_seconds": 45.0}
        return {**given["run"], "status": "running", "progress": {"phase": "answering", "streams": {"model-a": stream}}}

    runs = [{**each, "status": "running"} for each in given["runs"]]
    with StandIn(given | {"run": run, "runs": runs}) as site:
        shown = open_page(f"{site.url}/?page=run")
        assert "10 of 100" in shown.inner_text(".streams")
        until(shown, "document.querySelector('.streams').innerText.includes('20 of 100')")


def test_a_broken_answer_is_a_sentence_with_a_way_on(open_page: Opener) -> None:
    with StandIn(documents() | {"board": 500}) as site:
        shown = open_page(site.url + BOARD, expect="500")
        assert "The folder has no such thing." in shown.inner_text("#main")
        assert shown.get_by_role("button", name="Try again").is_visible()


def test_phantoms_are_called_a_self_check(open_page: Opener) -> None:
    given = documents()
    tasks = [{**task, "self_check": True} for task in given["meta"]["tasks"]]
    with StandIn(given | {"meta": given["meta"] | {"tasks": tasks}}) as site:
        assert "never a medical claim" in open_page(site.url + SAMPLE).inner_text("#banner")


def test_two_models_are_needed(open_page: Opener, plain: str) -> None:
    assert "Two models are needed" in open_page(f"{plain}/?page=compare").inner_text("#main")
    assert "same model" in open_page(f"{plain}/?page=compare&a=model-a&b=model-a").inner_text("#main")


# --- numbers ---------------------------------------------------------------------------------------------------------


def test_numbers_as_the_specification_writes_them(open_page: Opener, plain: str) -> None:
    shown = open_page(plain)
    found = shown.evaluate("""async () => {
        const f = await import("/web/format.js");
        return [f.number(0.6714), f.number(null), f.number(0.5, "coefficient"), f.signed(-0.0204), f.signed(0.00001),
            f.interval({value: 0.671, low: 0.668, high: 0.674}), f.interval({value: 0.671, low: 0.6, high: 0.7}), f.interval({value: 0.5}),
            f.pvalue(0.0002), f.pvalue(0.0417), f.ranks([1, 3]), f.ranks([2, 2]), f.words("f1_50"), f.words("phantom_mri_detection"), f.share(3, 300)];
    }""")
    assert found == [
        "67.1", "–", "0.500", "−2.0", "0.0", "±0.3", "[60.0, 70.0]", "", "<0.001", "0.042", "1–3", "2", "F1 at IoU 0.5",
        "phantom MRI detection", "1.0",
    ]  # fmt: skip


def test_kinds_flags_and_small_samples_look_different(open_page: Opener, plain: str) -> None:
    shown = open_page(plain + BOARD)
    row = {name: shown.locator("tbody tr", has_text=name).first for name in ("model-c", "model-d", "majority", "Paper")}
    assert row["model-c"].locator(".small .n").first.inner_text() == "n=12"
    assert row["model-d"].locator(".headline").inner_text() == "–"
    assert row["model-d"].get_by_text("partial").is_visible()
    assert row["majority"].locator("svg rect.mark").count() == 1
    assert row["Paper"].locator("svg path.mark").count() == 1
    assert row["Paper"].locator("input[type=checkbox]").count() == 0
    row["Paper"].get_by_text("degenerate").hover()
    assert "same answer nearly everywhere" in shown.inner_text("#tip")
    row["model-c"].locator(".headline a").focus()
    assert "n = 12" in shown.inner_text("#tip")
    assert "uncalibrated" in shown.inner_text("thead")
    assert "Differences under 4.1 points cannot be told apart here." in shown.inner_text("#main")


# --- the question a stranger asks ------------------------------------------------------------------------------------


def test_which_is_better_by_how_much_and_three_cases(open_page: Opener, plain: str) -> None:
    shown = open_page(plain + BOARD)
    for model in ("model-a", "model-b"):
        shown.get_by_label(f"Compare {model}").check()
    shown.locator("#compare").click()
    shown.wait_for_selector(".verdict")
    verdict = shown.inner_text(".verdict")
    assert "model-a is better than model-b at mri detection".lower() in verdict.lower()
    assert "67.1 against 52.3" in verdict
    assert "14.8 points (95 % interval 8.1 to 21.0), p < 0.001, 300 samples" in verdict
    cases = shown.locator(".case")
    assert cases.count() == 6
    cases.first.locator(".mini rect").first.wait_for(state="attached")
    assert cases.first.locator(".mini rect").count() == 6, "reference and both models, each with its halo"
    cases.first.click()
    shown.wait_for_selector(".stage")
    assert shown.locator(".reference rect").count() == 2
    assert shown.locator(".predicted").count() == 2
    assert shown.locator(".answer h2").all_inner_texts() == ["model-a", "model-b"]
    assert "model-a right, the other wrong: 1 of 4" in shown.inner_text(".crumbs")
    shown.keyboard.press("j")
    until(shown, "location.search.includes('sample=s2')")
    settle(shown)
    assert "2 of 4" in shown.inner_text(".crumbs")


def test_predictions_are_dashed_and_the_reference_is_not(open_page: Opener, plain: str) -> None:
    shown = open_page(plain + SAMPLE)
    lines = "found => found.map((each) => [each.getAttribute('stroke'), each.getAttribute('stroke-dasharray')])"
    reference = shown.eval_on_selector_all(".overlay .reference rect", lines)
    assert reference == [["#000", None], ["#00e5ff", None]]
    predicted = shown.eval_on_selector_all(".overlay .predicted rect", lines)
    assert [line for line, _ in predicted[::2]] == ["#000"] * 3, "a halo under each"
    assert all(dash for _, dash in predicted)
    assert len({tuple(line) for line in predicted[1::2]}) == 3, "each model has a colour and dash of its own"
    box = shown.locator(".overlay .reference rect").nth(1)
    corners = [float(box.get_attribute(name)) for name in ("x", "y", "width", "height")]
    assert corners == [16, 12, 16, 18], "fractions of a 64 x 48 image"
    at, image = box.bounding_box(), shown.locator(".stage").bounding_box()
    assert at["x"] - image["x"] == pytest.approx(image["width"] * 0.25, abs=4)
    assert image["width"] / image["height"] == pytest.approx(64 / 48, abs=0.02)


# --- keys ------------------------------------------------------------------------------------------------------------


def test_keys(open_page: Opener, plain: str) -> None:
    shown = open_page(plain + SAMPLE)
    shown.keyboard.press("b")
    assert shown.locator(".overlay rect").count() == 0
    shown.keyboard.press("b")
    assert shown.locator(".overlay rect").count() == 8
    shown.keyboard.press("j")
    until(shown, "location.search.includes('sample=s2')")
    settle(shown)
    shown.keyboard.press("k")
    until(shown, "location.search.includes('sample=s1')")
    settle(shown)
    shown.keyboard.press("?")
    assert shown.locator("dialog[open]").is_visible()
    shown.keyboard.press("Escape")
    assert shown.locator("dialog[open]").count() == 0
    shown.keyboard.press("Escape")
    until(shown, "location.search.includes('sample=s2')")


def test_keys_on_the_board_and_none_inside_inputs(open_page: Opener, plain: str) -> None:
    shown = open_page(plain + BOARD)
    shown.keyboard.press("/")
    shown.keyboard.type("jxeb?")
    assert shown.input_value("#filter") == "jxeb?"
    assert "No model has this in its name." in shown.inner_text("tbody")
    shown.fill("#filter", "model-b")
    assert shown.locator("tbody tr").count() == 1
    assert "filter=model-b" in shown.url
    shown.keyboard.press("Escape")
    shown.keyboard.press("j")
    assert shown.evaluate("document.activeElement.textContent") == "model-b"
    shown.keyboard.press("x")
    assert "pick=model-b" in shown.url
    shown.keyboard.press("e")
    assert shown.evaluate("document.activeElement.textContent") == "CSV"
    shown.reload()
    settle(shown)
    assert shown.locator("tbody tr").count() == 1
    assert shown.get_by_label("Compare model-b").is_checked()


# --- exports ---------------------------------------------------------------------------------------------------------


def _download(page: Any, name: str) -> str:
    with page.expect_download() as waiting:
        page.get_by_role("button", name=name, exact=True).first.click()
    return Path(waiting.value.path()).read_text("utf-8")


def test_exports_hold_what_is_shown(open_page: Opener, plain: str) -> None:
    shown = open_page(f"{plain}{BOARD}&filter=model-a")
    (row,) = csv.DictReader(io.StringIO(_download(shown, "CSV")))
    assert (row["model"], row["rank best"], row["rank worst"], float(row["value"]), row["n"]) == (
        "model-a",
        "1",
        "2",
        0.671,
        "300",
    )
    assert float(row["value low"]) == pytest.approx(0.671 - 0.9 / 300**0.5)
    markdown = _download(shown, "Markdown").splitlines()
    assert markdown[2].startswith("| Rank | Model | F1 at IoU 0.5 |")
    assert markdown[4].startswith("| 1–2 | model-a | 67.1 [61.9, 72.3] |")
    latex = _download(shown, "LaTeX")
    assert latex.index("\\toprule") < latex.index("\\midrule") < latex.index("\\bottomrule")
    assert "1--2 & model-a & 67.1 [61.9, 72.3]" in latex
    shown.get_by_role("button", name="Copy link").click()
    assert shown.evaluate("navigator.clipboard.readText()") == shown.url


def test_exports_of_hostile_text_stay_tables(open_page: Opener, hostile: str) -> None:
    shown = open_page(f"{hostile}/?page=samples")
    rows = list(csv.reader(io.StringIO(_download(shown, "CSV"))))
    assert {len(row) for row in rows} == {len(rows[0])}
    assert rows[1][1] == f"Where? {EVIL}"
    assert not any(cell.startswith(("=", "+", "@")) for row in rows for cell in row)
    lines = _download(shown, "Markdown").strip().splitlines()[2:]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {len(rows[0])}
    latex = _download(shown, "LaTeX")
    assert "\\input{" not in latex.replace("\\textbackslash{}input", "")
    assert {len(re.findall(r"(?<!\\)&", line)) for line in latex.splitlines() if line.endswith("\\\\")} == {
        len(rows[0]) - 2
    }


# --- looks -----------------------------------------------------------------------------------------------------------


def _background(page: Any) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_light_and_dark_follow_the_system_and_the_choice_stays(open_page: Opener, plain: str) -> None:
    assert _background(open_page(plain)) == "rgb(255, 255, 255)"
    shown = open_page(plain, dark=True)
    assert _background(shown) == "rgb(15, 18, 21)"
    shown.click("#theme")
    assert _background(shown) == "rgb(255, 255, 255)"
    shown.reload()
    settle(shown)
    assert _background(shown) == "rgb(255, 255, 255)"


def test_phones_zoom_and_names(open_page: Opener, plain: str) -> None:
    """A phone, and 200 % zoom (which leaves 660 of 1320 px): wide tables scroll sideways, the page never does.

    Every table, control and picture has a name for those who listen.
    """
    shown = open_page(plain, width=375, height=700, dark=True)
    for page in PAGES:
        visit(shown, plain + page)
        for width in (375, 660):
            shown.set_viewport_size({"width": width, "height": 700})
            assert shown.evaluate("document.documentElement.scrollWidth") <= width, page
        assert shown.evaluate("""() => [...document.querySelectorAll("table.data")].every((each) =>
            each.caption && each.tHead && each.querySelector("th[scope=col]"))"""), page
        nameless = shown.evaluate("""() => [...document.querySelectorAll("button, a[href], input, select, svg[role=img]")].filter((each) =>
            !(each.getAttribute("aria-label") || each.textContent.trim() || each.labels?.length)).map((each) => each.outerHTML)""")
        assert nameless == [], page
        assert shown.locator("h1").count() == 1, page
        assert shown.title().endswith("· raybench"), page


def test_sorting_says_so(open_page: Opener, plain: str) -> None:
    shown = open_page(plain + BOARD)
    head = shown.locator("th", has_text="Model").first
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert "majority" in shown.locator("tbody tr .name").first.inner_text()
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert "sort=-model" in shown.url
    shown.locator("th", has_text="F1 at IoU 0.5").get_by_role("button").click()
    values = shown.locator("tbody td.headline .value").all_inner_texts()
    assert values == sorted(values, reverse=True)
    assert "model-d" in shown.locator("tbody tr").last.inner_text(), "what is missing stands last"
