"""Invitations of many people."""

from __future__ import annotations

from itertools import count

import msgspec

from conf import Settings
from models.accounts import invitation, status
from models.accounts.registration import NewUser
from models.community import group
from models.log import event
from models.store.database import rows
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
