from collections import Counter
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from jobs.mail import unsubscribe
from tests.gateway.client import Client, fields, problem
from tests.gateway.newcomers import (
    PASSWORD,
    log_in,
    mail_kinds,
    new_signup,
    newest_mail,
    numbers,
    request_code,
    sign_up,
    start_attempt,
    verified_user,
    verify,
    wrong_code,
)
from tests.gateway.running import Gateway
from tests.waiting import until

KELVIN_SIGN = "\u212a"  # its lower case is the letter k


def test_the_mailed_code_activates_a_complete_account(gateway: Gateway) -> None:
    signup = new_signup()
    ana = verified_user(gateway, signup)
    me = ana.get("/me").json()
    assert (me["email"], me["status"], me["role"]) == (signup["email"], "active", "user")
    assert me["profile"] == {"timezone": "UTC", "locale": "en"}
    assert me["wallet"] == {"currency": "USD", "balance": "0.00"}
    assert log_in(gateway, login=signup["username"].upper(), password=PASSWORD).status_code == 200
    assert log_in(gateway, login=signup["email"].upper(), password=PASSWORD).status_code == 200


def test_before_verification_an_account_can_neither_log_in_nor_be_found(gateway: Gateway, ana: Client) -> None:
    signup = new_signup()
    sign_up(gateway, signup)
    problem(log_in(gateway, login=signup["username"], password=PASSWORD), 401, "unauthorized")
    problem(log_in(gateway, login=signup["email"], password=PASSWORD), 401, "unauthorized")
    assert ana.get("/users", q=signup["username"]).json()["items"] == []


def test_of_many_signups_with_one_username_at_once_one_succeeds_with_one_profile_and_wallet(gateway: Gateway) -> None:
    signup = new_signup()
    answers = [gateway.later(gateway.anonymous().post, "/signup", signup | {"email": f"x{n}{signup['email']}"}) for n in range(8)]
    assert Counter(answer.result().status_code for answer in answers) == {201: 1, 409: 7}
    for table in ("profiles", "wallets"):
        sql = f"SELECT count(*) FROM users u JOIN {table} t ON t.user_id=u.id WHERE u.username_key=?"
        assert gateway.rows(sql, signup["username"]) == [(1,)]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "no address"),
        ("email", "a@b\r\nBcc: c@d"),
        ("email", '"quoted"@example.org'),
        ("email", "x@a!b"),
        ("email", "anna@straße.example"),
        ("email", "user@example。org"),
        ("email", "a@example.org\u200b"),
        ("email", "a\u200b@example.org"),
        ("email", f"{'x' * 65}@example.org"),
        ("display_name", "\u3164"),
        ("display_name", "a" + "\u0301" * 79),
        ("username", "x"),
        ("username", "with space"),
        ("password", "too short"),
        ("password", "Password123"),
        ("password", "aaaaaaaaaaaa"),
        ("password", "x" * 201),
        ("display_name", "two\nlines"),
        ("role", "admin"),
        ("timezone", "Mars/Base"),
        ("timezone", ""),
        ("locale", "en_US"),
        ("locale", "x" * 36),
    ],
)
def test_an_invalid_field_is_named_and_nothing_is_stored(gateway: Gateway, field: str, value: str) -> None:
    signup = new_signup()
    assert fields(gateway.anonymous().post("/signup", signup | {field: value})) == [field]
    assert gateway.rows(
        "SELECT count(*) FROM users WHERE username_key=? OR email_key=?", signup["username"], signup["email"].lower()
    ) == [(0,)]


def test_a_password_must_differ_from_username_and_address(gateway: Gateway) -> None:
    signup = new_signup() | {"username": f"longenough{next(numbers)}"}
    assert fields(gateway.anonymous().post("/signup", signup | {"password": signup["username"].upper()})) == ["password"]
    assert fields(gateway.anonymous().post("/signup", signup | {"password": signup["email"]})) == ["password"]


def test_a_signup_for_a_known_address_gets_the_usual_answer_and_the_owner_a_mail_without_a_code(gateway: Gateway) -> None:
    first = new_signup()
    verified_user(gateway, first)

    def answer_and_new_rows(email: str) -> tuple[Any, ...]:
        tables = ("users", "profiles", "wallets", "codes", "emails")
        before = [gateway.rows(f"SELECT count(*) FROM {table}")[0][0] for table in tables]
        answer = gateway.anonymous().post("/signup", new_signup() | {"email": email})
        after = [gateway.rows(f"SELECT count(*) FROM {table}")[0][0] for table in tables]
        names = sorted(set(answer.headers) - {"date"})
        return answer.status_code, sorted(answer.json()), names, [b - a for a, b in zip(before, after, strict=True)]

    assert answer_and_new_rows(first["email"].upper()) == answer_and_new_rows(new_signup()["email"])
    attempts = [start_attempt(gateway, new_signup()) for _ in range(2)]
    repeats = [
        gateway.anonymous().post("/signup/code", {"attempt": attempt, "email": email})
        for attempt, email in zip(attempts, (first["email"], new_signup()["email"]), strict=True)
    ]
    assert [(answer.status_code, sorted(answer.json())) for answer in repeats] == [(200, ["attempt", "otp", "username"])] * 2
    assert mail_kinds(gateway, first["email"]) == ["signup_code", "address_known", "address_known"], (
        "to the owner's address as it is stored"
    )
    assert newest_mail(gateway, first["email"]) == {"username": first["username"]}, "and not the username that the stranger chose"
    assert mail_kinds(gateway, first["email"].upper()) == []


def test_an_address_that_looks_like_another_is_a_stranger(gateway: Gateway) -> None:
    name = f"mike{next(numbers)}"
    owner, stranger = f"{name}@example.org", f"{name.replace('k', KELVIN_SIGN)}@example.org"
    verified_user(gateway, new_signup() | {"email": owner, "display_name": "Mike Secret"})
    sign_up(gateway, new_signup() | {"email": stranger})
    assert mail_kinds(gateway, stranger) == ["signup_code"]
    assert request_code(gateway, stranger) == 0
    assert gateway.rows("SELECT count(*) FROM emails WHERE address=? AND name LIKE '%Secret%'", stranger) == [(0,)]


def test_a_look_alike_that_is_first_shuts_nobody_out(gateway: Gateway) -> None:
    name = f"kim{next(numbers)}"
    verified_user(gateway, new_signup() | {"email": f"{name.replace('k', KELVIN_SIGN)}@example.org"})
    verified_user(gateway, new_signup() | {"email": f"{name}@example.org"})


@pytest.mark.parametrize(
    ("first", "again"),
    [
        ("{}@bücher.example", "{}@xn--bcher-kva.example"),
        ("{}@xn--bcher-kva.example", "{}@BÜCHER.example."),
        ("{}@example.org", "{}@example.org."),
        ("{}@bücher.example", "{}@bu\u0308cher.example"),
    ],
)
def test_one_mailbox_has_one_account(gateway: Gateway, admin: Client, first: str, again: str) -> None:
    name = f"mailbox{next(numbers)}"
    first, again = first.format(name), again.format(name.upper())
    verified_user(gateway, new_signup() | {"email": first})
    gateway.anonymous().post("/signup", new_signup() | {"email": again})
    assert mail_kinds(gateway, first)[-1] == "address_known"
    assert log_in(gateway, login=again, password=PASSWORD).status_code == 200
    assert request_code(gateway, again) == 1
    assert fields(admin.post("/admin/users", {"users": [{"username": f"other-{name}", "email": again}]})) == ["users.0.email"]


@pytest.mark.parametrize("known", [False, True])
def test_a_signup_reserves_its_username_for_a_day(gateway: Gateway, known: bool) -> None:
    signup = new_signup()
    if known:
        verified_user(gateway, new_signup() | {"email": signup["email"]})
    assert gateway.anonymous().post("/signup", signup).status_code == 201
    other = signup | {"email": new_signup()["email"]}
    problem(gateway.anonymous().post("/signup", signup), 409, "conflict")
    problem(gateway.anonymous().post("/signup", other), 409, "conflict")
    day_ms = 24 * 3600 * 1000
    gateway.execute("UPDATE users SET created_ms=created_ms-? WHERE username_key=?", day_ms, signup["username"])
    assert gateway.anonymous().post("/signup", other).status_code == 201
    assert gateway.rows("SELECT email FROM users WHERE username_key=?", signup["username"]) == [(other["email"],)]


def test_a_code_verifies_only_the_signup_that_it_was_mailed_for(gateway: Gateway) -> None:
    mallory = new_signup() | {"password": "mallory knows this one"}
    ana = new_signup() | {"email": mallory["email"]}
    mallorys_code, anas_code = sign_up(gateway, mallory), sign_up(gateway, ana)
    assert verify(gateway, ana["email"], anas_code).json()["user"]["username"] == ana["username"]
    assert fields(verify(gateway, ana["email"], mallorys_code)) == ["code"]
    assert log_in(gateway, login=ana["email"], password=PASSWORD).json()["user"]["username"] == ana["username"]
    for login in (ana["email"], mallory["username"]):
        problem(log_in(gateway, login=login, password=mallory["password"]), 401, "unauthorized")


def test_a_code_is_valid_once_and_for_at_most_five_tries(gateway: Gateway) -> None:
    signup = new_signup()
    code = sign_up(gateway, signup)
    for _ in range(4):
        assert fields(verify(gateway, signup["email"], wrong_code(code))) == ["code"]
    assert verify(gateway, signup["email"].upper(), code).status_code == 200
    assert fields(verify(gateway, signup["email"], code)) == ["code"]

    other = new_signup()
    code = sign_up(gateway, other)
    for _ in range(5):
        assert fields(verify(gateway, other["email"], wrong_code(code))) == ["code"]
    assert fields(verify(gateway, other["email"], code)) == ["code"]
    assert gateway.metric("bellwire_auth_failures_total", what="code") >= 11


def test_a_code_expires(gateway: Gateway) -> None:
    signup = new_signup()
    code = sign_up(gateway, signup)
    gateway.execute("UPDATE codes SET expires_ms=expires_ms-600000")
    assert fields(verify(gateway, signup["email"], code)) == ["code"]


def test_an_attempt_is_its_owners_to_repeat(gateway: Gateway) -> None:
    wrong, right = new_signup(), new_signup()
    attempt = start_attempt(gateway, wrong)
    lost = newest_mail(gateway, wrong["email"])["code"]
    problem(gateway.anonymous().post("/signup", wrong), 409, "conflict")
    problem(gateway.anonymous().post("/signup", wrong | {"attempt": "1." + attempt.partition(".")[2]}), 409, "conflict")
    corrected = right | {"username": wrong["username"].upper(), "attempt": attempt}
    again = start_attempt(gateway, corrected)
    assert fields(verify(gateway, wrong["email"], lost)) == ["code"], "the mistyped address has no attempt any more"
    problem(gateway.anonymous().post("/signup", corrected), 409, "conflict")
    taken = start_attempt(gateway, right)
    problem(gateway.anonymous().post("/signup", corrected | {"username": right["username"], "attempt": again}), 409, "conflict")
    assert (
        verify(gateway, right["email"], newest_mail(gateway, right["email"])["code"]).json()["user"]["username"]
        == right["username"]
    )
    for over in (taken, attempt, "", "x", "1.é", f"{'9' * 30}.0"):
        assert fields(gateway.anonymous().post("/signup/code", {"attempt": over})) == ["attempt"]
    problem(gateway.anonymous().post("/signup", corrected | {"attempt": taken}), 409, "conflict")


def test_a_code_is_sent_again_also_after_five_wrong_tries_and_to_another_address(gateway: Gateway) -> None:
    signup, other = new_signup(), new_signup()["email"]
    attempt = start_attempt(gateway, signup)
    first = newest_mail(gateway, signup["email"])["code"]
    for _ in range(5):
        verify(gateway, signup["email"], wrong_code(first))
    start_attempt(gateway, {"attempt": attempt}, "/signup/code", 200)
    second = newest_mail(gateway, signup["email"])["code"]
    assert len(mail_kinds(gateway, signup["email"])) == 2
    assert fields(gateway.anonymous().post("/signup/code", {"attempt": attempt, "email": "nonsense"})) == ["email"]
    start_attempt(gateway, {"attempt": attempt, "email": other}, "/signup/code", 200)
    assert fields(verify(gateway, signup["email"], second)) == ["code"]
    assert verify(gateway, other, newest_mail(gateway, other)["code"]).json()["user"]["username"] == signup["username"]
    assert log_in(gateway, login=other, password=PASSWORD).status_code == 200


def test_an_attempt_is_over_after_a_day(gateway: Gateway) -> None:
    signup = new_signup()
    attempt = start_attempt(gateway, signup)
    gateway.execute("UPDATE users SET created_ms=created_ms-? WHERE username_key=?", 24 * 3600 * 1000, signup["username"])
    assert fields(gateway.anonymous().post("/signup/code", {"attempt": attempt})) == ["attempt"]


@pytest.mark.parametrize(
    ("timezone", "locale"),
    [("Asia/Calcutta", "hi-IN"), ("US/Eastern", "en-US-u-hc-h12"), ("Europe/Kiev", "uk"), ("UTC", "zh-Hant-TW")],
)
def test_time_zone_and_language_of_the_browser_are_kept_as_given(gateway: Gateway, timezone: str, locale: str) -> None:
    profile = {"timezone": timezone, "locale": locale}
    assert verified_user(gateway, new_signup() | profile).get("/me").json()["profile"] == profile


def test_verification_can_set_the_session_as_a_cookie(gateway: Gateway) -> None:
    signup = new_signup()
    answer = verify(gateway, signup["email"], sign_up(gateway, signup), cookie=True)
    assert set(answer.json()) == {"user"}
    assert "HttpOnly" in next(c for c in answer.headers.get_list("set-cookie") if c.startswith("bellwire_session="))
    gateway.http.cookies.clear()


def test_only_active_accounts_get_login_codes_and_the_answer_does_not_show_it(gateway: Gateway, admin: Client) -> None:
    pending, suspended, active = new_signup(), new_signup(), new_signup()
    sign_up(gateway, pending)
    verified_user(gateway, active)
    admin.post("/admin/users/suspend", {"ids": [verified_user(gateway, suspended).id]})
    assert [request_code(gateway, signup["email"]) for signup in (pending, suspended, new_signup(), active)] == [0, 0, 0, 1]
    assert fields(gateway.anonymous().post("/otp", {"email": "nonsense"})) == ["email"]
    assert fields(gateway.anonymous().post("/otp", {"email": "user@example。org"})) == ["email"]


def test_only_the_newest_code_logs_in(gateway: Gateway) -> None:
    signup = new_signup()
    verified_user(gateway, signup)
    request_code(gateway, signup["email"])
    old = newest_mail(gateway, signup["email"])["code"]
    request_code(gateway, signup["email"])
    new = newest_mail(gateway, signup["email"])["code"]
    if old != new:
        problem(log_in(gateway, email=signup["email"], code=old), 401, "unauthorized")
    answer = log_in(gateway, email=signup["email"].upper(), code=new)
    assert answer.json()["user"]["username"] == signup["username"]
    problem(log_in(gateway, email=signup["email"], code=new), 401, "unauthorized")


def test_a_signup_code_does_not_log_in(gateway: Gateway) -> None:
    signup = new_signup()
    code = sign_up(gateway, signup)
    problem(log_in(gateway, email=signup["email"], code=code), 401, "unauthorized")
    assert verify(gateway, signup["email"], code).status_code == 200


@pytest.mark.parametrize(
    "body", [{}, {"login": "x"}, {"email": "x@y"}, {"login": "x", "code": "1"}, {"login": "x", "password": "y", "code": "1"}]
)
def test_a_login_is_by_password_or_by_code(gateway: Gateway, body: dict[str, str]) -> None:
    assert len(fields(log_in(gateway, **body))) == 1


def test_a_code_sets_a_lost_password_and_the_owner_is_notified(gateway: Gateway, admin: Client) -> None:
    n = next(numbers)
    new = {"username": f"made{n}", "email": f"made{n}@example.org"}
    admin.post("/admin/users", {"users": [new]})
    request_code(gateway, new["email"])
    session = log_in(gateway, email=new["email"], code=newest_mail(gateway, new["email"])["code"]).json()
    me = Client(gateway, session["user"]["id"], new["username"], session["token"])
    request_code(gateway, new["email"])
    code = newest_mail(gateway, new["email"])["code"]

    assert fields(me.patch("/me", {"password": PASSWORD})) == ["current_password"]
    assert fields(me.patch("/me", {"code": code})) == ["password"]
    assert fields(me.patch("/me", {"password": PASSWORD, "code": wrong_code(code)})) == ["code"]
    assert gateway.rows("SELECT tries FROM codes WHERE account=?", me.id) == [(1,)]
    assert me.patch("/me", {"password": PASSWORD, "code": code}).status_code == 200
    assert log_in(gateway, login=new["username"], password=PASSWORD).status_code == 200
    assert [one["title"] for one in me.get("/notifications", type="account").json()["items"]] == ["Your password was changed"]
    assert mail_kinds(gateway, new["email"])[-1] == "account"


def test_only_the_right_password_shows_that_an_account_is_suspended(gateway: Gateway, admin: Client) -> None:
    signup = new_signup()
    ana = verified_user(gateway, signup)
    admin.post("/admin/users/suspend", {"ids": [ana.id]})
    problem(log_in(gateway, login=signup["username"], password=PASSWORD), 403, "suspended")
    problem(log_in(gateway, login=signup["username"], password="something else"), 401, "unauthorized")


def test_suspending_ends_tokens_and_polls_on_every_gateway_and_notifies_the_user(
    gateway: Gateway, make_gateway: Callable[..., Gateway], admin: Client, ana: Client, ben: Client
) -> None:
    beside = make_gateway(beside=gateway)
    cursor = ana.at(beside).now()
    poll = gateway.later(ana.at(beside).get, "/events", cursor=cursor, timeout=60)
    until(lambda: beside.metric("bellwire_polls_open", transport="poll") == 1)

    ids = [ana.id, admin.id, 999_999, ana.id]
    answer = admin.post("/admin/users/suspend", {"ids": ids, "reason": "Spam"})
    assert answer.json() == {"changed": [ana.id], "unchanged": [admin.id], "missing": [999_999]}
    problem(ana.get("/me"), 401, "unauthorized")
    until(lambda: ana.at(beside).get("/me").status_code == 401)
    poll.result()
    problem(ana.at(beside).post("/messages", {"to": ben.id, "body": "still here"}), 401, "unauthorized")

    notifications = gateway.rows("SELECT title, body FROM notifications WHERE user_id=? AND type='account'", ana.id)
    assert notifications == [("Your account was suspended", "Reason: Spam")]
    assert newest_mail(gateway, f"{ana.name}@example.org") == {"title": "Your account was suspended", "body": "Reason: Spam"}
    assert admin.post("/admin/users/suspend", {"ids": [ana.id]}).json()["unchanged"] == [ana.id]

    assert admin.post("/admin/users/activate", {"ids": [ana.id, ben.id]}).json()["changed"] == [ana.id]
    problem(ana.get("/me"), 401, "unauthorized")
    new_token = admin.post(f"/admin/users/{ana.id}/tokens", {}).json()["token"]
    titles = [one["title"] for one in ana.with_token(new_token).get("/notifications").json()["items"]]
    assert titles == ["Your account is active again", "Your account was suspended"]


def test_an_admin_activates_an_unverified_account_unless_the_address_has_another_owner(gateway: Gateway, admin: Client) -> None:
    first, second = new_signup(), new_signup()
    second["email"] = first["email"]
    codes = [sign_up(gateway, signup) for signup in (first, second)]
    ids = [gateway.rows("SELECT id FROM users WHERE username=?", signup["username"])[0][0] for signup in (first, second)]
    assert admin.post("/admin/users/suspend", {"ids": ids}).json()["unchanged"] == ids
    assert admin.post("/admin/users/activate", {"ids": ids}).json() == {"changed": ids[:1], "unchanged": ids[1:], "missing": []}
    assert admin.post("/admin/users/activate", {"ids": ids}).json()["unchanged"] == ids
    assert log_in(gateway, login=first["username"], password=PASSWORD).status_code == 200
    assert all(fields(verify(gateway, first["email"], code)) == ["code"] for code in codes)


@pytest.mark.parametrize(
    ("body", "field"),
    [({"ids": []}, "ids"), ({"ids": [0]}, "ids"), ({"ids": ["x"]}, "ids.0"), ({"ids": [1], "reason": "a\nb"}, "reason")],
)
def test_an_invalid_field_of_activate_and_suspend_is_named(admin: Client, ana: Client, body: dict[str, Any], field: str) -> None:
    for action in ("activate", "suspend"):
        assert fields(admin.post(f"/admin/users/{action}", body)) == [field]
        problem(ana.post(f"/admin/users/{action}", {"ids": [ana.id]}), 403, "forbidden")


def test_with_signup_closed_only_admins_and_the_invited_create_accounts(make_gateway: Callable[..., Gateway]) -> None:
    closed = make_gateway(SIGNUP="closed")
    problem(closed.anonymous().post("/signup", new_signup()), 403, "forbidden")
    assert fields(verify(closed, "a@example.org", "123456")) == ["code"]


def test_requests_are_limited_by_address_and_by_account(make_gateway: Callable[..., Gateway]) -> None:
    limits = {"LIMIT_SIGNUP": "3/hour", "LIMIT_OTP": "2/hour", "LIMIT_LOGIN": "2/hour"}
    gateway = make_gateway(RATE_LIMITS="on", TRUSTED_PROXIES="127.0.0.1/32", **limits)
    addresses = count(1)

    def call(path: str, body: dict[str, str], address: str = "") -> int:
        source = {"X-Forwarded-For": address or f"192.0.2.{next(addresses)}"}
        answer = gateway.anonymous().post(path, body, headers=source)
        if answer.status_code == 429:
            assert 1 <= int(answer.headers["Retry-After"]) <= 3600
        return answer.status_code

    email = new_signup()["email"]
    assert [call("/signup", new_signup(), "198.51.100.1") for _ in range(4)] == [201, 201, 201, 429]
    assert [call("/signup", new_signup() | {"email": email}) for _ in range(4)] == [201, 201, 201, 429]
    assert [call("/otp", {"email": new_signup()["email"]}, "198.51.100.2") for _ in range(3)] == [202, 202, 429]
    assert [call("/otp", {"email": email}) for _ in range(3)] == [202, 202, 429]
    assert [call("/signup/verify", {"email": email, "code": "1"}) for _ in range(3)] == [422, 422, 429]
    assert [call("/login", {"email": "z@example.org", "code": "1"}) for _ in range(3)] == [401, 401, 429]
    assert {what: gateway.metric("bellwire_rate_limited_total", what=what) for what in ("signup", "otp", "login")} == {
        "signup": 2,
        "otp": 2,
        "login": 2,
    }


def test_pages_of_allowed_origins_may_sign_up_and_others_not(make_gateway: Callable[..., Gateway]) -> None:
    gateway = make_gateway(ALLOWED_ORIGINS="https://chat.example.org")
    for origin, allowed in (("https://chat.example.org", "https://chat.example.org"), ("https://evil.example.org", None)):
        preflight = gateway.anonymous().call("OPTIONS", "/signup", headers={"Origin": origin})
        assert preflight.headers.get("Access-Control-Allow-Origin") == allowed
        answer = gateway.anonymous().post("/signup", new_signup(), headers={"Origin": origin})
        assert (answer.status_code, answer.headers.get("Access-Control-Allow-Origin")) == (201, allowed)


def test_no_password_or_token_is_in_the_store_or_the_log(gateway: Gateway) -> None:
    signup = new_signup() | {"password": "a password to find"}
    ana = verified_user(gateway, signup)
    until(lambda: gateway.metric("bellwire_signup_stage_seconds_count", stage="commit"))
    gateway.execute("UPDATE emails SET data='{}'")  # as the mailer does after sending
    dump_and_log = gateway.dump() + gateway.stderr()
    assert signup["password"] not in dump_and_log
    assert ana.token not in dump_and_log
    assert "$argon2id$" in dump_and_log


def test_new_users_are_welcomed_and_admins_are_notified_once(served: Gateway) -> None:
    watching, not_watching = served.users(2, role="admin")
    assert not_watching.put("/admin/watches", {"user.created": False}).status_code == 200

    def titles(client: Client, kind: str) -> list[tuple[str, int]]:
        return [(one["title"], one["count"]) for one in client.get("/notifications", type=kind).json()["items"]]

    def sign_up_by_mail() -> Client:
        signup = new_signup()
        assert served.anonymous().post("/signup", signup).status_code == 201
        code = until(lambda: next(iter(mailed_codes(signup["email"])), None))
        session = verify(served, signup["email"], code).json()
        return Client(served, session["user"]["id"], signup["username"], session["token"])

    def mailed_codes(address: str) -> list[str]:
        letters = [path.read_text() for path in (served.data / "mail").glob("*.eml")]
        return [
            line for text in letters if f"To: {address}" in text for line in text.splitlines() if len(line) == 6 and line.isdigit()
        ]

    ana = sign_up_by_mail()
    until(lambda: titles(watching, "admin") == [("1 new user", 1)])
    until(lambda: titles(ana, "system") == [(f"Welcome, {ana.name}", 1)])
    sign_up_by_mail()
    until(lambda: titles(watching, "admin") == [("2 new users", 2)])
    until(lambda: len(served.rows("SELECT 1 FROM activities WHERE action='user.created'")) == 2)
    watching.post("/admin/users/suspend", {"ids": [ana.id]})
    until(lambda: titles(not_watching, "admin") == [("1 account changed", 1)])
    assert titles(watching, "admin") == [("2 new users", 2)]


def test_while_the_queue_is_down_a_signup_is_answered_and_its_mail_is_sent(make_gateway: Callable[..., Gateway]) -> None:
    gateway = make_gateway(REDIS_URL="redis://127.0.0.1:1/0")  # no worker runs
    signup = new_signup()
    assert gateway.anonymous().post("/signup", signup).status_code == 201  # the code may have left the outbox by now
    (path,) = until(lambda: list((gateway.data / "mail").glob("*.eml")))
    assert signup["email"] in path.read_text()
    until(lambda: gateway.rows("SELECT state, data FROM emails") == [("sent", "{}")])
    assert gateway.metric("bellwire_queue_fallback_total", task="mail") == 1


def test_preferences_are_changed_in_part(ana: Client) -> None:
    defaults = {"account": "instant", "message": "hourly", "community": "instant", "admin": "off", "system": "off"}
    assert ana.get("/notification-preferences").json() == {
        kind: {"in_app": True, "email": email, "push": kind == "message"} for kind, email in defaults.items()
    }
    changed = ana.put("/notification-preferences", {"message": {"email": "daily"}, "system": {"in_app": False}}).json()
    assert changed["message"] == {"in_app": True, "email": "daily", "push": True}
    assert changed["system"] == {"in_app": False, "email": "off", "push": False}
    assert fields(ana.put("/notification-preferences", {"pigeons": {"email": "off"}})) == ["pigeons"]
    assert fields(ana.put("/notification-preferences", {"message": {"email": "never"}})) == ["message.email"]


def test_one_click_unsubscribe_ends_mails_of_its_type(gateway: Gateway, ana: Client) -> None:
    from tests.stores import settings_of

    secret = settings_of(gateway.data, gateway.store_settings).secret()
    path = unsubscribe.link("", secret, ana.id, "message")
    page = gateway.http.get(path)
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert ana.get("/notification-preferences").json()["message"]["email"] == "hourly"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert gateway.http.post(path, content=b"List-Unsubscribe=One-Click", headers=form).status_code == 200
    assert ana.get("/notification-preferences").json()["message"]["email"] == "off"

    assert fields(gateway.http.post(path + "x")) == ["t"]
    assert fields(gateway.http.post("/api/v1/unsubscribe")) == ["t"]
    problem(gateway.http.post(unsubscribe.link("", secret, 999_999, "message")), 404, "not-found")
