"""Accounts that the host makes and keeps up to date."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import pytest

from conf import Settings
from models.accounts import hosted, registration, usernames
from models.accounts.hosted import HostedUser, Upserted
from models.accounts.registration import NewUser
from models.identity import user as users
from models.identity.user import AccountView
from models.log import event
from models.notices import outbox
from models.notices.outbox import NewMail
from models.store.database import rows
from models.store.errors import ConflictError, InvalidError
from tests.models.chat.test_views import statements
from tests.models.people import people


def upsert(*people: HostedUser, by: int = 0) -> Upserted:
    with event.transaction() as tx:
        return hosted.upsert(tx, people, by)


def put(external_id: str, by: int = 0, **given: Any) -> AccountView:
    (account,) = upsert(HostedUser(external_id, **given), by=by).items
    return account


def counts(outcome: Upserted) -> tuple[int, int, int]:
    return outcome.created, outcome.changed, outcome.unchanged


def test_doing_it_again_changes_nothing_and_leaves_no_event(store: Settings) -> None:
    ana = HostedUser("1", "ana", "Ana", "ana@example.org", "user", "active", "de", "Europe/Berlin", {"plan": "gold", "id": 7})
    first = upsert(ana, HostedUser("2", display_name="Maria José"))
    head = event.head()
    again = upsert(ana, HostedUser("2", display_name="Maria José"))

    assert (counts(first), counts(again)) == ((2, 0, 0), (0, 0, 2))
    assert again.items == first.items
    assert event.head() == head
    assert first.items[0].metadata == {"plan": "gold", "id": 7}
    assert users.me(first.items[0].id)["profile"] == {"timezone": "Europe/Berlin", "locale": "de"}


def test_what_is_given_is_changed_and_the_rest_stays(store: Settings) -> None:
    ana = put("1", username="ana", display_name="Ana", email="ana@example.org", locale="de", metadata={"plan": "gold"})
    head = event.head()
    outcome = upsert(HostedUser("1", display_name="Ana B.", timezone="Europe/Berlin"))

    assert counts(outcome) == (0, 1, 0)
    assert outcome.items == [
        users.account_view(ana.id, "ana", "Ana B.", "user", "active", "1", False, ana.email, '{"plan":"gold"}')
    ]
    assert users.me(ana.id)["profile"] == {"timezone": "Europe/Berlin", "locale": "de"}
    assert [user.id for user in users.search("b.", 0, 9)] == [ana.id]
    assert [e.type for e in event.read_after(head, 9)] == ["account.updated", "account.changed", "user.updated"]


def test_a_taken_username_gets_a_suffix_and_keeps_it(store: Settings) -> None:
    people("ana")
    first = [put(external_id, username="Ana").username for external_id in "12"]
    renamed = put("2", username="Ana-2").username

    assert (first, renamed) == (["Ana-2", "Ana-3"], "Ana-2-2")
    assert [put(external_id, username="Ana").username for external_id in "12"] == ["Ana-2", "Ana-3"]


def test_nobody_keeps_a_user_from_having_a_username_by_signing_up_for_it(store: Settings) -> None:
    digest = hashlib.sha256(b"1").hexdigest()
    people("ana", *(f"ana-{suffix}" for suffix in [*range(2, 11), digest[:8], digest[:16]]))
    made = put("1", username="ana")

    assert re.fullmatch("ana-[0-9a-f]{16}", made.username)
    assert put("1", username="ana") == made


@pytest.mark.parametrize(
    ("given", "username", "display_name"),
    [
        ({"display_name": "Maria José"}, "maria-jose", "Maria José"),
        ({"username": "maria josé"}, "maria-jose", "maria josé"),
        ({"username": "o'neil"}, "oneil", "o'neil"),
        ({"username": "李雷"}, "user-42", "李雷"),
        ({"display_name": "李雷"}, "user-42", "李雷"),
        ({"username": "ana@example.org"}, "ana", "ana"),
        ({"username": "x", "display_name": "Łukasz"}, "lukasz", "Łukasz"),
        ({"display_name": "w" * 80}, "w" * 32, "w" * 80),
        ({}, "user-42", "user-42"),
    ],
)
def test_a_username_is_made_of_what_is_given(store: Settings, given: dict[str, str], username: str, display_name: str) -> None:
    made = put("42", **given)

    assert (made.username, made.display_name) == (username, display_name)
    assert put("42", **given) == made


@pytest.mark.parametrize(
    ("external_id", "username"),
    [
        ("auth0|Ana", "auth0-ana"),
        ("7", "user-7"),
        ("李", f"user-{hashlib.sha256('李'.encode()).hexdigest()[:8]}"),
        ("9" * 128, "user-" + "9" * 27),
        ("a" * 128, "a" * 32),
    ],
)
def test_a_username_is_made_of_an_external_id(external_id: str, username: str) -> None:
    assert usernames.made_of_external_id(external_id) == username


def test_a_thousand_equal_names_take_a_bounded_number_of_statements(store: Settings) -> None:
    crew = [HostedUser(f"a{n}", username="Ana", email="ana@example.org") for n in range(hosted.MAX_USERS)]
    few = statements(lambda: upsert(*[HostedUser(f"b{n}", username="Ben") for n in range(2)]))
    outcome: list[Upserted] = []
    many = statements(lambda: outcome.append(upsert(*crew)))
    again = upsert(*crew)

    names = [account.username for account in outcome[0].items]
    assert (names[:3], len(set(names))) == (["Ana", "Ana-2", "Ana-3"], hosted.MAX_USERS)
    assert [account.email for account in outcome[0].items[:3]] == ["ana@example.org", None, None]
    assert counts(again) == (0, 0, hosted.MAX_USERS)
    assert many < few + 80
    more = upsert(*[HostedUser(f"c{n}", username="Ana") for n in range(20)]).items
    assert all(registration.USERNAME.fullmatch(account.username) for account in more)


def test_an_address_of_another_account_is_left_out(store: Settings) -> None:
    with event.transaction() as tx:
        registration.create_active(tx, [NewUser("ana", "ana@example.org")], [None])

    assert put("1", email="ana@EXAMPLE.org").email is None
    assert put("1", email="ana2@example.org").email == "ana2@example.org"
    assert put("1", email="ana@example.org").email is None
    assert put("2", email="").email is None
    assert {key for (key,) in rows("SELECT email_key FROM users WHERE email=''")} == {
        f"none:{user.id}" for user in users.admin_list(None, None, "", 0, 9) if user.email is None
    }


def test_two_exchange_their_names_and_addresses(store: Settings) -> None:
    upsert(HostedUser("1", "ana", email="ana@example.org"), HostedUser("2", "ben", email="ben@example.org"))
    changed = upsert(HostedUser("1", "ben", email="ben@example.org"), HostedUser("2", "ana", email="ana@example.org"))

    assert [(account.username, account.email) for account in changed.items] == [
        ("ben", "ben@example.org"),
        ("ana", "ana@example.org"),
    ]


def test_suspending_ends_tokens_but_never_those_of_the_caller(store: Settings) -> None:
    (root,) = people("root", role="admin")
    ana = put("1", root, username="ana", email="ana@example.org")
    with event.transaction() as tx:
        hosted_admin = hosted.upsert(tx, [HostedUser("2", role="admin")], root).items[0]
    suspended = upsert(HostedUser("1", status="suspended"), HostedUser("2", status="suspended"), by=hosted_admin.id)

    assert counts(suspended) == (0, 1, 1)
    assert [account.status for account in suspended.items] == ["suspended", "active"]
    assert rows("SELECT address FROM emails WHERE receiver=?", (ana.id,)) == [("ana@example.org",)]
    assert put("1", hosted_admin.id, status="active").status == "active"
    assert put("3", root, status="suspended").status == "suspended"


def test_nobody_without_an_address_is_mailed(store: Settings) -> None:
    (root,) = people("root", role="admin")
    put("1", root)
    put("1", root, status="suspended")

    assert rows("SELECT address FROM emails") == []


def test_mail_that_waits_goes_to_the_new_address_and_codes_to_none(store: Settings) -> None:
    ana, ben = (put(external_id, email=f"{external_id}@old.example") for external_id in ("ana", "ben"))
    with event.transaction() as tx:
        for account in (ana, ben):
            mails = [NewMail("account", account.id, account.email or "", "", {}), NewMail("login_code", account.id, "old", "", {})]
            outbox.queue(tx, [mails[0], mails[1]._replace(priority=outbox.CODE_PRIORITY)])
    put("ana", email="ana@new.example")
    put("ben", email=None)

    assert rows("SELECT receiver, kind, address FROM emails WHERE state='queued'") == [(ana.id, "account", "ana@new.example")]
    assert rows("SELECT count(*) FROM emails WHERE state='dropped'") == [(3,)]


def test_the_last_admin_stays_one(store: Settings) -> None:
    (root,) = people("root", role="admin")
    ana = put("1", root, role="admin")
    with event.transaction() as tx:
        users.change(tx, root, role="user")

    with pytest.raises(ConflictError):
        put("1", ana.id, role="user")
    upsert(HostedUser("1", role="user"), HostedUser("2", role="admin"), by=ana.id)


def test_each_wrong_field_is_named_and_nothing_is_done(store: Settings) -> None:
    wrong = HostedUser("a b", display_name="\n", email="x", role="owner", status="pending", locale="?", timezone="Mars")
    with pytest.raises(InvalidError) as refused:
        upsert(HostedUser("1"), wrong, HostedUser("1", metadata={"a": "x" * 4096}))

    assert [field for field, _ in refused.value.errors] == [
        *(f"users.1.{field}" for field in ("external_id", "display_name", "email", "role", "status", "timezone", "locale")),
        *("users.2.metadata", "users.2.external_id"),
    ]
    assert rows("SELECT id FROM users") == []
