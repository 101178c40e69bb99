"""The settings in a browser: profile, password, appearance and sessions."""

import json
import re
import zipfile
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.gateway.newcomers import PASSWORD
from tests.gateway.running import Gateway
from tests.page.entering import entered
from tests.waiting import until

pytestmark = pytest.mark.only("sqlite")  # the database does not matter here

Open = Callable[..., Page]
SCRIPT = "<img src=x onerror=alert(1)>"


def test_a_profile_is_changed_and_an_error_is_shown_at_its_field(served: Gateway, open_page: Open) -> None:
    ana = served.user()
    page = entered(open_page, ana, "#/settings", timezone_id="Europe/Lisbon")
    name = page.get_by_label("Display name")
    name.fill("   ")
    page.get_by_role("button", name="Save").click()
    expect(name).to_have_accessible_description(re.compile("1 to 80 letters"))
    expect(name).to_be_focused()

    name.fill(SCRIPT)
    page.get_by_role("button", name="Use this device’s: Europe/Lisbon").click()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    me = ana.get("/me").json()
    assert (me["display_name"], me["profile"]) == (SCRIPT, {"timezone": "Europe/Lisbon", "locale": "en"})
    page.reload()
    expect(page.get_by_label("Display name")).to_have_value(SCRIPT)
    expect(page.get_by_label("Time zone")).to_have_value("Europe/Lisbon")


def test_a_language_is_chosen_before_signing_in_and_is_the_accounts_everywhere(served: Gateway, open_page: Open) -> None:
    new = {"username": "lena", "email": "lena@example.org", "password": PASSWORD}
    assert served.user("admin").post("/admin/users", {"users": [new]}).status_code == 201
    browser: dict[str, str] = {"timezone_id": "Europe/Lisbon", "locale": "en-GB"}

    def sign_in(page: Page) -> None:
        page.locator("[name=login]").fill("lena")
        page.locator("[name=password]").fill(PASSWORD)
        page.locator("form button.primary").click()

    def language_of_mails() -> str:
        return str(served.rows("SELECT locale FROM profiles JOIN users ON users.id=user_id WHERE username='lena'")[0][0])

    first = open_page(f"{served.url}/#/settings", **browser)
    first.get_by_role("button", name="Deutsch").click()
    expect(first.get_by_role("heading", name="Anmelden")).to_be_visible()
    sign_in(first)
    expect(first.get_by_role("heading", name="Einstellungen", exact=True)).to_be_visible()
    until(lambda: language_of_mails() == "de")
    second = open_page(f"{served.url}/#/settings", **browser)
    sign_in(second)
    expect(second.get_by_role("heading", name="Einstellungen")).to_be_visible()
    second.get_by_label("Sprache").select_option("English")
    second.get_by_role("button", name="Speichern").click()
    expect(second.get_by_role("heading", name="Settings")).to_be_visible()
    assert language_of_mails() == "en"


def test_a_lost_password_is_replaced_with_a_mailed_code(served: Gateway, open_page: Open) -> None:
    ana = served.user()
    page = entered(open_page, ana, "#/settings")
    page.get_by_label("Current password").fill("I forgot")
    page.get_by_label("New password").fill("correct horse battery")
    page.get_by_role("button", name="Change the password").click()
    expect(page.get_by_label("Current password")).to_have_accessible_description(re.compile("is not your current password"))
    page.get_by_role("button", name="e-mail me a code").click()
    expect(page.get_by_role("textbox", name="Code")).to_be_focused()
    outbox = served.data / "mail"

    def mailed() -> list[str]:
        letters = [path.read_text() for path in outbox.glob("*.eml")]
        return [code for one in letters if f"<{ana.name}@" in one for code in re.findall(r"^\d{6}$", one, re.MULTILINE)]

    page.get_by_role("textbox", name="Code").fill(until(mailed)[0])
    page.get_by_role("button", name="Change the password").click()
    page.get_by_text("Your password was changed.").wait_for()
    expect(page.get_by_label("New password")).to_have_value("")
    signed_in = served.anonymous().post("/login", {"login": ana.name, "password": "correct horse battery"})
    assert signed_in.status_code == 200


def test_ones_own_data_is_downloaded(served: Gateway, open_page: Open) -> None:
    ana, ben = served.users(2)
    ana.send("mine", to=ben)
    page = entered(open_page, ana, "#/settings")
    with page.expect_download() as saving:
        page.get_by_role("link", name="Download my data").click()
    assert saving.value.suggested_filename == f"bellwire-{ana.id}.zip"
    with zipfile.ZipFile(saving.value.path()) as saved:
        assert json.loads(saved.read("account.json"))["username"] == ana.name
        assert [message["body"] for message in json.loads(saved.read("messages.json"))] == ["mine"]
    expect(page.get_by_role("heading", name="Settings", exact=True)).to_be_visible()


def test_a_theme_is_stored_and_sessions_are_ended(served: Gateway, open_page: Open) -> None:
    ana, admin = served.user(), served.user("admin")
    token = admin.post(f"/admin/users/{ana.id}/tokens", {"label": SCRIPT}).json()["token"]
    bot = ana.with_token(token)
    label = "UPDATE tokens SET label='Mozilla/5.0 (Linux) Firefox' WHERE user_id=? AND label='test'"
    served.execute(label, ana.id)
    page = entered(open_page, ana, "#/settings", color_scheme="light")
    page.get_by_label("Dark").check()
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.get_by_label("Dark")).to_be_checked()

    rows = page.get_by_role("list", name="Sessions").get_by_role("listitem")
    expect(rows).to_have_count(2)
    expect(rows.filter(has_text="This one")).to_contain_text("Firefox on Linux")
    expect(rows.filter(has_text="This one").get_by_role("button")).to_have_count(0)
    rows.filter(has_text=SCRIPT).get_by_role("button", name="End").click()
    expect(rows).to_have_count(1)
    assert bot.get("/me").status_code == 401

    texts = [f"bellwire:draft:{ana.id}:7", f"bellwire:out:{ana.id}:x", f"bellwire:post:{ana.id}:"]
    page.evaluate("(keys) => keys.forEach((key) => localStorage.setItem(key, 'mine'))", [*texts, "bellwire:comment:99:7"])
    page.reload()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    kept = "() => Object.values(localStorage).filter((value) => value === 'mine').length"
    assert page.evaluate(kept) == 3, "another user's texts are gone"
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.wait_for_function("() => !Object.values(localStorage).includes('mine')")
    assert ana.get("/me").status_code == 401
