"""client.js in a browser: without a network, with failing gateways, with several tabs."""

import re
from collections.abc import Callable
from threading import Event
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.gateway.client import Client
from tests.gateway.running import Gateway
from tests.page.entering import bodies, entered, write
from tests.waiting import until

pytestmark = pytest.mark.only("sqlite")  # the database does not matter here

Open = Callable[..., Page]
REFUSED = {"type": "/problems/not-a-member", "detail": "not a member"}
BROKEN = {"type": "/problems/internal", "detail": "an internal error"}

# Reads events up to the message `last`; returns the messages' texts, and "state" for a state.
READ = """async ([transport, cursor, last]) => {
    const { Bellwire } = await import("/static/client.js");
    const bell = new Bellwire({ transport });
    const found = [];
    for await (const event of bell.events({ cursor, types: ["message.created"] })) {
        found.push(event.type === "state" ? "state" : event.data.body);
        if (event.data.body === last) return found;
    }
}"""


def texts(who: Client, conversation: int) -> list[str]:
    """Return the messages on the server, oldest first."""
    return [one["body"] for one in who.get(f"/conversations/{conversation}/messages").json()["items"]][::-1]


def test_messages_written_offline_are_sent_once_when_the_network_is_back(people: list[Client], open_page: Open) -> None:
    ana, ben, _ = people
    crew = ana.group(ben)
    page = entered(open_page, ana, f"#/conversations/{crew}")
    write(page, "before")
    expect(page.locator(".message:not(.echo)")).to_have_count(1)
    page.context.set_offline(True)
    write(page, "one")
    write(page, "two")
    expect(page.locator(".echo")).to_have_count(2)
    expect(page.locator("#bar")).to_contain_text("offline")
    page.get_by_label("Message", exact=True).fill("half a word")
    assert bodies(page) == ["before", "one", "two"]
    page.context.set_offline(False)
    expect(page.locator("#bar")).to_be_hidden()
    expect(page.locator(".message:not(.echo)")).to_have_count(3)
    expect(page.locator(".echo")).to_have_count(0)
    expect(page.get_by_label("Message", exact=True)).to_have_value("half a word")
    assert texts(ben, crew) == ["before", "one", "two"]


def test_a_lost_answer_makes_no_second_message(people: list[Client], open_page: Open) -> None:
    ana, ben, _ = people
    crew = ana.group(ben)
    page = entered(open_page, ana, f"#/conversations/{crew}")
    tries: list[str] = []

    def cut(route: Any) -> None:
        tries.append(route.request.post_data_json["client_id"])
        if len(tries) < 3:
            route.fetch()  # the server has it; its answer is lost
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route("**/api/v1/messages", cut)
    with page.expect_response(lambda answer: answer.url.endswith("/messages") and answer.status == 200):
        write(page, "once")
    expect(page.locator(".ticks")).to_have_count(1)
    assert len(tries) == 3
    assert len(set(tries)) == 1
    assert texts(ben, crew) == ["once"]


def test_a_refused_message_shows_its_reason_and_unsent_messages_survive_a_reload(people: list[Client], open_page: Open) -> None:
    ana, ben, _ = people
    crew = ana.group(ben)
    page = entered(open_page, ana, f"#/conversations/{crew}")
    page.route("**/api/v1/messages", lambda route: route.fulfill(status=403, json=REFUSED))
    write(page, "refused at first")
    expect(page.locator(".echo")).to_contain_text("You are not in this conversation.")
    page.unroute("**/api/v1/messages")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".message:not(.echo)")).to_have_count(1)
    page.context.set_offline(True)
    write(page, "written offline")
    expect(page.locator(".echo")).to_have_count(1)
    page.route("**/api/v1/messages", lambda route: route.abort())
    page.context.set_offline(False)
    page.reload()
    expect(page.locator(".echo")).to_contain_text("written offline")
    page.unroute("**/api/v1/messages")
    expect(page.locator(".message:not(.echo)")).to_have_count(2)
    assert texts(ben, crew) == ["refused at first", "written offline"]


def test_a_failed_message_delays_the_later_ones(people: list[Client], open_page: Open) -> None:
    ana, ben, _ = people
    crew = ana.group(ben)
    page = entered(open_page, ana, f"#/conversations/{crew}")
    page.route("**/api/v1/messages", lambda route: route.fulfill(status=500, json=BROKEN), times=1)
    write(page, "one")
    expect(page.locator(".echo")).to_contain_text("Something went wrong on the server.")
    write(page, "two")
    expect(page.locator(".echo")).to_have_count(2)
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".message:not(.echo)")).to_have_count(2)
    assert texts(ben, crew) == ["one", "two"]
    page.route("**/api/v1/messages", lambda route: route.fulfill(status=500, json=BROKEN), times=1)
    write(page, "three")
    expect(page.locator(".echo")).to_contain_text("Something went wrong on the server.")
    write(page, "four")
    page.get_by_role("button", name="Discard").click()
    expect(page.locator(".message:not(.echo)")).to_have_count(3)
    assert texts(ben, crew) == ["one", "two", "four"]


def test_an_open_page_survives_the_death_of_its_gateway(make_gateway: Callable[..., Gateway], open_page: Open) -> None:
    gateway = make_gateway()
    ana, ben = gateway.users(2)
    crew = ana.group(ben)
    here, there = (entered(open_page, who, f"#/conversations/{crew}") for who in (ana, ben))
    write(here, "one")
    expect(there.locator(".message")).to_have_count(1)
    gateway.kill()
    expect(there.locator("#bar")).to_contain_text("The server can't be reached.")
    write(here, "two")
    expect(here.locator(".echo")).to_have_count(1)
    gateway.start()
    expect(there.locator("#bar")).to_be_hidden()
    expect(there.locator(".message .text")).to_have_text(["one", "two"])
    assert texts(ana, crew) == ["one", "two"]


def test_tabs_share_one_poll_which_survives_the_tab_that_started_it(make_gateway: Callable[..., Gateway], open_page: Open) -> None:
    gateway = make_gateway()
    ana, ben = gateway.users(2)
    crew = ana.group(ben)
    first = entered(open_page, ana, f"#/conversations/{crew}")
    gateway.waiting(1)
    second = first.context.new_page()
    second.goto(f"{gateway.url}/#/conversations/{crew}")
    write(second, "from the second")
    expect(first.locator(".message .text")).to_have_text(["from the second"])
    gateway.waiting(1)
    first.close()
    ben.send("to the remaining tab", at=crew)
    expect(second.locator(".message .text")).to_have_text(["from the second", "to the remaining tab"])
    gateway.waiting(1)
    ana.post("/logout")
    expect(second.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_suspended_user_is_signed_out(gateway: Gateway, admin: Client, open_page: Open) -> None:
    ana = gateway.user()
    page = entered(open_page, ana)
    admin.post("/admin/users/suspend", {"ids": [ana.id], "reason": "a test"})
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.get_by_role("status").get_by_text("You were signed out.")).to_be_visible()


@pytest.mark.parametrize("transport", ["poll", "sse", "ws"])
def test_every_transport_continues_at_its_cursor_and_restarts_when_it_has_expired(
    people: list[Client], open_page: Open, transport: str
) -> None:
    ana, ben, _ = people
    cursor = ana.now()
    for word in ("one", "two", "three"):
        ben.send(word, to=ana)
    page = entered(open_page, ana)
    assert page.evaluate(READ, [transport, cursor, "three"]) == ["one", "two", "three"]
    now = ana.now()
    sent = ana.gateway.later(lambda: [ben.send(word, to=ana) for word in ("four", "five")])
    assert page.evaluate(READ, [transport, now, "five"]) == ["four", "five"]
    sent.result()
    seen = Event()
    again = ana.gateway.later(lambda: until(lambda: ben.send("six", to=ana) and seen.wait(0.2)))
    assert page.evaluate(READ, [transport, f"00000000-{now.rpartition('-')[2]}", "six"])[0] == "state"
    seen.set()
    again.result()


def test_sends_are_measured_and_reported(gateway: Gateway, people: list[Client], open_page: Open) -> None:
    ana, ben, _ = people
    crew = ana.group(ben)
    page = entered(open_page, ana, f"#/conversations/{crew}")
    before = gateway.metric("bellwire_client_send_seconds_count")
    write(page, "measured")
    expect(page.locator(".ticks")).to_have_count(1)
    page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide'))")
    until(lambda: gateway.metric("bellwire_client_send_seconds_count") == before + 1)


def test_the_example_is_a_whole_chat(gateway: Gateway, admin: Client, open_page: Open) -> None:
    ben = gateway.user()
    new = {"username": "copier", "email": "copier@example.org", "display_name": "Copier", "password": "correct horse battery"}
    (copier,) = admin.post("/admin/users", {"users": [new]}).json()["items"]
    crew = ben.post("/conversations", {"members": [copier["id"]], "title": "Crew"}).json()["id"]
    ben.send("<b>hello</b>", at=crew)
    page = open_page(f"{gateway.url}/examples/chat.html")
    expect(page.locator("#chat")).to_be_hidden()
    page.get_by_label("Username").fill("copier")
    page.get_by_label("Password").fill("wrong horse battery")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("wrong")
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("listitem")).to_have_text([f"{ben.name.capitalize()}: <b>hello</b>"])
    page.get_by_label("Message", exact=True).fill("hello yourself")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("listitem").last).to_have_text("Copier: hello yourself")
    assert texts(ben, crew) == ["<b>hello</b>", "hello yourself"]
    expect(page.locator("#login")).to_be_hidden()

    page.reload()
    expect(page.get_by_role("listitem")).to_have_text([f"{ben.name.capitalize()}: <b>hello</b>", "Copier: hello yourself"])
    expect(page.locator("#login")).to_be_hidden()
    page.get_by_label("Write to").fill("nobody-at-all")
    page.get_by_role("button", name="Begin a conversation").click()
    expect(page.get_by_role("alert")).to_contain_text("Nobody is called nobody-at-all")
    page.get_by_label("Write to").fill(f"@{ben.name.upper()}")
    page.get_by_role("button", name="Begin a conversation").click()
    expect(page.get_by_label("Conversation", exact=True)).to_have_text(re.compile(f"Crew.*{ben.name.capitalize()}"))
    expect(page.locator("#conversation option:checked")).to_have_text(ben.name.capitalize())
    page.get_by_label("Message", exact=True).fill("just us")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("listitem")).to_have_text(["Copier: just us"])
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("#login")).to_be_visible()
    expect(page.locator("#chat")).to_be_hidden()
