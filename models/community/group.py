"""Groups of the community and their members. Every user may join and leave. A membership is an interval of the log, as in a
conversation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import peewee
from peewee import Case, Value, fn

from models.identity import contacts
from models.identity import user as users
from models.identity.contacts import Bound
from models.identity.user import User
from models.log import joins
from models.log.event import Transaction, user_stream
from models.store.database import ID_MAX, Base, NeverReusedIdField, fetch_column, fetch_rows, insert_rows, number_rows, placeholders
from models.store.errors import NotFoundError

MAX_NAME_CHARS = 80
JOINED, LEFT = "group.joined", "group.left"


class Group(Base):
    """A group. `owner` is its creator; when they leave, the member who joined first."""

    id = NeverReusedIdField()
    name = peewee.CharField(max_length=MAX_NAME_CHARS)
    owner = peewee.ForeignKeyField(User)
    members_count = peewee.IntegerField()
    created_ms = peewee.BigIntegerField()

    class Meta:
        table_name = "community_groups"


class GroupMember(Base):
    """A membership: the user sees events of the group with from_event <= id < to_event."""

    id = peewee.BigAutoField()
    group = peewee.ForeignKeyField(Group, index=False)
    user = peewee.ForeignKeyField(User, index=False)
    from_event = peewee.BigIntegerField()
    to_event = peewee.BigIntegerField(null=True)

    class Meta:
        table_name = "group_members"
        indexes = ((("user", "group"), False), (("group", "id"), False))


GroupMember.add_index(  # at most one open interval for each member
    GroupMember.index(
        GroupMember.group,
        GroupMember.user,
        unique=True,
        where=peewee.SQL("to_event IS NULL"),
        name="group_member_open",
    )
)


class GroupView(msgspec.Struct):
    """GROUP of the contract. `joined` says whether the caller is a member; it is absent from events. `owner` is null where the
    caller may not see them."""

    id: int
    name: str
    owner: int | None
    members_count: int
    joined: bool | msgspec.UnsetType = msgspec.UNSET


def create(tx: Transaction, user: int, name: str) -> GroupView:
    """Create a group with its creator as owner and first member."""
    group = tx.next_id("community_groups")
    Group.insert(id=group, name=name, owner=user, members_count=0, created_ms=tx.now_ms).as_rowcount().execute()
    return join(tx, user, group)


def join(tx: Transaction, user: int, group: int) -> GroupView:
    """Open a membership of the user, if none is open. Raises NotFoundError and LimitedError."""
    view = get_view(user, group)
    if view.joined:
        return view
    joins.require_few(tx, "group_members", "group_id", group, user)
    add_members(tx, [user], group)
    return get_view(user, group)


def add_members(tx: Transaction, members: Sequence[int], group: int) -> None:
    """Open memberships of users who are not members, each from the next event on, which is their own. The first who joins an empty
    group becomes its owner."""
    first = tx.next_event_id()
    insert_rows(GroupMember, ("group_id", "user_id", "from_event"), [(group, user, first + n) for n, user in enumerate(members)])
    owner = Case(None, [(Group.members_count == 0, members[0])], Group.owner)
    Group.update(owner=owner, members_count=Group.members_count + len(members)).where(Group.id == group).execute()
    _append_events(tx, JOINED, members, group)


def leave(tx: Transaction, user: int, group: int) -> GroupView:
    """Close the user's membership, if one is open. When the owner leaves, the member who joined first becomes owner. Raises
    NotFoundError."""
    if GroupMember.update(to_event=tx.next_event_id()).where(_open_membership(user, group)).execute():
        members = GroupMember.select(GroupMember.user).where(GroupMember.group == Group.id, GroupMember.to_event.is_null())
        first = fn.COALESCE(members.order_by(GroupMember.id).limit(1), Group.owner)
        owner = Case(None, [(Group.owner == user, first)], Group.owner)
        Group.update(owner=owner, members_count=Group.members_count - 1).where(Group.id == group).execute()
        _append_events(tx, LEFT, [user], group)
    return get_view(user, group)


def _open_membership(user: int, group: Any) -> peewee.Expression:
    condition: peewee.Expression = (GroupMember.group == group) & (GroupMember.user == user) & GroupMember.to_event.is_null()
    return condition


def _append_events(tx: Transaction, type_: str, members: Sequence[int], group: int) -> None:
    """Append an event to each member's own stream. On it the hubs start or stop to deliver the group's events to the member."""
    ((name, owner, count),) = fetch_rows(Group.select(Group.name, Group.owner, Group.members_count).where(Group.id == group))
    views = users.views(members)
    for counted, user in enumerate(members, count - len(members) + 1):
        view = GroupView(group, name, owner, counted)
        tx.append(user_stream(user), type_, msgspec.json.encode({"group": view, "user": views[user]}))


def require_member(group: int, user: int) -> None:
    """Raise NotFoundError for a user who is not in the group."""
    if not GroupMember.select().where(_open_membership(user, group)).exists():
        raise NotFoundError


def membership_intervals(users: Sequence[int], closed_after: int, limit: int) -> list[tuple[int, int, int, int | None]]:
    """(user, group, from_event, to_event) of the users' memberships that are open or closed after an event id, the first
    `limit` in the order of users' ids."""
    # Raw: every poll that reads posts from the store runs it.
    return number_rows(
        "user_id, group_id, from_event, to_event",
        "SELECT user_id, group_id, from_event, to_event FROM group_members "
        f"WHERE user_id IN ({placeholders(len(users))}) AND (to_event IS NULL OR to_event>?) ORDER BY user_id LIMIT ?",
        (*users, closed_after, limit),
    )


def group_ids_of(user: int) -> list[int]:
    """The groups that the user is in."""
    return fetch_column(GroupMember.select(GroupMember.group).where(GroupMember.user == user, GroupMember.to_event.is_null()))


def _views(groups: Any, user: int) -> list[GroupView]:
    """The groups of a query, as the user sees them."""
    joined = fn.EXISTS(GroupMember.select(Value(1)).where(_open_membership(user, Group.id)))
    query = groups.select(Group.id, Group.name, Group.owner, Group.members_count, joined)
    return [GroupView(id_, name, owner, count, bool(joined)) for id_, name, owner, count, joined in fetch_rows(query)]


def get_view(user: int, group: int) -> GroupView:
    """One group, as the user sees it. Raises NotFoundError."""
    views = _views(Group.select().where(Group.id == group), user)
    if not views:
        raise NotFoundError
    return views[0]


def list_page(user: int, before: int | None, limit: int, caller: Bound | None = None) -> list[GroupView]:
    """All groups, newest first."""
    end = before if before is not None else ID_MAX
    views = _views(Group.select().where(Group.id < end).order_by(Group.id.desc()).limit(limit), user)
    seen = contacts.seen_among(caller, {view.owner for view in views if view.owner is not None})
    for view in views:
        view.owner = view.owner if view.owner in seen else None
    return views
