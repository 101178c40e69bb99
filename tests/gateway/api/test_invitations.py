"""Invitations, and the first admin of an empty instance."""

from collections import Counter
from collections.abc import Callable

import pytest

from models.accounts import setup
from models.log import event
from tests.gateway.client import Client, fields, problem
from tests.gateway.newcomers import PASSWORD, log_in, mail_kinds, new_signup, newest_mail, start_attempt, verify, wrong_code
from tests.gateway.running import Gateway


@pytest.fixture(scope="module")
def closed(make_gateway: Callable[..., Gateway]) -> Gateway:
    return make_gateway(SIGNUP="closed")


@pytest.fixture(scope="module")
def inviting(closed: Gateway) -> Client:
    return closed.user("admin")


def invite(admin: Client, **body: object) -> str:
    answer = admin.post("/admin/invitations", body)
    assert answer.status_code == 201, answer.text
    invitation = answer.json()
    assert invitation["url"] == f"{admin.gateway.url}/#/invitation/{invitation['code']}"
    return str(invitation["code"])


def accept(gateway: Gateway, code: str, signup: dict[str, str]) -> str:
    """Sign up by an invitation, and return the mailed code."""
    start_attempt(gateway, signup, f"/invitations/{code}")
    return str(newest_mail(gateway, signup["email"])["code"])


def test_an_invited_person_signs_up_where_signup_is_closed_and_joins_the_group(closed: Gateway, inviting: Client) -> None:
    group = inviting.post("/groups", {"name": "Gardeners"}).json()["id"]
    code, signup = invite(inviting, group=group, role="admin"), new_signup()
    assert closed.anonymous().get(f"/invitations/{code}").json() == {"group": "Gardeners"}
    mailed = accept(closed, code, signup)
    problem(closed.anonymous().get(f"/invitations/{code}"), 404, "not-found")
    assert verify(closed, signup["email"], wrong_code(mailed)).status_code == 422
    user = verify(closed, signup["email"], mailed).json()["user"]
    assert (user["role"], user["status"]) == ("admin", "active")
    assert log_in(closed, login=signup["username"], password=PASSWORD).status_code == 200
    joined = closed.rows("SELECT user_id FROM group_members WHERE group_id=? ORDER BY id", group)
    assert joined == [(inviting.id,), (user["id"],)]
    (listed,) = [item for item in inviting.get("/admin/invitations").json()["items"] if item["group"] == group]
    assert (listed["uses"], listed["used"], listed["role"], listed["created_by"]) == (1, 1, "admin", inviting.id)
    assert "code" not in listed
    assert code not in str(closed.rows("SELECT * FROM invitations"))


def test_an_invitation_makes_as_many_accounts_as_it_says_and_no_more_at_once(closed: Gateway, inviting: Client) -> None:
    code = invite(inviting, uses=2)
    answers = [closed.later(closed.anonymous().post, f"/invitations/{code}", new_signup()) for _ in range(6)]
    assert Counter(answer.result().status_code for answer in answers) == {201: 2, 404: 4}


def test_an_invitation_that_is_over_unknown_or_ended_is_404(closed: Gateway, inviting: Client) -> None:
    code, over = invite(inviting), invite(inviting)
    number = max(item["id"] for item in inviting.get("/admin/invitations").json()["items"])
    assert inviting.delete(f"/admin/invitations/{number}").status_code == 204
    problem(inviting.delete(f"/admin/invitations/{number}"), 404, "not-found")
    for unusable in (over, code + "x", "x", "x" * 65):
        problem(closed.anonymous().post(f"/invitations/{unusable}", new_signup()), 404, "not-found")
    signup = new_signup()
    mailed = accept(closed, code, signup)
    closed.execute("UPDATE invitations SET expires_ms=1")
    problem(closed.anonymous().post(f"/invitations/{code}", new_signup()), 404, "not-found")
    assert verify(closed, signup["email"], mailed).status_code == 200, "it was not over when the attempt began"


def test_an_attempt_by_an_ended_invitation_gets_no_further_code_and_is_not_activated(closed: Gateway, inviting: Client) -> None:
    code, signup = invite(inviting), new_signup()
    attempt = start_attempt(closed, signup, f"/invitations/{code}")
    number = max(item["id"] for item in inviting.get("/admin/invitations").json()["items"])
    inviting.delete(f"/admin/invitations/{number}")
    assert fields(closed.anonymous().post("/signup/code", {"attempt": attempt})) == ["attempt"]
    assert mail_kinds(closed, signup["email"]) == ["signup_code"]
    assert fields(verify(closed, signup["email"], newest_mail(closed, signup["email"])["code"])) == ["code"]


def test_an_invitation_gives_its_group_and_role_where_signup_is_open(gateway: Gateway) -> None:
    admin = gateway.user("admin")
    group, signup = admin.post("/groups", {"name": "Singers"}).json()["id"], new_signup()
    user = verify(gateway, signup["email"], accept(gateway, invite(admin, group=group, role="admin"), signup)).json()["user"]
    assert user["role"] == "admin"
    assert (user["id"],) in gateway.rows("SELECT user_id FROM group_members WHERE group_id=?", group)


def suspend(admin: Client, other: Client) -> None:
    assert admin.post("/admin/users/suspend", {"ids": [other.id]}).json()["changed"] == [other.id]


def demote(admin: Client, other: Client) -> None:
    assert admin.patch(f"/admin/users/{other.id}", {"role": "user"}).json()["role"] == "user"


@pytest.mark.parametrize("end_rights", [suspend, demote])
def test_an_invitation_ends_with_the_rights_of_the_admin_who_made_it(
    closed: Gateway, inviting: Client, end_rights: Callable[[Client, Client], None]
) -> None:
    leaving, code, signup = closed.user("admin"), invite(inviting), new_signup()
    used, unused = (invite(leaving, role="admin") for _ in range(2))
    mailed = accept(closed, used, signup)
    end_rights(inviting, leaving)
    problem(closed.anonymous().get(f"/invitations/{unused}"), 404, "not-found")
    problem(closed.anonymous().post(f"/invitations/{unused}", new_signup()), 404, "not-found")
    assert fields(verify(closed, signup["email"], mailed)) == ["code"]
    assert closed.anonymous().get(f"/invitations/{code}").status_code == 200


def test_an_admin_who_activates_the_invited_gives_what_the_invitation_says(closed: Gateway, inviting: Client) -> None:
    group, signup = inviting.post("/groups", {"name": "Painters"}).json()["id"], new_signup()
    accept(closed, invite(inviting, group=group), signup)
    ((invited,),) = closed.rows("SELECT id FROM users WHERE username=?", signup["username"])
    assert inviting.post("/admin/users/activate", {"ids": [invited]}).json()["changed"] == [invited]
    assert (invited,) in closed.rows("SELECT user_id FROM group_members WHERE group_id=?", group)


def test_a_mistyped_address_costs_an_invitation_no_second_use(closed: Gateway, inviting: Client) -> None:
    code, wrong, right = invite(inviting), new_signup(), new_signup()
    path = f"/invitations/{code}"
    attempt = start_attempt(closed, wrong, path)
    problem(closed.anonymous().post(path, right), 404, "not-found")
    attempt = start_attempt(closed, wrong | {"email": right["email"], "attempt": attempt}, path)
    other = new_signup()["email"]
    problem(closed.anonymous().post("/signup", right | {"attempt": attempt}), 403, "forbidden")
    assert closed.anonymous().post("/signup/code", {"attempt": attempt, "email": other}).status_code == 200
    user = verify(closed, other, newest_mail(closed, other)["code"]).json()["user"]
    assert user["username"] == wrong["username"]


def test_no_answer_record_or_metric_shows_an_invitations_code(closed: Gateway, inviting: Client) -> None:
    code = invite(inviting)
    accept(closed, code, new_signup())
    metrics = closed.http.get("/metrics").text
    assert code not in inviting.get("/admin/invitations").text + inviting.get("/admin/audit").text + metrics
    assert "/api/v1/invitations/CODE" in metrics


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"uses": 0}, "uses"),
        ({"uses": 10_001}, "uses"),
        ({"expires_in": 59}, "expires_in"),
        ({"group": 999_999}, "group"),
        ({"role": "owner"}, "role"),
        ({"code": "mine"}, "code"),
    ],
)
def test_a_wrong_invitation_names_its_field(inviting: Client, body: dict[str, object], field: str) -> None:
    assert fields(inviting.post("/admin/invitations", body)) == [field]


def test_only_admins_invite(gateway: Gateway, ana: Client) -> None:
    problem(ana.post("/admin/invitations", {}), 403, "forbidden")
    problem(ana.get("/admin/invitations"), 403, "forbidden")
    problem(ana.delete("/admin/invitations/1"), 403, "forbidden")
    problem(ana.patch("/admin/instance", {"organisation": "Mine"}), 403, "forbidden")
    problem(ana.post("/admin/test-mail", {}), 403, "forbidden")
    problem(ana.get("/admin/test-mail"), 403, "forbidden")


def test_the_first_visitor_with_the_terminals_code_becomes_the_admin_once(make_gateway: Callable[..., Gateway]) -> None:
    fresh = make_gateway()
    anyone = fresh.anonymous()
    request = {"username": "root", "email": "root@example.org", "password": PASSWORD, "organisation": "Hill School"}
    assert anyone.get("/instance").json() == {
        "organisation": None,
        "signup": "open",
        "setup": False,
        "mail": False,
        "contacts": "everyone",
    }
    problem(anyone.post("/setup", request | {"code": ""}), 404, "not-found")
    with fresh.store():
        with event.transaction():
            setup.new_code()
        with event.transaction():
            code = setup.new_code()
    assert anyone.get("/instance").json()["setup"] is True
    assert fields(anyone.post("/setup", request | {"code": "2222222222"})) == ["code"]
    assert fields(anyone.post("/setup", request | {"code": code, "username": "-", "password": "short"})) == ["username", "password"]
    assert fields(anyone.post("/setup", request | {"code": code, "timezone": "Mars/Base", "locale": "?"})) == ["timezone", "locale"]
    typed = code.replace("-", " ").lower()
    answers = [
        fresh.later(
            anyone.post, "/setup", request | {"code": typed, "username": f"root{n}", "email": f"r{n}@example.org", "locale": "ar"}
        )
        for n in range(3)
    ]
    assert Counter(answer.result().status_code for answer in answers) == {200: 1, 404: 2}
    (made,) = [answer.result().json() for answer in answers if answer.result().status_code == 200]
    admin = fresh.anonymous().with_token(made["token"])
    assert (made["user"]["role"], made["user"]["status"]) == ("admin", "active")
    assert anyone.get("/instance").json() == {
        "organisation": "Hill School",
        "signup": "open",
        "setup": False,
        "mail": False,
        "contacts": "everyone",
    }
    assert admin.patch("/admin/instance", {"organisation": "Hill College"}).json() == {"organisation": "Hill College"}
    assert anyone.get("/instance").json()["organisation"] == "Hill College"
    to, profile = (admin.get("/me").json()[field] for field in ("email", "profile"))
    assert profile == {"timezone": "UTC", "locale": "ar"}
    problem(admin.get("/admin/test-mail"), 404, "not-found")
    assert admin.post("/admin/test-mail").json() == {"to": to}
    assert fresh.rows("SELECT kind, state FROM emails WHERE address=?", to) == [("test", "queued")]
    newest = admin.get("/admin/test-mail").json()
    assert (newest["to"], newest["state"], newest["ended_at"], newest["error"]) == (to, "queued", None, None)
