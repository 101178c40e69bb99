"""Notifications and notification preferences in a browser."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.gateway.client import Client
from tests.gateway.running import Gateway
from tests.page.entering import entered
from tests.waiting import until

pytestmark = pytest.mark.only("sqlite")  # the database does not matter here

Open = Callable[..., Page]
SCRIPT = "<img src=x onerror=alert(1)>"


def notifications(who: Client, count: int) -> list[dict[str, Any]]:
    """Wait until a user has this many notifications, and return them."""

    def found() -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = who.get("/notifications").json()["items"]
        return items if len(items) == count else []

    return until(found)


def test_a_notification_links_to_its_subject_and_is_then_read(served: Gateway, open_page: Open) -> None:
    ana, ben = served.users(2)
    admin = served.user("admin")
    sent = ben.send("hello", to=ana)
    admin.post("/admin/notifications", {"user_ids": [ana.id], "type": "system", "title": SCRIPT, "body": f"and {SCRIPT}"})
    notifications(ana, 2)
    made = ana.post("/posts", {"body": "mine"}).json()["id"]
    here, beside = entered(open_page, ana, "#/notifications"), entered(open_page, ana, "#/notifications/unread")
    expect(here).to_have_title("(2) Bellwire")  # one for the chat and one for the announcement, none for the message's notification
    expect(here.get_by_role("link", name="Notifications").locator(".badge")).to_contain_text("1")
    announced = here.locator(".unread .notice", has_text=SCRIPT)
    expect(announced.locator(".title")).to_have_text(f"Unread: {SCRIPT}")
    expect(announced.locator(".text")).to_have_text(f"and {SCRIPT}")
    announced.click()  # leads nowhere
    expect(here.locator(".unread .notice")).to_have_count(1)
    expect(beside.locator(".notice")).to_have_count(1)

    ben.put(f"/posts/{made}/like")
    here.get_by_role("link", name="liked your post").click()
    expect(here.locator(".post > .text")).to_have_text("mine")
    expect(beside.locator(".notice")).to_have_count(1)
    here.go_back()
    here.get_by_role("link", name=ben.name.capitalize()).last.click()
    expect(here).to_have_url(f"{served.url}/#/conversations/{sent['conversation']}/{sent['id']}")
    expect(beside.locator(".view")).to_contain_text("You have read everything.")
    expect(beside.get_by_role("button", name="Mark all as read")).to_be_disabled()


def test_all_are_marked_as_read_and_later_ones_are_unread(served: Gateway, open_page: Open) -> None:
    ana, ben, cleo = served.users(3)
    admin = served.user("admin")
    made = ana.post("/posts", {"body": "mine"}).json()["id"]
    ben.put(f"/posts/{made}/like")
    notifications(ana, 1)
    page = entered(open_page, ana, "#/notifications")
    cleo.put(f"/posts/{made}/like")
    expect(page.locator(".unread .notice .badge")).to_have_text("2 times")
    why = page.get_by_role("button", name="Why did I get this?")
    why.press("Enter")
    page.get_by_role("dialog").wait_for()
    admin.post("/admin/notifications", {"user_ids": [ana.id], "type": "system", "title": "A pause", "body": ""})
    expect(page.locator(".notice")).to_have_count(2)
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    expect(why.last).to_be_focused()
    page.get_by_role("button", name="Mark all as read").click()
    expect(page.locator(".unread")).to_have_count(0)
    expect(page.locator(".notice")).to_have_count(2)
    ben.post(f"/posts/{made}/comments", {"body": "well"})
    expect(page.locator(".unread .notice")).to_contain_text("commented on your post")
    expect(page.locator(".notice")).to_have_count(3)


def test_preferences_are_saved_as_they_are_changed(served: Gateway, open_page: Open) -> None:
    admin = served.user("admin")
    page = entered(open_page, admin, "#/notifications/preferences")
    page.get_by_label("Community: by e-mail").select_option("Each day")
    expect(page.get_by_role("status").filter(has_text="Saved")).to_have_text("Saved. Community, by e-mail: each day.")
    page.get_by_label("Messages: show here").uncheck()
    expect(page.get_by_text("Messages: not shown here")).to_be_visible()
    page.get_by_label("Messages: on my devices").uncheck()
    expect(page.get_by_text("Messages: not shown on your devices")).to_be_visible()
    page.get_by_label("Messages were sent").uncheck()
    expect(page.get_by_text("Messages were sent: not watched")).to_be_visible()
    chosen = admin.get("/notification-preferences").json()
    assert chosen["community"] == {"in_app": True, "email": "daily", "push": False}
    assert chosen["message"] == {"in_app": False, "email": "hourly", "push": False}
    assert admin.get("/admin/watches").json()["message.sent"] is False
    page.reload()
    expect(page.get_by_label("Community: by e-mail")).to_have_value("daily")
    expect(page.get_by_label("Messages: show here")).not_to_be_checked()
