"""Mailed codes: what each code permits, and when it is refused."""

from collections import Counter

import pytest

from models.identity import code as codes
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
    verified_user,
    verify,
    wrong_code,
)
from tests.gateway.running import Gateway
from tests.stores import settings_of

TABLES = ("users", "profiles", "wallets", "codes", "emails")
ANOTHER = "another long password"


def counts(gateway: Gateway) -> list[int]:
    return [gateway.rows(f"SELECT count(*) FROM {table}")[0][0] for table in TABLES]


def login_code(gateway: Gateway, address: str) -> str:
    request_code(gateway, address)
    return str(newest_mail(gateway, address)["code"])


@pytest.fixture
def owner(gateway: Gateway, admin: Client) -> tuple[Client, str]:
    """A user without a password, created by an admin and logged in by code; and the user's address."""
    n = next(numbers)
    new = {"username": f"owner{n}", "email": f"owner{n}@example.org"}
    assert admin.post("/admin/users", {"users": [new]}).status_code == 201
    answer = log_in(gateway, email=new["email"], code=login_code(gateway, new["email"]))
    return Client(gateway, answer.json()["user"]["id"], new["username"], answer.json()["token"]), new["email"]


def test_a_signup_creates_user_profile_wallet_code_and_mail_in_one_transaction(gateway: Gateway) -> None:
    signup, before = new_signup(), counts(gateway)
    sign_up(gateway, signup)

    assert counts(gateway) == [n + 1 for n in before]
    sql = (
        "SELECT u.status, u.created_ms, e.created_ms, c.expires_ms, e.expires_ms FROM users u JOIN codes c ON c.account=u.id "
        "JOIN emails e ON e.receiver=u.id JOIN profiles p ON p.user_id=u.id JOIN wallets w ON w.user_id=u.id WHERE u.username=?"
    )
    [(status, created_ms, *expiries)] = gateway.rows(sql, signup["username"])
    assert (status, expiries) == ("pending", [created_ms, created_ms + 600_000, created_ms + 600_000])


def test_a_refused_signup_leaves_nothing(gateway: Gateway) -> None:
    signup = new_signup()
    sign_up(gateway, signup)
    before = counts(gateway)
    problem(gateway.anonymous().post("/signup", new_signup() | {"username": signup["username"].upper()}), 409, "conflict")
    assert counts(gateway) == before


def test_a_user_who_has_not_verified_is_404_for_others(gateway: Gateway, ana: Client) -> None:
    signup = new_signup()
    sign_up(gateway, signup)
    [(number,)] = gateway.rows("SELECT id FROM users WHERE username=?", signup["username"])
    problem(ana.get(f"/users/{number}"), 404, "not-found")
    problem(ana.post("/messages", {"to": number, "body": "hi"}), 404, "not-found")


def test_an_expired_signup_is_deleted_with_its_rows_when_its_username_is_used_again(gateway: Gateway) -> None:
    signup = new_signup()
    sign_up(gateway, signup)
    [(number,)] = gateway.rows("SELECT id FROM users WHERE username=?", signup["username"])
    gateway.execute("UPDATE users SET created_ms=created_ms-86400000 WHERE id=?", number)
    sign_up(gateway, new_signup() | {"username": signup["username"]})
    for table in ("profiles", "wallets"):
        assert gateway.rows(f"SELECT 1 FROM {table} WHERE user_id=?", number) == []
    assert gateway.rows("SELECT 1 FROM users WHERE id=?", number) == []


def test_an_admin_may_assign_an_unverified_username_after_a_day_and_not_before(gateway: Gateway, admin: Client) -> None:
    signup = new_signup()
    sign_up(gateway, signup)
    new = {"users": [{"username": signup["username"], "email": new_signup()["email"]}]}
    assert fields(admin.post("/admin/users", new)) == ["users.0.username"]
    gateway.execute("UPDATE users SET created_ms=created_ms-86400000 WHERE username=?", signup["username"])
    assert admin.post("/admin/users", new).status_code == 201


def test_a_guessed_code_of_a_signup_for_an_owned_address_is_refused(gateway: Gateway) -> None:
    first, second = new_signup(), new_signup()
    verified_user(gateway, first)
    second["email"] = first["email"]
    assert gateway.anonymous().post("/signup", second).status_code == 201
    [(number,)] = gateway.rows("SELECT id FROM users WHERE username=?", second["username"])
    secret = settings_of(gateway.data, gateway.store_settings).secret()
    gateway.execute("UPDATE codes SET mac=? WHERE account=?", codes.mac(secret, number, codes.SIGNUP, "123456"), number)

    assert fields(verify(gateway, second["email"], "123456")) == ["code"]
    problem(log_in(gateway, login=second["username"], password=PASSWORD), 401, "unauthorized")
    assert log_in(gateway, login=first["email"], password=PASSWORD).json()["user"]["username"] == first["username"]


def test_of_two_signups_for_one_address_verified_at_once_one_succeeds(gateway: Gateway) -> None:
    first, second = new_signup(), new_signup()
    second["email"] = first["email"]
    codes_mailed = [sign_up(gateway, signup) for signup in (first, second)]
    answers = [gateway.later(verify, gateway, first["email"], code) for code in codes_mailed]
    assert Counter(answer.result().status_code for answer in answers) == {200: 1, 422: 1}
    assert gateway.rows("SELECT count(*) FROM users WHERE email=? AND status='active'", first["email"]) == [(1,)]


def test_a_code_that_is_sent_many_times_at_once_verifies_once(gateway: Gateway) -> None:
    signup = new_signup()
    code = sign_up(gateway, signup)
    answers = [gateway.later(verify, gateway, signup["email"], code) for _ in range(6)]
    assert Counter(answer.result().status_code for answer in answers) == {200: 1, 422: 5}


def test_an_unknown_address_and_a_wrong_code_get_the_same_answer(gateway: Gateway) -> None:
    signup = new_signup()
    code = sign_up(gateway, signup)
    known, unknown = (verify(gateway, address, wrong_code(code)) for address in (signup["email"], new_signup()["email"]))
    assert problem(known, 422, "invalid") == problem(unknown, 422, "invalid")


def test_a_login_code_does_not_verify_a_signup_and_ends_after_five_wrong_tries(gateway: Gateway, owner: tuple[Client, str]) -> None:
    _, address = owner
    code = login_code(gateway, address)
    assert fields(verify(gateway, address, code)) == ["code"]
    for _ in range(5):
        problem(log_in(gateway, email=address, code=wrong_code(code)), 401, "unauthorized")
    problem(log_in(gateway, email=address, code=code), 401, "unauthorized")
    assert log_in(gateway, email=address, code=login_code(gateway, address)).status_code == 200


def test_a_login_code_expires(gateway: Gateway, owner: tuple[Client, str]) -> None:
    me, address = owner
    code = login_code(gateway, address)
    gateway.execute("UPDATE codes SET expires_ms=expires_ms-600000 WHERE account=?", me.id)
    problem(log_in(gateway, email=address, code=code), 401, "unauthorized")
    assert fields(me.patch("/me", {"password": PASSWORD, "code": code})) == ["code"]


def test_a_code_requested_before_a_suspension_stays_invalid_after_it(
    gateway: Gateway, admin: Client, owner: tuple[Client, str]
) -> None:
    me, address = owner
    code = login_code(gateway, address)
    admin.post("/admin/users/suspend", {"ids": [me.id]})
    problem(log_in(gateway, email=address, code=code), 401, "unauthorized")
    admin.post("/admin/users/activate", {"ids": [me.id]})
    problem(log_in(gateway, email=address, code=code), 401, "unauthorized")


def test_a_code_of_another_user_changes_no_password(gateway: Gateway, owner: tuple[Client, str], ben: Client) -> None:
    me, _ = owner
    code = login_code(gateway, f"{ben.name}@example.org")
    assert fields(me.patch("/me", {"password": PASSWORD, "code": code})) == ["code"]
    problem(log_in(gateway, login=me.name, password=PASSWORD), 401, "unauthorized")


def test_wrong_codes_for_a_password_are_counted_and_change_nothing(gateway: Gateway, owner: tuple[Client, str]) -> None:
    me, address = owner
    code = login_code(gateway, address)
    before, mails = me.get("/me").json(), mail_kinds(gateway, address)
    for _ in range(5):
        assert fields(me.patch("/me", {"password": PASSWORD, "code": wrong_code(code), "display_name": "Changed"})) == ["code"]
    assert fields(me.patch("/me", {"password": PASSWORD, "code": code})) == ["code"]
    assert (me.get("/me").json(), mail_kinds(gateway, address)) == (before, mails)


def test_a_code_resets_a_password_once_and_the_old_password_is_refused(gateway: Gateway) -> None:
    signup = new_signup()
    me = verified_user(gateway, signup)
    other = me.with_token(log_in(gateway, email=signup["email"], code=login_code(gateway, signup["email"])).json()["token"])
    code = login_code(gateway, signup["email"])
    assert me.patch("/me", {"password": ANOTHER, "code": f"{code[:3]}-{code[3:]}"}).status_code == 200
    problem(other.get("/me"), 401, "unauthorized")
    assert fields(me.patch("/me", {"password": PASSWORD, "code": code})) == ["code"]
    problem(log_in(gateway, login=signup["username"], password=PASSWORD), 401, "unauthorized")
    assert log_in(gateway, login=signup["username"], password=ANOTHER).status_code == 200


def test_one_code_signs_in_and_sets_a_new_password(gateway: Gateway) -> None:
    signup = new_signup() | {"username": f"longer.{new_signup()['username']}"}
    address = signup["email"]
    me = verified_user(gateway, signup)
    code = login_code(gateway, address)
    for refused in ("short", address.lower(), signup["username"]):  # none of them uses the code up
        assert fields(log_in(gateway, email=address, code=code, new_password=refused)) == ["new_password"]
    unknown = log_in(gateway, email=new_signup()["email"], code=code, new_password=signup["username"])
    assert problem(unknown, 401, "unauthorized") == problem(
        log_in(gateway, email=address, code=wrong_code(code), new_password=signup["username"]), 401, "unauthorized"
    )
    assert fields(log_in(gateway, login=address, password=PASSWORD, new_password=ANOTHER)) == ["new_password"]
    session = log_in(gateway, email=address, code=code, new_password=ANOTHER)
    assert session.status_code == 200, session.text
    assert me.with_token(session.json()["token"]).get("/me").status_code == 200
    problem(me.get("/me"), 401, "unauthorized")
    problem(log_in(gateway, email=address, code=code, new_password=PASSWORD), 401, "unauthorized")
    problem(log_in(gateway, login=address, password=PASSWORD), 401, "unauthorized")
    assert log_in(gateway, login=address, password=ANOTHER).status_code == 200
    assert mail_kinds(gateway, address)[-1] == "account"


def test_no_password_token_or_code_is_in_the_log_or_readable_in_a_table(gateway: Gateway) -> None:
    signup = new_signup() | {"password": "first secret to find"}
    me = verified_user(gateway, signup)
    tokens = [me.token, log_in(gateway, login=signup["username"], password=signup["password"]).json()["token"]]
    code = login_code(gateway, signup["email"])
    assert me.patch("/me", {"password": "second secret to find", "code": code}).status_code == 200
    second_code = login_code(gateway, signup["email"])
    tokens.append(log_in(gateway, email=signup["email"], code=second_code).json()["token"])
    problem(log_in(gateway, login=signup["username"], password="third secret to find"), 401, "unauthorized")

    log, store = gateway.stderr(), gateway.dump()
    assert '"event"' in log
    for secret in ("secret to find", *tokens):
        assert secret not in log
        assert secret not in store
    assert all(f'"{used}"' not in log and f" {used} " not in log for used in (code, second_code))
    for stage in ("hash", "wait", "commit"):
        assert gateway.metric("bellwire_signup_stage_seconds_count", stage=stage) > 0
