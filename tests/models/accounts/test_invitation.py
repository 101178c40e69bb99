"""Invitations of many people."""

from __future__ import annotations

from itertools import count

import msgspec

from conf import Settings
from models.accounts import invitation, status
from models.accounts.registration import NewUser
from models.community import group
from models.log import event
from models.store.database import execute, rows
from tests.models.chat.test_views import statements
from tests.models.people import people

numbers = count(1)


def attempts(code: str, number: int) -> list[int]:
    """Sign up by an invitation so many times, and return the pending accounts."""
    names = [f"new{next(numbers)}" for _ in range(number)]
    with event.transaction() as tx:
        return [invitation.sign_up(tx, "secret", code, NewUser(name, f"{name}@example.org"), "hash") for name in names]


def activate(users: list[int], admin: int) -> None:
    with event.transaction() as tx:
        status.activate(tx, users, admin)


def test_many_who_are_activated_join_by_as_many_statements_as_few(store: Settings) -> None:
    (root,) = people("root", role="admin")
    with event.transaction() as tx:
        crew = group.create(tx, root, "Crew").id
        _, code = invitation.create(tx, root, 100, 3600, crew, "admin")
    few, many = attempts(code, 2), attempts(code, 20)
    for_few = statements(lambda: activate(few, root))
    assert statements(lambda: activate(many, root)) == for_few
    joined = rows("SELECT id, stream, data FROM events WHERE type='group.joined' ORDER BY id")
    opened = rows("SELECT from_event, user_id FROM group_members WHERE group_id=? ORDER BY id", (crew,))
    assert {user for _, user in opened} == {root, *few, *many}
    assert [(number, stream) for number, stream, _ in joined] == [(number, f"user:{user}") for number, user in opened]
    data = [msgspec.json.decode(data) for *_, data in joined]
    assert [item["group"]["members_count"] for item in data] == list(range(1, 24))
    assert {(item["user"]["role"], item["user"]["status"]) for item in data} == {("admin", "active")}


def test_invitations_that_are_over_are_deleted_in_parts_with_their_uses(store: Settings) -> None:
    (root,) = people("root", role="admin")
    with event.transaction() as tx:
        (ended, code), (expired, _), (kept, _) = [invitation.create(tx, root, 10, 3600, None, "user") for _ in range(3)]
    made = attempts(code, 5)
    with event.transaction() as tx:
        invitation.end(tx, ended.id)
    assert rows("SELECT count(*) FROM invitation_uses") == [(5,)], "ending it writes one row"
    execute("UPDATE invitations SET expires_ms=1 WHERE id=?", (expired.id,))
    for deleted, *left in ((2, 3, 3), (2, 1, 3), (2, 0, 2), (1, 0, 1), (0, 0, 1)):
        with event.transaction() as tx:
            assert invitation.trim(tx, 2) == deleted
        assert rows("SELECT (SELECT count(*) FROM invitation_uses), (SELECT count(*) FROM invitations)") == [tuple(left)]
    assert invitation.page(None, 10) == [kept]
    assert rows("SELECT count(*) FROM users WHERE status='pending'") == [(len(made),)]
