"""Fixtures for the pages: a Debian chromium, and pages that fail on whatever a console would show.

`make test` installs chromium where it runs as root. Without it these tests are skipped on a laptop and fail under
`CI=true`: a check that silently does not run is none.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

CHROMIUM = "/usr/bin/chromium"
#: The last ones keep the browser from calling home, where it would wait for answers.
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync",
         "--disable-component-update")  # fmt: skip


def executable() -> str | None:
    """Where chromium is, or None."""
    return CHROMIUM if os.path.exists(CHROMIUM) else shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")  # while Playwright is open, its event loop runs here, and other tests want their own
def browser() -> Iterator[Any]:
    """A headless chromium, driven by Playwright."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _missing("playwright is not installed: pip install -e '.[dev]'")
    found = executable()
    if found is None:
        _missing("no chromium: `make chromium` as root installs it, else `sudo apt-get install chromium`")
    with sync_playwright() as playwright:
        # The sandbox needs rights that containers rarely have; the pages come from this machine.
        started = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield started
        started.close()


def _missing(what: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """A maker of pages: `open_page(url, width=375, dark=True)`; the test fails on any console error or foreign request.

    `expect` names what a console may say, e.g. "404" where a test asks for what is not there.
    """
    contexts, seen, allowed = [], list[str](), list[str]()

    def make(url: str, *, width: int = 1320, height: int = 900, dark: bool = False, expect: str = "") -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light",
            accept_downloads=True, permissions=["clipboard-read", "clipboard-write"],
        )  # fmt: skip
        context.set_default_timeout(180_000)  # machines that test are busy
        contexts.append(context)
        allowed.append(expect)
        host = urlsplit(url).netloc
        page = context.new_page()
        page.on("console", lambda message: seen.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: seen.append(f"page error: {error}"))
        page.on("request", lambda request: _check_host(request.url, host, seen))
        page.goto(url)
        settle(page)
        return page

    yield make
    for context in contexts:
        context.close()
    unexpected = [text for text in seen if not any(word and word in text for word in allowed)]
    assert not unexpected, unexpected


def _check_host(url: str, host: str, seen: list[str]) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("data", "blob") and parts.netloc != host:
        seen.append(f"request to another host: {url}")


def settle(page: Any) -> None:
    """Wait until the page stands: its heading is there and nothing is being asked."""
    page.wait_for_selector("#main h1")
    until(page, "!document.querySelector('#busy').classList.contains('on')")


def visit(page: Any, url: str) -> None:
    """Open another address in the same tab, as a bookmark would."""
    page.goto(url)
    settle(page)


def until(page: Any, expression: str, seconds: float = 180.0) -> None:
    """Wait until JavaScript says true; Playwright's own waiting evaluates strings in the page, against its policy."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"never true: {expression}"
        page.wait_for_timeout(20)
