"""Quiet hours in the settings: they are set and removed, what they would have meant is shown, and what waits now."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.gateway.running import Gateway
from tests.page.entering import PHONE, entered

pytestmark = pytest.mark.only("sqlite")  # the database does not matter here

Open = Callable[..., Page]


def test_quiet_hours_are_tried_and_set(served: Gateway, open_page: Open) -> None:
    ana, ben = served.users(2)
    for n in range(3):
        ana.send(f"message {n}", to=ben)
    page = entered(open_page, ben, "#/settings")
    section = page.locator("bw-quiet-hours")
    expect(section.get_by_label("From")).to_be_hidden()
    section.get_by_label("I have quiet hours").check()
    expect(section).to_contain_text("By the clock of UTC; they end on the next day")
    expect(section).to_contain_text(
        "In the last 14 days there were 3 notifications. With these settings you would have received 1 e-mail."
    )
    for day in ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"):
        section.get_by_label(day).uncheck()
    section.get_by_role("button", name="Set quiet hours").click()
    expect(section).to_contain_text("Choose at least one day.")
    now = datetime.now(UTC)
    begin, end = now - timedelta(hours=1), now + timedelta(hours=3)
    section.get_by_label(f"{begin:%A}").check()
    section.get_by_label("From").fill(f"{begin:%H:%M}")
    section.get_by_label("To").fill(f"{end:%H:%M}")
    expect(section).to_contain_text("1 of these would have waited for the end of quiet hours.")
    section.get_by_role("button", name="Set quiet hours").click()
    expect(section).to_contain_text("Saved.")
    expect(section).to_contain_text(re.compile(r"It is quiet for you until \d\d:\d\d.* (Waiting: 1 e-mail|Nothing is waiting)\."))
    section.get_by_text("Why?").click()
    expect(section).to_contain_text("Urgent messages come at once.")
    expected = {"days": [f"{begin:%a}".lower()], "from": f"{begin:%H:%M}", "to": f"{end:%H:%M}"}
    assert ben.get("/me").json()["quiet"] == expected

    page.get_by_label("Time zone").select_option("Asia/Tokyo")
    page.get_by_role("button", name="Save").click()
    expect(section).to_contain_text("By the clock of Asia/Tokyo")
    page.reload()
    section.get_by_label("I have quiet hours").uncheck()
    section.get_by_role("button", name="Set quiet hours").click()
    expect(section).to_contain_text("Saved.")
    assert ben.get("/me").json()["quiet"] is None


@pytest.mark.parametrize("locale", ["en", "de", "ar"])
def test_quiet_hours_fit_a_phone_in_each_language(served: Gateway, open_page: Open, locale: str) -> None:
    ben = served.user()
    ben.patch("/me", {"locale": locale, "quiet": {"days": ["sat", "sun"], "from": "00:00", "to": "00:00"}})
    page = entered(open_page, ben, "#/settings", locale=locale, **PHONE)
    section = page.locator("bw-quiet-hours")
    expect(section.locator("[name=on]")).to_be_checked()
    expect(section.locator("[name=day]:checked")).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    inside = "(element) => [...element.querySelectorAll('input, label, p')].every((one) => one.scrollWidth <= innerWidth)"
    assert section.evaluate(inside)
