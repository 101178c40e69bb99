"""Conversations and their members.

A membership is an interval of the log, from the event that opened it to the event that closed it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import peewee

from models.identity import contacts
from models.identity.contacts import MEET, Bound
from models.identity.user import COLUMNS, User, UserView, active_view
from models.identity.user import view as user_view
from models.log import joins
from models.log.event import MEMBERS, Transaction, conversation_stream, joining_stream, user_stream
from models.notices.levels import LEVELS, default_level
from models.notices.notification import conversation_grouping, mark_group_read
from models.store.clock import rfc3339
from models.store.database import (
    Base,
    NeverReusedIdField,
    chunks,
    execute,
    fetch_column,
    fetch_rows,
    insert_rows,
    number_rows,
    placeholders,
    rows,
)
from models.store.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError, NotMemberError

MAX_TITLE_CHARS = 120
MAX_MEMBERS_IN_VIEW = 50  # a larger conversation is shown with its first 50 members and their number
MAX_MEMBERS_PER_REQUEST = 10_000
MAX_ADDED_PER_TRANSACTION = 200  # a large conversation's other members are added by models.chat.additions
MAX_MEMBERS_ADDED_LATER = 10  # are in the event of each transaction that adds members to a large conversation
MAX_OWN_EVENTS = 20  # more members who are added together share one `conversation.created`
MAX_IDS_PER_QUERY = 500
MEMBER_COLUMNS = "m.conversation_id, " + ", ".join(f"u.{name}" for name in COLUMNS.split(", ")) + ", m.role, m.read_message"
_HAS_BLOCK = (  # of either user of a direct conversation
    "(c.kind='direct' AND EXISTS (SELECT 1 FROM memberships o CROSS JOIN blocks b WHERE o.conversation_id=c.id "
    "AND o.user_id<>m.user_id AND b.user_id IN (m.user_id, o.user_id) AND b.blocked_id IN (m.user_id, o.user_id) "
    "AND b.to_event IS NULL))"
)
MEMBERSHIP_COLUMNS = ("conversation_id", "user_id", "role", "from_event", "read_message")


class Conversation(Base):
    """A direct conversation (one for each pair of users) or a group."""

    id = NeverReusedIdField()
    kind = peewee.CharField(max_length=6)
    title = peewee.CharField(max_length=MAX_TITLE_CHARS, null=True)
    pair = peewee.CharField(max_length=41, null=True, unique=True)
    members_count = peewee.IntegerField()
    created_ms = peewee.BigIntegerField()
    after_message = peewee.BigIntegerField(null=True)  # the newest message of all when it was created

    class Meta:
        table_name = "conversations"


class Membership(Base):
    """A membership: the user sees events of the conversation with from_event <= id < to_event."""

    id = peewee.BigAutoField()
    conversation = peewee.ForeignKeyField(Conversation, index=False)
    user = peewee.ForeignKeyField(User, index=False)
    role = peewee.CharField(max_length=6)
    from_event = peewee.BigIntegerField()
    to_event = peewee.BigIntegerField(null=True)
    read_message = peewee.BigIntegerField(null=True)
    unread_after = peewee.BigIntegerField(null=True)  # what comes after it, the user has marked as unread; 0 is all
    unread_upto = peewee.BigIntegerField(null=True)  # the newest message when they did so
    level = peewee.CharField(max_length=8, null=True)  # all, mentions or none; the default of its size without one
    level_until_ms = peewee.BigIntegerField(null=True)  # when the level ends

    class Meta:
        table_name = "memberships"
        indexes = ((("user", "conversation"), False), (("conversation", "id"), False))


Membership.add_index(  # at most one open interval for each member
    Membership.index(
        Membership.conversation,
        Membership.user,
        unique=True,
        where=peewee.SQL("to_event IS NULL"),
        name="membership_open",
    )
)
Membership.add_index(  # the members of a large conversation who are notified of all messages
    Membership.index(
        Membership.conversation,
        Membership.user,
        where=peewee.SQL("level='all' AND to_event IS NULL"),
        name="membership_all",
    )
)


class MemberView(msgspec.Struct):
    """A member, with the id of the newest message they have read. For the member themselves, messages that they have marked as
    unread are not read."""

    user: UserView
    role: Annotated[str, msgspec.Meta(extra_json_schema={"enum": ("owner", "member")})]
    read: int | None


class ConversationView(msgspec.Struct, omit_defaults=True):
    """CONVERSATION of the contract. `mentions_unread` is the number of unread messages that mention the reader, or all. `level` is
    the reader's, `level_until` when it ends, if it does. `members_count` is present when `members` has not all of them, `read` (the
    id of the newest message that the reader has read) when there is one, and `presence`, of the others, where a small one is read
    by itself."""

    id: int
    kind: Annotated[str, msgspec.Meta(extra_json_schema={"enum": ("direct", "group")})]
    title: str | None
    created_at: str
    members: list[MemberView]
    last_message: Any
    unread: int
    mentions_unread: int
    level: Annotated[str, msgspec.Meta(extra_json_schema={"enum": LEVELS})]
    level_until: str | None = None
    members_count: int | None = None
    read: int | None = None
    presence: dict[str, bool] | None = None


def created_event_data(conversation: int, max_members: int = MAX_MEMBERS_IN_VIEW) -> bytes:
    """CONVERSATION as `conversation.created` carries it: without its last message, whose text must be removable from the log, and
    with at most `max_members` of many members."""
    # Raw: the first message of a pair creates their conversation.
    ((kind, title, created_ms, count),) = rows(
        "SELECT kind, title, created_ms, members_count FROM conversations WHERE id=?", (conversation,)
    )
    members = first_members([(conversation, count)])[conversation]
    if count > MAX_MEMBERS_IN_VIEW:
        members = members[:max_members]
    view = ConversationView(
        conversation,
        kind,
        title,
        rfc3339(created_ms),
        members,
        last_message=None,
        unread=0,
        mentions_unread=0,
        level=default_level(count),
        members_count=count if count > MAX_MEMBERS_IN_VIEW else None,
    )
    return msgspec.json.encode(view)


def first_members(sizes: Sequence[tuple[int, int]]) -> dict[int, list[MemberView]]:
    """Members by conversation, from (conversation, members_count): all members of small conversations by one query, the first
    MAX_MEMBERS_IN_VIEW of each large one by another."""
    small = [conversation for conversation, count in sizes if count <= MAX_MEMBERS_IN_VIEW]
    large = [conversation for conversation, count in sizes if count > MAX_MEMBERS_IN_VIEW]
    member_rows: list[tuple[Any, ...]] = []
    # Raw: every initial state reads members, and the first message of a pair.
    source = "FROM memberships m JOIN users u ON u.id=m.user_id WHERE m.to_event IS NULL AND m.conversation_id"
    if small:
        member_rows += rows(f"SELECT {MEMBER_COLUMNS} {source} IN ({placeholders(len(small))}) ORDER BY m.id", small)
    if large:
        first = f"SELECT * FROM (SELECT {MEMBER_COLUMNS} {source}=? ORDER BY m.id LIMIT {MAX_MEMBERS_IN_VIEW}) AS part"
        member_rows += rows(" UNION ALL ".join([first] * len(large)), large)
    members: dict[int, list[MemberView]] = {}
    for conversation, *user, role, read in member_rows:
        members.setdefault(conversation, []).append(MemberView(UserView(*user), role, read))
    return members


def pair_key(user: int, other: int) -> str:
    """The unique key of a pair's direct conversation: `3:7`."""
    return f"{user}:{other}" if user < other else f"{other}:{user}"


def require_member(conversation: int, user: int) -> str:
    """The user's role in the conversation. Raises NotFoundError for a user who is not a member."""
    # Raw: part of moving a read mark.
    roles = rows("SELECT role FROM memberships WHERE conversation_id=? AND user_id=? AND to_event IS NULL", (conversation, user))
    if not roles:
        raise NotFoundError
    return str(roles[0][0])


def shows_typing(conversation: int, user: int) -> bool:
    """Whether the others are shown that the user is typing: the conversation has at most MAX_MEMBERS_IN_VIEW members, and no block
    divides the two of a direct one. Raises NotFoundError for others than its members."""
    # Raw: every typing indicator runs it.
    found = rows(
        f"SELECT c.members_count, {_HAS_BLOCK} FROM memberships m JOIN conversations c ON c.id=m.conversation_id "
        "WHERE m.conversation_id=? AND m.user_id=? AND m.to_event IS NULL",
        (conversation, user),
    )
    if not found:
        raise NotFoundError
    ((members_count, has_block),) = found
    return members_count <= MAX_MEMBERS_IN_VIEW and not has_block


def create(tx: Transaction, creator: int, members: Sequence[int], title: str | None, *, added_later: int = 0) -> int:
    """Create a conversation and append `conversation.created` for its members; returns its id.

    `added_later` is the number of further members, whom the caller adds. Raises InvalidError when one of the members is not an
    active user.
    """
    users = list(dict.fromkeys([creator, *members]))
    direct = len(users) == 2 and title is None
    require_active([user for user in users if user != creator])
    pair = pair_key(*users) if direct else None
    conversation = insert(tx, title, pair, len(users) + added_later, tx.now_ms)
    add_members(tx, conversation, users, None if direct else creator)
    return conversation


def insert(tx: Transaction, title: str | None, pair: str | None, members_count: int, created_ms: int) -> int:
    """Insert a conversation, direct if it has a pair's key, whose members the caller adds; returns its id."""
    conversation = tx.next_id("conversations")
    # Raw: the first message of a pair creates their conversation.
    execute(
        "INSERT INTO conversations (id, kind, title, pair, members_count, created_ms, after_message) VALUES (?,?,?,?,?,?,?)",
        (conversation, "direct" if pair else "group", title, pair, members_count, created_ms, tx.newest_id("messages")),
    )
    return conversation


def add_members(
    tx: Transaction, conversation: int, users: Sequence[int], owner: int | None = None, max_members: int = MAX_MEMBERS_IN_VIEW
) -> None:
    """Open memberships of users who are not members, and append `conversation.created` for them.

    Many users share one event, of the stream that each of them sees at the beginning of their membership only. The event before it
    lists them, for the gateways. Of a large conversation it has at most `max_members`.
    """
    is_shared = len(users) > MAX_OWN_EVENTS
    opened = tx.next_event_id() + is_shared
    memberships = [(conversation, user, "owner" if user == owner else "member", opened, None) for user in users]
    insert_rows(Membership, MEMBERSHIP_COLUMNS, memberships)
    data = created_event_data(conversation, max_members)
    if is_shared:
        tx.append(MEMBERS, "members.added", msgspec.json.encode({"conversation": conversation, "users": users}))
        tx.append(joining_stream(conversation), "conversation.created", data)
        return
    for user in users:
        tx.append(user_stream(user), "conversation.created", data)


def require_active(users: Sequence[int]) -> None:
    """Raise InvalidError that names the first of the users who is not active."""
    active: set[int] = set()
    for part in chunks(users, MAX_IDS_PER_QUERY):
        # Raw: the first message of a pair creates their conversation.
        sql = f"SELECT id FROM users WHERE status='active' AND id IN ({placeholders(len(part))})"
        active |= {user for (user,) in rows(sql, part)}
    missing = [user for user in users if user not in active]
    if missing:
        raise InvalidError(("members", f"must be ids of active users: {missing[0]} is not one"))


def rename(tx: Transaction, user: int, conversation: int, title: str | None) -> None:
    """Change a group's title, as one of its owners. Raises NotFoundError, ConflictError and ForbiddenError."""
    _require_owner(conversation, user)
    Conversation.update(title=title).where(Conversation.id == conversation).execute()
    data = msgspec.json.encode({"id": conversation, "title": title, "by": user_view(user)})
    tx.append(conversation_stream(conversation), "conversation.updated", data)


def _require_owner(conversation: int, user: int) -> None:
    role = require_member(conversation, user)
    if _kind(conversation) == "direct":
        raise ConflictError("a direct conversation cannot be changed")
    if role != "owner":
        raise ForbiddenError("only an owner may do this")


def _kind(conversation: int) -> str:
    ((kind,),) = fetch_rows(Conversation.select(Conversation.kind).where(Conversation.id == conversation))
    return str(kind)


def members_among(conversation: int, users: Sequence[int]) -> set[int]:
    """Those of at most MAX_ADDED_PER_TRANSACTION users who are members now."""
    return set(fetch_column(Membership.select(Membership.user).where(_open_memberships(conversation), Membership.user.in_(users))))


def _open_memberships(conversation: int) -> peewee.Expression:
    return (Membership.conversation == conversation) & Membership.to_event.is_null()


def change_members_count(conversation: int, change: int) -> None:
    Conversation.update(members_count=Conversation.members_count + change).where(Conversation.id == conversation).execute()


def add_member(tx: Transaction, user: int, conversation: int, added: int, caller: Bound | None = None) -> None:
    """Add a member, as one of the group's owners. The member receives events from the next one on, and earlier messages count as
    read.

    Adding a member again changes nothing. Raises NotFoundError, ConflictError, ForbiddenError and LimitedError.
    """
    _require_owner(conversation, user)
    contacts.require(caller, MEET, [added])
    join(tx, user, conversation, added)


def join(tx: Transaction, by: int, conversation: int, added: int) -> None:
    """The same, for an admin, who may add to any group. Raises NotFoundError and LimitedError."""
    member = active_view(added)
    if Membership.select().where(_open_memberships(conversation), Membership.user == added).exists():
        return
    joins.require_few(tx, "memberships", "conversation_id", conversation, added)
    # Raw: the model Message is in a module that imports this one.
    newest = rows("SELECT max(id) FROM messages WHERE conversation_id=?", (conversation,))[0][0]
    insert_rows(Membership, MEMBERSHIP_COLUMNS, [(conversation, added, "member", tx.next_event_id(), newest)])
    change_members_count(conversation, 1)
    tx.append(user_stream(added), "conversation.created", created_event_data(conversation))
    data = msgspec.json.encode({"conversation": conversation, "user": member, "by": user_view(by)})
    tx.append(conversation_stream(conversation), "member.joined", data)


def remove_member(tx: Transaction, user: int, conversation: int, removed: int) -> None:
    """Remove a member, as one of the group's owners or as that member: the membership is closed.

    `member.left` is also appended to the removed member's own stream. When the last owner leaves, the member who joined first
    becomes owner. Raises NotFoundError, ConflictError, ForbiddenError and NotMemberError.
    """
    role = require_member(conversation, user)
    if _kind(conversation) == "direct":
        raise ConflictError("a direct conversation cannot be left")
    if user != removed and role != "owner":
        raise ForbiddenError("only an owner may remove other members")
    _require_other(conversation, removed)
    data = msgspec.json.encode({"conversation": conversation, "user": user_view(removed), "by": user_view(user)})
    closed = tx.append(user_stream(removed), "member.left", data)
    Membership.update(to_event=closed).where(_open_memberships(conversation), Membership.user == removed).execute()
    change_members_count(conversation, -1)
    tx.append(conversation_stream(conversation), "member.left", data)
    mark_group_read(tx, removed, conversation_grouping(conversation))  # it would lead to a conversation that is closed to them
    ensure_owner(conversation)


def _require_other(conversation: int, user: int) -> None:
    try:
        require_member(conversation, user)
    except NotFoundError:
        raise NotMemberError from None


def ensure_owner(conversation: int) -> None:
    """Make the member who joined first an owner, if no owner is left."""
    members = _open_memberships(conversation)
    if not Membership.select().where(members, Membership.role == "owner").exists():
        first = Membership.select(peewee.fn.MIN(Membership.id)).where(members)
        Membership.update(role="owner").where(Membership.id == first).execute()


def membership_intervals(users: Sequence[int], closed_after: int, limit: int) -> list[tuple[int, int, int, int | None]]:
    """(user, conversation, from_event, to_event) of the users' memberships that are open or closed after an event id, the first
    `limit` in the order of users' ids."""
    # Raw: every poll that reads the store runs it.
    return number_rows(
        "user_id, conversation_id, from_event, to_event",
        "SELECT user_id, conversation_id, from_event, to_event FROM memberships "
        f"WHERE user_id IN ({placeholders(len(users))}) AND (to_event IS NULL OR to_event>?) ORDER BY user_id LIMIT ?",
        (*users, closed_after, limit),
    )


def newest_message() -> int:
    """Return the id of the newest message of all; 0 if there is none."""
    # Raw: every first page of a list runs it.
    return int(rows("SELECT coalesce(max(id), 0) FROM messages")[0][0])


def ids_by_activity(user: int, upto: int) -> list[tuple[int, int]]:
    """(last activity, conversation) of the user's conversations, the latest first, as of the message `upto`.

    The last activity is the newest message, or the conversation's creation. It is counted in ids of messages, two for each: clocks
    may be set back, and a conversation is created between two messages.
    """
    # Raw: every initial state runs it; the subquery reads one row of an index for each conversation.
    return rows(
        "SELECT coalesce((SELECT 2*max(x.id) FROM messages x WHERE x.conversation_id=c.id AND x.id<=?), "
        "2*c.after_message+1, 0) AS newest, c.id FROM memberships m JOIN conversations c ON c.id=m.conversation_id "
        "WHERE m.user_id=? AND m.to_event IS NULL ORDER BY newest DESC, c.id DESC",
        (upto, user),
    )
