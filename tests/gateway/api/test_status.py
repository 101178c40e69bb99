"""Suspending and activating."""

from collections import Counter

import pytest

from tests.gateway.client import Client, fields, problem
from tests.gateway.newcomers import kinds, made, sign_up, somebody
from tests.gateway.running import Gateway

MISSING = range(9_000_000, 9_009_999)


def suspend(admin: Client, *ids: int, **more: str) -> dict[str, list[int]]:
    answer = admin.post("/admin/users/suspend", {"ids": ids, **more})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def activate(admin: Client, *ids: int, **more: str) -> dict[str, list[int]]:
    answer = admin.post("/admin/users/activate", {"ids": ids, **more})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def account(gateway: Gateway, username: str) -> tuple[int, str]:
    """Id and status."""
    [(number, status)] = gateway.rows("SELECT id, status FROM users WHERE username=?", username)
    return number, status


def test_an_open_poll_of_a_suspended_account_ends_with_401(gateway: Gateway, admin: Client, ana: Client, ben: Client) -> None:
    poll, other = ana.polling(ana.now(), timeout=60), ben.polling(ben.now(), timeout=60)
    gateway.waiting(2)
    suspend(admin, ana.id)
    problem(poll.result(), 401, "unauthorized")
    admin.send("only the other stays", to=ben)
    assert other.result().json()["events"]


def test_the_suspended_hear_why_in_the_transaction_that_does_it(gateway: Gateway, admin: Client, ana: Client) -> None:
    suspend(admin, ana.id, reason="Too <loud> & ünruly")
    [(title, body, read_ms, created_ms)] = gateway.rows(
        "SELECT title, body, read_ms, created_ms FROM notifications WHERE user_id=?", ana.id
    )
    assert (title, body, read_ms) == ("Your account was suspended", "Reason: Too <loud> & ünruly", None)
    mails = gateway.rows("SELECT kind, state, created_ms FROM emails WHERE receiver=?", ana.id)
    assert mails == [("account", "queued", created_ms)]
    told = gateway.rows("SELECT DISTINCT at_ms FROM events WHERE stream=?", f"user:{ana.id}")
    assert told == [(created_ms,)]


def test_ten_thousand_ids_are_taken_at_once_each_in_one_list_once(admin: Client, people: list[Client]) -> None:
    ana, ben, cleo = (one.id for one in people)
    suspend(admin, cleo)
    found = suspend(admin, ben, *MISSING[:5000], ana, *MISSING[5000:-8], cleo, admin.id, ben, ana)
    assert found == {"changed": [ben, ana], "unchanged": [cleo, admin.id], "missing": list(MISSING[:-8])}
    assert activate(admin, cleo, ana, ben, cleo) == {"changed": [cleo, ana, ben], "unchanged": [], "missing": []}


def test_being_active_again_brings_no_token_back(gateway: Gateway, admin: Client, ana: Client) -> None:
    suspend(admin, ana.id)
    activate(admin, ana.id, reason="A mistake")
    problem(ana.get("/me"), 401, "unauthorized")
    assert gateway.rows("SELECT 1 FROM tokens WHERE user_id=?", ana.id) == []
    again = ana.with_token(admin.post(f"/admin/users/{ana.id}/tokens", {}).json()["token"])
    told = again.get("/notifications", unread="true", type="account").json()["items"]
    assert [(one["title"], one["body"]) for one in told] == [
        ("Your account is active again", "Reason: A mistake"),
        ("Your account was suspended", ""),
    ]
    assert told[0]["data"] == {"status": "active", "reason": "A mistake"}
    assert kinds(gateway, f"{ana.name}@example.org") == ["account", "account"]


def test_two_admins_who_suspend_one_another_at_once_do_not_both_go(gateway: Gateway) -> None:
    one, other = gateway.users(2, "admin")
    asking = [gateway.later(a.post, "/admin/users/suspend", {"ids": [b.id]}) for a, b in ((one, other), (other, one))]
    assert Counter(answer.result().status_code for answer in asking) == {200: 1, 401: 1}
    assert Counter(status for (status,) in gateway.rows("SELECT status FROM users WHERE id IN (?,?)", one.id, other.id)) == {
        "active": 1,
        "suspended": 1,
    }


def test_a_pending_account_is_not_suspended_and_becomes_active_with_a_word_to_all_whom_it_concerns(
    gateway: Gateway, admin: Client
) -> None:
    who = somebody()
    sign_up(gateway, who)
    number, _ = account(gateway, who["username"])
    assert suspend(admin, number)["unchanged"] == [number]
    assert account(gateway, who["username"])[1] == "pending"
    assert activate(admin, number)["changed"] == [number]
    told = gateway.rows("SELECT type, data FROM events WHERE stream='accounts' ORDER BY id DESC LIMIT 1")
    assert told == [("user.created", f'{{"user":{number}}}')]


def test_an_attempt_for_an_owned_address_stays_pending(gateway: Gateway, admin: Client) -> None:
    first, second = somebody(), somebody()
    second["email"] = first["email"].upper()
    owner = made(gateway, first)
    assert gateway.anonymous().post("/signup", second).status_code == 201
    number, _ = account(gateway, second["username"])
    assert activate(admin, number)["unchanged"] == [number]
    suspend(admin, owner.id)
    assert activate(admin, number)["unchanged"] == [number]
    assert account(gateway, second["username"]) == (number, "pending")


@pytest.mark.parametrize("what", ["activate", "suspend"])
@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"ids": [*MISSING, 1, 2]}, "ids"),
        ({"ids": [-1]}, "ids"),
        ({"ids": [2**53]}, "ids"),
        ({"ids": 1}, "ids"),
        ({"ids": [True]}, "ids.0"),
        ({"reason": "x" * 501}, "reason"),
        ({"reason": "\u200b"}, "reason"),
        ({"reason": None}, "reason"),
        ({"why": "so"}, "why"),
    ],
)
def test_what_is_wrong_is_named_and_nobody_changes(
    gateway: Gateway, admin: Client, ana: Client, what: str, wrong: dict[str, object], field: str
) -> None:
    assert fields(admin.post(f"/admin/users/{what}", {"ids": [ana.id], **wrong})) == [field]
    assert ana.get("/me").json()["status"] == "active"
    assert gateway.rows("SELECT 1 FROM notifications WHERE user_id=?", ana.id) == []


def test_ids_are_needed(admin: Client) -> None:
    assert fields(admin.post("/admin/users/suspend", {"reason": "so"})) == ["ids"]


def test_users_and_nobody_may_not(gateway: Gateway, ana: Client, ben: Client) -> None:
    for what in ("activate", "suspend"):
        problem(ana.post(f"/admin/users/{what}", {"ids": [ben.id]}), 403, "forbidden")
        problem(gateway.anonymous().post(f"/admin/users/{what}", {"ids": [ben.id]}), 401, "unauthorized")
    assert ben.get("/me").status_code == 200


def test_many_more_than_a_transaction_takes_are_one_call_with_one_record(gateway: Gateway, admin: Client) -> None:
    ids = [one.id for one in gateway.users(260)]
    told = admin.post("/admin/users/suspend", {"ids": [*ids, 2**50, ids[0]]}, headers={"X-Request-Id": "many"}).json()
    assert told == {"changed": ids, "unchanged": [], "missing": [2**50]}
    assert gateway.rows("SELECT count(*) FROM audits WHERE request_id='many'") == [(1,)]
    assert gateway.rows("SELECT count(*) FROM users WHERE status='suspended' AND id>=?", ids[0])[0][0] == len(ids)
