"""The browser's storage has one owner, and may be missing, full or damaged."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from gateway.http.static_files import FOLDER
from tests.gateway.client import Client
from tests.gateway.running import Gateway
from tests.page.entering import bodies, entered, titled, write

pytestmark = pytest.mark.only("sqlite")  # the database does not matter here

Open = Callable[..., Page]
COUNT_TOASTS = """() => {
    window.toasts = 0;
    const count = (records) => records.forEach((record) => (window.toasts += record.addedNodes.length));
    new MutationObserver(count).observe(document.querySelector("#toasts"), { childList: true });
}"""
FULL = "() => { Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); }; }"
FORBIDDEN = """() => {
    const refuse = () => { throw new DOMException("no", "SecurityError"); };
    Object.defineProperty(window, "localStorage", { get: refuse });
    Object.defineProperty(navigator, "cookieEnabled", { value: false });
    Object.defineProperty(document, "cookie", { get: () => "", set: () => {} });
    navigator.locks.request = async () => refuse();
}"""
DAMAGE = """(keys) => {
    for (const key of keys) localStorage.setItem(key, '{"client_id": "half a');
    localStorage.setItem(keys[0] + "x", '"text"');
    localStorage.setItem(keys[0] + "y", '{}');
}"""


def test_only_one_file_uses_the_storage_of_the_browser() -> None:
    users = [path for path in FOLDER.rglob("*.js") if any(area in path.read_text() for area in ("localStorage", "sessionStorage"))]
    assert [path.relative_to(FOLDER) for path in users] == [Path("shared/storage.js")]


def test_a_message_is_sent_when_the_storage_is_full(people: list[Client], open_page: Open) -> None:
    ana, ben, _ = people
    crew = ana.group(ben)
    page = entered(open_page, ana, f"#/conversations/{crew}")
    page.evaluate(FULL)
    page.evaluate(COUNT_TOASTS)
    write(page, "not kept, but sent")
    expect(page.locator(".toast")).to_contain_text("This browser keeps nothing here")
    expect(page.locator(".message:not(.echo)")).to_have_count(1)
    page.get_by_label("Message", exact=True).fill("half a word")
    page.evaluate("location.hash = '#/settings'")
    page.wait_for_selector("bw-settings")
    page.go_back()
    expect(page.get_by_label("Message", exact=True)).to_have_value("half a word")
    assert page.evaluate("toasts") == 1
    assert [one["body"] for one in ben.get(f"/conversations/{crew}/messages").json()["items"]] == ["not kept, but sent"]


def test_damaged_entries_are_ignored(people: list[Client], open_page: Open) -> None:
    ana, ben, _ = people
    crew = ana.group(ben)
    ana.send("hello", at=crew)
    page = entered(open_page, ana, f"#/conversations/{crew}")
    page.evaluate(DAMAGE, [f"bellwire:out:{ana.id}:1", f"bellwire:draft:{ana.id}:announcement"])
    page.reload()
    expect(page.locator(".message")).to_have_count(1)
    assert bodies(page) == ["hello"]


def test_drafts_of_earlier_versions_are_found(people: list[Client], open_page: Open) -> None:
    ana, ben, _ = people
    crew = ana.group(ben)
    page = entered(open_page, ana, "#/settings")
    page.evaluate("([key, text]) => localStorage.setItem(key, text)", [f"bellwire:draft:{ana.id}:{crew}", "half a word"])
    page.evaluate("([key, text]) => localStorage.setItem(key, text)", [f"bellwire:post:{ana.id}:", "half a post"])
    page.goto(f"{ana.gateway.url}/#/conversations/{crew}")
    expect(page.get_by_label("Message", exact=True)).to_have_value("half a word")
    page.goto(f"{ana.gateway.url}/#/posts")
    expect(page.get_by_label("Write a post")).to_have_value("half a post")


def test_one_signs_in_and_writes_where_nothing_may_be_stored(gateway: Gateway, admin: Client, open_page: Open) -> None:
    new = {"username": "nina", "email": "nina@example.org", "display_name": "Nina", "password": "correct horse battery"}
    (nina,) = admin.post("/admin/users", {"users": [new]}).json()["items"]
    admin.post("/conversations", {"members": [nina["id"]], "title": "Crew"})
    page = open_page("about:blank")
    page.add_init_script(f"({FORBIDDEN})()")
    page.goto(gateway.url)
    page.get_by_label("Username").fill("nina")
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Sign in", exact=True).click()
    titled(page, "Crew").click()
    write(page, "for the moment")
    expect(page.locator(".message:not(.echo)")).to_have_count(1)
