from collections import Counter
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from jobs.mail import unsubscribe
from tests.gateway.client import Client, fields, problem
from tests.gateway.newcomers import PASSWORD, ask_code, kinds, log_in, made, mailed, numbers, sign_up, somebody, verify, wrong
from tests.gateway.running import Gateway, until


def test_whoever_has_the_code_gets_in_and_the_account_is_whole(gateway: Gateway) -> None:
    who = somebody()
    ana = made(gateway, who)
    me = ana.get("/me").json()
    assert (me["email"], me["status"], me["role"]) == (who["email"], "active", "user")
    assert me["profile"] == {"timezone": "UTC", "locale": "en"}
    assert me["wallet"] == {"currency": "USD", "balance": "0.00"}
    assert log_in(gateway, login=who["username"].upper(), password=PASSWORD).status_code == 200
    assert log_in(gateway, login=who["email"].upper(), password=PASSWORD).status_code == 200


def test_until_then_there_is_nobody(gateway: Gateway, ana: Client) -> None:
    who = somebody()
    sign_up(gateway, who)
    problem(log_in(gateway, login=who["username"], password=PASSWORD), 401, "unauthorized")
    problem(log_in(gateway, login=who["email"], password=PASSWORD), 401, "unauthorized")
    assert ana.get("/users", q=who["username"]).json()["items"] == []


def test_of_many_who_want_a_username_at_once_one_gets_it_with_one_profile_and_wallet(gateway: Gateway) -> None:
    who = somebody()
    asking = [gateway.later(gateway.anonymous().post, "/signup", who | {"email": f"x{n}{who['email']}"}) for n in range(8)]
    assert Counter(one.result().status_code for one in asking) == {201: 1, 409: 7}
    for table in ("profiles", "wallets"):
        sql = f"SELECT count(*) FROM users u JOIN {table} t ON t.user_id=u.id WHERE u.username_key=?"
        assert gateway.rows(sql, who["username"]) == [(1,)]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "no address"),
        ("email", "a@b\r\nBcc: c@d"),
        ("email", '"quoted"@example.org'),
        ("username", "x"),
        ("username", "with space"),
        ("password", "too short"),
        ("password", "Password123"),
        ("password", "aaaaaaaaaaaa"),
        ("password", "x" * 201),
        ("display_name", "two\nlines"),
        ("role", "admin"),
    ],
)
def test_a_field_that_cannot_be_is_named_and_nothing_is_kept(gateway: Gateway, field: str, value: str) -> None:
    who = somebody()
    assert fields(gateway.anonymous().post("/signup", who | {field: value})) == [field]
    assert gateway.rows(
        "SELECT count(*) FROM users WHERE username_key=? OR email_key=?", who["username"], who["email"].lower()
    ) == [(0,)]


def test_a_password_is_not_ones_own_name(gateway: Gateway) -> None:
    who = somebody() | {"username": f"longenough{next(numbers)}"}
    assert fields(gateway.anonymous().post("/signup", who | {"password": who["username"].upper()})) == ["password"]
    assert fields(gateway.anonymous().post("/signup", who | {"password": who["email"]})) == ["password"]


def test_a_known_address_gets_the_same_answer_and_its_owner_a_mail_without_a_code(gateway: Gateway) -> None:
    first = somebody()
    made(gateway, first)

    def grown(email: str) -> tuple[Any, ...]:
        tables = ("users", "profiles", "wallets", "codes", "emails")
        before = [gateway.rows(f"SELECT count(*) FROM {table}")[0][0] for table in tables]
        answer = gateway.anonymous().post("/signup", somebody() | {"email": email})
        after = [gateway.rows(f"SELECT count(*) FROM {table}")[0][0] for table in tables]
        names = sorted(set(answer.headers) - {"date"})
        return answer.status_code, sorted(answer.json()), names, [b - a for a, b in zip(before, after, strict=True)]

    assert grown(first["email"].upper()) == grown(somebody()["email"])
    assert kinds(gateway, first["email"].upper()) == ["address_known"]
    assert "code" not in mailed(gateway, first["email"].upper())


@pytest.mark.parametrize("known", [False, True])
def test_a_username_is_reserved_for_a_day_by_whoever_asked_first(gateway: Gateway, known: bool) -> None:
    who = somebody()
    if known:
        made(gateway, somebody() | {"email": who["email"]})
    assert gateway.anonymous().post("/signup", who).status_code == 201
    other = who | {"email": somebody()["email"]}
    problem(gateway.anonymous().post("/signup", who), 409, "conflict")
    problem(gateway.anonymous().post("/signup", other), 409, "conflict")
    day_ms = 24 * 3600 * 1000
    gateway.execute("UPDATE users SET created_ms=created_ms-? WHERE username_key=?", day_ms, who["username"])
    assert gateway.anonymous().post("/signup", other).status_code == 201
    assert gateway.rows("SELECT email FROM users WHERE username_key=?", who["username"]) == [(other["email"],)]


def test_a_code_opens_the_attempt_that_it_was_mailed_for_with_its_password_and_no_other(gateway: Gateway) -> None:
    mallory = somebody() | {"password": "mallory knows this one"}
    ana = somebody() | {"email": mallory["email"]}
    mallorys, anas = sign_up(gateway, mallory), sign_up(gateway, ana)
    assert verify(gateway, ana["email"], anas).json()["user"]["username"] == ana["username"]
    assert fields(verify(gateway, ana["email"], mallorys)) == ["code"]
    assert log_in(gateway, login=ana["email"], password=PASSWORD).json()["user"]["username"] == ana["username"]
    for login in (ana["email"], mallory["username"]):
        problem(log_in(gateway, login=login, password=mallory["password"]), 401, "unauthorized")


def test_a_code_is_good_for_five_tries_and_once(gateway: Gateway) -> None:
    who = somebody()
    code = sign_up(gateway, who)
    for _ in range(4):
        assert fields(verify(gateway, who["email"], wrong(code))) == ["code"]
    assert verify(gateway, who["email"].upper(), code).status_code == 200
    assert fields(verify(gateway, who["email"], code)) == ["code"]

    other = somebody()
    code = sign_up(gateway, other)
    for _ in range(5):
        assert fields(verify(gateway, other["email"], wrong(code))) == ["code"]
    assert fields(verify(gateway, other["email"], code)) == ["code"]
    assert gateway.metric("bellwire_auth_failures_total", what="code") >= 11


def test_a_code_expires(gateway: Gateway) -> None:
    who = somebody()
    code = sign_up(gateway, who)
    gateway.execute("UPDATE codes SET expires_ms=expires_ms-600000")
    assert fields(verify(gateway, who["email"], code)) == ["code"]


def test_a_browser_may_have_its_session_in_a_cookie(gateway: Gateway) -> None:
    who = somebody()
    answer = verify(gateway, who["email"], sign_up(gateway, who), cookie=True)
    assert set(answer.json()) == {"user"}
    assert "HttpOnly" in next(c for c in answer.headers.get_list("set-cookie") if c.startswith("bellwire_session="))
    gateway.http.cookies.clear()


def test_a_login_code_goes_to_active_accounts_alone_and_nobody_can_tell(gateway: Gateway, admin: Client) -> None:
    pending, suspended, active = somebody(), somebody(), somebody()
    sign_up(gateway, pending)
    made(gateway, active)
    admin.post("/admin/users/suspend", {"ids": [made(gateway, suspended).id]})
    assert [ask_code(gateway, who["email"]) for who in (pending, suspended, somebody(), active)] == [0, 0, 0, 1]
    assert fields(gateway.anonymous().post("/otp", {"email": "nonsense"})) == ["email"]


def test_one_logs_in_with_the_newest_code(gateway: Gateway) -> None:
    who = somebody()
    made(gateway, who)
    ask_code(gateway, who["email"])
    old = mailed(gateway, who["email"])["code"]
    ask_code(gateway, who["email"])
    new = mailed(gateway, who["email"])["code"]
    if old != new:
        problem(log_in(gateway, email=who["email"], code=old), 401, "unauthorized")
    answer = log_in(gateway, email=who["email"].upper(), code=new)
    assert answer.json()["user"]["username"] == who["username"]
    problem(log_in(gateway, email=who["email"], code=new), 401, "unauthorized")


def test_a_code_to_sign_up_is_none_to_log_in(gateway: Gateway) -> None:
    who = somebody()
    code = sign_up(gateway, who)
    problem(log_in(gateway, email=who["email"], code=code), 401, "unauthorized")
    assert verify(gateway, who["email"], code).status_code == 200


@pytest.mark.parametrize(
    "given", [{}, {"login": "x"}, {"email": "x@y"}, {"login": "x", "code": "1"}, {"login": "x", "password": "y", "code": "1"}]
)
def test_a_login_is_by_password_or_by_code(gateway: Gateway, given: dict[str, str]) -> None:
    assert len(fields(log_in(gateway, **given))) == 1


def test_a_lost_password_is_set_with_a_code_and_its_owner_hears_of_it(gateway: Gateway, admin: Client) -> None:
    n = next(numbers)
    new = {"username": f"made{n}", "email": f"made{n}@example.org"}
    admin.post("/admin/users", {"users": [new]})
    ask_code(gateway, new["email"])
    session = log_in(gateway, email=new["email"], code=mailed(gateway, new["email"])["code"]).json()
    me = Client(gateway, session["user"]["id"], new["username"], session["token"])
    ask_code(gateway, new["email"])
    code = mailed(gateway, new["email"])["code"]

    assert fields(me.patch("/me", {"password": PASSWORD})) == ["current_password"]
    assert fields(me.patch("/me", {"code": code})) == ["password"]
    assert fields(me.patch("/me", {"password": PASSWORD, "code": wrong(code)})) == ["code"]
    assert gateway.rows("SELECT tries FROM codes WHERE account=?", me.id) == [(1,)]
    assert me.patch("/me", {"password": PASSWORD, "code": code}).status_code == 200
    assert log_in(gateway, login=new["username"], password=PASSWORD).status_code == 200
    assert [one["title"] for one in me.get("/notifications", type="account").json()["items"]] == ["Your password was changed"]
    assert kinds(gateway, new["email"])[-1] == "account"


def test_a_suspended_account_is_named_so_to_whoever_knows_its_password(gateway: Gateway, admin: Client) -> None:
    who = somebody()
    ana = made(gateway, who)
    admin.post("/admin/users/suspend", {"ids": [ana.id]})
    problem(log_in(gateway, login=who["username"], password=PASSWORD), 403, "suspended")
    problem(log_in(gateway, login=who["username"], password="something else"), 401, "unauthorized")


def test_suspending_ends_everything_at_once_on_every_gateway_and_tells_whom_it_concerns(
    gateway: Gateway, make_gateway: Callable[..., Gateway], admin: Client, ana: Client, ben: Client
) -> None:
    beside = make_gateway(beside=gateway)
    cursor = ana.at(beside).now()
    poll = gateway.later(ana.at(beside).get, "/events", cursor=cursor, timeout=60)
    until(lambda: beside.metric("bellwire_polls_open", transport="poll") == 1)

    asked = [ana.id, admin.id, 999_999, ana.id]
    answer = admin.post("/admin/users/suspend", {"ids": asked, "reason": "Spam"})
    assert answer.json() == {"changed": [ana.id], "unchanged": [admin.id], "missing": [999_999]}
    problem(ana.get("/me"), 401, "unauthorized")
    until(lambda: ana.at(beside).get("/me").status_code == 401)
    poll.result()
    problem(ana.at(beside).post("/messages", {"to": ben.id, "body": "still here"}), 401, "unauthorized")

    told = gateway.rows("SELECT title, body FROM notifications WHERE user_id=? AND type='account'", ana.id)
    assert told == [("Your account was suspended", "Reason: Spam")]
    assert mailed(gateway, f"{ana.name}@example.org") == {"title": "Your account was suspended", "body": "Reason: Spam"}
    assert admin.post("/admin/users/suspend", {"ids": [ana.id]}).json()["unchanged"] == [ana.id]

    assert admin.post("/admin/users/activate", {"ids": [ana.id, ben.id]}).json()["changed"] == [ana.id]
    problem(ana.get("/me"), 401, "unauthorized")
    again = admin.post(f"/admin/users/{ana.id}/tokens", {}).json()["token"]
    titles = [one["title"] for one in ana.with_token(again).get("/notifications").json()["items"]]
    assert titles == ["Your account is active again", "Your account was suspended"]


def test_an_admin_may_vouch_for_who_has_not_verified_unless_the_address_is_anothers(gateway: Gateway, admin: Client) -> None:
    first, second = somebody(), somebody()
    second["email"] = first["email"]
    codes = [sign_up(gateway, who) for who in (first, second)]
    ids = [gateway.rows("SELECT id FROM users WHERE username=?", who["username"])[0][0] for who in (first, second)]
    assert admin.post("/admin/users/suspend", {"ids": ids}).json()["unchanged"] == ids
    assert admin.post("/admin/users/activate", {"ids": ids}).json() == {"changed": ids[:1], "unchanged": ids[1:], "missing": []}
    assert admin.post("/admin/users/activate", {"ids": ids}).json()["unchanged"] == ids
    assert log_in(gateway, login=first["username"], password=PASSWORD).status_code == 200
    assert all(fields(verify(gateway, first["email"], code)) == ["code"] for code in codes)


@pytest.mark.parametrize(
    ("body", "field"),
    [({"ids": []}, "ids"), ({"ids": [0]}, "ids"), ({"ids": ["x"]}, "ids.0"), ({"ids": [1], "reason": "a\nb"}, "reason")],
)
def test_what_cannot_be_asked_of_accounts_is_named(admin: Client, ana: Client, body: dict[str, Any], field: str) -> None:
    for what in ("activate", "suspend"):
        assert fields(admin.post(f"/admin/users/{what}", body)) == [field]
        problem(ana.post(f"/admin/users/{what}", {"ids": [ana.id]}), 403, "forbidden")


def test_where_signing_up_is_closed_only_admins_make_accounts(make_gateway: Callable[..., Gateway]) -> None:
    closed = make_gateway(SIGNUP="closed")
    problem(closed.anonymous().post("/signup", somebody()), 403, "forbidden")
    problem(verify(closed, "a@example.org", "123456"), 403, "forbidden")


def test_there_are_limits_by_address_and_by_account(make_gateway: Callable[..., Gateway]) -> None:
    limits = {"LIMIT_SIGNUP": "3/hour", "LIMIT_OTP": "2/hour", "LIMIT_LOGIN": "2/hour"}
    gateway = make_gateway(RATE_LIMITS="on", TRUSTED_PROXIES="127.0.0.1/32", **limits)
    addresses = count(1)

    def call(path: str, body: dict[str, str], address: str = "") -> int:
        source = {"X-Forwarded-For": address or f"192.0.2.{next(addresses)}"}
        answer = gateway.anonymous().post(path, body, headers=source)
        if answer.status_code == 429:
            assert 1 <= int(answer.headers["Retry-After"]) <= 3600
        return answer.status_code

    email = somebody()["email"]
    assert [call("/signup", somebody(), "198.51.100.1") for _ in range(4)] == [201, 201, 201, 429]
    assert [call("/signup", somebody() | {"email": email}) for _ in range(4)] == [201, 201, 201, 429]
    assert [call("/otp", {"email": somebody()["email"]}, "198.51.100.2") for _ in range(3)] == [202, 202, 429]
    assert [call("/otp", {"email": email}) for _ in range(3)] == [202, 202, 429]
    assert [call("/signup/verify", {"email": email, "code": "1"}) for _ in range(3)] == [422, 422, 429]
    assert [call("/login", {"email": "z@example.org", "code": "1"}) for _ in range(3)] == [401, 401, 429]
    assert {what: gateway.metric("bellwire_rate_limited_total", what=what) for what in ("signup", "otp", "login")} == {
        "signup": 2,
        "otp": 2,
        "login": 2,
    }


def test_other_origins_that_are_allowed_may_sign_up_and_others_not(make_gateway: Callable[..., Gateway]) -> None:
    gateway = make_gateway(ALLOWED_ORIGINS="https://chat.example.org")
    for origin, allowed in (("https://chat.example.org", "https://chat.example.org"), ("https://evil.example.org", None)):
        preflight = gateway.anonymous().call("OPTIONS", "/signup", headers={"Origin": origin})
        assert preflight.headers.get("Access-Control-Allow-Origin") == allowed
        answer = gateway.anonymous().post("/signup", somebody(), headers={"Origin": origin})
        assert (answer.status_code, answer.headers.get("Access-Control-Allow-Origin")) == (201, allowed)


def test_no_password_token_or_used_code_is_anywhere(gateway: Gateway) -> None:
    who = somebody() | {"password": "a password to look for"}
    ana = made(gateway, who)
    until(lambda: gateway.metric("bellwire_signup_stage_seconds_count", stage="commit"))
    gateway.execute("UPDATE emails SET data='{}'")  # as a sender does
    everything = gateway.dump() + gateway.stderr()
    assert who["password"] not in everything
    assert ana.token not in everything
    assert "$argon2id$" in everything


def test_newcomers_are_welcomed_and_admins_told_once(served: Gateway) -> None:
    watching, resting = served.users(2, role="admin")
    assert resting.put("/admin/watches", {"user.created": False}).status_code == 200

    def titles(client: Client, kind: str) -> list[tuple[str, int]]:
        return [(one["title"], one["count"]) for one in client.get("/notifications", type=kind).json()["items"]]

    def newcomer() -> Client:
        who = somebody()
        assert served.anonymous().post("/signup", who).status_code == 201
        code = until(lambda: next(iter(served_codes(who["email"])), None))
        session = verify(served, who["email"], code).json()
        return Client(served, session["user"]["id"], who["username"], session["token"])

    def served_codes(address: str) -> list[str]:
        letters = [path.read_text() for path in (served.data / "mail").glob("*.eml")]
        return [
            line for text in letters if f"<{address}>" in text for line in text.splitlines() if len(line) == 6 and line.isdigit()
        ]

    ana = newcomer()
    until(lambda: titles(watching, "admin") == [("1 new user", 1)])
    until(lambda: titles(ana, "system") == [(f"Welcome, {ana.name}", 1)])
    newcomer()
    until(lambda: titles(watching, "admin") == [("2 new users", 2)])
    until(lambda: len(served.rows("SELECT 1 FROM activities WHERE action='user.created'")) == 2)
    watching.post("/admin/users/suspend", {"ids": [ana.id]})
    until(lambda: titles(resting, "admin") == [("1 account changed", 1)])
    assert titles(watching, "admin") == [("2 new users", 2)]


def test_while_the_queue_is_down_a_signup_is_answered_and_its_mail_goes(make_gateway: Callable[..., Gateway]) -> None:
    gateway = make_gateway(REDIS_URL="redis://127.0.0.1:1/0")  # and there is no worker at all
    who = somebody()
    assert gateway.anonymous().post("/signup", who).status_code == 201  # the code may have left the outbox by now
    (path,) = until(lambda: list((gateway.data / "mail").glob("*.eml")))
    assert who["email"] in path.read_text()
    until(lambda: gateway.rows("SELECT state, data FROM emails") == [("sent", "{}")])
    assert gateway.metric("bellwire_queue_fallback_total", task="mail") == 1


def test_preferences_are_ones_own_and_partly_changed(ana: Client) -> None:
    defaults = {"account": "instant", "message": "hourly", "community": "instant", "admin": "off", "system": "off"}
    assert ana.get("/notification-preferences").json() == {
        kind: {"in_app": True, "email": email} for kind, email in defaults.items()
    }
    changed = ana.put("/notification-preferences", {"message": {"email": "daily"}, "system": {"in_app": False}}).json()
    assert changed["message"] == {"in_app": True, "email": "daily"}
    assert changed["system"] == {"in_app": False, "email": "off"}
    assert fields(ana.put("/notification-preferences", {"pigeons": {"email": "off"}})) == ["pigeons"]
    assert fields(ana.put("/notification-preferences", {"message": {"email": "never"}})) == ["message.email"]


def test_one_click_of_a_mail_ends_mails_of_its_type(gateway: Gateway, ana: Client) -> None:
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
