"""The API documentation in a browser."""

import json
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from gateway.apidoc.openapi import verbs
from gateway.app import ROUTES
from tests.gateway.client import Client
from tests.gateway.running import Gateway

pytestmark = pytest.mark.only("sqlite")  # the database does not matter here

Open = Callable[..., Page]
CALLS = sum(len(list(verbs(handler))) for _, handler in ROUTES)


@pytest.fixture(scope="module")
def ana(gateway: Gateway) -> Client:
    """One user for all tests of the file."""
    return gateway.user()


@pytest.fixture
def docs(gateway: Gateway, open_page: Open) -> Callable[..., Page]:
    """Open the documentation, at a call if one is named."""

    def open_docs(call: str = "", **options: object) -> Page:
        page = open_page(f"{gateway.url}/api/docs#{call}", **options)
        expect(page.locator("details.call")).to_have_count(CALLS)
        return page

    return open_docs


def test_a_few_words_find_a_call(docs: Open) -> None:
    page = docs()
    shown = page.locator("details.call:visible")
    expect(shown).to_have_count(CALLS)

    page.get_by_label("Find a call").fill("DELETE /posts like")
    expect(shown).to_have_count(1)
    expect(shown).to_contain_text("Remove a like")
    expect(page.get_by_role("status").first).to_have_text(f"1 of {CALLS} calls")
    expect(page.locator("nav#areas a:visible")).to_have_text(["Community"])

    page.get_by_label("Find a call").fill("no such thing")
    expect(shown).to_have_count(0)
    page.get_by_label("Find a call").fill("")
    expect(shown).to_have_count(CALLS)


def test_a_call_is_tried_with_a_token_and_its_answer_is_shown(docs: Open, ana: Client) -> None:
    page = docs("send_a_message")
    call = page.locator("#send_a_message")
    page.get_by_label("Token").fill(ana.token or "")
    call.get_by_label("Body").fill('{"to": 1, "body": "it\'s me"}')
    call.get_by_role("button", name="Send").click()

    expect(call.get_by_role("status")).to_contain_text("422 Unprocessable")
    expect(call.get_by_label("Body of the response")).to_contain_text('"field": "to"')
    call.get_by_text("Headers").click()
    expect(call.get_by_label("Headers of the response")).to_contain_text("content-type: application/problem+json")
    line = call.get_by_label("As a curl command").text_content() or ""
    assert line.startswith("curl -X POST ")
    assert "it'\\''s me" in line
    assert '"Authorization: Bearer $TOKEN"' in line
    assert (ana.token or "?") not in page.content()


def test_a_file_is_uploaded_and_its_bytes_are_counted(docs: Open, ana: Client) -> None:
    page = docs("upload_a_file")
    call = page.locator("#upload_a_file")
    page.get_by_label("Token").fill(ana.token or "")
    call.get_by_label("Body").set_input_files({"name": "a.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.7\n"})
    call.get_by_role("button", name="Send").click()
    expect(call.get_by_role("status")).to_contain_text("201 Created")
    expect(call.get_by_label("As a curl command")).to_contain_text("--data-binary '@a.pdf'")
    file = json.loads(call.get_by_label("Body of the response").text_content() or "")

    page = docs("download_a_file")
    call = page.locator("#download_a_file")
    page.get_by_label("Token").fill(ana.token or "")
    call.get_by_label("file (required)").fill(str(file["id"]))
    call.get_by_role("button", name="Send").click()
    expect(call.get_by_label("Body of the response")).to_have_text("9 bytes of the type application/pdf")


def test_fields_of_path_and_query_go_where_they_belong(docs: Open, ana: Client) -> None:
    page = docs("read_a_user")
    page.get_by_label("Token").fill(ana.token or "")
    page.locator("#read_a_user").get_by_label("user (required)").fill(str(ana.id))
    page.locator("#read_a_user").get_by_role("button", name="Send").click()
    expect(page.locator("#read_a_user").get_by_label("Body of the response")).to_contain_text(f'"username": "{ana.name}"')

    page.goto(page.url.partition("#")[0] + "#list_posts")
    call = page.locator("#list_posts")
    call.get_by_label("bookmarked").select_option("true")
    call.get_by_label("limit").fill("0")
    call.get_by_role("button", name="Send").click()
    expect(call.get_by_label("Body of the response")).to_contain_text('"field": "limit"')
    expect(call.get_by_label("As a curl command")).to_contain_text("/api/v1/posts?bookmarked=true&limit=0")


def test_a_call_is_made_for_another_user(docs: Open, gateway: Gateway, ana: Client) -> None:
    page = docs("read_my_account")
    page.get_by_label("Token").fill(gateway.user("admin").token or "")
    call = page.locator("#read_my_account")
    expect(call.locator("ul.fields li", has_text="Bellwire-As")).to_contain_text("in the header")
    call.get_by_label("Bellwire-As").fill(str(ana.id))
    call.get_by_role("button", name="Send").click()

    expect(call.get_by_label("Body of the response")).to_contain_text(f'"username": "{ana.name}"')
    expect(call.get_by_label("As a curl command")).to_contain_text(f"-H 'Bellwire-As: {ana.id}'")


def test_a_token_lives_as_long_as_the_tab(docs: Open) -> None:
    page = docs()
    page.get_by_label("Token").fill("a secret")
    page.reload()

    expect(page.get_by_label("Token")).to_have_value("a secret")
    assert page.evaluate("JSON.stringify(localStorage) + document.cookie") == "{}"


def test_a_session_of_the_browser_is_used_where_there_is_no_token(docs: Open, gateway: Gateway) -> None:
    admin = gateway.user("admin")
    new = {"username": f"c{admin.id}", "email": f"c{admin.id}@example.org", "password": "a long enough password"}
    assert admin.post("/admin/users", {"users": [new]}).status_code == 201
    page = docs("log_in")
    page.locator("#log_in").get_by_label("Body").fill(
        f'{{"login": "{new["username"]}", "password": "{new["password"]}", "cookie": true}}'
    )
    page.locator("#log_in").get_by_role("button", name="Send").click()
    expect(page.locator("#log_in").get_by_role("status")).to_contain_text("200 OK")

    page.goto(page.url.partition("#")[0] + "#create_a_group")
    page.locator("#create_a_group").get_by_role("button", name="Send").click()
    expect(page.locator("#create_a_group").get_by_role("status")).to_contain_text("201 Created")


def test_an_answer_that_does_not_end_is_shown_as_it_comes_until_it_is_stopped(docs: Open, gateway: Gateway, ana: Client) -> None:
    page = docs("stream_events")
    call = page.locator("#stream_events")
    page.get_by_label("Token").fill(ana.token or "")
    call.get_by_role("button", name="Send").click()

    expect(call.get_by_role("status")).to_contain_text("200 OK")
    expect(call.get_by_label("Body of the response")).to_contain_text("id: ")
    gateway.waiting(1, "sse")
    call.get_by_role("button", name="Stop").click()
    expect(call.get_by_role("status")).to_contain_text("(stopped)")
    gateway.waiting(0, "sse")


def test_every_call_opens_and_says_what_it_answers(docs: Open) -> None:
    page = docs()
    page.evaluate("for (const call of document.querySelectorAll('details.call')) call.open = true")

    expect(page.locator("details.call h4:text-is('Responses')")).to_have_count(CALLS)
    expect(page.locator("details.call h4:text-is('Try it')")).to_have_count(CALLS)


def test_the_keyboard_is_enough(docs: Open, ana: Client) -> None:
    page = docs()
    page.get_by_label("Token").fill(ana.token or "")
    page.get_by_label("Find a call").focus()
    page.keyboard.type("read my account")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('#read_my_account > summary')"):
            break
    page.keyboard.press("Enter")
    page.locator("#read_my_account form").wait_for()
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Send":
            break
    page.keyboard.press("Enter")
    expect(page.locator("#read_my_account").get_by_label("Body of the response")).to_contain_text(f'"username": "{ana.name}"')


@pytest.mark.parametrize("width", [390, 820, 1280])
def test_nothing_is_wider_than_the_screen(docs: Open, width: int) -> None:
    page = docs("remove_a_member_or_leave", viewport={"width": width, "height": 800})
    page.locator("#remove_a_member_or_leave form").wait_for()

    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible(docs: Open, violations: Callable[[Page], list[str]], ana: Client, scheme: str) -> None:
    page = docs("send_a_message", color_scheme=scheme)
    page.get_by_label("Token").fill(ana.token or "")
    page.locator("#send_a_message").get_by_role("button", name="Send").click()
    expect(page.locator("#send_a_message").get_by_label("Body of the response")).to_be_visible()
    for more in page.locator("#send_a_message details > summary").all():
        more.click()

    assert page.title() == "Bellwire API"
    assert violations(page) == []
