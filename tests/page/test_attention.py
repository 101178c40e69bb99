"""Whom one mentions, of what one is notified, whom one blocks and what one reports, in browsers."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.gateway.client import Client
from tests.gateway.running import Gateway
from tests.page.entering import act, entered, titled, write
from tests.waiting import until

pytestmark = pytest.mark.only("sqlite")  # the database does not matter here

Open = Callable[..., Page]
COMPOSE = """(field, text) => {
    field.value = text;
    field.setSelectionRange(text.length, text.length);
    field.dispatchEvent(new InputEvent("input", { isComposing: true, bubbles: true }));
}"""  # as keyboards on screens do
FOLDED = "A message of somebody you blocked"


def name(who: Client) -> str:
    """Return the display name of a user."""
    return who.name.capitalize()


def choose(page: Page, text: str, item: str) -> None:
    """Press an item of the menu of what is rarely done with the message with this text."""
    act(page, text, "More")
    page.get_by_role("menuitem", name=item).click()


def test_messages_of_somebody_who_is_blocked_are_folded_and_theirs_to_the_blocker_are_kept(
    people: list[Client], open_page: Open
) -> None:
    ana, ben, cleo = people
    crew = ana.group(ben, cleo)
    sent = ben.send("what a pity", at=crew)
    cleo.send("indeed", at=crew, reply_to=sent["id"])
    ben.send("so it is", at=crew)
    direct = ben.send("hello", to=ana)["conversation"]
    here, beside = (entered(open_page, ana, f"#/conversations/{crew}") for _ in range(2))
    there = entered(open_page, ben, f"#/conversations/{direct}")
    choose(here, "so it is", f"Block {name(ben)}…")
    question = here.get_by_role("dialog", name=f"Block {name(ben)}?")
    expect(question).to_contain_text("They are not told")
    question.get_by_role("button", name="Block").click()
    for page in (here, beside):
        expect(page.locator(".message .text.deleted")).to_have_text([f"{FOLDED} Show"] * 2)
        expect(page.locator(".quote")).to_have_text(FOLDED)
    ben.send("another", at=crew)
    expect(titled(here, "Crew").locator(".preview")).to_have_text(FOLDED)
    expect(here.locator(".text.deleted")).to_have_count(3)
    here.get_by_role("button", name="Show").first.click()
    expect(here.locator(".message .text").first).to_have_text("what a pity")
    expect(here.locator(".quote")).to_have_text(f"{name(ben)} what a pity")

    write(there, "are you there?")
    failed = there.locator(".echo.failed")
    expect(failed).to_contain_text("You cannot write to this person.")
    expect(failed.locator(".text")).to_have_text("are you there?")
    titled(here, name(ben)).click()
    expect(here.locator(".chat-head .quiet")).to_have_text("Blocked by you")
    expect(here.locator(".message .text")).to_have_text(["hello"])
    here.goto(f"{ana.gateway.url}/#/settings")
    beside.get_by_role("button", name="Members and title").click()
    beside.get_by_role("dialog").locator(".hit", has_text=name(ben)).click()
    expect(beside.get_by_role("button", name=f"Unblock {name(ben)}")).to_be_visible()
    here.get_by_role("list", name="Blocked people").get_by_role("button", name=f"Unblock {name(ben)}").click()
    expect(here.get_by_text("You have blocked nobody.")).to_be_visible()
    expect(beside.locator(".message .text", has_text="another")).to_have_count(1)
    until(lambda: ana.get("/me/blocks").json()["items"] == [])
    failed.get_by_role("button", name="Try again").click()
    expect(there.locator(".message:not(.echo) .text")).to_have_text(["hello", "are you there?"])


def test_members_are_mentioned_from_a_list_by_keys_and_by_the_pointer(people: list[Client], open_page: Open) -> None:
    ana, ben, cleo = people
    crew = ana.group(ben, cleo, gone := ana.gateway.user())
    ana.gateway.execute("UPDATE users SET status='suspended' WHERE id=?", gone.id)
    page, there = (entered(open_page, who, f"#/conversations/{crew}") for who in (ana, ben))
    field, options = page.get_by_label("Message", exact=True), page.get_by_role("listbox").get_by_role("option")
    field.press_sequentially("hello @")
    expect(options).to_have_count(3)
    expect(options.last).to_contain_text("Everybody: 4 people")
    assert field.get_attribute("aria-activedescendant") is None, "Enter would send"
    field.press_sequentially(cleo.name)
    expect(options).to_have_count(1)
    expect(options).to_have_attribute("aria-selected", "true")
    assert field.get_attribute("aria-activedescendant") == options.get_attribute("id")
    page.keyboard.press("Escape")
    expect(page.get_by_role("listbox")).to_have_count(0)
    field.press("Backspace")
    expect(page.get_by_role("listbox")).to_have_count(0)
    field.fill("")
    field.fill(f"hello @{ben.name.upper()}")
    expect(options).to_have_count(1)
    field.press("Enter")
    expect(field).to_have_value(f"hello @{ben.name} ")
    expect(options).to_have_count(0)
    field.press_sequentially("and @")
    expect(options).to_have_count(3)
    page.keyboard.press("ArrowUp")
    expect(options.last).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowUp")
    expect(options.nth(1)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowDown")
    expect(options.last).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Tab")
    expect(field).to_have_value(f"hello @{ben.name} and @all ")
    field.press_sequentially("@")
    options.filter(has_text=name(cleo)).click()
    expect(field).to_be_focused()
    expect(field).to_have_value(f"hello @{ben.name} and @all @{cleo.name} ")
    field.press("Enter")
    mentions, own = there.locator(".message .mention"), there.locator(".message .mention.me")
    expect(mentions).to_have_text([f"@{ben.name}", "@all", f"@{cleo.name}"])
    expect(own).to_have_text([f"@{ben.name}", "@all"])
    expect(page.locator(".message:not(.echo) .mention")).to_have_count(3)
    write(page, f"`@{ben.name}` @{ben.name}x ana@{ben.name}")
    expect(there.locator(".message")).to_have_count(2)
    expect(mentions).to_have_count(3)
    field.evaluate(COMPOSE, f"@{ben.name}")
    expect(options).to_have_count(1)


def test_in_a_large_group_the_server_finds_whom_one_mentions(gateway: Gateway, open_page: Open) -> None:
    ana, *others = gateway.users(61)
    crew = others[0].group(ana, *others[1:])
    page = entered(open_page, ana, f"#/conversations/{crew}")
    field, options = page.get_by_label("Message", exact=True), page.get_by_role("option")
    field.fill(f"@{others[-1].name}")
    expect(options).to_contain_text([name(others[-1])])
    field.press("Enter")
    expect(field).to_have_value(f"@{others[-1].name} ")
    field.fill("@al")
    expect(options).to_have_count(0)  # only owners mention all
    field.press("Enter")
    expect(page.locator(".message .text")).to_have_text("@al")


def test_a_chat_that_is_muted_counts_grey_on_all_devices_and_mentions_are_marked(people: list[Client], open_page: Open) -> None:
    ana, ben, cleo = people
    crew = ana.group(ben, cleo)
    cleo.send("hello", to=ben)
    here, beside = entered(open_page, ben, f"#/conversations/{crew}"), entered(open_page, ben)
    here.get_by_role("button", name="Notifications", exact=True).click()
    expect(here.get_by_role("menuitemradio", name="All messages")).to_be_focused()
    for key in ("ArrowDown", "ArrowDown", "ArrowDown"):
        here.keyboard.press(key)
    expect(here.get_by_role("menuitemradio", name="Mute until tomorrow")).to_be_focused()
    here.keyboard.press("Enter")
    muted = here.get_by_role("button", name="Muted until")
    expect(muted).to_be_visible()
    assert ben.conversation(crew)["level"] == "none"
    titled(here, name(cleo)).click()
    expect(here.locator(".conversations .badge")).to_have_count(0)
    expect(here).to_have_title(f"{name(cleo)} – Bellwire")
    ana.send(f"@{ben.name} look", at=crew)
    for page in (here, beside):
        expect(titled(page, "Crew").locator(".badge.grey")).to_have_text("1 unread")
        expect(titled(page, "Crew").locator(".badges")).to_contain_text("muted@ you are mentioned")
    expect(here).to_have_title(f"{name(cleo)} – Bellwire")
    expect(here.locator(".rail .badge").first).to_be_hidden()
    titled(here, "Crew").click()
    expect(titled(beside, "Crew").locator(".badge")).to_have_count(0)
    muted.click()
    expect(here.locator(".menu .quiet")).to_contain_text("Muted until")
    here.get_by_role("menuitemradio", name="Only messages that mention me").click()
    expect(here.get_by_text("You are notified of messages in “Crew” that mention you.")).to_be_visible()
    expect(titled(beside, "Crew").locator(".badges")).to_have_count(0)
    titled(here, name(cleo)).click()
    ana.send("again", at=crew)
    expect(titled(beside, "Crew").locator(".badge:not(.grey)")).to_have_text("1 unread")
    expect(titled(beside, "Crew").locator(".at")).to_have_count(0)


def test_what_is_reported_is_judged_by_an_admin_as_it_was(people: list[Client], admin: Client, open_page: Open) -> None:
    ana, ben, cleo = people
    crew = ana.group(ben, cleo)
    sent = ana.send("you are a fool", at=crew)
    post = cleo.post("/posts", {"body": "buy this"}).json()["id"]
    page = entered(open_page, ben, f"#/conversations/{crew}")
    choose(page, "you are a fool", "Report…")
    dialog = page.get_by_role("dialog", name="Report this message?")
    reason = dialog.get_by_label("What is wrong with it?")
    reason.fill("x" * 501)
    expect(dialog.get_by_role("status")).to_have_text("This is 1 character too long.")
    reason.press("Control+Enter")
    dialog.get_by_role("button", name="Report").click()
    expect(dialog).to_be_visible()
    reason.fill("It insults me.")
    expect(dialog.get_by_role("status")).to_have_text("486 characters left")
    dialog.get_by_role("button", name="Report").click()
    expect(page.get_by_text("Thank you. The admins will look at it.")).to_be_visible()
    page.goto(f"{ana.gateway.url}/#/posts/{post}")
    page.get_by_role("button", name="Report this post").click()
    page.get_by_role("dialog").get_by_label("What is wrong with it?").fill("An advertisement")
    page.get_by_role("dialog").get_by_role("button", name="Report").click()
    expect(page.get_by_role("dialog")).to_have_count(0)

    assert ana.patch(f"/messages/{sent['id']}", {"body": "you are right"}).status_code == 200
    desk = entered(open_page, admin, "#/admin/reports")
    rows = desk.locator("bw-admin-reports tbody tr")
    expect(rows.locator("blockquote")).to_have_text(["buy this", "you are a fool"])
    expect(rows.last).to_contain_text("It insults me.")
    cleo.post(f"/messages/{sent['id']}/report", {"reason": "Not nice"})
    desk.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # as when one comes back to it
    expect(rows).to_have_count(3)
    rows.first.get_by_role("button", name=f"Delete: {name(ana)}").click()
    question = desk.get_by_role("dialog", name=f"Delete what {name(ana)} wrote?")
    question.get_by_label("Note").fill("warned")
    question.get_by_role("button", name="Delete").click()
    expect(rows).to_have_count(1)  # all reports of the same are closed
    expect(rows.locator(":focus")).to_have_count(1)
    until(lambda: ben.get(f"/messages/{sent['id']}").json()["deleted_at"])
    rows.get_by_role("button", name=f"Suspend: {name(cleo)}").click()
    expect(desk.get_by_role("dialog")).to_contain_text("nobody can use it")
    desk.get_by_role("dialog").get_by_role("button", name="Suspend").click()
    expect(desk.get_by_text("There are no open reports.")).to_be_visible()
    desk.get_by_label("State").select_option("closed")
    expect(rows.locator(".pill")).to_have_text(["Deleted since", "Deleted", "Account suspended", "Deleted since", "Deleted"])
    expect(rows.first).to_contain_text("warned")
    assert cleo.get("/me").status_code in (401, 403)
