"""Bellwire's elements in the pages of other products: on another origin, with a strict policy, without cookies of third parties."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.gateway.client import Client
from tests.gateway.running import Gateway
from tests.page import frameworks
from tests.page.host_page import HostServer, block_cookies
from tests.page.pictures import make_ready, picture, upload
from tests.waiting import until

pytestmark = pytest.mark.only("sqlite")  # the database does not matter here

Open = Callable[..., Page]
MAX_BYTES = 40_000
COOKIE: Any = {"name": "bellwire", "value": "1", "domain": "127.0.0.1", "path": "/", "sameSite": "None", "secure": True}
WITH_COOKIES = "(url) => fetch(`${url}/api/v1/instance`, { credentials: 'include', mode: 'no-cors' }).then(() => null)"
STATES = "performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('/state')).length"
REMEMBER = """() => {
    const elements = [...document.querySelectorAll("bellwire-unread, bellwire-chat, bellwire-conversations")];
    const { chat } = elements.at(-1);
    globalThis.remembered = [...elements, chat, chat.store, chat.store.bell].map((object) => new WeakRef(object));
}"""
BOXES = """() => [...document.querySelector("bellwire-chat").shadowRoot.querySelectorAll("bw-messages, :is(header, bw-composer) *")]
    .map((element) => JSON.stringify(element.getBoundingClientRect()))"""
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
def visit(open_page: Open, host: HostServer) -> Iterator[Open]:
    """Open the host's page `path` as a user, with `body` in it, in a browser that has a cookie of Bellwire. No call may have it."""

    def open_host(
        user: Client, body: str, path: str = "/", *, script: str = "/host.js", beside: Page | None = None, **options: Any
    ) -> Page:
        host.pages[path] = f'{body}<script type="module" src="{script}"></script>'
        page = beside.context.new_page() if beside else open_page("about:blank", **options)
        page.context.add_cookies([COOKIE])
        block_cookies(page, cookies)
        page.goto(f"{host.url}{path}?user={user.name}")
        return page

    cookies: list[str] = []
    yield open_host
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
    second.evaluate(WITH_COOKIES, ben.gateway.url)  # the browser itself sends none


@pytest.mark.needs_binary("npm")
@pytest.mark.parametrize("framework", ["react", "vue"])
def test_a_framework_draws_the_elements(
    customers: list[Client], gateway: Gateway, host: HostServer, visit: Open, framework: str
) -> None:
    def change(**values: str | bool) -> None:
        page.evaluate("(values) => change(values)", values)

    ana, ben, cleo = customers
    host.scripts |= frameworks.scripts(framework)
    root = f'<div id="root" data-user="{ana.name}" data-partner="{ben.name}"></div>'
    page = visit(ana, root, script=f"/{framework}-page.js")
    title, field = page.locator("bellwire-chat h1"), page.get_by_label("Message", exact=True)
    write(page, "from a framework")
    expect(texts(page)).to_have_text(["from a framework"])
    assert page.evaluate(STATES) == 1, "mounting twice begins once"
    field.fill("a draft")
    change(isShown=False)
    expect(page.locator("bellwire-chat")).to_have_count(0)
    change(isShown=True)
    expect(texts(page)).to_have_text(["from a framework"])
    expect(field).to_have_value("a draft")

    change(partner=cleo.name)
    expect(title).to_have_text(cleo.name.capitalize())
    page.locator("bellwire-conversations a").click()
    expect(title).to_have_text(ben.name.capitalize())
    gateway.waiting(1)

    change(user=ben.name, partner=ana.name)
    expect(title).to_have_text(ana.name.capitalize())
    expect(texts(page)).to_have_text(["from a framework"])
    assert page.evaluate("Object.keys(localStorage).filter((key) => key.includes('draft'))") == []

    page.evaluate(REMEMBER)
    change(isShown=False)
    gateway.waiting(0)
    until(lambda: collected(page))
    page.evaluate("document.querySelector('bellwire-layer').remove()")  # as where the page gets another body
    change(isShown=True)
    expect(texts(page)).to_have_text(["from a framework"])
    page.locator("bellwire-conversations header button").click()
    expect(page.locator("bellwire-layer dialog")).to_be_visible()
    change(user=ana.name, partner=ben.name)
    expect(page.locator("bellwire-layer dialog")).to_have_count(0)


def collected(page: Page) -> bool:
    """Whether nothing is left of the elements that REMEMBER has found, and of what they showed."""
    page.context.new_cdp_session(page).send("HeapProfiler.collectGarbage")
    return bool(page.evaluate("remembered.every((reference) => !reference.deref())"))


def test_tabs_of_the_other_product_share_one_stream(customers: list[Client], gateway: Gateway, visit: Open) -> None:
    ana, ben, _ = customers
    body = ALL.replace("{partner}", ben.name)
    first = visit(ana, body)
    gateway.waiting(1)
    second = visit(ana, body, beside=first)
    write(second, "from the second")
    expect(texts(first)).to_have_text(["from the second"])
    gateway.waiting(1)
    first.evaluate("document.querySelector('main').remove()")
    expect(first.locator("bellwire-chat")).to_have_count(0)
    ben.send("to the remaining tab", to=ana)
    expect(texts(second)).to_have_text(["from the second", "to the remaining tab"])
    until(lambda: second.evaluate("navigator.locks.query().then(({ pending }) => pending.length)") == 0)
    gateway.waiting(1)


def test_a_file_is_sent_from_the_page_of_another_product(customers: list[Client], visit: Open) -> None:
    ana, ben, _ = customers
    page = visit(ana, f'<bellwire-chat with="ext:{ben.name}"></bellwire-chat>')
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Attach files").click()
    chooser.value.set_files({"name": "invoice.txt", "mimeType": "text/plain", "buffer": b"12.00"})
    write(page, "the invoice")
    expect(texts(page)).to_have_text(["the invoice"])
    expect(page.locator(".echo")).to_have_count(0)
    (message,) = ben.get(f"/conversations/{ben.get('/conversations').json()['items'][0]['id']}/messages").json()["items"]
    assert [file["name"] for file in message["files"]] == ["invoice.txt"]


def test_a_token_is_asked_for_again_when_it_is_refused(
    customers: list[Client], host: HostServer, visit: Open, admin: Client
) -> None:
    ana, ben, _ = customers
    page = visit(ana, f'<bellwire-chat with="ext:{ben.name}"></bellwire-chat><bellwire-unread></bellwire-unread>')
    expect(page.locator("bellwire-chat header")).to_have_css("display", "flex")  # with the styles of a chat alone
    write(page, "one")
    expect(texts(page)).to_have_text(["one"])
    assert page.evaluate("asked") == 1
    assert page.evaluate(STATES) == 1
    expect(page.locator("bellwire-chat header button")).to_have_count(2)  # the chat is a conversation now
    boxes = page.evaluate(BOXES)
    page.get_by_role("button", name="Emoji").click()
    expect(page.locator("bellwire-chat .emoji-picker")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("bellwire-chat .emoji-picker")).to_have_count(0)
    assert page.evaluate(BOXES) == boxes, "a style that is loaded later changes nothing of a chat"

    token = admin.post(f"/admin/users/{ana.id}/tokens", {}).json()["token"]
    host.token_of = {ana.name: token}.__getitem__
    assert ana.post("/logout", {}).status_code == 204
    ben.send("two", to=ana)
    expect(texts(page)).to_have_text(["one", "two"])
    write(page, "three")
    expect(texts(page)).to_have_text(["one", "two", "three"])
    assert page.evaluate("asked") == 2


def test_members_are_mentioned_and_people_are_blocked_in_the_other_page(customers: list[Client], visit: Open) -> None:
    ana, ben, cleo = customers
    crew = ana.group(ben, cleo)
    ben.send("hello", at=crew)
    page = visit(ana, f'<bellwire-chat conversation="{crew}"></bellwire-chat>')
    field = page.get_by_label("Message", exact=True)
    field.press_sequentially(f"@{ben.name[:3]}")
    expect(page.get_by_role("option")).to_have_count(2)
    expect(page.locator(".mentions")).to_have_css("position", "absolute")
    field.press_sequentially(ben.name[3:])
    expect(page.get_by_role("option")).to_have_count(1)
    field.press("Enter")
    expect(field).to_have_value(f"@{ben.name} ")
    field.press("Enter")
    expect(page.locator(".mention")).to_have_text(f"@{ben.name}")
    page.locator(".message", has_text="hello").hover()
    page.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name=f"Block {ben.name.capitalize()}…").click()
    page.get_by_role("dialog").get_by_role("button", name="Block").click()
    expect(texts(page).first).to_have_text("A message of somebody you blocked Show")
    page.get_by_role("button", name="Notifications", exact=True).click()
    page.get_by_role("menuitemradio", name="Mute until I change it").click()
    expect(page.get_by_role("button", name="Muted")).to_be_visible()


def test_files_are_shown_in_the_other_page_by_links(customers: list[Client], visit: Open) -> None:
    ana, ben, _ = customers
    crew = ana.group(ben)
    files = [upload(ana, "pier.png", picture(900, 600)), upload(ana, "plan.pdf", b"%PDF-1.7\n%%EOF")]
    make_ready(ana, files[0], picture(300, 200), 900, 600)
    ana.send("", at=crew, files=files)
    ben.send("last", at=crew)
    page = visit(ben, f'<bellwire-chat conversation="{crew}"></bellwire-chat>')
    image = page.get_by_alt_text(f"Picture pier.png from {ana.name.capitalize()}")
    until(lambda: image.evaluate("(image) => image.complete && image.naturalWidth === 300"))
    last = page.locator("bellwire-chat .message", has_text="last")
    until(lambda: last.evaluate("(row) => row.parentElement.parentElement.scrollHeight - row.offsetTop - row.offsetHeight < 60"))
    plan = page.get_by_role("link", name="Open plan.pdf, 1 kB")
    expect(plan).to_have_attribute("href", re.compile("signature="))
    assert httpx.get(str(plan.get_attribute("href"))).content.startswith(b"%PDF")
    image.click()
    expect(page.locator("bellwire-layer .viewer .position")).to_contain_text("1 of 1")
    until(lambda: page.locator(".viewer .stage img").evaluate("(image) => image.naturalWidth === 900"))
    page.keyboard.press("Escape")
    expect(page.locator(".viewer")).to_have_count(0)
    ana.send("", at=crew, files=[upload(ana, "more.txt", b"more")])
    expect(page.locator("bellwire-chat [role=log] p").last).to_have_text(f"{ana.name.capitalize()}: 📎 more.txt")


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
