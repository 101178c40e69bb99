"""Conversations and who is in them. Membership is intervals of the log: from the event that opened it to the one that closed it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated, Any

import msgspec
import peewee

from models.identity.user import User, UserView, active_view
from models.identity.user import view as user_view
from models.log.event import Transaction, conversation_stream, user_stream
from models.store.clock import rfc3339
from models.store.database import Base, NeverReusedIdField, execute, insert_rows, placeholders, rows, values_cte
from models.store.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError, NotMemberError

TITLE_CHARS = 120
MAX_MEMBERS_IN_VIEW = 50  # of a larger conversation, the first so many and a count
MAX_MEMBERS_PER_REQUEST = 10_000
MEMBER_COLUMNS = "m.conversation_id, u.id, u.username, u.display_name, u.role, u.status, m.role, m.read_message"
MEMBERSHIP_COLUMNS = ("conversation_id", "user_id", "role", "from_event", "read_message")


class Conversation(Base):
    """A direct one (one for each pair of users) or a group."""

    id = NeverReusedIdField()
    kind = peewee.CharField(max_length=6)
    title = peewee.CharField(max_length=TITLE_CHARS, null=True)
    pair = peewee.CharField(max_length=41, null=True, unique=True)
    members_count = peewee.IntegerField()
    created_ms = peewee.BigIntegerField()

    class Meta:
        table_name = "conversations"


class Membership(Base):
    """Events of the conversation with from_event <= id < to_event are the member's to see."""

    id = peewee.BigAutoField()
    conversation = peewee.ForeignKeyField(Conversation, index=False)
    user = peewee.ForeignKeyField(User, index=False)
    role = peewee.CharField(max_length=6)
    from_event = peewee.BigIntegerField()
    to_event = peewee.BigIntegerField(null=True)
    read_message = peewee.BigIntegerField(null=True)

    class Meta:
        table_name = "memberships"
        indexes = ((("user", "conversation"), False), (("conversation", "id"), False))


Membership.add_index(  # one open interval a member
    Membership.index(
        Membership.conversation,
        Membership.user,
        unique=True,
        where=peewee.SQL("to_event IS NULL"),
        name="membership_open",
    )
)


class MemberView(msgspec.Struct):
    """A member, with how far they have read."""

    user: UserView
    role: Annotated[str, msgspec.Meta(extra_json_schema={"enum": ("owner", "member")})]
    read: int | None


class ConversationView(msgspec.Struct, omit_defaults=True):
    """CONVERSATION of the contract. `members_count` stands there when not all members do."""

    id: int
    kind: Annotated[str, msgspec.Meta(extra_json_schema={"enum": ("direct", "group")})]
    title: str | None
    created_at: str
    members: list[MemberView]
    last_message: Any
    unread: int
    members_count: int | None = None


def created_event_data(conversation: int) -> bytes:
    """CONVERSATION as `conversation.created` carries it: without its last message, whose text the log must be able to lose."""
    found = rows("SELECT kind, title, created_ms, members_count FROM conversations WHERE id=?", (conversation,))
    kind, title, created, count = found[0]
    members = first_members([(conversation, count)])[conversation]
    shown = count if count > MAX_MEMBERS_IN_VIEW else None
    return msgspec.json.encode(ConversationView(conversation, kind, title, rfc3339(created), members, None, 0, shown))


def first_members(sizes: Sequence[tuple[int, int]]) -> dict[int, list[MemberView]]:
    """Members by conversation, given (conversation, members_count): all of small ones by one query, the first of large ones by
    another."""
    small = [i for i, count in sizes if count <= MAX_MEMBERS_IN_VIEW]
    large = [i for i, count in sizes if count > MAX_MEMBERS_IN_VIEW]
    found: list[tuple[Any, ...]] = []
    source = "FROM memberships m JOIN users u ON u.id=m.user_id WHERE m.to_event IS NULL AND m.conversation_id"
    if small:
        found += rows(f"SELECT {MEMBER_COLUMNS} {source} IN ({placeholders(len(small))}) ORDER BY m.id", small)
    if large:
        first = f"SELECT * FROM (SELECT {MEMBER_COLUMNS} {source}=? ORDER BY m.id LIMIT {MAX_MEMBERS_IN_VIEW}) AS part"
        found += rows(" UNION ALL ".join([first] * len(large)), large)
    members: dict[int, list[MemberView]] = {}
    for conversation, *of_user, role, read in found:
        members.setdefault(conversation, []).append(MemberView(UserView(*of_user), role, read))
    return members


def pair_key(one: int, other: int) -> str:
    """What is unique about a direct conversation."""
    return f"{min(one, other)}:{max(one, other)}"


def direct_conversations(tx: Transaction, pairs: Collection[tuple[int, int]]) -> dict[str, int]:
    """pair -> conversation, for the direct conversations that are there: remembered, else asked for by one query."""
    known = tx.cache.direct
    missing = sorted({key for one, other in pairs if (key := pair_key(one, other)) not in known})
    if missing:
        known.update(rows(f"SELECT pair, id FROM conversations WHERE pair IN ({placeholders(len(missing))})", missing))
    return known


def kinds_by_member(tx: Transaction, asked: Collection[tuple[int, int]]) -> dict[tuple[int, int], str]:
    """(conversation, user) -> kind, for those who are members now: remembered, else asked for by one query."""
    known = tx.cache.kinds
    missing = {place for place in asked if place not in known}
    if missing:
        found = rows(
            values_cte("conversation, member", len(missing)) + "SELECT m.conversation_id, m.user_id, c.kind FROM input "
            "CROSS JOIN memberships m CROSS JOIN conversations c WHERE m.conversation_id=input.conversation "
            "AND m.user_id=input.member AND m.to_event IS NULL AND c.id=m.conversation_id",
            [v for place in missing for v in place],
        )
        known.update({(conversation, user): kind for conversation, user, kind in found})
    return known


def require_member(conversation: int, user: int) -> str:
    """The user's role in the conversation. Raises NotFoundError to whoever is not in it."""
    found = rows("SELECT role FROM memberships WHERE conversation_id=? AND user_id=? AND to_event IS NULL", (conversation, user))
    if not found:
        raise NotFoundError
    return str(found[0][0])


def create(tx: Transaction, creator: int, members: Sequence[int], title: str | None) -> int:
    """Makes a conversation and tells each member. Raises InvalidError when one of them is no active user."""
    everyone = list(dict.fromkeys([creator, *members]))
    direct = len(everyone) == 2 and title is None
    _require_active([m for m in everyone if m != creator])
    id_ = tx.next_id("conversations")
    pair = pair_key(*everyone) if direct else None
    execute(
        "INSERT INTO conversations (id, kind, title, pair, members_count, created_ms) VALUES (?,?,?,?,?,?)",
        (id_, "direct" if direct else "group", title, pair, len(everyone), tx.now_ms),
    )
    opened = tx.next_event_id()
    insert_rows(
        Membership,
        MEMBERSHIP_COLUMNS,
        [(id_, m, "owner" if m == creator and not direct else "member", opened, None) for m in everyone],
    )
    data = created_event_data(id_)
    for member in everyone:
        tx.append(user_stream(member), "conversation.created", data)
    return id_


def get_or_create_direct(tx: Transaction, user: int, other: int) -> tuple[int, bool]:
    """The one direct conversation of a pair, and whether it was made just now."""
    pair = pair_key(user, other)
    direct = direct_conversations(tx, [(user, other)])
    if pair in direct:
        return direct[pair], False
    direct[pair] = create(tx, user, [other], None)
    return direct[pair], True


def _require_active(users: Sequence[int]) -> None:
    there: set[int] = set()
    for start in range(0, len(users), 500):
        part = users[start : start + 500]
        there |= {u for (u,) in rows(f"SELECT id FROM users WHERE status='active' AND id IN ({placeholders(len(part))})", part)}
    missing = [u for u in users if u not in there]
    if missing:
        raise InvalidError(("members", f"no such user: {missing[0]}"))


def rename(tx: Transaction, user: int, conversation: int, title: str | None) -> None:
    """An owner gives a group another title."""
    _require_owner(conversation, user)
    execute("UPDATE conversations SET title=? WHERE id=?", (title, conversation))
    data = msgspec.json.encode({"id": conversation, "title": title})
    tx.append(conversation_stream(conversation), "conversation.updated", data)


def _require_owner(conversation: int, user: int) -> None:
    role = require_member(conversation, user)
    if _kind(conversation) == "direct":
        raise ConflictError("a direct conversation stays as it is")
    if role != "owner":
        raise ForbiddenError("only an owner does this")


def _kind(conversation: int) -> str:
    return str(rows("SELECT kind FROM conversations WHERE id=?", (conversation,))[0][0])


def add_member(tx: Transaction, user: int, conversation: int, added: int) -> None:
    """An owner adds a member, from this place in the log on. What came before counts as read."""
    _require_owner(conversation, user)
    member = active_view(added)
    if rows("SELECT 1 FROM memberships WHERE conversation_id=? AND user_id=? AND to_event IS NULL", (conversation, added)):
        return
    newest = rows("SELECT max(id) FROM messages WHERE conversation_id=?", (conversation,))[0][0]
    insert_rows(Membership, MEMBERSHIP_COLUMNS, [(conversation, added, "member", tx.next_event_id(), newest)])
    execute("UPDATE conversations SET members_count=members_count+1 WHERE id=?", (conversation,))
    tx.append(user_stream(added), "conversation.created", created_event_data(conversation))
    data = msgspec.json.encode({"conversation": conversation, "user": member})
    tx.append(conversation_stream(conversation), "member.joined", data)


def remove_member(tx: Transaction, user: int, conversation: int, removed: int) -> None:
    """An owner removes a member, or one leaves: their interval closes here, and their own stream tells them.

    The last owner's leaving makes the eldest member owner.
    """
    role = require_member(conversation, user)
    if _kind(conversation) == "direct":
        raise ConflictError("nobody leaves a direct conversation")
    if user != removed and role != "owner":
        raise ForbiddenError("only an owner removes others")
    try:
        role = require_member(conversation, removed)
    except NotFoundError:
        raise NotMemberError from None
    data = msgspec.json.encode({"conversation": conversation, "user": user_view(removed)})
    closed = tx.append(user_stream(removed), "member.left", data)
    execute(
        "UPDATE memberships SET to_event=? WHERE conversation_id=? AND user_id=? AND to_event IS NULL",
        (closed, conversation, removed),
    )
    execute("UPDATE conversations SET members_count=members_count-1 WHERE id=?", (conversation,))
    tx.append(conversation_stream(conversation), "member.left", data)
    if role == "owner":
        _keep_an_owner(conversation)


def _keep_an_owner(conversation: int) -> None:
    owners = rows(
        "SELECT 1 FROM memberships WHERE conversation_id=? AND to_event IS NULL AND role='owner' LIMIT 1",
        (conversation,),
    )
    if not owners:
        execute(
            "UPDATE memberships SET role='owner' WHERE id="
            "(SELECT min(id) FROM memberships WHERE conversation_id=? AND to_event IS NULL)",
            (conversation,),
        )


def membership_intervals(user: int, closed_after: int) -> list[tuple[int, int, int | None]]:
    """(conversation, from_event, to_event) of all the user's memberships that reach past a place in the log."""
    return rows(
        "SELECT conversation_id, from_event, to_event FROM memberships WHERE user_id=? AND (to_event IS NULL OR to_event>?)",
        (user, closed_after),
    )


def ids_by_activity(user: int) -> list[tuple[int, int]]:
    """(activity in ms, conversation) of all the user's conversations, newest first: when its newest message, or it, was made."""
    return rows(
        "SELECT coalesce((SELECT x.created_ms FROM messages x WHERE x.conversation_id=c.id ORDER BY x.id DESC LIMIT 1), "
        "c.created_ms) AS newest, c.id FROM memberships m JOIN conversations c ON c.id=m.conversation_id "
        "WHERE m.user_id=? AND m.to_event IS NULL ORDER BY newest DESC, c.id DESC",
        (user,),
    )
