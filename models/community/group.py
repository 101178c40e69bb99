"""Groups of the community and who is in them. Anyone may join and leave, and membership is intervals of the log, as a
conversation's is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import peewee

from models.identity import user as users
from models.identity.user import User
from models.log.event import Transaction, user_stream
from models.store.database import Base, NeverReusedIdField, affected_rows, execute, rows
from models.store.errors import NotFoundError

NAME_CHARS = 80
JOINED, LEFT = "group.joined", "group.left"
COLUMNS = "id, name, owner_id, members_count"


class Group(Base):
    """A group; `owner` is its maker, and when they leave the eldest member."""

    id = NeverReusedIdField()
    name = peewee.CharField(max_length=NAME_CHARS)
    owner = peewee.ForeignKeyField(User, index=False)
    members_count = peewee.IntegerField()
    created_ms = peewee.BigIntegerField()

    class Meta:
        table_name = "community_groups"


class GroupMember(Base):
    """Events of the group with from_event <= id < to_event are the member's to see."""

    id = peewee.BigAutoField()
    group = peewee.ForeignKeyField(Group, index=False)
    user = peewee.ForeignKeyField(User, index=False)
    from_event = peewee.BigIntegerField()
    to_event = peewee.BigIntegerField(null=True)

    class Meta:
        table_name = "group_members"
        indexes = ((("user", "group"), False), (("group", "id"), False))


GroupMember.add_index(  # one open interval a member
    GroupMember.index(
        GroupMember.group,
        GroupMember.user,
        unique=True,
        where=peewee.SQL("to_event IS NULL"),
        name="group_member_open",
    )
)


class GroupView(msgspec.Struct):
    """GROUP of the contract; `joined` is about who asks, and not in events."""

    id: int
    name: str
    owner: int
    members_count: int
    joined: bool | msgspec.UnsetType = msgspec.UNSET


def create(tx: Transaction, user: int, name: str) -> GroupView:
    """Makes a group with its maker as owner and first member."""
    id_ = tx.next_id("community_groups")
    execute(
        "INSERT INTO community_groups (id, name, owner_id, members_count, created_ms) VALUES (?,?,?,?,?)",
        (id_, name, user, 0, tx.now_ms),
    )
    return join(tx, user, id_)


def join(tx: Transaction, user: int, group: int) -> GroupView:
    """Makes the user a member from this place in the log on. Who joins an empty group is its owner. Raises NotFoundError."""
    opened = affected_rows(
        "INSERT INTO group_members (group_id, user_id, from_event) SELECT g.id, ?, ? FROM community_groups g WHERE g.id=? "
        "ON CONFLICT DO NOTHING",
        (user, tx.next_event_id(), group),
    )
    if opened:
        owner = "CASE WHEN members_count=0 THEN ? ELSE owner_id END"
        execute(f"UPDATE community_groups SET owner_id={owner}, members_count=members_count+1 WHERE id=?", (user, group))
        _append_event(tx, JOINED, user, group)
    return get_view(user, group)


def leave(tx: Transaction, user: int, group: int) -> GroupView:
    """Closes the user's interval here, if one is open. The owner's leaving makes the eldest member owner. Raises NotFoundError."""
    closed = affected_rows(
        "UPDATE group_members SET to_event=? WHERE group_id=? AND user_id=? AND to_event IS NULL",
        (tx.next_event_id(), group, user),
    )
    if closed:
        members = "FROM group_members m WHERE m.group_id=community_groups.id AND m.to_event IS NULL"
        eldest = f"(SELECT m.user_id {members} ORDER BY m.id LIMIT 1)"
        owner = f"CASE WHEN owner_id=? THEN coalesce({eldest}, owner_id) ELSE owner_id END"
        execute(f"UPDATE community_groups SET owner_id={owner}, members_count=members_count-1 WHERE id=?", (user, group))
        _append_event(tx, LEFT, user, group)
    return get_view(user, group)


def _append_event(tx: Transaction, kind: str, user: int, group: int) -> None:
    """The member's own stream tells of both, which is what the hubs go by."""
    (found,) = rows(f"SELECT {COLUMNS} FROM community_groups WHERE id=?", (group,))
    tx.append(user_stream(user), kind, msgspec.json.encode({"group": GroupView(*found), "user": users.view(user)}))


def require_member(group: int, user: int) -> None:
    """Raise NotFoundError for a user who is not in the group."""
    if not rows("SELECT 1 FROM group_members WHERE group_id=? AND user_id=? AND to_event IS NULL", (group, user)):
        raise NotFoundError


def membership_intervals(user: int, closed_after: int) -> list[tuple[int, int, int | None]]:
    """(group, from_event, to_event) of all the user's memberships that reach past a place in the log."""
    return rows(
        "SELECT group_id, from_event, to_event FROM group_members WHERE user_id=? AND (to_event IS NULL OR to_event>?)",
        (user, closed_after),
    )


def group_ids_of(user: int) -> list[int]:
    """The groups that the user is in."""
    return [group for (group,) in rows("SELECT group_id FROM group_members WHERE user_id=? AND to_event IS NULL", (user,))]


def _views(where: str, params: Sequence[Any], user: int) -> list[GroupView]:
    joined = "EXISTS (SELECT 1 FROM group_members m WHERE m.group_id=g.id AND m.user_id=? AND m.to_event IS NULL)"
    found = rows(f"SELECT {COLUMNS}, {joined} FROM community_groups g WHERE {where}", (user, *params))
    return [GroupView(i, name, owner, count, bool(mine)) for i, name, owner, count, mine in found]


def get_view(user: int, group: int) -> GroupView:
    """One group. Raises NotFoundError."""
    found = _views("id=?", (group,), user)
    if not found:
        raise NotFoundError
    return found[0]


def list_page(user: int, before: int | None, limit: int) -> list[GroupView]:
    """All groups, newest first."""
    return _views("id<? ORDER BY id DESC LIMIT ?", (before if before is not None else 2**62, limit), user)
