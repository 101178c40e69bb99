"""The frame of the page: the list of conversations, addresses, keys, and what is lost on the way."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from tests.gateway.client import Client
from tests.gateway.newcomers import PASSWORD
from tests.gateway.running import Gateway
from tests.page.entering import PHONE, entered, titled, write
from tests.waiting import until

pytestmark = pytest.mark.only("sqlite")  # the database does not matter here

Open = Callable[..., Page]
MARK_ROWS = "(list) => { for (const row of list.children) row.isMarked = true; }"
BROKEN_EVENT = """(name) => {
    new BroadcastChannel(name).postMessage({ events: [{ type: "message.created", data: null }], cursor: "" });
}"""
NOTE_DESCRIBED = """() => {
    const { store } = document.querySelector("bw-shell");
    const { unsent } = store;
    window.described = new Set();
    store.unsent = (id) => described.add(id) && unsent.call(store, id);
}"""
YESTERDAY = "import('/static/shared/format.js').then(({ formatShort }) => formatShort(Date.now() - 86_400_000))"
OUTSIDE = """() => [...document.body.querySelectorAll("*:not(.hidden, .skip)")].filter((element) => {
    if (element.closest(".places, .tabs, thead")) return false; // links that scroll, and what only screen readers see
    const { left, right, width } = element.getBoundingClientRect();
    return width > 1 && element.checkVisibility({ visibilityProperty: true }) && (left < -1 || right > innerWidth + 1);
}).map((element) => element.outerHTML.slice(0, 80))"""
RIGHT_EDGES = """(list) => [...list.querySelectorAll(".title")].map((title) => {
    const range = new Range();
    range.selectNodeContents(title);
    return Math.round(range.getBoundingClientRect().right);
})"""
MARKED = "(list) => [...list.children].map((row) => Boolean(row.isMarked))"


def name(who: Client) -> str:
    """Return the display name of a user."""
    return who.name.capitalize()


def test_the_list_touches_only_what_changed(people: list[Client], open_page: Open) -> None:
    ana, ben, cleo = people
    crew = ana.group(ben, cleo)
    ana.send("first", at=crew)
    ben.send("hello", to=ana)
    cleo.send("hello", to=ana)
    page = entered(open_page, ana)
    rows = page.locator(".conversations")
    expect(page.locator(".conversations a")).to_have_count(3)
    rows.evaluate(MARK_ROWS)
    there = entered(open_page, ben, f"#/conversations/{crew}")
    expect(titled(page, name(ben)).locator(".dot.online")).to_have_count(1)
    assert rows.evaluate(MARKED) == [True] * 3, "a presence dot changes in place"
    field = there.get_by_label("Message", exact=True)
    typing = titled(page, "Crew").locator("em")
    until(lambda: (field.press_sequentially("hel"), typing.count())[1])
    assert sorted(rows.evaluate(MARKED)) == [False, True, True], "only the row in which somebody types is drawn again"

    titled(page, name(cleo)).focus()
    titled(page, name(cleo)).hover()
    page.mouse.down()
    field.press("Enter")
    expect(page).to_have_title("(3) Bellwire")
    expect(page.locator("#announcer")).to_contain_text("hel")
    page.mouse.up()
    expect(page.locator("bw-chat h1")).to_have_text(name(cleo))
    expect(titled(page, "Crew")).to_contain_text("hel")
    expect(page.locator(".conversations .title").first).to_have_text("Crew")
    assert page.evaluate(YESTERDAY) == "Yesterday", "no word is cut"

    other = titled(page, name(ben)).get_attribute("data-conversation")
    page.evaluate(NOTE_DESCRIBED)
    cleo.send("again", to=ana)
    expect(titled(page, name(cleo))).to_contain_text("again")
    assert int(other or 0) not in page.evaluate("[...described]"), "only what changed is looked at"


def test_others_names_for_things_are_data(people: list[Client], open_page: Open) -> None:
    ana, ben, _ = people
    crew = ana.group(ben)
    sent = ana.send("hello", at=crew)
    page = entered(open_page, ana, f"#/conversations/{crew}")
    for word in ("constructor", "__proto__", "toString"):
        assert ben.put(f"/messages/{sent['id']}/reactions/{word}").status_code == 204
    expect(page.locator(".reaction")).to_have_text(["__proto__ 1", "constructor 1", "toString 1"])
    page.evaluate("location.hash = '#/constructor'")
    expect(page.locator(".view")).to_contain_text("Choose a conversation")
    page.evaluate("location.hash = ''")
    page.evaluate("console.error = () => {}")
    before = ana.gateway.metric("bellwire_client_errors_total", where="event")
    page.evaluate(BROKEN_EVENT, f"bellwire:{ana.id}:posts")
    until(lambda: ana.gateway.metric("bellwire_client_errors_total", where="event") == before + 1)
    ben.send("still here", at=crew)
    expect(titled(page, "Crew")).to_contain_text("still here")


def test_a_member_of_a_large_group_sees_what_the_server_says(gateway: Gateway, open_page: Open) -> None:
    ana, *others = gateway.users(61)
    late, newcomer = others[-2:]
    crew = ana.group(*others[:-1])
    old = ana.send("old", at=crew)
    late.post(f"/conversations/{crew}/read", {"message": old["id"]})
    ana.send("news", at=crew)
    calls: list[str] = []
    page = entered(open_page, late)
    page.on("request", lambda request: calls.append(request.url) if request.url.endswith("/read") else None)
    expect(titled(page, "Crew").locator(".badge")).to_contain_text("1")
    titled(page, "Crew").click()
    expect(page.locator(".new-marker + .line, .new-marker + .day + .line").first).to_contain_text("news")
    expect(titled(page, "Crew").locator(".badge")).to_have_count(0)
    assert ana.delete(f"/messages/{old['id']}").status_code == 204
    expect(page.locator(".message.mine, .message").first).to_contain_text("deleted")
    assert ana.put(f"/conversations/{crew}/members/{newcomer.id}").status_code == 204
    expect(page.locator(".chat-head .quiet")).to_contain_text("61 members")
    until(lambda: late.conversation(crew)["unread"] == 0)
    assert len(calls) == 1
    expect(titled(page, "Crew").locator(".badge")).to_have_count(0)
    page.goto("about:blank")
    for other in others[54:57]:
        other.send("from one of many", at=crew)
    people: list[str] = []
    page.on("request", lambda request: people.append(request.url) if "/api/v1/users/" in request.url else None)
    page.goto(f"{gateway.url}/#/conversations/{crew}")
    expect(page.locator(".sender").last).to_have_text(name(others[56]))
    assert len(people) <= 1, "besides the one in the list, members that the page does not know are loaded by one call"


def test_a_removal_is_told_and_what_was_written_is_kept_and_sent_later(people: list[Client], open_page: Open) -> None:
    ana, ben, _ = people
    crew = ana.group(ben)
    page = entered(open_page, ben, f"#/conversations/{crew}")
    expect(page.locator("bw-chat h1")).to_have_text("Crew")
    page.route("**/api/v1/messages", lambda route: route.abort())
    write(page, "written in a tunnel")
    expect(page.locator(".echo")).to_have_count(1)
    ana.delete(f"/conversations/{crew}/members/{ben.id}")
    expect(page.locator(".toast")).to_contain_text("You are no longer in “Crew”. What you wrote there")
    expect(page.locator(".view")).to_contain_text("written in a tunnel")
    page.goto(f"{ana.gateway.url}/#/conversations")
    titled(page, "A chat you are no longer in").click()
    expect(page.locator(".view")).to_contain_text("written in a tunnel")
    page.unroute("**/api/v1/messages")
    ana.put(f"/conversations/{crew}/members/{ben.id}")
    expect(page.locator(".message:not(.echo) .text")).to_have_text(["written in a tunnel"])
    expect(page.locator(".conversations a")).to_have_count(1)
    page.goto(f"{ana.gateway.url}/#/settings")
    ana.delete(f"/conversations/{crew}/members/{ben.id}")
    expect(page.locator(".toast").last).to_have_text("You are no longer in “Crew”.")


def test_who_came_while_the_connection_was_lost_is_there_and_another_view_has_no_dialog_of_the_last(
    people: list[Client], open_page: Open
) -> None:
    ana, ben, _ = people
    ana.send("hello", to=ben)
    page = entered(open_page, ana)
    expect(titled(page, name(ben))).to_be_visible()
    page.get_by_role("button", name="New conversation").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.context.set_offline(True)
    expect(page.locator("#bar")).to_be_visible()
    entered(open_page, ben)
    until(lambda: ana.get("/state").json()["presence"][str(ben.id)])
    page.context.set_offline(False)
    expect(titled(page, name(ben)).locator(".dot.online")).to_have_count(1)
    page.evaluate("location.hash = '#/settings'")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_chat_begins_with_its_first_message_and_both_are_there(people: list[Client], open_page: Open) -> None:
    ana, ben, _ = people
    here = entered(open_page, ana)
    there = entered(open_page, ben)
    here.get_by_label("Search people and messages").fill(f"@{ben.name}")
    here.locator(".found a", has_text=name(ben)).click()
    expect(here.locator("bw-chat h1")).to_have_text(name(ben))
    assert ben.get("/conversations").json()["items"] == []
    expect(there.locator(".conversations a")).to_have_count(0)
    here.keyboard.press("Control+k")
    expect(here.get_by_role("combobox")).to_be_focused()  # its code is loaded
    here.keyboard.press("Escape")
    here.context.set_offline(True)
    for word in ("one", "two"):
        write(here, word)
    expect(here.locator(".echo")).to_have_count(2)
    here.get_by_role("button", name="Priority: Normal").click()
    here.get_by_role("menuitemradio", name="Urgent").click()
    here.get_by_label("Message", exact=True).fill("half a word")
    here.keyboard.press("Control+k")
    expect(here.get_by_role("combobox")).to_be_focused()
    here.context.set_offline(False)
    expect(here).to_have_url(re.compile(r"#/conversations/\d+$"))
    expect(here.get_by_role("combobox")).to_be_focused()
    here.keyboard.press("Escape")
    expect(here.get_by_role("button", name="Priority: Urgent")).to_be_visible()
    expect(here.locator(".message:not(.echo) .text")).to_have_text(["one", "two"])
    expect(here.get_by_label("Message", exact=True)).to_have_value("half a word")
    expect(here.locator(".chat-head .quiet")).to_have_text("Online")
    expect(titled(there, name(ana)).locator(".dot.online")).to_have_count(1)
    conversation = here.url.rpartition("/")[2]
    assert [one["body"] for one in ben.get(f"/conversations/{conversation}/messages").json()["items"]] == ["two", "one"]
    here.goto(f"{ana.gateway.url}/#/people/{ben.id}")
    expect(here).to_have_url(re.compile(r"#/conversations/\d+$"))
    here.goto(f"{ana.gateway.url}/#/people/999999")
    expect(here.locator(".view")).to_contain_text("There is no such person")


def test_what_one_user_did_not_send_is_not_sent_as_the_next_one(people: list[Client], admin: Client, open_page: Open) -> None:
    ana = people[0]
    new = {"username": "mila", "email": "mila@example.org", "password": PASSWORD}
    (mila,) = admin.post("/admin/users", {"users": [new]}).json()["items"]
    crew = ana.post("/conversations", {"members": [mila["id"]], "title": "Crew"}).json()["id"]
    page = entered(open_page, ana, f"#/conversations/{crew}")
    page.route("**/api/v1/messages", lambda route: route.abort())
    write(page, "of ana")
    expect(page.locator(".echo")).to_have_count(1)
    tab = page.context.new_page()
    tab.route("**/api/v1/messages", lambda route: route.abort())
    tab.goto(page.url)
    tab.wait_for_selector("bw-composer")
    tab.route("**/api/v1/**", lambda route: route.abort())  # it does not hear of what comes
    write(tab, "of ana, elsewhere")
    page.get_by_role("link", name="Settings").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Username").fill("mila")
    page.locator(".skip").press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(tab.locator("bw-composer")).to_have_count(0)
    tab.unroute_all()
    expect(titled(tab, "Crew")).to_be_visible()
    page.get_by_role("link", name="Chats").click()
    titled(page, "Crew").click()
    page.context.set_offline(True)
    expect(page.locator("#bar")).to_be_visible()
    page.unroute("**/api/v1/messages")
    page.context.set_offline(False)
    expect(page.locator("#bar")).to_be_hidden()
    write(page, "of mila")
    expect(page.locator(".message:not(.echo) .text")).to_have_text(["of mila"])


def test_a_section_that_did_not_load_says_so_and_works_at_the_next_click(people: list[Client], open_page: Open) -> None:
    page = entered(open_page, people[0])
    page.route("**/community/feed.js*", lambda route: route.fulfill(status=502), times=1)
    posts = page.get_by_role("link", name="Posts")
    posts.click()
    expect(page.get_by_role("alert")).to_have_text("The server can't be reached.")
    posts.click()
    expect(page.get_by_label("Write a post")).to_be_visible()
    page.evaluate("location.hash = ''")
    page.context.set_offline(True)
    page.get_by_role("link", name="Notifications").click()
    expect(page.get_by_role("alert")).to_have_text("You are offline.")
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("bw-notifications")).to_be_visible()


def test_a_new_version_of_the_page_is_offered(people: list[Client], open_page: Open) -> None:
    page = entered(open_page, people[0])

    def answer_newer(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=re.sub(r'(bellwire-version" content=")\w+', r"\g<1>newer", answer.text()))

    page.route(f"{people[0].gateway.url}/", answer_newer)
    page.context.set_offline(True)
    expect(page.locator("#bar")).to_contain_text("You are offline")
    page.context.set_offline(False)
    expect(page.locator("#bar")).to_contain_text("There is a new version of this page.")
    page.unroute(f"{people[0].gateway.url}/")
    page.locator("#bar").get_by_role("button", name="Reload").click()
    expect(page.locator("bw-conversations li")).to_have_count(1)
    expect(page.locator("#bar")).to_be_hidden()


def test_an_action_without_a_network_says_so(people: list[Client], open_page: Open) -> None:
    ana, ben, _ = people
    ana.send("hello", to=ben)
    page = entered(open_page, ben)
    titled(page, name(ana)).click()
    expect(page.locator(".message")).to_have_count(1)
    page.context.set_offline(True)
    page.locator(".message").hover()
    page.get_by_role("button", name="React", exact=True).click()
    page.get_by_role("button", name="React with 👍").click()
    expect(page.locator(".toast")).to_have_text("You are offline.")
    page.context.set_offline(False)
    page.route("**/reactions/*", lambda route: route.fulfill(status=502, body="<h1>Bad gateway</h1>"))
    page.get_by_role("button", name="React", exact=True).click()
    page.get_by_role("button", name="React with 👍").click()
    expect(page.locator(".toast").last).to_have_text("The server can't be reached.")


def test_the_keyboard_goes_to_anything(people: list[Client], open_page: Open, violations: Callable[[Page], list[str]]) -> None:
    ana, ben, cleo = people
    ben.send("hello", to=ana)
    cleo.send("hello", to=ana)
    crew = ana.group(ben, cleo, title="Über uns")
    page = entered(open_page, ana)
    page.keyboard.press("Control+k")
    palette = page.get_by_role("combobox")
    palette.fill("uber")
    expect(page.get_by_role("option")).to_have_count(1)
    expect(page.locator("mark")).to_have_text("Über")
    assert violations(page) == []
    page.keyboard.press("Enter")
    expect(page.locator("bw-chat h1")).to_have_text("Über uns")
    page.keyboard.press("Alt+ArrowDown")
    expect(page.locator("bw-chat h1")).to_have_text(name(cleo))
    expect(page.locator(".message")).to_have_count(1)
    page.get_by_label("Message", exact=True).focus()
    for _ in range(3):  # by the buttons for files and for the priority
        page.keyboard.press("Shift+Tab")
    expect(page.locator(".messages:focus")).to_have_count(1)  # the buttons of a message are no stops before one is at it
    page.keyboard.press("Alt+ArrowUp")
    expect(page).to_have_url(f"{ana.gateway.url}/#/conversations/{crew}")
    page.keyboard.press("Control+k")
    palette.fill(ben.name)
    expect(page.get_by_role("option").first).to_contain_text(f"@{ben.name}")
    page.keyboard.press("Escape")
    page.locator(".messages").focus()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Go to a person, a chat or a message")
    page.keyboard.press("Escape")
    page.locator(".messages").focus()
    page.keyboard.press("/")
    expect(page.get_by_label("Search people and messages")).to_be_focused()
    expect(page.get_by_label("Search people and messages")).to_have_value("")


def test_back_leads_where_one_was(people: list[Client], open_page: Open) -> None:
    ana, ben, _ = people
    ben.send("hello", to=ana)
    page = entered(open_page, ana, "#/settings", **PHONE)
    page.wait_for_selector("bw-settings")
    page.get_by_role("link", name="Chats").click()
    titled(page, name(ben)).click()
    expect(page.locator(".message")).to_have_count(1)
    page.get_by_role("link", name="Back to the list").click()
    expect(page.locator(".conversations")).to_be_visible()
    page.go_back()
    expect(page.locator("bw-settings")).to_be_visible()


def test_arabic_reads_from_right_to_left(people: list[Client], open_page: Open) -> None:
    ana, ben, cleo = people
    assert ana.patch("/me", {"display_name": "أحمد الخطيب"}).status_code == 200
    crew = ana.group(ben, cleo, title=None)
    sent = ben.send("- see https://example.org/\n- `run.py -x`", at=crew)
    ana.send("مرحبا", to=ben)
    ana.group(ben, title="Crew (two)")
    post = ben.post("/posts", {"body": "An English post (in part)."}).json()
    page = entered(open_page, ana, locale="ar", **PHONE)
    rows = page.locator(".conversations")
    assert len(set(rows.evaluate(RIGHT_EDGES))) == 1, "titles in any letters begin at the same edge"
    expect(rows.locator(".title")).to_contain_text(
        ["Crew (two)", name(ben), f"\u200f\u2068{name(ben)}\u2069 و\u2068{name(cleo)}\u2069"]
    )
    assert page.evaluate(OUTSIDE) == []
    page.evaluate("(address) => (location.hash = address)", f"#/conversations/{crew}")
    message = page.locator(f"article[data-message='{sent['id']}']")
    expect(message.locator("a, code, ul")).to_have_count(3)
    for n in range(3):
        expect(message.locator("a, code, ul").nth(n)).to_have_css("direction", "ltr")
    message.focus()
    expect(message.locator(".tools button").first).to_be_visible()
    assert page.evaluate(OUTSIDE) == [], "the buttons of a message"
    mirrored = page.locator("bw-chat :is(.back, .tools, form) .directed")
    for n in range(3):  # back, reply and send
        expect(mirrored.nth(n)).to_have_css("transform", "matrix(-1, 0, 0, 1, 0, 0)")
    message.locator(".tools button").first.click()
    emoji = page.locator(".emoji-grid button")
    expect(emoji.first).to_be_focused()
    assert page.evaluate(OUTSIDE) == [], "the emoji picker"
    page.keyboard.press("ArrowLeft")
    expect(emoji.nth(1)).to_be_focused()
    page.keyboard.press("Escape")
    page.locator(".chat-head button").last.click()
    members = page.get_by_role("list", name="الأعضاء").locator("small")
    expect(members).to_have_text(["مالك", f"\u2068@{ben.name}\u2069", f"\u2068@{cleo.name}\u2069"])
    assert page.evaluate(OUTSIDE) == [], "the members"
    page.keyboard.press("Escape")
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    message.focus()
    assert page.evaluate(OUTSIDE) == [], "the buttons of a message, at twice the size"
    assert page.locator("bw-composer textarea").evaluate("(field) => field.clientWidth") > 200, "room for words"
    page.locator(".chat-head button").last.click()
    expect(members).to_have_count(3)
    assert page.evaluate(OUTSIDE) == [], "the members, at twice the size"
    page.keyboard.press("Escape")
    for address, shown in (
        (f"posts/{post['id']}", ".post .text"),
        ("notifications", ".notices li"),
        ("settings", "bw-sessions li"),
    ):
        page.evaluate("(address) => (location.hash = address)", f"#/{address}")
        page.locator(shown).first.wait_for()
        assert page.evaluate(OUTSIDE) == [], address
