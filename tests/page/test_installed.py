"""The page as an installed application: without a connection, and its notifications."""

import json
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from tests.gateway.client import Client
from tests.gateway.running import Gateway
from tests.page.entering import entered, write
from tests.waiting import until

pytestmark = pytest.mark.only("sqlite")  # the database does not matter here

Open = Callable[..., Page]
INSTALLED = "navigator.serviceWorker.ready.then(() => true)"


def installed(open_page: Open, user: Client, address: str = "", **options: object) -> Page:
    """Open the page of a user, and wait until its service worker has kept all files."""
    page = entered(open_page, user, address, service_workers="allow", **options)
    page.evaluate(INSTALLED)
    return page


def test_without_a_connection_the_page_opens_and_what_was_written_is_sent_later(served: Gateway, open_page: Open) -> None:
    ana, ben = served.users(2)
    crew = ana.group(ben)
    page = installed(open_page, ana, f"#/conversations/{crew}")
    page.context.set_offline(True)
    write(page, "written in a tunnel")
    page.reload()
    expect(page.locator("#bar")).to_contain_text("You are offline")
    expect(page.locator(".view")).to_contain_text("written in a tunnel")
    page.context.set_offline(False)
    expect(page.locator(".message:not(.echo) .text")).to_have_text(["written in a tunnel"])


def test_a_server_without_a_service_worker_is_left_by_it(served: Gateway, open_page: Open) -> None:
    page = installed(open_page, served.user())
    page.reload()
    assert page.evaluate("Boolean(navigator.serviceWorker.controller)")
    page.context.route("**/service-worker.js", lambda route: route.fulfill(status=404))

    def of_another_version(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, headers={**answer.headers, "bellwire-version": "another"})

    page.context.route(f"{served.url}/", of_another_version)
    page.reload()
    expect(page.locator("bw-conversations")).to_be_visible()
    until(lambda: page.evaluate("navigator.serviceWorker.getRegistrations().then((all) => all.length)") == 0)
    assert page.evaluate("caches.keys()") == []


def test_the_page_can_be_installed(served: Gateway, open_page: Open) -> None:
    page = open_page(served.url)
    manifest = page.context.new_cdp_session(page).send("Page.getAppManifest")
    assert manifest["errors"] == []
    content = json.loads(manifest["data"])
    assert (content["display"], content["start_url"], content["scope"]) == ("standalone", "/", "/")
    assert page.context.new_cdp_session(page).send("Page.getInstallabilityErrors")["installabilityErrors"] == []
    for icon in content["icons"]:
        size = page.evaluate(
            "async (src) => { const i = new Image(); i.src = src; await i.decode(); return i.naturalWidth; }", icon["src"]
        )
        assert icon["sizes"] in (f"{size}x{size}", "any")
