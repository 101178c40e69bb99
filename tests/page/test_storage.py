"""The browser's storage has one owner, and may be missing, full or damaged."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from gateway.http.static_files import FOLDER
from tests.gateway.client import Client
from tests.page.entering import bodies, entered, write

pytestmark = pytest.mark.only("sqlite")  # the database does not matter here

Open = Callable[..., Page]
FULL = "() => { Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); }; }"
FORBIDDEN = "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError'); } })"
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
    write(page, "not kept, but sent")
    expect(page.locator(".message:not(.echo)")).to_have_count(1)
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


def test_the_sign_in_works_where_the_storage_is_forbidden(people: list[Client], open_page: Open) -> None:
    page = open_page("about:blank")
    page.add_init_script(FORBIDDEN)
    page.goto(people[0].gateway.url)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
