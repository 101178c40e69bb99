"""The admin area in a browser, with a gateway, a worker and a mail server."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.gateway.client import Client
from tests.gateway.running import Gateway
from tests.page.entering import PHONE, act, entered
from tests.smtp_server import SmtpServer
from tests.waiting import until

pytestmark = pytest.mark.only("sqlite")  # the database does not matter here

Open = Callable[..., Page]
SCRIPT = "<img src=x onerror=alert(1)>"
AREAS = {
    "users": "Users",
    "invitations": "Invitations",
    "organisation": "Organisation",
    "activity": "Activity",
    "audit": "Audit",
    "webhooks": "Webhooks",
    "hooks": "Incoming hooks",
    "jobs": "Background work",
    "announce": "Announce",
    "explain": "Explain",
}
WIDER = "[...document.querySelectorAll('.view, bw-admin, bw-admin .table')].filter((e) => e.scrollWidth > e.clientWidth + 1).length"


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
    expect(page.get_by_label(f"Select {ben.name.capitalize()}", exact=True)).to_be_visible()  # the list may have been empty
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


def test_one_person_is_suspended_by_one_click_and_activated_again(
    instance: Gateway, root: Client, open_page: Open, violations: Callable[[Page], list[str]]
) -> None:
    ana = instance.user()
    name = ana.name.capitalize()
    page = entered(open_page, root, "#/admin/users")
    page.get_by_label("Name or e-mail").fill(ana.name)
    row = rows(page).filter(has_text=ana.name)
    expect(rows(page)).to_have_count(1)  # before that the list would be replaced under the press
    row.get_by_role("button", name=f"Suspend: {name}").click()
    expect(row.get_by_text("Suspended")).to_be_visible()
    expect(row.get_by_role("button", name=f"Activate: {name}")).to_be_focused()
    assert ana.get("/me").status_code == 401
    toast = page.locator(".toast", has_text=f"{name} is suspended").bounding_box()
    tabs = page.get_by_role("navigation", name="Administration").bounding_box()
    assert toast is not None
    assert tabs is not None
    assert toast["y"] > tabs["y"] + tabs["height"], "the tabs can be clicked"
    page.get_by_role("button", name="Undo").click()
    expect(row.get_by_text("Active")).to_be_visible()
    expect(row.get_by_role("button", name=f"Suspend: {name}")).to_be_focused()
    page.keyboard.press("Enter")
    expect(row.get_by_text("Suspended")).to_be_visible()
    page.keyboard.press("Enter")
    expect(row.get_by_text("Active")).to_be_visible()
    assert violations(page) == []
    page.get_by_label("Name or e-mail").fill(root.name)
    expect(rows(page)).to_have_count(1)
    own = rows(page).filter(has_text=f"@{root.name}")
    expect(own.get_by_role("button", name="Change")).to_be_visible()
    expect(own.get_by_role("button", name="Suspend")).to_have_count(0)


def test_an_account_is_deleted_with_its_texts(
    instance: Gateway, root: Client, open_page: Open, violations: Callable[[Page], list[str]]
) -> None:
    ana, ben = instance.users(2)
    name, said = ana.name.capitalize(), ana.send("to be erased", to=ben)
    theirs = entered(open_page, ana)
    page = entered(open_page, root, "#/admin/users")
    page.get_by_label("Name or e-mail").fill(ana.name)
    row = rows(page)
    expect(row).to_have_count(1)
    row.get_by_role("button", name=f"Delete: {name}").click()
    dialog = page.get_by_role("dialog", name=f"Delete {name}?")
    expect(dialog).to_contain_text("This cannot be undone.")
    assert violations(page) == []
    confirm(page, "Cancel")
    assert ana.get("/me").status_code == 200
    row.get_by_role("button", name=f"Delete: {name}").click()
    page.get_by_label("Messages, posts and comments").select_option("Erase them, too")
    confirm(page, "Delete")
    expect(page.locator(".toast")).to_contain_text(f"{name} is being deleted")
    expect(row.get_by_text("Deleted", exact=True)).to_be_visible()
    expect(row).not_to_contain_text(name)
    expect(row.get_by_role("button")).to_have_count(0)
    expect(row.get_by_role("checkbox")).to_be_focused()
    expect(theirs.get_by_text("You were signed out.")).to_be_visible()
    until(lambda: ben.get(f"/messages/{said['id']}").json()["body"] == "")
    assert [job["texts"] for job in root.get("/admin/jobs").json()["deletions"] if job["user"] == ana.id] == ["erase"]


def test_a_webhook_is_made_paused_and_deleted(root: Client, open_page: Open) -> None:
    page = entered(open_page, root, "#/admin/webhooks")
    expect(page.get_by_text("There are no webhooks.")).to_be_visible()
    page.get_by_role("button", name="New webhook").click()
    page.get_by_label("Address").fill("http://10.0.0.1/hook")
    page.get_by_label("Types of events").fill("Wrong")
    confirm(page, "Create")
    expect(page.get_by_role("dialog")).to_contain_text("must be types of events")
    page.get_by_label("Types of events").fill("message.*, post.created")
    confirm(page, "Create")
    assert page.get_by_label("Secret of http://10.0.0.1/hook").input_value().startswith("whsec_")
    expect(rows(page)).to_contain_text(["message.*, post.created"])
    rows(page).get_by_role("button", name="Pause").click()
    expect(rows(page)).to_contain_text(["paused"])
    rows(page).get_by_role("button", name="Test").click()
    expect(page.locator(".toast")).to_have_text("A test event is on its way.")
    (hook,) = root.get("/admin/webhooks").json()["items"]
    assert (hook["state"], hook["types"]) == ("paused", ["message.*", "post.created"])
    rows(page).get_by_role("button", name="Delete").click()
    confirm(page, "Delete")
    expect(rows(page)).to_have_count(0)
    assert root.get("/admin/webhooks").json()["items"] == []


def test_an_incoming_hook_is_made_rotated_and_deleted(instance: Gateway, root: Client, open_page: Open) -> None:
    ana, ben = instance.users(2)
    own, other = root.group(ana, title=f"Crew {SCRIPT}"), ana.group(ben, title="Harbour")
    page = entered(open_page, root, "#/admin/hooks")
    expect(page.get_by_text("There are no incoming hooks.")).to_be_visible()

    def make(name: str) -> Page:
        page.get_by_role("button", name="New hook").click()
        page.get_by_label("Name").fill(name)
        return page

    def shown(name: str) -> str:
        return page.get_by_label(f"Address of {name}").input_value().partition("/api/v1")[2]

    make("CI").get_by_label("Writes into").select_option(label=f"Crew {SCRIPT}")
    expect(page.get_by_label("Number of the conversation")).to_be_hidden()
    confirm(page, "Create")
    expect(rows(page)).to_contain_text([f"CICrew {SCRIPT}{root.name.capitalize()}"])
    first = shown("CI")
    make("Grafana").get_by_label("Writes into").select_option(label="Another one, by its number")
    for number, problem in (
        ("999999", "There is no conversation"),
        (str(root.send("hi", to=ana)["conversation"]), "Hooks write into"),
    ):
        page.get_by_label("Number of the conversation").fill(number)
        confirm(page, "Create")
        expect(page.get_by_role("dialog")).to_contain_text(problem)
    page.get_by_label("Number of the conversation").fill(str(other))
    confirm(page, "Create")
    expect(rows(page)).to_contain_text(["CI", "GrafanaHarbour"])
    page.get_by_role("button", name="New address: CI").click()
    confirm(page, "New address")
    until(lambda: page.get_by_label("Address of CI").count())
    second = shown("CI")
    statuses = [instance.anonymous().post(path, {"text": "built"}).status_code for path in (first, second)]
    assert statuses == [404, 201]
    page.reload()
    for name in ("CI", "Grafana"):
        page.get_by_role("button", name=f"Delete: {name}").click()
        confirm(page, "Delete")
    expect(page.get_by_text("There are no incoming hooks.")).to_be_visible()
    assert second not in page.content()
    assert root.get("/admin/hooks").json()["items"] == []
    assert root.conversation(own)["last_message"]["body"] == "built"


def test_an_invitation_is_made_counted_and_ended(instance: Gateway, root: Client, open_page: Open) -> None:
    assert root.post("/groups", {"name": f"Crew {SCRIPT}"}).status_code == 201
    page = entered(open_page, root, "#/admin/invitations", permissions=["clipboard-read", "clipboard-write"])
    expect(page.get_by_text("Nobody is invited at present.")).to_be_visible()
    page.get_by_role("button", name="New invitation").click()
    uses = page.get_by_label("For how many people")
    for number in ("0", "10001"):
        uses.fill(number)
        confirm(page, "Make a link")
        assert uses.evaluate("(field) => field.validationMessage"), number
    uses.fill("2")
    page.get_by_label("They join the group").select_option(label=f"Crew {SCRIPT}")
    confirm(page, "Make a link")
    link = page.locator("dialog [name=link]").input_value()
    confirm(page, "Copy the link")
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == link
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new DOMException('', 'NotAllowedError')) }")
    confirm(page, "Copied")
    expect(page.locator(".toast")).to_have_text("The text is selected: copy it with the keyboard.")
    confirm(page, "Done")
    expect(rows(page)).to_contain_text(["0 of 2"])
    new = {"email": "invited@example.org", "username": "invited", "password": "correct horse battery"}
    assert instance.anonymous().post(f"/invitations/{link.rpartition('/')[2]}", new).status_code == 201
    page.reload()
    expect(rows(page)).to_contain_text([re.compile(rf"1 of 2.*Crew {re.escape(SCRIPT)}User{root.name.capitalize()}")])
    assert link not in page.content()
    rows(page).get_by_role("button", name="End the invitation").click()
    expect(page.get_by_role("dialog")).to_contain_text("The 1 account that was made by it stays.")
    confirm(page, "End")
    expect(rows(page)).to_have_count(0)
    assert root.get("/admin/invitations").json()["items"] == []


def test_the_organisation_is_named_and_the_outcome_of_a_test_mail_is_shown(
    instance: Gateway, root: Client, relay: SmtpServer, open_page: Open
) -> None:
    page = entered(open_page, root, "#/admin/organisation")
    name = page.get_by_label("Name of the organisation")
    name.fill("𝓗" * 81)
    page.get_by_role("button", name="Save").click()
    assert "80 characters at most: these are 81." in name.evaluate("(field) => field.validationMessage")
    name.fill("𝓗" * 80)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert instance.anonymous().get("/instance").json()["organisation"] == "𝓗" * 80
    to = root.get("/me").json()["email"]
    page.get_by_role("button", name="Send me a test mail").click()
    expect(page.get_by_text(f"The mail server accepted the e-mail to {to}.")).to_be_visible()
    assert any(to in mail.receivers for mail in relay.mails)
    relay.refused[to] = "450 4.2.1 Come back later"
    page.get_by_role("button", name="Send me a test mail").click()
    expect(page.get_by_text(f"The e-mail to {to} could not be delivered yet.")).to_be_visible()
    expect(page.get_by_text("Come back later")).to_be_visible()
    relay.refused.clear()


def test_accounts_are_created_and_changed_and_input_survives_an_error(root: Client, open_page: Open) -> None:
    page = entered(open_page, root, "#/admin/users")
    page.get_by_role("button", name="Create an account").click()
    page.get_by_label("Username").fill(root.name)
    page.get_by_label("E-mail", exact=True).fill("gwen@example.org")
    page.get_by_role("dialog").get_by_label("Name", exact=True).fill(SCRIPT)
    confirm(page, "Create")
    expect(page.get_by_label("Username")).to_have_accessible_description(re.compile("Somebody has this username already"))
    page.get_by_label("Username").fill("gwen")
    confirm(page, "Create")
    gwen = rows(page).filter(has_text="@gwen")
    expect(gwen.get_by_text(SCRIPT)).to_be_visible()
    page.get_by_role("button", name="Create many").click()
    lines = page.get_by_role("dialog").get_by_role("textbox")
    lines.fill("hugo, hugo@example.org, Hugo\n\ngwen; nowhere")
    confirm(page, "Create all")
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("Line 3: E-mail: This is not a complete e-mail address")
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
    root.put("/admin/notification-types/order.shipped", {"words": {"en": {"title": "Order {{ order }} left"}}})
    root.post("/admin/notify", {"type": "order.shipped", "role": "admin", "values": {"order": 7}})
    page = entered(open_page, root, "#/admin/jobs")
    notices = page.get_by_role("region", name="Notifications of the connected application")
    expect(notices.get_by_role("listitem")).to_contain_text(["order.shippedEvent"])
    expect(notices).to_contain_text("to all admins")
    dead = page.get_by_role("region", name="Failed work")
    expect(dead.get_by_text(f"No such mailbox {SCRIPT}")).to_be_visible()
    relay.refused.clear()
    dead.get_by_role("button", name="Try again").click()
    expect(dead.get_by_text("No work has failed.")).to_be_visible()
    until(lambda: any("lost@example.org" in mail.receivers for mail in relay.mails))
    expect(notices).to_contain_text(re.compile(r"Done: \d+ notified"))
    expect(page.get_by_role("table", name="Workers").get_by_text("Alive")).to_be_visible()
    work = page.get_by_role("table", name="Background work").get_by_role("row")
    expect(work.filter(has_text="Notifies people of messages, likes and comments")).to_have_count(1)
    expect(page.locator("bw-admin")).not_to_contain_text(re.compile("consumer|fanout|given up", re.IGNORECASE))


def test_the_progress_of_an_announcement_is_shown_and_its_event_explained(instance: Gateway, root: Client, open_page: Open) -> None:
    ana, ben = instance.users(2)
    cursor = ben.now()  # Ana stays away
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
    [event] = until(lambda: [e for e in ben.events(cursor) if e["type"] == "message.created"])
    until(lambda: len(ana.get("/notifications").json()["items"]) == 2)
    page.get_by_role("link", name="Explain").click()
    page.get_by_label("About").select_option("event")
    page.get_by_label("Its number").fill(event["id"].split("-")[-1])
    page.get_by_label("Who got it, or did not").fill(ben.name)
    page.get_by_role("button", name="Explain").click()
    rule = page.get_by_role("region", name="Rule “Messages”")
    expect(rule).to_contain_text("Own act")
    page.goto(f"{root.gateway.url}/#/admin/explain/{event['data']['id']}/{ana.id}")
    expect(page.get_by_role("heading", name=f"For {ana.name.capitalize()}: a message")).to_be_focused()
    expect(rule).to_contain_text("Notified here")
    expect(page.get_by_label("Its number")).to_have_value(str(event["data"]["id"]))
    crew = root.group(ana, ben)
    for conversation, label in (
        (root.send("hello", to=ben)["conversation"], f"Why did {ben.name.capitalize()} not get this?"),
        (root.send("hello", at=crew)["conversation"], "Why did somebody not get this?"),
    ):
        page.goto(f"{root.gateway.url}/#/conversations/{conversation}")
        act(page, "hello", "More")
        page.get_by_role("menuitem", name=label).click()
        if conversation == crew:
            expect(page.get_by_role("list", name="Members").get_by_role("listitem")).to_have_count(2)
            page.get_by_role("dialog").get_by_role("button", name=ben.name.capitalize()).click()
        expect(page.get_by_role("heading", name=f"For {ben.name.capitalize()}: a message")).to_be_focused()
        expect(page.get_by_role("dialog")).to_have_count(0)
    page.goto(f"{root.gateway.url}/#/admin/explain/999999/{ana.id}")
    expect(page.get_by_text("It does not exist, or it is no longer kept.")).to_be_visible()
    theirs = entered(open_page, ana, "#/notifications")
    theirs.get_by_role("button", name=f"Why did I get this? {ben.name.capitalize()}").click()
    expect(theirs.get_by_role("dialog")).to_contain_text("Notified here")
    theirs.get_by_role("button", name="Close").click()
    theirs.get_by_role("button", name=f"Why did I get this? {SCRIPT}").click()
    expect(theirs.get_by_role("dialog")).to_contain_text("An admin sent it")
    confirm(theirs, "Change my preferences")
    expect(theirs.get_by_role("heading", name="Your notifications")).to_be_visible()
    page.goto(f"{root.gateway.url}/#/notifications")
    page.get_by_role("button", name=re.compile(r"Why did I get this\? .*messages? sent")).first.click()
    expect(page.get_by_role("dialog")).to_contain_text("you watch “Messages were sent”")


def test_an_area_that_can_not_be_loaded_says_why_and_is_tried_again(root: Client, open_page: Open) -> None:
    page = entered(open_page, root, "#/admin/users")
    for path, area in (("**/static/admin/jobs.js*", "Background work"), ("**/api/v1/admin/jobs", "Background work")):
        page.route(path, lambda route: route.abort())
        page.get_by_role("link", name="Users").click()
        page.get_by_role("link", name=area).click()
        expect(page.locator("bw-admin").get_by_role("alert")).to_contain_text("The server can't be reached.")
        page.unroute(path)
        page.get_by_role("button", name="Try again").click()
        expect(page.get_by_role("heading", name="Failed work")).to_be_visible()


def test_other_users_cannot_open_the_admin_area(instance: Gateway, open_page: Open) -> None:
    page = entered(open_page, instance.user(), "#/admin/users")
    expect(page.get_by_text("This area is for administrators only.")).to_be_visible()
    expect(page.get_by_role("link", name="Admin")).to_have_count(0)


@pytest.mark.parametrize("size", [{}, PHONE])
def test_nothing_is_wider_than_the_admin_area_and_its_styles_stay_there(
    instance: Gateway, root: Client, open_page: Open, size: dict[str, object]
) -> None:
    root.post("/activity", {"action": "page.seen"})
    root.post("/admin/invitations", {})
    root.post("/admin/webhooks", {"url": "https://shop.example.org/hook", "types": ["nothing.ever"]})
    root.post(f"/admin/conversations/{root.group(instance.user())}/hooks", {"label": "W" * 40})
    until(lambda: root.get("/admin/activity").json()["items"])
    page = entered(open_page, root, "#/admin/users", **size)
    for area, title in AREAS.items():
        page.goto(f"{root.gateway.url}/#/admin/{area}")
        expect(page.get_by_role("navigation", name="Administration").locator("[aria-current]")).to_have_text(title)
        expect(page.locator("bw-admin :is(.listing tbody tr, .parts h3, form.panel)").first).to_be_visible()
        for direction in ("rtl", "ltr"):
            page.evaluate("(direction) => (document.documentElement.dir = direction)", direction)
            assert page.evaluate(WIDER) == 0, (area, direction)
    page.goto(f"{root.gateway.url}/#/admin/users")
    table = page.get_by_role("table", name="Accounts")
    expect(table.get_by_role("columnheader", name="E-mail")).to_have_count(1)
    expect(table.get_by_role("row").nth(1).get_by_role("cell")).to_have_count(6)
    page.goto(f"{root.gateway.url}/#/notifications/preferences")
    expect(page.locator(".choices")).to_have_css("font-size", "16px")  # the styles of the admin area stay there
    expect(page.locator(".choices thead")).to_have_css("position", "static")
