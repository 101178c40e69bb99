"""Bellwire's elements in the page of another product: on another origin, with a strict policy, without cookies."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.gateway.client import Client
from tests.gateway.running import Gateway
from tests.page.host_page import HostServer

pytestmark = pytest.mark.only("sqlite")  # the database does not matter here

Open = Callable[..., Page]
MAX_BYTES = 40_000
LANGUAGES = ("en", "de", "ar")
ALL = """
<p>Messages <bellwire-unread></bellwire-unread></p>
<bellwire-conversations></bellwire-conversations>
<bellwire-chat id="chat" with="ext:{partner}"></bellwire-chat>
<bellwire-inbox></bellwire-inbox>
"""


@pytest.fixture(scope="module")
def host() -> Iterator[HostServer]:
    """The other product's server."""
    server = HostServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway], host: HostServer) -> Gateway:
    """A gateway that the host's pages may call."""
    made = make_gateway(allowed_origins=host.url)
    host.bellwire = made.url
    return made


@pytest.fixture
def customers(gateway: Gateway, host: HostServer, people: list[Client]) -> list[Client]:
    """Ana, Ben and Cleo with external ids, for whom the host has tokens."""
    for person in people:
        gateway.execute("UPDATE users SET external_id=? WHERE id=?", person.name, person.id)
    host.token_of = {person.name: str(person.token) for person in people}.__getitem__
    return people


@pytest.fixture
def visit(open_page: Open, host: HostServer) -> Open:
    """Open the host's page `path` as a user, with `body` in it. No call may have a cookie."""

    def open_host(user: Client, body: str, path: str = "/", **options: Any) -> Page:
        host.pages[path] = body
        page = open_page(f"{host.url}{path}?user={user.name}", **options)
        page.on("request", lambda request: cookies.append(request.url) if "cookie" in request.headers else None)
        return page

    cookies: list[str] = []
    yield open_host  # type: ignore[misc]
    assert cookies == []


def write(page: Page, text: str) -> None:
    """Write in the chat of the page."""
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")


def texts(page: Page) -> Locator:
    """The messages of the chat."""
    return page.locator("bellwire-chat .message:not(.echo) .text")


def test_two_users_of_another_product_chat_in_its_page(
    customers: list[Client], visit: Open, violations: Callable[[Page], list[str]]
) -> None:
    ana, ben, cleo = customers
    first = visit(ana, ALL.replace("{partner}", ben.name), "/ana")
    expect(first.locator("bellwire-chat h1")).to_have_text(ben.name.capitalize())
    write(first, "does it fit?")
    expect(texts(first)).to_have_text(["does it fit?"])

    second = visit(ben, ALL.replace("{partner}", ana.name), "/ben", viewport={"width": 700, "height": 1600})
    expect(texts(second)).to_have_text(["does it fit?"])
    write(second, "it does")
    expect(texts(first)).to_have_text(["does it fit?", "it does"])
    expect(second.locator("bellwire-unread .badge")).to_have_count(0)

    cleo.send("hello", to=ben)
    expect(second.locator("bellwire-unread .badge")).to_have_text("1 unread")
    second.locator("bellwire-conversations a", has_text=cleo.name.capitalize()).click()
    expect(texts(second)).to_have_text(["hello"])
    expect(second.locator("bellwire-unread .badge")).to_have_count(0)
    assert second.evaluate("location.hash") == ""
    assert violations(second) == []


def test_a_token_is_asked_for_again_when_it_is_refused(
    customers: list[Client], host: HostServer, visit: Open, admin: Client
) -> None:
    ana, ben, _ = customers
    page = visit(ana, f'<bellwire-chat with="ext:{ben.name}"></bellwire-chat><bellwire-unread></bellwire-unread>')
    expect(page.locator("bellwire-chat header")).to_have_css("display", "flex")  # with the styles of a chat alone
    write(page, "one")
    expect(texts(page)).to_have_text(["one"])
    assert page.evaluate("asked") == 1
    assert page.evaluate("performance.getEntriesByType('resource').filter(({name}) => name.endsWith('/state')).length") == 1

    token = admin.post(f"/admin/users/{ana.id}/tokens", {}).json()["token"]
    host.token_of = {ana.name: token}.__getitem__
    assert ana.post("/logout", {}).status_code == 204
    ben.send("two", to=ana)
    expect(texts(page)).to_have_text(["one", "two"])
    write(page, "three")
    expect(texts(page)).to_have_text(["one", "two", "three"])
    assert page.evaluate("asked") == 2


def test_a_list_alone_shows_what_is_there_already(customers: list[Client], visit: Open) -> None:
    ana, ben, _ = customers
    ben.send("before the page", to=ana)
    page = visit(ana, "<bellwire-conversations></bellwire-conversations>")
    expect(page.locator("bellwire-conversations [data-conversation]")).to_contain_text("before the page")


def test_who_is_not_signed_in_there_is_told(customers: list[Client], host: HostServer, visit: Open) -> None:
    ana, ben, _ = customers
    tokens = {ana.name: ""}
    host.token_of = tokens.__getitem__
    page = visit(ana, f'<bellwire-chat with="ext:{ben.name}"></bellwire-chat>')
    expect(page.locator("bellwire-chat [role=alert]")).to_be_visible()
    tokens[ana.name] = str(ana.token)
    page.locator("bellwire-chat button").click()
    expect(page.locator("bellwire-chat h1")).to_have_text(ben.name.capitalize())
    page.evaluate("document.querySelector('bellwire-chat').setAttribute('with', 'ext:nobody')")
    expect(page.locator("bellwire-chat [role=alert]")).to_have_text("There is no such person.")


def test_elements_speak_the_language_of_the_page_and_fit_a_phone(
    customers: list[Client], host: HostServer, visit: Open, violations: Callable[[Page], list[str]]
) -> None:
    ana, ben, _ = customers
    ana.send("a" * 300, to=ben)
    host.lang = "ar"
    body = ALL.replace("{partner}", ben.name)
    page = visit(ana, body, viewport={"width": 320, "height": 2000}, color_scheme="dark")
    host.lang = "en"
    expect(texts(page)).to_have_count(1)
    expect(page.locator("bellwire-inbox .notices")).to_be_visible()
    field = page.locator("bellwire-chat textarea")
    assert field.get_attribute("placeholder") == "اكتب رسالة"
    assert page.locator("bellwire-chat header").evaluate("(element) => getComputedStyle(element).direction") == "rtl"
    wide = """(elements) => elements.map((e) => [e, e.shadowRoot.querySelector(".embedded")])
        .filter(([e, { scrollWidth }]) => scrollWidth > e.clientWidth).map(([e]) => e.localName)"""
    assert page.locator("bellwire-chat, bellwire-inbox, bellwire-conversations").evaluate_all(wide) == []

    page.evaluate("document.documentElement.style.colorScheme = 'dark'")  # a script of the host may
    page.locator("bellwire-chat .message").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("bellwire-chat .emoji-picker")).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(page.locator("bellwire-chat .emoji-picker")).to_have_count(0)
    page.locator("bellwire-chat .message").focus()
    page.locator("bellwire-chat .tools button").last.click()
    page.locator("bellwire-layer dialog button.dangerous").click()
    expect(page.locator("bellwire-chat .text.deleted")).to_have_count(1)


def test_a_chat_with_all_that_it_loads_is_small(gateway: Gateway, host: HostServer) -> None:
    def size(path: str) -> int:
        answer = httpx.get(gateway.url + path, headers={"Origin": host.url})
        assert answer.headers["Access-Control-Allow-Origin"] == host.url
        return len(gzip.compress(answer.content, 9))

    script = size("/static/embed.js")
    assert {language: script + size(f"/static/embed/words-{language}.js") < MAX_BYTES for language in LANGUAGES} == dict.fromkeys(
        LANGUAGES, True
    )
