"""What mailed codes open, and what they don't."""

from collections import Counter

import pytest

from models.identity import code as codes
from tests.gateway.client import Client, fields, problem
from tests.gateway.newcomers import PASSWORD, ask_code, kinds, log_in, made, mailed, numbers, sign_up, somebody, verify, wrong
from tests.gateway.running import Gateway
from tests.stores import settings_of

TABLES = ("users", "profiles", "wallets", "codes", "emails")
ANOTHER = "another long password"


def counts(gateway: Gateway) -> list[int]:
    return [gateway.rows(f"SELECT count(*) FROM {table}")[0][0] for table in TABLES]


def login_code(gateway: Gateway, address: str) -> str:
    ask_code(gateway, address)
    return str(mailed(gateway, address)["code"])


@pytest.fixture
def owner(gateway: Gateway, admin: Client) -> tuple[Client, str]:
    """Somebody without a password, whom an admin made, logged in by code; and their address."""
    n = next(numbers)
    new = {"username": f"owner{n}", "email": f"owner{n}@example.org"}
    assert admin.post("/admin/users", {"users": [new]}).status_code == 201
    answer = log_in(gateway, email=new["email"], code=login_code(gateway, new["email"]))
    return Client(gateway, answer.json()["user"]["id"], new["username"], answer.json()["token"]), new["email"]


def test_a_signup_makes_one_of_everything_in_one_transaction(gateway: Gateway) -> None:
    who, before = somebody(), counts(gateway)
    sign_up(gateway, who)

    assert counts(gateway) == [n + 1 for n in before]
    sql = (
        "SELECT u.status, u.created_ms, e.created_ms, c.expires_ms, e.expires_ms FROM users u JOIN codes c ON c.account=u.id "
        "JOIN emails e ON e.receiver=u.id JOIN profiles p ON p.user_id=u.id JOIN wallets w ON w.user_id=u.id WHERE u.username=?"
    )
    [(status, made_ms, *moments)] = gateway.rows(sql, who["username"])
    assert (status, moments) == ("pending", [made_ms, made_ms + 600_000, made_ms + 600_000])


def test_a_refused_signup_leaves_nothing(gateway: Gateway) -> None:
    who = somebody()
    sign_up(gateway, who)
    before = counts(gateway)
    problem(gateway.anonymous().post("/signup", somebody() | {"username": who["username"].upper()}), 409, "conflict")
    assert counts(gateway) == before


def test_who_has_not_verified_is_not_there_for_others(gateway: Gateway, ana: Client) -> None:
    who = somebody()
    sign_up(gateway, who)
    [(number,)] = gateway.rows("SELECT id FROM users WHERE username=?", who["username"])
    problem(ana.get(f"/users/{number}"), 404, "not-found")
    problem(ana.post("/messages", {"to": number, "body": "hi"}), 404, "not-found")


def test_an_attempt_whose_username_is_free_again_is_gone_with_all_that_was_its(gateway: Gateway) -> None:
    who = somebody()
    sign_up(gateway, who)
    [(number,)] = gateway.rows("SELECT id FROM users WHERE username=?", who["username"])
    gateway.execute("UPDATE users SET created_ms=created_ms-86400000 WHERE id=?", number)
    sign_up(gateway, somebody() | {"username": who["username"]})
    for table in ("profiles", "wallets"):
        assert gateway.rows(f"SELECT 1 FROM {table} WHERE user_id=?", number) == []
    assert gateway.rows("SELECT 1 FROM users WHERE id=?", number) == []


def test_a_username_is_free_for_an_admin_to_give_after_a_day_and_not_before(gateway: Gateway, admin: Client) -> None:
    who = somebody()
    sign_up(gateway, who)
    new = {"users": [{"username": who["username"], "email": somebody()["email"]}]}
    assert fields(admin.post("/admin/users", new)) == ["users.0.username"]
    gateway.execute("UPDATE users SET created_ms=created_ms-86400000 WHERE username=?", who["username"])
    assert admin.post("/admin/users", new).status_code == 201


def test_the_code_of_an_attempt_for_an_owned_address_opens_nothing_even_if_it_is_guessed(gateway: Gateway) -> None:
    first, second = somebody(), somebody()
    made(gateway, first)
    second["email"] = first["email"]
    assert gateway.anonymous().post("/signup", second).status_code == 201
    [(number,)] = gateway.rows("SELECT id FROM users WHERE username=?", second["username"])
    secret = settings_of(gateway.data, gateway.store_settings).secret()
    gateway.execute("UPDATE codes SET mac=? WHERE account=?", codes.mac(secret, number, codes.SIGNUP, "123456"), number)

    assert fields(verify(gateway, second["email"], "123456")) == ["code"]
    problem(log_in(gateway, login=second["username"], password=PASSWORD), 401, "unauthorized")
    assert log_in(gateway, login=first["email"], password=PASSWORD).json()["user"]["username"] == first["username"]


def test_of_two_attempts_for_one_address_that_are_verified_at_once_one_gets_it(gateway: Gateway) -> None:
    first, second = somebody(), somebody()
    second["email"] = first["email"]
    given = [sign_up(gateway, who) for who in (first, second)]
    answers = [gateway.later(verify, gateway, first["email"], code) for code in given]
    assert Counter(answer.result().status_code for answer in answers) == {200: 1, 422: 1}
    assert gateway.rows("SELECT count(*) FROM users WHERE email=? AND status='active'", first["email"]) == [(1,)]


def test_one_code_given_back_many_times_at_once_opens_once(gateway: Gateway) -> None:
    who = somebody()
    code = sign_up(gateway, who)
    answers = [gateway.later(verify, gateway, who["email"], code) for _ in range(6)]
    assert Counter(answer.result().status_code for answer in answers) == {200: 1, 422: 5}


def test_an_address_that_nobody_signs_up_with_is_refused_as_a_wrong_code_is(gateway: Gateway) -> None:
    who = somebody()
    code = sign_up(gateway, who)
    known, unknown = (verify(gateway, address, wrong(code)) for address in (who["email"], somebody()["email"]))
    assert problem(known, 422, "invalid") == problem(unknown, 422, "invalid")


def test_a_login_code_neither_signs_up_nor_outlives_five_wrong_tries(gateway: Gateway, owner: tuple[Client, str]) -> None:
    _, address = owner
    code = login_code(gateway, address)
    assert fields(verify(gateway, address, code)) == ["code"]
    for _ in range(5):
        problem(log_in(gateway, email=address, code=wrong(code)), 401, "unauthorized")
    problem(log_in(gateway, email=address, code=code), 401, "unauthorized")
    assert log_in(gateway, email=address, code=login_code(gateway, address)).status_code == 200


def test_a_login_code_expires(gateway: Gateway, owner: tuple[Client, str]) -> None:
    me, address = owner
    code = login_code(gateway, address)
    gateway.execute("UPDATE codes SET expires_ms=expires_ms-600000 WHERE account=?", me.id)
    problem(log_in(gateway, email=address, code=code), 401, "unauthorized")
    assert fields(me.patch("/me", {"password": PASSWORD, "code": code})) == ["code"]


def test_a_code_asked_for_before_a_suspension_is_dead_also_after_it(
    gateway: Gateway, admin: Client, owner: tuple[Client, str]
) -> None:
    me, address = owner
    code = login_code(gateway, address)
    admin.post("/admin/users/suspend", {"ids": [me.id]})
    problem(log_in(gateway, email=address, code=code), 401, "unauthorized")
    admin.post("/admin/users/activate", {"ids": [me.id]})
    problem(log_in(gateway, email=address, code=code), 401, "unauthorized")


def test_a_code_of_someone_else_changes_nobodys_password(gateway: Gateway, owner: tuple[Client, str], ben: Client) -> None:
    me, _ = owner
    code = login_code(gateway, f"{ben.name}@example.org")
    assert fields(me.patch("/me", {"password": PASSWORD, "code": code})) == ["code"]
    problem(log_in(gateway, login=me.name, password=PASSWORD), 401, "unauthorized")


def test_wrong_codes_for_a_password_are_counted_and_change_nothing(gateway: Gateway, owner: tuple[Client, str]) -> None:
    me, address = owner
    code = login_code(gateway, address)
    before, mails = me.get("/me").json(), kinds(gateway, address)
    for _ in range(5):
        assert fields(me.patch("/me", {"password": PASSWORD, "code": wrong(code), "display_name": "Changed"})) == ["code"]
    assert fields(me.patch("/me", {"password": PASSWORD, "code": code})) == ["code"]
    assert (me.get("/me").json(), kinds(gateway, address)) == (before, mails)


def test_a_password_is_reset_with_a_code_once_and_the_old_one_is_dead(gateway: Gateway) -> None:
    who = somebody()
    me = made(gateway, who)
    code = login_code(gateway, who["email"])
    assert me.patch("/me", {"password": ANOTHER, "code": code}).status_code == 200
    assert fields(me.patch("/me", {"password": PASSWORD, "code": code})) == ["code"]
    problem(log_in(gateway, login=who["username"], password=PASSWORD), 401, "unauthorized")
    assert log_in(gateway, login=who["username"], password=ANOTHER).status_code == 200


def test_what_opens_an_account_is_in_no_log_line_and_as_it_is_in_no_table(gateway: Gateway) -> None:
    who = somebody() | {"password": "first secret to find"}
    me = made(gateway, who)
    tokens = [me.token, log_in(gateway, login=who["username"], password=who["password"]).json()["token"]]
    code = login_code(gateway, who["email"])
    assert me.patch("/me", {"password": "second secret to find", "code": code}).status_code == 200
    given = login_code(gateway, who["email"])
    tokens.append(log_in(gateway, email=who["email"], code=given).json()["token"])
    problem(log_in(gateway, login=who["username"], password="third secret to find"), 401, "unauthorized")

    tx, store = gateway.stderr(), gateway.dump()
    assert '"event"' in tx
    for secret in ("secret to find", *tokens):
        assert secret not in tx
        assert secret not in store
    assert all(f'"{one}"' not in tx and f" {one} " not in tx for one in (code, given))
    for stage in ("hash", "wait", "commit"):
        assert gateway.metric("bellwire_signup_stage_seconds_count", stage=stage) > 0
