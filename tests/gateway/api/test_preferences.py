"""Notification preferences, and the unsubscribe links of mails."""

import httpx
import pytest

from jobs.mail import unsubscribe
from tests.gateway.client import Client, fields, problem
from tests.gateway.running import Gateway
from tests.stores import settings_of

PATH = "/notification-preferences"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


def link(gateway: Gateway, user: int, kind: str) -> str:
    return unsubscribe.link("", settings_of(gateway.data, gateway.store_settings).secret(), user, kind)


def email(client: Client, kind: str) -> str:
    return str(client.get(PATH).json()[kind]["email"])


def test_preferences_that_a_request_leaves_out_stay_unchanged(ana: Client, ben: Client) -> None:
    defaults = ben.get(PATH).json()
    ana.put(PATH, {"account": {"in_app": False, "email": "daily"}, "community": {"email": "hourly"}})
    assert ana.put(PATH, {"account": {"email": "off"}}).json()["account"] == {"in_app": False, "email": "off", "push": False}
    assert ana.put(PATH, {"account": {"in_app": True}, "message": {}}).json()["account"] == defaults["account"] | {"email": "off"}
    assert ana.put(PATH, {}).json() == defaults | {
        "account": {"in_app": True, "email": "off", "push": False},
        "community": {"in_app": True, "email": "hourly", "push": False},
    }
    assert defaults["message"]["push"] is True
    assert ana.put(PATH, {"message": {"push": False}}).json()["message"] == defaults["message"] | {"push": False}
    assert ana.put(PATH, {"message": {"email": "off"}}).json()["message"] == {"in_app": True, "email": "off", "push": False}
    assert ben.get(PATH).json() == defaults


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"pigeons": {"email": "off"}}, "pigeons"),
        ({"account": {"email": "weekly"}}, "account.email"),
        ({"account": {"email": 5}}, "account.email"),
        ({"account": {"in_app": "yes"}}, "account.in_app"),
        ({"account": {"in_app": 1}}, "account.in_app"),
        ({"account": {"push": "on"}}, "account.push"),
        ({"account": {"sms": True}}, "account.sms"),
        ({"account": "off"}, "account"),
        ({"account": None}, "account"),
    ],
)
def test_an_unknown_type_or_invalid_value_is_named_and_nothing_changes(ana: Client, wrong: dict[str, object], field: str) -> None:
    before = ana.get(PATH).json()
    assert fields(ana.put(PATH, {"message": {"email": "off"}, **wrong})) == [field]
    assert ana.get(PATH).json() == before


def test_preferences_need_a_token(gateway: Gateway) -> None:
    problem(gateway.anonymous().get(PATH), 401, "unauthorized")
    problem(gateway.anonymous().put(PATH, {}), 401, "unauthorized")


def test_opening_an_unsubscribe_link_changes_nothing_and_shows_a_page_without_scripts(gateway: Gateway, ana: Client) -> None:
    ana.patch("/me", {"display_name": "<script>Ana</script>"})
    page = gateway.http.get(link(gateway, ana.id, "message"))
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    policy = page.headers["Content-Security-Policy"]
    assert policy == "default-src 'none'; form-action 'self'; frame-ancestors 'none'"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert '<form method="post">' in page.text
    for text in ("script", "Ana", ana.name, "example.org"):
        assert text not in page.text
    assert email(ana, "message") == "hourly"


@pytest.mark.parametrize("body", [{"data": ONE_CLICK}, {"files": {"List-Unsubscribe": (None, "One-Click")}}, {}])
def test_posting_to_the_link_unsubscribes_without_a_token(gateway: Gateway, ana: Client, body: dict[str, object]) -> None:
    ana.put(PATH, {"message": {"in_app": False}})
    url = gateway.url + link(gateway, ana.id, "message")
    for _ in range(2):
        answer = httpx.post(url, trust_env=False, **body)  # type: ignore[arg-type]
        assert (answer.status_code, answer.headers.get("set-cookie")) == (200, None)
    expected = {"account": "instant", "message": "off", "community": "instant", "admin": "off", "system": "off"}
    choices = ana.get(PATH).json()
    assert {kind: choice["email"] for kind, choice in choices.items()} == expected
    assert choices["message"]["in_app"] is False


def test_a_logged_in_browser_needs_no_xsrf_token_to_unsubscribe(gateway: Gateway, ana: Client) -> None:
    cookies = {"Cookie": f"bellwire_session={ana.token}"}
    answer = gateway.http.post(link(gateway, ana.id, "community"), data=ONE_CLICK, headers=cookies)
    assert (answer.status_code, email(ana, "community")) == (200, "off")


def test_a_link_with_a_wrong_signature_is_refused(gateway: Gateway, ana: Client) -> None:
    correct = link(gateway, ana.id, "message")
    path, _, signed = correct.partition("=")
    _, _, signature = signed.partition(".")
    _, _, other = link(gateway, ana.id + 1, "message").partition("=")
    forged = unsubscribe.link("", "another secret", ana.id, "message").partition("=")[2]
    for wrong in ("", signed[:-2], f"{other.partition('.')[0]}.{signature}", forged, "%00"):
        for method in ("GET", "POST"):
            assert fields(gateway.http.request(method, f"{path}={wrong}")) == ["t"]
    assert fields(gateway.http.get(path.partition("?")[0])) == ["t"]
    problem(gateway.http.post(f"{path}=%ED%A0%80"), 400, "malformed")
    assert email(ana, "message") == "hourly"


def test_a_link_for_an_unknown_user_or_type_is_404(gateway: Gateway, ana: Client) -> None:
    for user, kind in ((999_999, "message"), (ana.id, "pigeons")):
        problem(gateway.http.post(link(gateway, user, kind), data=ONE_CLICK), 404, "not-found")


def test_a_browser_gets_pages_in_its_language_and_a_program_gets_problems(gateway: Gateway, ana: Client) -> None:
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Accept-Language": "ar-EG,ar;q=0.9"}
    correct = link(gateway, ana.id, "message")
    for path, status, word in (
        (correct, 200, "الرسائل"),
        (correct + "x", 422, "غير مكتمل"),
        ("/nowhere/<b>", 404, "غير موجودة"),
    ):
        page = gateway.http.get(path, headers=browser)
        assert (page.status_code, page.headers["Content-Type"]) == (status, "text/html; charset=utf-8")
        assert word in page.text
        assert '<html lang="ar" dir="rtl">' in page.text
        assert "nowhere" not in page.text
        assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "This page does not exist" in gateway.http.get("/nowhere", headers={"Accept": "text/html"}).text
    problem(gateway.http.get("/nowhere"), 404, "not-found")
    problem(gateway.http.get("/api/v1/nowhere", headers=browser), 404, "not-found")
    problem(ana.get("/users/999999", headers=browser), 404, "not-found")
    stopped = gateway.http.post(
        link(gateway, ana.id, "system"), data=ONE_CLICK, headers={"Accept-Language": "tlh, de-AT;q=0.8, ar;q=0.7"}
    )
    assert "keine solchen E-Mails" in stopped.text
