"""Writing messages: every keyboard and input method, limits, drafts, Markdown, emoji, and what is mailed to a group."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.gateway.client import Client
from tests.page.entering import PHONE, act, entered, titled, write
from tests.waiting import until

pytestmark = pytest.mark.only("sqlite")  # the database does not matter here

Open = Callable[..., Page]
FAMILY = "👨‍👩‍👧"  # one character for people, five code points, eight code units


def opened(open_page: Open, user: Client, other: Client, **options: Any) -> Page:
    """Return the page of a user in a conversation with another one, with one message."""
    conversation = other.send("hello", to=user)["conversation"]
    page = entered(open_page, user, f"#/conversations/{conversation}", **options)
    expect(page.locator(".message .text")).to_have_text(["hello"])
    return page


def press_key(page: Page, key: str, **fields: Any) -> None:
    """Dispatch a key to the field that has the focus, with the fields of its event."""
    script = """([key, fields]) => {
        const event = { key, bubbles: true, cancelable: true, ...fields };
        document.activeElement.dispatchEvent(new KeyboardEvent("keydown", event));
    }"""
    page.evaluate(script, [key, fields])


def test_keys_belong_to_the_input_method_until_it_is_done(people: list[Client], open_page: Open) -> None:
    ana, ben, _ = people
    page = opened(open_page, ana, ben)
    field = page.get_by_label("Message", exact=True)
    field.fill("にほ")
    press_key(page, "Enter", keyCode=229)
    press_key(page, "Enter", keyCode=13, isComposing=True)
    page.evaluate("""() => {
        document.activeElement.dispatchEvent(new CompositionEvent("compositionend", { bubbles: true }));
        document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", keyCode: 13, bubbles: true }));
    }""")
    expect(field).to_have_value("にほ")
    search = page.get_by_label("Search people and messages")
    search.fill("ば")
    for key in ("ArrowDown", "Escape"):
        press_key(page, key, keyCode=229)
    expect(search).to_be_focused()
    expect(search).to_have_value("ば")
    field.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".message .text")).to_have_text(["hello", "にほ"])


def test_an_edit_that_is_saved_late_ends_no_other(people: list[Client], open_page: Open) -> None:
    ana, ben, _ = people
    page = opened(open_page, ana, ben)
    for text in ("one", "two"):
        write(page, text)
    expect(page.locator(".message .text")).to_have_text(["hello", "one", "two"])
    expect(page.locator(".echo")).to_have_count(0)
    waiting: list[Route] = []
    page.route("**/api/v1/messages/*", lambda route: waiting.append(route))
    act(page, "one", "Edit")
    with page.expect_request("**/api/v1/messages/*"):
        write(page, "one, better")
    act(page, "two", "Edit")
    with page.expect_response("**/api/v1/messages/*"):
        waiting[0].continue_()
    page.unroute("**/api/v1/messages/*")
    expect(page.locator(".message .text")).to_have_text(["hello", "one, better", "two"])
    write(page, "two, better")
    expect(page.locator(".message .text")).to_have_text(["hello", "one, better", "two, better"])
    expect(page.locator(".context")).to_be_hidden()


def test_limits_count_characters_and_are_told_before_anything_is_cut(people: list[Client], open_page: Open) -> None:
    ana, ben, _ = people
    page = opened(open_page, ana, ben)
    field, counter = page.get_by_label("Message", exact=True), page.locator(".counter")
    field.fill("😀" * 15_000)
    expect(counter).to_be_hidden()
    field.fill("😀" * 19_900)
    expect(counter).to_have_text("100 characters left")
    field.fill("x" * 25_000)
    expect(counter).to_contain_text("5,000 characters too long")
    field.press("Enter")
    assert len(field.input_value()) == 25_000, "nothing is cut, and nothing is sent"
    write(page, "\n  def f():\n    pass\n\n")
    expect(page.locator(".message .text")).to_have_text(["hello", "def f():\n    pass"])
    until(lambda: ana.get("/conversations").json()["items"][0]["last_message"]["body"] == "  def f():\n    pass")
    write(page, FAMILY * 150)
    act(page, FAMILY, "Reply")
    expect(page.locator(".context")).to_contain_text(f"{FAMILY * 140}…")
    write(page, "yes")
    expect(page.locator(".quote")).to_have_text(f"Ana {FAMILY * 120}…".replace("Ana", ana.name.capitalize()))


def test_markdown_links_and_directions(people: list[Client], open_page: Open) -> None:
    ana, ben, _ = people
    page = opened(open_page, ana, ben)
    field = page.get_by_label("Message", exact=True)
    field.fill("שלום **עולם**")
    assert field.evaluate("(field) => getComputedStyle(field).direction") == "rtl"
    field.press("Enter")
    last = page.locator(".message .text").last
    expect(last.locator("strong")).to_have_text("עולם")
    expect(last.locator("p")).to_have_css("direction", "rtl")
    write(page, "*look*: `a*b*`\n> quoted\n- one\n- two\n```\n  code <b>\n```\n(see https://example.org/a_(b)) <img src=x>")
    expect(last.locator("em")).to_have_text("look")
    expect(last.locator("p code")).to_have_text("a*b*")
    expect(last.locator("blockquote")).to_have_text("quoted")
    expect(last.locator("li")).to_have_text(["one", "two"])
    assert last.locator("pre code").text_content() == "  code <b>"
    expect(last.get_by_role("link")).to_have_attribute("href", "https://example.org/a_(b)")
    expect(last.locator("img, b")).to_have_count(0)


def test_emoji_are_found_by_words_and_the_last_ones_are_remembered(people: list[Client], open_page: Open) -> None:
    ana, ben, _ = people
    page = opened(open_page, ana, ben)
    field = page.get_by_label("Message", exact=True)
    field.fill("go  now")
    field.evaluate("(field) => field.setSelectionRange(3, 3)")
    page.get_by_role("button", name="Emoji").click()
    expect(page.locator(".emoji-grid button").first).to_be_focused()
    page.keyboard.type("rocket")
    expect(page.locator(".emoji-grid button")).to_have_text(["🚀"])
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(field).to_have_value("go 🚀 now")
    field.press("Enter")
    expect(page.locator(".message:not(.echo) .text")).to_have_text(["hello", "go 🚀 now"])
    act(page, "hello", "React")
    page.get_by_label("Search emoji").fill("zzz")
    expect(page.get_by_text("No emoji has these words.")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".emoji-picker")).to_have_count(0)
    expect(page.get_by_role("button", name="React", exact=True).first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="React with 🚀")).to_be_focused()
    ben.put(f"/messages/{ana.get('/conversations').json()['items'][0]['last_message']['id']}/reactions/👍")
    expect(page.locator(".reaction")).to_have_text("👍 1")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page.locator(".message", has_text="hello").locator(".reaction")).to_have_text("🚀 1")


def test_a_draft_keeps_what_it_answers(people: list[Client], open_page: Open) -> None:
    ana, ben, cleo = people
    cleo.send("elsewhere", to=ana)
    page = opened(open_page, ana, ben)
    act(page, "hello", "Reply")
    page.get_by_label("Message", exact=True).fill("an answer")
    titled(page, cleo.name.capitalize()).click()
    expect(page.locator(".message .text")).to_have_text(["elsewhere"])
    expect(page.locator(".context")).to_be_hidden()
    page.reload()
    titled(page, ben.name.capitalize()).click()
    expect(page.locator(".context")).to_contain_text("hello")
    page.get_by_label("Message", exact=True).press("Enter")
    expect(page.locator(".quote")).to_contain_text("hello")
    expect(page.locator(".context")).to_be_hidden()


def test_a_keyboard_sends_on_a_tablet_and_the_screens_keys_begin_a_line(people: list[Client], open_page: Open) -> None:
    ana, ben, _ = people
    page = opened(open_page, ana, ben, **PHONE, is_mobile=True)
    field = page.get_by_label("Message", exact=True)
    field.fill("one")
    press_key(page, "Enter", keyCode=13, code="")
    expect(field).to_have_value("one")
    field.press("Enter")
    expect(page.locator(".message .text")).to_have_text(["hello", "one"])
    field.fill("two")
    field.press("Control+Enter")
    expect(page.locator(".message .text")).to_have_text(["hello", "one", "two"])


def test_mailing_a_group_is_named_and_confirmed(people: list[Client], open_page: Open) -> None:
    ana, ben, cleo = people
    crew = ana.group(ben, cleo)
    page = entered(open_page, ana, f"#/conversations/{crew}")
    page.get_by_role("button", name="Priority: Normal").click()
    expect(page.get_by_role("menuitemradio", name="Normal")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Priority: Urgent: e-mailed at once")).to_be_visible()
    write(page, "the house is on fire")
    expect(page.get_by_role("dialog")).to_contain_text("2 other people of “Crew” will get an e-mail at once")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_label("Message", exact=True)).to_have_value("the house is on fire")
    page.get_by_label("Message", exact=True).press("Enter")
    page.get_by_role("dialog").get_by_role("button", name="Send").click()
    expect(page.locator(".message.urgent .text")).to_contain_text("the house is on fire")
    expect(page.get_by_role("button", name="Priority: Normal")).to_be_visible()


def test_own_bubbles_and_the_open_chat_are_marked_in_forced_colours(people: list[Client], open_page: Open) -> None:
    ana, ben, _ = people
    page = opened(open_page, ana, ben, forced_colors="active")
    write(page, "mine")
    expect(page.locator(".mine .bubble")).to_have_css("border-inline-end-width", "6px")
    expect(page.locator(".message:not(.mine) .bubble")).to_have_css("border-inline-end-width", "1px")
    expect(page.locator(".conversations a[aria-current]")).to_have_css("outline-style", "solid")
