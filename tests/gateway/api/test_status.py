"""Admins suspend and activate accounts."""

from collections import Counter

import pytest

from tests.gateway.client import Client, fields, problem
from tests.gateway.newcomers import mail_kinds, new_signup, sign_up, verified_user
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
    """Return the id and the status of an account."""
    [(number, status)] = gateway.rows("SELECT id, status FROM users WHERE username=?", username)
    return number, status


def test_an_open_poll_of_a_suspended_account_ends_with_401(gateway: Gateway, admin: Client, ana: Client, ben: Client) -> None:
    poll, other = ana.polling(ana.now(), timeout=60), ben.polling(ben.now(), timeout=60)
    gateway.waiting(2)
    suspend(admin, ana.id)
    problem(poll.result(), 401, "unauthorized")
    admin.send("only the other stays", to=ben)
    assert other.result().json()["events"]


def test_a_suspended_user_is_notified_of_the_reason_in_the_same_transaction(gateway: Gateway, admin: Client, ana: Client) -> None:
    suspend(admin, ana.id, reason="Too <loud> & ünruly")
    [(title, body, read_ms, created_ms)] = gateway.rows(
        "SELECT title, body, read_ms, created_ms FROM notifications WHERE user_id=?", ana.id
    )
    assert (title, body, read_ms) == ("Your account was suspended", "Reason: Too <loud> & ünruly", None)
    mails = gateway.rows("SELECT kind, state, created_ms FROM emails WHERE receiver=?", ana.id)
    assert mails == [("account", "queued", created_ms)]
    event_times = gateway.rows("SELECT DISTINCT at_ms FROM events WHERE stream=?", f"user:{ana.id}")
    assert event_times == [(created_ms,)]


def test_ten_thousand_ids_in_one_request_are_each_listed_once(admin: Client, people: list[Client]) -> None:
    ana, ben, cleo = (person.id for person in people)
    suspend(admin, cleo)
    result = suspend(admin, ben, *MISSING[:5000], ana, *MISSING[5000:-8], cleo, admin.id, ben, ana)
    assert result == {"changed": [ben, ana], "unchanged": [cleo, admin.id], "missing": list(MISSING[:-8])}
    assert activate(admin, cleo, ana, ben, cleo) == {"changed": [cleo, ana, ben], "unchanged": [], "missing": []}


def test_the_audit_of_an_account_has_the_bulk_calls_that_changed_it(gateway: Gateway, admin: Client, people: list[Client]) -> None:
    missing, *_, last = MISSING
    ana, ben, cleo = (person.id for person in people)
    suspend(admin, ana, reason="before")
    suspend(admin, *range(missing, missing + 50), ana, ben, cleo, admin.id, last, reason="a flood")
    activate(admin, cleo)

    def audited(user: int) -> list[tuple[str, int, str | None]]:
        items = admin.get("/admin/audit", user=user).json()["items"]
        return [(item["action"], item["triggered_by"], item["metadata"]["reason"]) for item in items]

    assert audited(ana) == [("account.suspended", admin.id, "before")]
    assert audited(cleo) == [("account.activated", admin.id, None), ("account.suspended", admin.id, "a flood")]
    [call, *_] = admin.get("/admin/audit", action="POST /api/v1/admin/users/activate", user=admin.id).json()["items"]
    [of_cleo, *_] = admin.get("/admin/audit", user=cleo).json()["items"]
    assert of_cleo["metadata"]["request_id"] == call["request_id"]
    assert [of_cleo[name] for name in ("address", "description")] == [call[name] for name in ("address", "description")]


def test_activating_an_account_restores_no_token(gateway: Gateway, admin: Client, ana: Client) -> None:
    suspend(admin, ana.id)
    activate(admin, ana.id, reason="A mistake")
    problem(ana.get("/me"), 401, "unauthorized")
    assert gateway.rows("SELECT 1 FROM tokens WHERE user_id=?", ana.id) == []
    ana_again = ana.with_token(admin.post(f"/admin/users/{ana.id}/tokens", {}).json()["token"])
    notifications = ana_again.get("/notifications", unread="true", type="account").json()["items"]
    assert [(notification["title"], notification["body"]) for notification in notifications] == [
        ("Your account is active again", "Reason: A mistake"),
        ("Your account was suspended", ""),
    ]
    assert notifications[0]["data"] == {"status": "active", "reason": "A mistake"}
    assert mail_kinds(gateway, f"{ana.name}@example.org") == ["account", "account"]


def test_of_two_admins_who_suspend_each_other_at_once_one_stays_active(gateway: Gateway) -> None:
    one, other = gateway.users(2, "admin")
    answers = [gateway.later(a.post, "/admin/users/suspend", {"ids": [b.id]}) for a, b in ((one, other), (other, one))]
    assert Counter(answer.result().status_code for answer in answers) == {200: 1, 401: 1}
    assert Counter(status for (status,) in gateway.rows("SELECT status FROM users WHERE id IN (?,?)", one.id, other.id)) == {
        "active": 1,
        "suspended": 1,
    }


def test_a_pending_account_cannot_be_suspended_and_activating_it_appends_user_created(gateway: Gateway, admin: Client) -> None:
    signup = new_signup()
    sign_up(gateway, signup)
    number, _ = account(gateway, signup["username"])
    assert suspend(admin, number)["unchanged"] == [number]
    assert account(gateway, signup["username"])[1] == "pending"
    assert activate(admin, number)["changed"] == [number]
    events = gateway.rows("SELECT type, data FROM events WHERE stream='accounts' ORDER BY id DESC LIMIT 1")
    assert events == [("user.created", f'{{"user":{number}}}')]


def test_a_signup_for_an_owned_address_stays_pending(gateway: Gateway, admin: Client) -> None:
    first, second = new_signup(), new_signup()
    second["email"] = first["email"].upper()
    owner = verified_user(gateway, first)
    assert gateway.anonymous().post("/signup", second).status_code == 201
    number, _ = account(gateway, second["username"])
    assert activate(admin, number)["unchanged"] == [number]
    suspend(admin, owner.id)
    assert activate(admin, number)["unchanged"] == [number]
    assert account(gateway, second["username"]) == (number, "pending")


@pytest.mark.parametrize("action", ["activate", "suspend"])
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
def test_an_invalid_field_is_named_and_no_account_changes(
    gateway: Gateway, admin: Client, ana: Client, action: str, wrong: dict[str, object], field: str
) -> None:
    assert fields(admin.post(f"/admin/users/{action}", {"ids": [ana.id], **wrong})) == [field]
    assert ana.get("/me").json()["status"] == "active"
    assert gateway.rows("SELECT 1 FROM notifications WHERE user_id=?", ana.id) == []


def test_ids_are_required(admin: Client) -> None:
    assert fields(admin.post("/admin/users/suspend", {"reason": "so"})) == ["ids"]


def test_each_account_that_changed_has_an_activity_record(gateway: Gateway, admin: Client) -> None:
    first, second = (user.id for user in gateway.users(2))
    gateway.execute("UPDATE users SET site='shop' WHERE id=?", second)
    suspend(admin, first, second, admin.id, reason="spam")
    suspend(admin, first)
    activate(admin, first)

    def records(user: int) -> list[tuple[str, int, dict[str, str | None], str | None]]:
        items = admin.get("/admin/activity", user=user).json()["items"]
        return [
            (item["action"], item["triggered_by"], item["metadata"], item["site"]) for item in items if "account" in item["action"]
        ]

    suspended, activated = ("account.suspended", admin.id, {"reason": "spam"}), ("account.activated", admin.id, {"reason": None})
    assert records(first) == [(*activated, None), (*suspended, None)]
    assert records(second) == [(*suspended, "shop")]
    assert records(admin.id) == []
    counted = gateway.rows("SELECT sum(count) FROM activity_hourly WHERE action='account.suspended' AND site='shop'")
    assert counted == [(1,)]


def test_only_admins_suspend_and_activate(gateway: Gateway, ana: Client, ben: Client) -> None:
    for action in ("activate", "suspend"):
        problem(ana.post(f"/admin/users/{action}", {"ids": [ben.id]}), 403, "forbidden")
        problem(gateway.anonymous().post(f"/admin/users/{action}", {"ids": [ben.id]}), 401, "unauthorized")
    assert ben.get("/me").status_code == 200


def test_more_accounts_than_one_transaction_changes_are_one_request_with_one_audit_record(gateway: Gateway, admin: Client) -> None:
    ids = [user.id for user in gateway.users(260)]
    result = admin.post("/admin/users/suspend", {"ids": [*ids, 2**50, ids[0]]}, headers={"X-Request-Id": "many"}).json()
    assert result == {"changed": ids, "unchanged": [], "missing": [2**50]}
    assert gateway.rows("SELECT count(*) FROM audits WHERE request_id='many'") == [(1,)]
    assert gateway.rows("SELECT count(*) FROM users WHERE status='suspended' AND id>=?", ids[0])[0][0] == len(ids)
