"""Finding people, their cards, and the members of groups, in a browser."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.gateway.client import Client
from tests.gateway.running import Gateway
from tests.page.entering import PHONE, entered, titled, write

pytestmark = pytest.mark.only("sqlite")  # the database does not matter here

Open = Callable[..., Page]


def test_nobody_is_chosen_who_does_not_match_what_stands_in_the_field(people: list[Client], open_page: Open) -> None:
    ana, _, cleo = people
    page = entered(open_page, ana)
    page.get_by_role("button", name="New conversation").click()
    chosen = page.get_by_role("list", name="Chosen people").get_by_role("listitem")
    search = page.get_by_label("Add people")
    expect(page.get_by_role("list", name="People found").get_by_role("button").first).to_be_visible()
    search.fill(f"@{cleo.name}")
    search.press("Enter")
    expect(chosen).to_have_text([cleo.name.capitalize()])
    search.fill("a name that nobody has")
    search.press("Enter")
    expect(page.get_by_role("list", name="People found")).to_have_text("Nobody was found.")
    expect(chosen).to_have_count(1)


def test_looking_somebody_up_writes_nothing_until_the_first_message(people: list[Client], open_page: Open) -> None:
    ana, ben, _ = people
    here, there = entered(open_page, ana, **PHONE), entered(open_page, ben)
    here.get_by_label("Search people and messages").fill(ben.name)
    here.locator(".found .title", has_text=ben.name.capitalize()).click()
    expect(here).to_have_url(f"{ana.gateway.url}/#/people/{ben.id}")
    expect(here.locator("bw-chat h1")).to_have_text(ben.name.capitalize())
    expect(here.locator(".chat-head .quiet")).to_contain_text(f"@{ben.name}")  # whether they are online is not known yet
    here.get_by_label("Message", exact=True).fill("half a")
    here.reload()
    expect(here.get_by_label("Message", exact=True)).to_have_value("half a")
    assert ben.get("/conversations").json()["items"] == []
    here.get_by_label("Message", exact=True).fill("Hello, Ben")
    here.get_by_role("button", name="Send").click()
    expect(here.locator("bw-chat .message .text")).to_have_text(["Hello, Ben"])
    expect(there.locator("#announcer")).to_contain_text(f"{ana.name.capitalize()}: Hello, Ben")
    titled(there, ana.name.capitalize()).click()
    write(there, "Hello, Ana")
    expect(here.locator("bw-chat .message .text")).to_have_text(["Hello, Ben", "Hello, Ana"])
    here.goto(f"{ana.gateway.url}/#/people/{ben.id}")
    expect(here.locator("bw-chat")).to_be_visible()


def test_a_new_name_is_shown_everywhere_at_once(people: list[Client], admin: Client, open_page: Open) -> None:
    ana, ben, cleo = people
    first = ana.send("hello", to=ben)
    with_ana, crew = first["conversation"], ana.group(ben)
    ana.put(f"/conversations/{crew}/members/{cleo.id}")
    answered = ana.send("all", at=crew)
    ben.send("yes", at=crew, reply_to=answered["id"])
    ana.put(f"/messages/{answered['id']}/reactions/👍")
    page = entered(open_page, ben, f"#/conversations/{crew}")
    expect(page.locator(".sender")).to_have_text([ana.name.capitalize()])
    expect(page.locator(".change")).to_contain_text(f"{ana.name.capitalize()} added")
    assert ana.patch("/me", {"display_name": "Ana Maria"}).status_code == 200
    expect(page.locator(".sender")).to_have_text(["Ana Maria"])
    expect(page.locator(".change")).to_contain_text("Ana Maria added")
    expect(page.locator(".quote")).to_contain_text("Ana Maria")
    expect(page.locator(".reaction")).to_have_attribute("title", "Ana Maria")
    expect(titled(page, "Crew")).to_contain_text("You: yes")
    page.goto(f"{ana.gateway.url}/#/conversations/{with_ana}")
    expect(page.locator("bw-chat h1")).to_have_text("Ana Maria")
    page.get_by_role("button", name="About Ana Maria").click()
    expect(page.get_by_role("dialog", name="Ana Maria")).to_contain_text(f"@{ana.name} · offline")
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    assert admin.patch(f"/admin/users/{ana.id}", {"display_name": "Ana M."}).status_code == 200
    expect(page.locator("bw-chat h1")).to_have_text("Ana M.")
    expect(titled(page, "Ana M.")).to_have_count(1)
    expect(page).to_have_title("Ana M. – Bellwire")


def test_members_of_a_large_group_are_found_and_removing_and_leaving_ask_first(
    gateway: Gateway, open_page: Open, violations: Callable[[Page], list[str]]
) -> None:
    crowd = gateway.users(62)
    ana, last, stranger = crowd[0], crowd[-2], crowd[-1]
    crew = ana.group(*crowd[1:-1])
    page = entered(open_page, ana, f"#/conversations/{crew}")
    expect(page.locator(".chat-head .quiet")).to_have_text("61 members")  # it is not known who is online
    page.get_by_role("button", name="Members and title").click()
    dialog = page.get_by_role("dialog").first
    members = dialog.get_by_role("list", name="Members").get_by_role("listitem")
    expect(members).to_have_count(50)
    dialog.get_by_role("button", name="Show more members").click()
    expect(members).to_have_count(61)
    assert violations(page) == []
    dialog.get_by_label("Add people").fill(last.name)
    found = dialog.get_by_role("list", name="People found")
    expect(found).to_have_text("Nobody was found.")
    dialog.get_by_label("Add people").fill(stranger.name)
    expect(found.get_by_role("button")).to_have_count(1)

    dialog.get_by_label("Find a member").fill(last.name)
    expect(members).to_have_count(1)
    members.get_by_role("button", name=f"Remove {last.name.capitalize()}").click()
    question = page.get_by_role("dialog", name=f"Remove {last.name.capitalize()}")
    question.get_by_role("button", name="Cancel").click()
    assert last.conversation(crew)["members_count"] == 61
    members.get_by_role("button", name=f"Remove {last.name.capitalize()}").click()
    question.get_by_role("button", name="Remove").click()
    expect(members).to_have_count(0)
    assert last.get(f"/conversations/{crew}").status_code == 404

    dialog.get_by_label("Find a member").fill(crowd[1].name)
    members.get_by_role("button", name=crowd[1].name.capitalize()).first.click()
    card = page.get_by_role("dialog", name=crowd[1].name.capitalize())
    expect(card).to_contain_text(f"@{crowd[1].name} · offline")
    assert violations(page) == []
    expect(card.get_by_role("button", name="Close")).to_have_count(1)
    card.get_by_role("button", name="Write a message").click()
    expect(page).to_have_url(f"{gateway.url}/#/people/{crowd[1].id}")
    expect(page.get_by_role("dialog")).to_have_count(0)

    page.goto(f"{gateway.url}/#/conversations/{crew}")
    expect(page.locator(".chat-head .quiet")).to_contain_text("60 members")  # else the change of views would close the dialog
    page.get_by_role("button", name="Members and title").click()
    expect(members).to_have_count(50)
    page.get_by_role("button", name="Leave this conversation").click()
    page.get_by_role("dialog", name="Leave this conversation?").get_by_role("button", name="Leave", exact=True).click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(titled(page, "Crew")).to_have_count(0)
