"""A browser for the tests of the pages: Debian's Chromium, controlled by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.stores import program

FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
DEFAULTS: dict[str, Any] = {
    "viewport": {"width": 1280, "height": 900},
    "service_workers": "block",  # each test would load all files of the page once more, which `page.route` does not see
}
WAIT_MS = 40_000
expect.set_options(timeout=WAIT_MS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for the tests of a file. It is not shared further: Playwright's event loop would disturb other tests."""
    path = shutil.which("chromium-headless-shell") or program("chromium")  # the headless shell needs half the CPU time
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open a URL with new cookies and storage, and with options of Playwright's `new_context`. `init_script` runs first.

    At the end no page may have thrown an error or violated its security policy. Error statuses of answers are ignored.
    """
    faults: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            faults.append(message.text)

    def open_url(url: str, init_script: str = "", **options: Any) -> Page:
        context = browser.new_context(**{**DEFAULTS, **options})
        context.set_default_timeout(WAIT_MS)
        context.add_init_script(init_script)
        page = context.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(url)
        return page

    yield open_url
    for context in browser.contexts:
        context.close()
    assert faults == []


@pytest.fixture
def violations() -> Callable[[Page], list[str]]:
    """Return the accessibility rules of axe-core that a page violates, and the elements."""

    def check(page: Page) -> list[str]:
        violations = Axe().run(page).response["violations"]
        return [f"{rule['id']}: {node['target']} {node['failureSummary']}" for rule in violations for node in rule["nodes"]]

    return check
