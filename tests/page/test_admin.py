"""The admin area in a browser, with a gateway, a worker and a mail server."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.gateway.client import Client
from tests.gateway.running import Gateway
from tests.page.entering import PHONE, entered
from tests.smtp_server import SmtpServer
from tests.waiting import until

pytestmark = pytest.mark.only("sqlite")  # the database does not matter here

Open = Callable[..., Page]
SCRIPT = "<img src=x onerror=alert(1)>"
AREAS = ["users", "activity", "audit", "jobs", "announce", "explain"]


@pytest.fixture(scope="module")
def relay() -> Iterator[SmtpServer]:
    """The mail server that gets all mail."""
    server = SmtpServer().start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def instance(make_gateway: Callable[..., Gateway], relay: SmtpServer) -> Gateway:
    """A process with a gateway and a worker."""
    return make_gateway("serve", EMAIL_URL=relay.url)


@pytest.fixture(scope="module")
def root(instance: Gateway) -> Client:
    """An administrator."""
    return instance.user("admin")


def rows(page: Page) -> Locator:
    """Return the rows of the visible list."""
    return page.locator(".listing tbody tr")


def confirm(page: Page, action: str) -> None:
    """Press a button of the open dialog."""
    page.get_by_role("dialog").get_by_role("button", name=action, exact=True).click()


def test_suspended_users_are_signed_out_and_can_be_activated_again(instance: Gateway, root: Client, open_page: Open) -> None:
    ana, ben = instance.users(2)
    theirs = entered(open_page, ana)
    page = entered(open_page, root, "#/admin")
    page.get_by_label("Role").select_option("user")
    expect(page.get_by_label(f"Select {root.name.capitalize()}")).to_have_count(0)
    page.get_by_label("Select all shown").check()
    page.get_by_role("button", name="Suspend", exact=True).click()
    page.get_by_label("Reason").fill(f"too loud {SCRIPT}")
    confirm(page, "Suspend")
    outcome = page.locator(".notice-box li")
    expect(outcome).to_contain_text(["suspended: ", "0 unchanged", "0 missing"])
    expect(outcome.first).to_contain_text(ana.name.capitalize())
    expect(theirs.get_by_text("You were signed out.")).to_be_visible()
    assert ben.get("/me").status_code == 401
    page.get_by_label("Role").select_option("")
    for who in (ana, root):
        page.get_by_label(f"Select {who.name.capitalize()}", exact=True).check()
    page.get_by_role("button", name="Activate", exact=True).click()
    confirm(page, "Activate")
    expect(outcome).to_contain_text(
        [f"1 activated: {ana.name.capitalize()}", f"1 unchanged: {root.name.capitalize()}", "0 missing"]
    )
    expect(rows(page).filter(has_text=ana.name).get_by_text("Active")).to_be_visible()


def test_accounts_are_created_and_changed_and_input_survives_an_error(root: Client, open_page: Open) -> None:
    page = entered(open_page, root, "#/admin/users")
    page.get_by_role("button", name="Create an account").click()
    page.get_by_label("Username").fill(root.name)
    page.get_by_label("E-mail", exact=True).fill("gwen@example.org")
    page.get_by_role("dialog").get_by_label("Name", exact=True).fill(SCRIPT)
    confirm(page, "Create")
    expect(page.get_by_label("Username")).to_have_accessible_description("is taken")
    page.get_by_label("Username").fill("gwen")
    confirm(page, "Create")
    gwen = rows(page).filter(has_text="@gwen")
    expect(gwen.get_by_text(SCRIPT)).to_be_visible()
    page.get_by_role("button", name="Create many").click()
    lines = page.get_by_role("dialog").get_by_role("textbox")
    lines.fill("hugo, hugo@example.org, Hugo\n\ngwen; nowhere")
    confirm(page, "Create all")
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("Line 3: email: an e-mail address")
    lines.fill(lines.input_value().replace("gwen; nowhere", "ines\tines@example.org\tInes, née Costa"))
    confirm(page, "Create all")
    expect(rows(page).filter(has_text="Ines, née Costa")).to_be_visible()
    gwen.get_by_role("button", name="Change").click()
    page.get_by_role("dialog").get_by_label("Name", exact=True).fill("Gwen")
    page.get_by_role("dialog").get_by_label("Role").select_option("admin")
    confirm(page, "Save")
    expect(gwen.get_by_text("Admin", exact=True)).to_be_visible()
    expect(gwen.get_by_role("button", name="Change: Gwen")).to_be_focused()
    gwen.get_by_role("button", name="Create token").click()
    confirm(page, "Create")
    token = page.get_by_label("Token of Gwen").input_value()
    assert root.with_token(token).get("/me").json()["username"] == "gwen"
    gwen.get_by_role("button", name="Revoke tokens").click()
    confirm(page, "Revoke")
    expect(page.get_by_text("All tokens of Gwen were revoked")).to_be_visible()
    assert root.with_token(token).get("/me").status_code == 401


def test_activity_is_filtered_counted_and_downloaded(instance: Gateway, root: Client, open_page: Open) -> None:
    ana = instance.user()
    shared = {"description": SCRIPT, "user": ana.id, "site": "north"}
    records = [
        {"action": f"invoice.{what}", "metadata": {"invoice": n}, **shared} for n, what in enumerate(("paid", "paid", "sent"))
    ]
    assert [root.post("/activity", one).status_code for one in records] == [202] * 3
    until(lambda: len(root.get("/admin/activity", site="north").json()["items"]) == 3)
    page = entered(open_page, root, "#/admin/activity")
    page.get_by_label("User").fill(ana.name)
    page.get_by_label("Action").fill("invoice.paid")
    page.keyboard.press("Enter")
    expect(rows(page)).to_contain_text([f"{ana.name.capitalize()}invoice.paid{SCRIPT}"] * 2)
    page.get_by_text("Counts by the hour").click()
    expect(page.locator(".hours tbody tr")).to_contain_text([re.compile("invoice.pa.*2")])
    with page.expect_download() as saving:
        page.get_by_role("button", name="Download all").click()
    lines = Path(saving.value.path()).read_text().splitlines()
    assert [(one["action"], one["user"], one["site"]) for one in map(json.loads, lines)] == [("invoice.paid", ana.id, "north")] * 2
    page.get_by_label("Since").fill("2100-01-01T00:00")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nothing was recorded for these filters.")).to_be_visible()
    page.get_by_label("User").fill("nobody.at.all")
    page.keyboard.press("Enter")
    expect(page.get_by_text("There is no user with this name.")).to_be_visible()


def test_a_failed_mail_is_sent_when_it_is_tried_again(instance: Gateway, root: Client, relay: SmtpServer, open_page: Open) -> None:
    relay.refused["lost@example.org"] = f"550 5.1.1 No such mailbox {SCRIPT}"
    new = {"email": "lost@example.org", "username": "lost", "password": "correct horse battery"}
    assert instance.anonymous().post("/signup", new).status_code == 201
    page = entered(open_page, root, "#/admin/jobs")
    dead = page.get_by_role("region", name="Failed work")
    expect(dead.get_by_text(f"No such mailbox {SCRIPT}")).to_be_visible()
    relay.refused.clear()
    dead.get_by_role("button", name="Try again").click()
    expect(dead.get_by_text("No work has failed.")).to_be_visible()
    until(lambda: any("lost@example.org" in mail.receivers for mail in relay.mails))
    expect(page.get_by_role("table", name="Workers").get_by_text("Alive")).to_be_visible()


def test_the_progress_of_an_announcement_is_shown_and_its_event_explained(instance: Gateway, root: Client, open_page: Open) -> None:
    ana, ben = instance.users(2)
    cursor = ana.now()
    page = entered(open_page, root, "#/admin/announce")
    page.get_by_role("combobox", name="To", exact=True).select_option("chosen")
    page.get_by_label("Title").fill(SCRIPT)
    page.get_by_role("button", name="Announce…").click()
    expect(page.get_by_role("alert")).to_have_text("Choose somebody first.")
    page.get_by_label("Add people").fill(ana.name)
    page.get_by_role("button", name=ana.name.capitalize()).first.click()
    page.get_by_role("button", name="Announce…").click()
    confirm(page, "Announce")
    expect(page.get_by_text("Done: 1 notified")).to_be_visible()
    assert page.get_by_label(f"Progress of “{SCRIPT}”").evaluate("(bar) => bar.value === bar.max")
    assert [one["title"] for one in ana.get("/notifications").json()["items"]] == [SCRIPT]
    ben.send("hello", to=ana)
    [event] = until(lambda: [e for e in ana.events(cursor) if e["type"] == "message.created"])
    page.get_by_role("link", name="Explain").click()
    page.get_by_label("Event").fill(event["id"].split("-")[-1])
    page.get_by_label("User").fill(ben.name)
    page.get_by_role("button", name="Explain").click()
    expect(page.get_by_role("region", name="Rule message")).to_contain_text("own act")


def test_other_users_cannot_open_the_admin_area(instance: Gateway, open_page: Open) -> None:
    page = entered(open_page, instance.user(), "#/admin/users")
    expect(page.get_by_text("This area is for administrators only.")).to_be_visible()
    expect(page.get_by_role("link", name="Admin")).to_have_count(0)


@pytest.mark.parametrize(("scheme", "size"), [("light", {}), ("dark", PHONE)])
def test_the_admin_area_is_accessible(
    root: Client, open_page: Open, violations: Callable[[Page], list[str]], scheme: str, size: dict[str, object]
) -> None:
    root.post("/activity", {"action": "page.seen"})
    until(lambda: root.get("/admin/activity").json()["items"])
    page = entered(open_page, root, "#/admin/users", color_scheme=scheme, **size)
    wrong: dict[str, list[str]] = {}
    for area in AREAS:
        page.goto(f"{root.gateway.url}/#/admin/{area}")
        expect(page.get_by_role("navigation", name="Administration").locator("[aria-current]")).to_have_text(area.capitalize())
        expect(page.locator("bw-admin :is(.listing tbody tr, .parts h3, form.panel)").first).to_be_visible()
        wrong[area] = violations(page)
    assert not any(wrong.values()), wrong
