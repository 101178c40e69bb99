"""Reading a conversation: what counts as read, where it opens, and the actions of a message."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.gateway.client import Client
from tests.page.entering import PHONE, act, entered, lines, titled, write
from tests.waiting import until

pytestmark = pytest.mark.only("sqlite")  # the database does not matter here

BELOW_MESSAGES = """(list) => {
    const bottom = (element) => element.getBoundingClientRect().bottom;
    return bottom(list) - bottom([...list.querySelectorAll(".bubble")].at(-1));
}"""

Open = Callable[..., Page]
TOUCH = {**PHONE, "is_mobile": True}


def in_view(page: Page, element: Locator) -> bool:
    """Whether the whole of an element is within the list of messages, and nothing is above it."""
    script = """(element) => {
        const list = document.querySelector(".messages").getBoundingClientRect();
        const box = element.getBoundingClientRect();
        const top = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
        return box.height > 0 && box.top >= list.top - 1 && box.bottom <= list.bottom + 1 && element.contains(top);
    }"""
    return bool(element.evaluate(script))


def at_end(page: Page) -> bool:
    """Whether the last message is in view as a whole."""
    return in_view(page, page.locator(".bubble").last)


def test_unread_is_what_was_not_seen(people: list[Client], open_page: Open) -> None:
    ana, ben, _ = people
    crew = ana.group(ben)
    lines(ana, crew, 120)
    page = entered(open_page, ben)
    reads: list[str] = []
    page.on("request", lambda request: request.url.endswith("/read") and reads.append(request.url))
    with page.expect_request(re.compile("/messages")) as first_load:
        titled(page, "Crew").click()
    expect(page.locator(".new-marker + .day + .line")).to_contain_text("line 0")
    assert "around=" in first_load.value.url, "the newest page is not loaded first"
    badge = titled(page, "Crew").locator(".badge")

    def is_shown() -> bool:
        """Whether what was in view is read, what is below it is unread, and the badge tells so."""
        unread = ben.conversation(crew)["unread"]
        return 90 < unread < 120 and badge.inner_text().startswith("99+" if unread > 99 else str(unread))

    until(is_shown)
    first = ben.conversation(crew)["unread"]
    page.locator(".messages").evaluate("(list) => { list.scrollTop += 600; }")
    until(lambda: ben.conversation(crew)["unread"] < first)
    page.reload()
    expect(page.locator(".new-marker")).to_be_visible()
    expect(page.locator(".new-marker + .line")).not_to_contain_text("line 0")
    expect(page.get_by_role("button", name="To the first unread message")).to_be_hidden()
    page.get_by_role("button", name="new messages", exact=False).click()
    until(lambda: ben.conversation(crew)["unread"] == 0)
    page.get_by_role("button", name="To the first unread message").click()
    expect(page.locator(".message:focus .new-marker")).to_be_visible()
    assert len(reads) <= 10, "one call for several messages"


def test_a_conversation_that_is_left_while_it_loads_breaks_nothing(people: list[Client], open_page: Open) -> None:
    ana, ben, _ = people
    crew = ana.group(ben)
    sent = ana.send("hello", at=crew)
    page = entered(open_page, ben)
    waiting: list[Route] = []
    page.route("**/messages?*", lambda route: waiting.append(route))
    page.evaluate("(address) => { location.hash = address; }", f"#/conversations/{crew}/{sent['id']}")
    expect(page.locator("bw-messages")).to_be_visible()
    page.evaluate("location.hash = '#/settings'")
    page.wait_for_selector("bw-settings")
    with page.expect_response("**/messages?*"):
        for route in waiting:
            route.continue_()
    page.unroute("**/messages?*")
    page.go_back()
    expect(page.locator(".message")).to_have_count(1)


def test_messages_that_did_not_load_are_loaded_again(people: list[Client], open_page: Open) -> None:
    ana, ben, _ = people
    crew = ana.group(ben)
    ana.send("hello", at=crew)
    page = entered(open_page, ben)
    page.route("**/messages?*", lambda route: route.fulfill(status=500))
    titled(page, "Crew").click()
    problem = page.locator("bw-messages").get_by_role("alert")
    expect(problem).to_be_visible()
    page.unroute("**/messages?*")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".message .text")).to_have_text(["hello"])
    expect(problem).to_have_count(0)
    until(lambda: ben.conversation(crew)["unread"] == 0)
    page.route("**/api/v1/events?*", lambda route: route.fulfill(status=410), times=1)
    with page.expect_response(lambda answer: answer.status == 410):
        ana.send("ends the poll before", at=crew)
    expect(page.locator(".message .text")).to_have_text(["hello", "ends the poll before"])
    ana.send("the page goes on", at=crew)
    expect(page.locator(".message .text").last).to_have_text("the page goes on")
    expect(page.locator("bw-messages")).to_contain_text("This is the beginning of the conversation.")


def test_a_message_is_marked_as_unread(people: list[Client], open_page: Open) -> None:
    ana, ben, _ = people
    crew = ana.group(ben)
    lines(ana, crew, 3)
    page = entered(open_page, ben, f"#/conversations/{crew}")
    beside = entered(open_page, ben, f"#/conversations/{crew}")
    until(lambda: ben.conversation(crew)["unread"] == 0)
    expect(beside.locator(".message")).to_have_count(3)
    message = page.locator(".message", has_text="line 1")
    message.hover()
    message.get_by_role("button", name="Mark as unread").click()
    for each in (page, beside):
        expect(each.locator(".new-marker + .line")).to_contain_text("line 1")
        expect(titled(each, "Crew").locator(".badge")).to_contain_text("2")
    assert ben.conversation(crew)["unread"] == 2
    beside.goto(f"{ana.gateway.url}/#/conversations")
    page.goto(f"{ana.gateway.url}/#/conversations")
    titled(page, "Crew").click()
    expect(page.locator(".new-marker + .line")).to_contain_text("line 1")
    until(lambda: ben.conversation(crew)["unread"] == 0)
    expect(titled(beside, "Crew").locator(".badge")).to_have_count(0)
    act(page, "line 1", "Mark as unread")
    expect(titled(page, "Crew").locator(".badge")).to_contain_text("2")
    ana.send("seen when it comes", at=crew)
    until(lambda: ben.conversation(crew)["unread"] == 0)


def test_what_cannot_be_loaded_offline_is_told(people: list[Client], open_page: Open) -> None:
    ana, ben, _ = people
    crew = ana.group(ben)
    first = ana.send("the first", at=crew)
    lines(ana, crew, 120)
    last = ana.send("an answer", at=crew, reply_to=first["id"])
    ben.post(f"/conversations/{crew}/read", {"message": last["id"]})
    page = entered(open_page, ben, f"#/conversations/{crew}")
    until(lambda: at_end(page))
    page.context.set_offline(True)
    page.locator(".quote").click()
    expect(page.locator(".toast")).to_have_text("You are offline.")
    expect(page.locator("bw-messages")).to_contain_text("You are offline.")
    page.context.set_offline(False)
    page.locator(".quote").click()
    expect(page.locator(".message:focus")).to_contain_text("the first")
    expect(page.locator("bw-messages")).to_contain_text("This is the beginning of the conversation.")


def test_the_end_stays_the_end(people: list[Client], open_page: Open) -> None:
    ana, ben, _ = people
    crew = ana.group(ben)
    lines(ana, crew, 40)
    ben.post(f"/conversations/{crew}/read", {"message": ben.conversation(crew)["last_message"]["id"]})
    page = entered(open_page, ben, f"#/conversations/{crew}")
    until(lambda: at_end(page))
    field = page.get_by_label("Message", exact=True)
    field.press_sequentially("a")
    for _ in range(8):
        field.press("Shift+Enter")
    until(lambda: at_end(page))
    about = page.get_by_role("button", name="Members and title")
    about.focus()
    ana.send("below the edge?", at=crew)
    expect(page.locator(".message").last).to_contain_text("below the edge?")
    until(lambda: at_end(page))
    until(lambda: ben.conversation(crew)["unread"] == 0)
    expect(about).to_be_focused()
    page.locator(".messages").evaluate("(list) => { list.scrollTop -= 40; }")
    message = page.locator(".message").nth(-4)
    message.hover()
    message.get_by_role("button", name="Reply", exact=True).hover()
    page.mouse.down()
    page.mouse.up()
    expect(page.locator(".context")).to_contain_text("Replying to")


def test_a_short_conversation_stays_at_its_end_after_a_quote(people: list[Client], open_page: Open) -> None:
    ana, ben, _ = people
    crew = ana.group(ben)
    first = ana.send("first", at=crew)
    ana.send("second", at=crew, reply_to=first["id"])
    page = entered(open_page, ben, f"#/conversations/{crew}")
    until(lambda: ben.conversation(crew)["unread"] == 0)
    until(lambda: 0 <= page.locator(".messages").evaluate(BELOW_MESSAGES) < 20)  # few messages are at the bottom of the view
    page.locator(".quote").click()
    expect(page.locator(".message:focus")).to_contain_text("first")
    expect(page.get_by_label("To the newest message")).to_be_hidden()
    ana.send("third", at=crew)
    until(lambda: ben.conversation(crew)["unread"] == 0)


@pytest.mark.parametrize("size", [{}, TOUCH])
def test_the_actions_of_every_message_are_in_view(people: list[Client], open_page: Open, size: dict[str, object]) -> None:
    ana, ben, _ = people
    crew = ana.group(ben)
    lines(ana, crew, 20)
    ana.send("tall\n" * 150, at=crew)
    lines(ana, crew, 3, "end {n}")
    ben.post(f"/conversations/{crew}/read", {"message": ben.conversation(crew)["last_message"]["id"]})
    page = entered(open_page, ben, f"#/conversations/{crew}", **size)
    until(lambda: at_end(page))
    reply = page.get_by_role("button", name="Reply", exact=True)

    def press(message: Locator, where: dict[str, float] | None = None) -> None:
        if size:
            message.locator(".bubble").tap(position=where)
        else:
            message.locator(".bubble").hover(position=where)

    newest = page.locator(".message").last
    press(newest)
    until(lambda: in_view(page, newest.get_by_role("button", name="Reply", exact=True)))
    tall = page.locator(".message", has_text="tall")
    tall.evaluate("(row) => row.scrollIntoView({ block: 'start' })")
    page.locator(".messages").evaluate("(list) => { list.scrollTop += 500; }")
    page.mouse.move(5, 5)
    until(lambda: tall.evaluate("(row) => row.getBoundingClientRect().top") < 0)
    box = tall.locator(".bubble").bounding_box()
    assert box is not None
    x, y = box["x"] + 40, 400.0
    if size:
        page.touchscreen.tap(x, y)
    else:
        page.mouse.move(x, y)
    until(lambda: in_view(page, tall.get_by_role("button", name="Reply", exact=True)))
    assert [one.is_visible() for one in reply.all()].count(True) == 1
    if size:
        box = tall.get_by_role("button", name="Reply", exact=True).bounding_box()
        assert box is not None
        assert box["width"] >= 44
        assert box["height"] >= 44


def test_who_came_and_went_is_in_the_conversation(people: list[Client], open_page: Open) -> None:
    ana, ben, cleo = people
    crew = ana.group(ben)
    ana.send("before", at=crew)
    page = entered(open_page, ben, f"#/conversations/{crew}")
    expect(page.locator(".message .text")).to_have_text(["before"])
    a, c = ana.name.capitalize(), cleo.name.capitalize()
    ana.put(f"/conversations/{crew}/members/{cleo.id}")
    expect(page.locator(".change")).to_have_text([f"{a} added {c}"])
    write(page, "welcome")
    expect(page.locator(".message .text")).to_have_text(["before", "welcome"])
    expect(page.locator(".message.mine [data-state=sent]")).to_be_visible()  # what follows comes after it in the log too
    ana.delete(f"/conversations/{crew}/members/{cleo.id}")
    ana.patch(f"/conversations/{crew}", {"title": "Small crew"})
    expected = [f"{a} added {c}", f"{a} removed {c}", "The title is now “Small crew”"]
    expect(page.locator(".change")).to_have_text(expected)
    expect(page.locator(".message", has_text="welcome").locator(".change")).to_have_text(expected[:1])
    page.reload()
    expect(page.locator(".change")).to_have_text(expected)


def rename_often(owner: Client, conversation: int, title: str, count: int) -> None:
    """Change a group's title many times without the gateway."""
    with owner.gateway.store():
        from models.chat.conversation import rename
        from models.log.event import transaction

        for n in range(count):
            with transaction() as tx:
                rename(tx, owner.id, conversation, f"{title} {n}")


def test_all_changes_of_a_conversation_are_at_their_places(people: list[Client], open_page: Open) -> None:
    ana, ben, _ = people
    crew = ana.group(ben)
    rename_often(ana, crew, "Early", 205)
    lines(ana, crew, 1, "first")
    rename_often(ana, crew, "Middle", 105)
    lines(ana, crew, 1, "second")
    rename_often(ana, crew, "Late", 3)
    page = entered(open_page, ben, f"#/conversations/{crew}")
    expect(page.locator(".message", has_text="second").locator(".change")).to_have_count(105)
    expect(page.locator(".message", has_text="second").locator(".change").first).to_contain_text("“Middle 0”")
    expect(page.locator(".change").last).to_contain_text("“Late 2”")
    early = page.locator(".message", has_text="first").locator(".change")
    assert early.count() < 205, "what is far above is loaded later"
    page.locator(".messages").focus()
    until(lambda: (page.locator(".messages").evaluate("(list) => { list.scrollTop = 0; }"), early.count() == 205)[1])
    expect(early.first).to_contain_text("“Early 0”")
    expect(page.locator(".messages")).to_contain_text("This is the beginning of the conversation.")


def test_a_group_shows_who_has_read(people: list[Client], open_page: Open) -> None:
    ana, ben, cleo = people
    crew = ana.group(ben, cleo)
    sent = ana.send("hello", at=crew)
    cleo.post(f"/conversations/{crew}/read", {"message": sent["id"]})
    page = entered(open_page, ana, f"#/conversations/{crew}")
    page.locator(".message").hover()
    page.get_by_role("button", name="Who has read it").click()
    expect(page.get_by_role("list", name="Read by 1", exact=True)).to_contain_text(cleo.name.capitalize())
    expect(page.get_by_role("list", name="Not yet by 1", exact=True)).to_contain_text(ben.name.capitalize())
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
