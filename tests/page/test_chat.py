"""Conversations between users in several browsers."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.gateway.client import Client
from tests.gateway.running import Gateway
from tests.page.entering import act, bodies, entered, lines, titled, write
from tests.waiting import until

pytestmark = pytest.mark.only("sqlite")  # the database does not matter here

Open = Callable[..., Page]


def mailed_code(outbox: Path, address: str) -> str:
    """Return the code that was mailed to an address."""

    def found() -> list[str]:
        letters = [path.read_text() for path in outbox.glob("*.eml")]
        return [code for letter in letters if f"To: {address}" in letter for code in re.findall(r"^\d{6}$", letter, re.MULTILINE)]

    return until(found)[0]


def test_a_stranger_signs_up_and_talks_to_another_browser(served: Gateway, open_page: Open) -> None:
    ben = served.user()
    page = open_page(served.url)
    page.get_by_role("button", name="Create an account").click()
    page.get_by_label("Username").fill("ana")
    page.get_by_label("Your name").fill("Ana Lopes")
    page.get_by_label("E-mail").fill("ana@example.org")
    page.get_by_label("Password").fill("short one")
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_label("Password")).to_have_accessible_description(re.compile("10 to 200 characters"))
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Sign up").click()
    page.get_by_label("Code").fill(mailed_code(served.data / "mail", "ana@example.org"))
    page.get_by_role("button", name="Confirm and sign in").click()
    page.get_by_role("button", name="Write to somebody").click()
    page.get_by_role("button", name=ben.name.capitalize()).hover()
    with page.expect_response(f"**/users?q={ben.name}*"):
        page.get_by_label("Add people").fill(ben.name)
        page.mouse.down()
    page.mouse.up()
    expect(page.get_by_role("list", name="Chosen people")).to_contain_text(ben.name.capitalize(), use_inner_text=True)
    page.get_by_role("button", name="Start").click()
    other = entered(open_page, ben)
    write(page, "Hello, who is there?")
    titled(other, "Ana Lopes").click()
    expect(other.locator(".message .text")).to_have_text(["Hello, who is there?"])
    write(other, "Me")
    expect(page.locator(".message .text")).to_have_text(["Hello, who is there?", "Me"])
    page.reload()
    expect(page.locator(".message .text")).to_have_text(["Hello, who is there?", "Me"])
    page.goto(f"{served.url}/#/settings")
    assert page.evaluate("document.cookie.includes('bellwire_session')") is False, "scripts can't read the session"


def test_what_one_does_the_other_sees_at_once(people: list[Client], open_page: Open) -> None:
    ana, ben, cleo = people
    crew = ana.group(ben, cleo)
    ana.send("first", at=crew)
    here, there = (entered(open_page, who, f"#/conversations/{crew}") for who in (ana, ben))
    field, shown = there.get_by_label("Message", exact=True), here.locator("bw-chat .typing")
    until(lambda: (field.press_sequentially("hel"), shown.text_content())[1])  # not before both pages have a poll
    expect(shown).to_have_text(f"{ben.name.capitalize()} is typing…")
    write(there, "hello https://example.org/a?b=c.")
    expect(here.locator("bw-chat .typing")).to_have_text("")
    link = here.get_by_role("link", name="https://example.org/a?b=c", exact=True)
    expect(link).to_have_attribute("rel", "noopener noreferrer")
    expect(there.locator(".ticks").last).to_have_attribute("data-state", "sent")
    cleo.post(f"/conversations/{crew}/read", {"message": cleo.conversation(crew)["last_message"]["id"]})
    expect(there.locator(".ticks").last).to_have_attribute("data-state", "read")

    act(here, "hello", "React")
    here.get_by_role("button", name="React with 🎉").click()
    expect(there.locator(".reaction")).to_have_text("🎉 1")
    there.locator(".reaction").click()
    expect(here.locator(".reaction")).to_have_text("🎉 2")
    act(here, "hello", "Reply")
    write(here, "an answer")
    expect(there.locator(".quote")).to_contain_text("hello")
    here.get_by_label("Message", exact=True).press("ArrowUp")
    write(here, "a better answer")
    expect(there.locator(".message").last).to_contain_text("a better answer")
    expect(there.locator(".message").last).to_contain_text("edited")
    act(here, "a better answer", "Delete")
    here.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(there.locator(".message").last).to_contain_text("This message was deleted")

    here.get_by_role("button", name="Members and title").click()
    here.get_by_role("dialog").get_by_label("Title").fill("The crew")
    here.get_by_role("button", name="Save").click()
    expect(there.locator("bw-chat h1")).to_have_text("The crew")
    ana.delete(f"/conversations/{crew}/members/{ben.id}")
    expect(there.locator(".view")).to_contain_text("you are not in it")


def test_what_is_new_is_counted_marked_and_read_when_it_is_seen(people: list[Client], open_page: Open) -> None:
    ana, ben, cleo = people
    ana.send("old", to=ben)
    with_ana = int(ben.get("/conversations").json()["items"][0]["id"])
    ben.post(f"/conversations/{with_ana}/read", {"message": ben.conversation(with_ana)["last_message"]["id"]})
    ana.send("new one", to=ben)
    cleo.send("hi", to=ben)
    page = entered(open_page, ben)
    expect(titled(page, ana.name.capitalize()).locator(".badge")).to_contain_text("1")
    ana.send("new two", to=ben)
    expect(titled(page, ana.name.capitalize()).locator(".badge")).to_contain_text("2")
    expect(page).to_have_title("(2) Bellwire")
    titled(page, ana.name.capitalize()).click()
    expect(page.locator(".new-marker + .line, .new-marker + .day + .line").first).to_contain_text("new one")
    expect(titled(page, ana.name.capitalize()).locator(".badge")).to_have_count(0)
    until(lambda: ben.conversation(with_ana)["unread"] == 0)
    ana.send("a third", to=ben)
    expect(page.locator("#announcer")).to_contain_text("a third")
    until(lambda: ben.conversation(with_ana)["unread"] == 0)


def test_drafts_and_the_search_are_kept_where_they_belong(people: list[Client], open_page: Open) -> None:
    ana, ben, cleo = people
    for who in (ben, cleo):
        sent = who.send(f"a word about the harbour by {who.name}", to=ana)
    lines(cleo, sent["conversation"], 21, "one more **harbour**")
    page = entered(open_page, ana)
    titled(page, ben.name.capitalize()).click()
    page.get_by_label("Message", exact=True).fill("not yet sent")
    titled(page, cleo.name.capitalize()).click()
    expect(titled(page, ben.name.capitalize())).to_contain_text("Draft: not yet sent")
    expect(page.get_by_label("Message", exact=True)).to_have_value("")
    page.reload()
    titled(page, ben.name.capitalize()).click()
    expect(page.get_by_label("Message", exact=True)).to_have_value("not yet sent")

    ana.gateway.execute("DELETE FROM message_search")
    ana.gateway.execute("INSERT INTO message_search (rowid, body) SELECT id, body FROM messages")  # the worker's work
    page.get_by_label("Search people and messages").fill("harb")
    hits = page.locator(".found").get_by_role("link")
    expect(hits).to_have_count(20)
    expect(page.locator(".found .preview").first).to_have_text("one more harbour")
    expect(page.locator(".found .title").first).to_have_text(cleo.name.capitalize())
    expect(page.locator(".found time")).to_have_count(20)
    page.get_by_role("button", name="Show more messages").click()
    expect(page.locator(".found mark")).to_have_text(["harbour"] * 23)
    hits.last.click()
    expect(page.locator(".message:focus")).to_contain_text("about the harbour")
    page.get_by_label("Search people and messages").fill(cleo.name)
    page.locator(".found").get_by_role("link", name=cleo.name.capitalize()).first.click()
    expect(page.locator("bw-chat h1")).to_have_text(cleo.name.capitalize())


def test_a_long_conversation_is_scrolled_without_jumps_and_little_of_it_is_there(people: list[Client], open_page: Open) -> None:
    ana, ben, _ = people
    crew = ana.group(ben)
    with ana.gateway.store():
        from tests.models.people import send

        for n in range(420):
            send(ana.id, f"line {n}", at=crew)
    read = ben.get(f"/conversations/{crew}/messages", limit=100).json()["items"][-1]
    ben.post(f"/conversations/{crew}/read", {"message": read["id"]})
    page = entered(open_page, ben, f"#/conversations/{crew}")
    expect(page.locator(".new-marker + .line")).to_contain_text("line 321")
    page.locator(".to-end").click()
    expect(page.locator(".message", has_text="line 419")).to_be_visible()
    place = page.locator(".messages")
    while (
        page.locator(".message", has_text="line 0").count() == 0
        or page.get_by_text("This is the beginning of the conversation.").count() == 0
    ):
        moved = place.evaluate(
            """async (place) => {
                const top = () => place.getBoundingClientRect().top;
                const seen = [...place.querySelectorAll(".message")].find((one) => one.getBoundingClientRect().bottom > top() + 50);
                const before = seen.getBoundingClientRect().top;
                place.scrollTop -= 300;
                await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
                return seen.isConnected ? seen.getBoundingClientRect().top - before : null;
            }"""
        )
        assert moved is None or 0 <= moved <= 301, "what is seen moves as far as one scrolls"
        assert page.locator(".message").count() <= 250
    page.locator(".to-end").click()
    expect(page.locator(".message", has_text="line 419")).to_be_visible()


FIELDS = "<img src=x onerror=\"document.title='broken in'\"><script>document.title='broken in'</script>"


def test_script_in_every_field_is_shown_as_text(gateway: Gateway, open_page: Open) -> None:
    ana, ben = gateway.users(2)
    assert ana.patch("/me", {"display_name": FIELDS[:60]}).status_code == 200
    crew = ana.group(ben, title=FIELDS[:100])
    first = ana.send(FIELDS, at=crew)
    ana.send(f"https://example.org/{FIELDS}", at=crew, reply_to=first["id"])
    page = entered(open_page, ben, f"#/conversations/{crew}")
    expect(page.locator("bw-chat h1")).to_have_text(FIELDS[:100])
    expect(page.locator(".message .text").first).to_have_text(FIELDS)
    expect(page.locator(".sender").first).to_have_text(FIELDS[:60])
    assert page.locator("bw-shell img, bw-shell script").count() == 0
    assert not page.title().startswith("broken")


def test_the_keyboard_reaches_everything(people: list[Client], open_page: Open) -> None:
    ana, ben, _ = people
    ben.send("one", to=ana)
    ben.send("two", to=ana)
    page = entered(open_page, ana)
    page.get_by_label("Search people and messages").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.locator(".message").nth(1).wait_for()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.locator(".messages").focus()
    page.keyboard.press("ArrowUp")
    expect(page.locator(".message:focus")).to_contain_text("two")
    page.keyboard.press("ArrowUp")
    expect(page.locator(".message:focus")).to_contain_text("one")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".emoji-picker button:focus")).to_have_text("👍")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".emoji-picker button:focus")).to_have_text("❤️")
    page.keyboard.press("Enter")
    expect(page.locator(".reaction")).to_have_text("❤️ 1")
    assert bodies(page) == ["one", "two"]
