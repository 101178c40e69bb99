"""The first hour in a browser: the first admin, an invitation, and signing up where it goes wrong."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from models.accounts import setup
from models.log import event
from tests.gateway.newcomers import PASSWORD, log_in, mail_kinds, newest_mail
from tests.gateway.running import Gateway
from tests.page.entering import PHONE, entered

pytestmark = pytest.mark.only("sqlite")  # the database does not matter here

Open = Callable[..., Page]
ANOTHER_ZONE = "Intl.DateTimeFormat.prototype.resolvedOptions = () => ({ timeZone: 'Mars/Olympus' })"


@pytest.fixture(scope="module")
def closed(make_gateway: Callable[..., Gateway]) -> Gateway:
    """A gateway where nobody can sign up without an invitation, with a mail server."""
    return make_gateway(SIGNUP="closed", EMAIL_URL="smtp://127.0.0.1:9")


def fill(page: Page, **values: str) -> None:
    """Fill the fields with these names."""
    for name, value in values.items():
        page.locator(f"form [name={name}]").fill(value)


def submit(page: Page) -> None:
    """Press the button of the form."""
    page.locator("form button.primary").click()


def described(page: Page, name: str, text: str) -> None:
    """Wait until the error of a field is shown at it."""
    field = page.locator(f"form [name={name}]")
    expect(field).to_have_accessible_description(re.compile(text))
    expect(field).to_have_attribute("aria-invalid", "true")


def test_the_first_visitor_becomes_the_admin_and_invites_others(
    closed: Gateway, open_page: Open, violations: Callable[[Page], list[str]]
) -> None:
    with closed.store(), event.transaction():
        code = setup.new_code()
    page = open_page(closed.url, timezone_id="Europe/Lisbon", locale="pt-PT", **PHONE)
    page.get_by_role("link", name="Set it up").click()
    expect(page.get_by_role("heading", name="Set up Bellwire")).to_be_visible()
    assert violations(page) == []
    account = {"username": "-", "email": "root@example.org", "password": "short"}
    fill(page, code="22222-22222", organisation="Hill School", **account)
    submit(page)
    described(page, "code", "not the code that the terminal shows")
    described(page, "username", "2 to 32 letters")
    described(page, "password", "10 to 200 characters")
    fill(page, code=code.lower(), username="root", password=PASSWORD)
    submit(page)
    expect(page.locator(".view [name=organisation]")).to_have_value("Hill School")
    (profile,) = closed.rows("SELECT timezone, locale FROM profiles JOIN users ON users.id=user_id WHERE username='root'")
    assert profile == ("Europe/Lisbon", "pt-PT")
    assert violations(page) == []
    fill(page, organisation="Hill College")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Send me a mail").click()
    expect(page.locator(".view")).to_contain_text("A mail is on its way to root@example.org")
    page.get_by_role("button", name="Invite people").click()
    page.get_by_label("For how many people").fill("1")
    page.get_by_role("button", name="Make a link").click()
    link = page.locator("dialog [name=link]").input_value()
    expect(page.get_by_role("dialog").get_by_role("button", name="Cancel")).to_have_count(0)
    page.get_by_role("button", name="Done").click()
    page.get_by_role("link", name="Start").click()
    page.get_by_role("button", name="Write to somebody").click()
    expect(page.get_by_role("dialog").get_by_role("button", name="Invite people")).to_be_visible()

    stranger = open_page(closed.url)
    expect(stranger.locator(".brand")).to_have_text("Hill College")
    expect(stranger.get_by_role("button", name="Forgot password?")).to_be_visible()
    expect(stranger.get_by_role("button", name="Create an account")).to_have_count(0)
    stranger.goto(f"{closed.url}/#/setup")
    expect(stranger.locator(".said")).to_have_text("This Bellwire has its admin already. Sign in.")
    stranger.goto(f"{closed.url}/#/invitation/nonsense")
    expect(stranger.locator(".said")).to_contain_text("This invitation is over")
    expect(stranger.get_by_role("button", name="Create an account")).to_have_count(0)
    stranger.goto(link)
    expect(stranger.locator(".said")).to_contain_text("You are invited.")
    assert violations(stranger) == []
    stranger.evaluate(ANOTHER_ZONE)  # which the server does not know
    fill(stranger, username="root", email="ana@exmple.org", password=PASSWORD)
    submit(stranger)
    described(stranger, "username", "Somebody has this username")
    fill(stranger, username="ana")
    submit(stranger)
    expect(stranger.locator(".said")).to_contain_text("ana@exmple.org")
    repeat_with_another_address(closed, stranger)
    expect(stranger.locator("bw-conversations")).to_be_visible()
    (profile,) = closed.rows("SELECT timezone, locale FROM profiles JOIN users ON users.id=user_id WHERE username='ana'")
    assert profile == ("UTC", "en-US")


def repeat_with_another_address(gateway: Gateway, page: Page) -> None:
    """Reload, have the code sent again, and to another address; then confirm it."""
    page.reload()
    page.get_by_role("button", name="Send again").click()
    expect(page.locator(".said")).to_have_text("We sent another code to ana@exmple.org.")
    assert mail_kinds(gateway, "ana@exmple.org") == ["signup_code", "signup_code"]
    page.get_by_role("button", name="Change the address").click()
    fill(page, email="not one")
    page.locator("[name=email]").evaluate("(field) => (field.type = 'text')")  # browsers refuse some, in words of their own
    submit(page)
    described(page, "email", "not a complete e-mail address")
    fill(page, email="ana@example.org")
    submit(page)
    fill(page, code="000000")
    submit(page)
    described(page, "code", "wrong, was used, or is too old")
    fill(page, code=newest_mail(gateway, "ana@example.org")["code"])
    submit(page)


def test_a_lost_password_is_replaced_by_the_code_that_signs_in(
    gateway: Gateway, open_page: Open, violations: Callable[[Page], list[str]]
) -> None:
    ana = gateway.user()
    address = f"{ana.name}@example.org"
    page = open_page(f"{gateway.url}/#/invitation/nonsense", **PHONE)
    expect(page.locator(".said")).to_contain_text("This invitation is over")
    page.get_by_role("button", name="Forgot password?").click()
    expect(page.locator(".said")).to_contain_text("This server sends no e-mail yet.")
    fill(page, email=address)
    submit(page)
    expect(page.locator(".said")).to_contain_text(f"There is a code of six digits for {address}.")
    assert violations(page) == []
    fill(page, code=newest_mail(gateway, address)["code"], new_password="short")
    submit(page)
    described(page, "new_password", "10 to 200 characters")
    fill(page, new_password=PASSWORD)
    submit(page)
    expect(page.get_by_text("Your password was changed.")).to_be_visible()
    expect(page.locator("bw-conversations")).to_be_visible()
    assert log_in(gateway, login=ana.name, password=PASSWORD).status_code == 200


def test_where_no_mail_is_sent_the_admin_is_told_so(gateway: Gateway, open_page: Open) -> None:
    page = entered(open_page, gateway.user("admin"), "#/setup")
    for address in ("#/setup", "#/admin/organisation"):
        page.goto(f"{gateway.url}/{address}")
        expect(page.locator(".view").get_by_text("No mail server is set yet")).to_be_visible()
        expect(page.locator(".view").get_by_role("button", name="Send me a")).to_have_count(0)


def test_an_account_that_an_admin_made_takes_the_time_zone_of_its_first_browser(gateway: Gateway, open_page: Open) -> None:
    admin = gateway.user("admin")
    new = {"username": "newcomer", "email": "newcomer@example.org", "password": PASSWORD}
    assert admin.post("/admin/users", {"users": [new]}).status_code == 201
    page = open_page(gateway.url, timezone_id="Asia/Tokyo", locale="ja-JP")
    fill(page, login="newcomer", password="something else")
    submit(page)
    described(page, "password", "The username or the password is wrong")
    fill(page, password=PASSWORD)
    with page.expect_response(lambda answer: answer.request.method == "PATCH"):
        submit(page)
    page.wait_for_selector("bw-conversations li")
    found = gateway.rows("SELECT timezone FROM profiles JOIN users ON users.id=user_id WHERE username='newcomer'")
    assert found == [("Asia/Tokyo",)]


def test_an_invitation_that_is_opened_by_somebody_who_has_an_account_says_so(gateway: Gateway, open_page: Open) -> None:
    page = entered(open_page, gateway.user(), "#/invitation/nonsense")
    expect(page.locator(".view")).to_contain_text("for somebody who has no account yet")
