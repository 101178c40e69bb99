"""Messages: posting them, many at once, and what their senders and readers do to them afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
import peewee

from models.chat import conversation as conversations
from models.chat import search
from models.chat.conversation import Conversation, require_member
from models.identity.user import User
from models.log.event import Transaction, conversation_stream
from models.store.clock import rfc3339, rfc3339_or_none
from models.store.database import (
    ID_MAX,
    Base,
    NeverReusedIdField,
    decode_text,
    encode_text,
    execute,
    insert_rows,
    placeholders,
    rows,
    values_cte,
)
from models.store.errors import ForbiddenError, InvalidError, NotFoundError, RefusedError
from models.store.text_rules import is_displayable

BODY_CHARS = 20_000
CLIENT_ID_CHARS = 64
EMOJI_CHARS = 32
PRIORITIES = ("normal", "important", "urgent")
COLUMNS = "id, conversation_id, sender_id, body, priority, reply_to, client_id, created_ms, edited_ms, deleted_ms"
INSERT_COLUMNS = ("id", "conversation_id", "sender_id", "body", "priority", "reply_to", "client_id", "created_ms", "event")


class Message(Base):
    """One message. `event` is the id of the event that announced it."""

    id = NeverReusedIdField()
    conversation = peewee.ForeignKeyField(Conversation, index=False)
    sender = peewee.ForeignKeyField(User, index=False)
    body = peewee.TextField()
    priority = peewee.CharField(max_length=9)
    reply_to = peewee.BigIntegerField(null=True)
    client_id = peewee.CharField(max_length=CLIENT_ID_CHARS, null=True)
    created_ms = peewee.BigIntegerField()
    edited_ms = peewee.BigIntegerField(null=True)
    deleted_ms = peewee.BigIntegerField(null=True)
    event = peewee.BigIntegerField()

    class Meta:
        table_name = "messages"
        indexes = (
            (("sender", "client_id"), True),
            (("conversation", "id", "sender", "deleted_ms"), False),  # counts unread without reading a row
        )


class MessageCopy(Base):
    """An event, besides the one that announced it, that carries a message's text and must lose it with the message."""

    message = peewee.ForeignKeyField(Message, index=False)
    event = peewee.BigIntegerField(index=True)

    class Meta:
        table_name = "message_copies"
        primary_key = peewee.CompositeKey("message", "event")


class Reaction(Base):
    """One person's emoji on one message."""

    message = peewee.ForeignKeyField(Message, index=False)
    user = peewee.ForeignKeyField(User, index=False)
    emoji = peewee.CharField(max_length=EMOJI_CHARS)

    class Meta:
        table_name = "reactions"
        primary_key = peewee.CompositeKey("message", "emoji", "user")


class MessageView(msgspec.Struct, gc=False):
    """MESSAGE of the contract."""

    id: int
    conversation: int
    sender: int
    body: str
    priority: Annotated[str, msgspec.Meta(extra_json_schema={"enum": PRIORITIES})]
    reply_to: int | None
    client_id: str | None
    created_at: str
    edited_at: str | None
    deleted_at: str | None
    reactions: dict[str, list[int]]


class Draft(msgspec.Struct, gc=False):
    """A message somebody asks to be sent, before anything of it is checked but its types."""

    sender: int
    token: int
    body: str
    to: int | None = None
    conversation: int | None = None
    client_id: str | None = None
    priority: str = "normal"
    reply_to: int | None = None


class Posted(msgspec.Struct, gc=False):
    """A send's answer: MESSAGE as JSON, whether it is new, and its conversation's kind."""

    json: bytes
    created: bool
    kind: str


def post(tx: Transaction, drafts: Sequence[Draft]) -> list[Posted | RefusedError]:
    """Posts many messages by a fixed few statements, whatever their number: one result for each draft, in order.

    A draft whose sender used its `client_id` before gets the first message back, whatever else it says (promise 4).
    """
    results: list[Posted | RefusedError | None] = [None] * len(drafts)
    first = _earlier(drafts)
    places = _places(tx, drafts, first)
    replies = _reply_places([d for d, place in zip(drafts, places, strict=True) if not isinstance(place, RefusedError)])
    made: list[tuple[object, ...]] = []
    created_at = rfc3339(tx.now_ms)
    for n, draft in enumerate(drafts):
        key = (draft.sender, draft.client_id)
        if key in first:
            continue
        place = places[n]
        if isinstance(place, RefusedError):
            results[n] = place
            continue
        conversation, kind = place
        if draft.reply_to is not None and replies.get(draft.reply_to) != conversation:
            results[n] = InvalidError(("reply_to", "no message of this conversation"))
            continue
        id_ = tx.next_id("messages")
        view = MessageView(
            id_,
            conversation,
            draft.sender,
            draft.body,
            draft.priority,
            draft.reply_to,
            draft.client_id,
            created_at,
            None,
            None,
            {},
        )
        data = msgspec.json.encode(view)
        event = tx.append(conversation_stream(conversation), "message.created", data)
        made.append(
            (
                id_,
                conversation,
                draft.sender,
                encode_text(draft.body),
                draft.priority,
                draft.reply_to,
                draft.client_id,
                tx.now_ms,
                event,
            )
        )
        results[n] = Posted(data, True, kind)
        if draft.client_id is not None:
            first[key] = id_
    insert_rows(Message, INSERT_COLUMNS, made)
    repeated = [n for n, result in enumerate(results) if result is None]
    if repeated:
        found = {v.id: v for v in views([first[drafts[n].sender, drafts[n].client_id] for n in repeated])}
        for n in repeated:
            message = found[first[drafts[n].sender, drafts[n].client_id]]
            results[n] = Posted(msgspec.json.encode(message), False, "")
    return results  # type: ignore[return-value]


def _earlier(drafts: Sequence[Draft]) -> dict[tuple[int, str | None], int]:
    """The messages that answer to a sender's `client_id` already."""
    keys = [v for d in drafts if d.client_id is not None for v in (d.sender, d.client_id)]
    if not keys:
        return {}
    found = rows(
        values_cte("sender, client_id", len(keys) // 2) + "SELECT m.sender_id, m.client_id, m.id FROM input CROSS JOIN messages m "
        "WHERE m.sender_id=input.sender AND m.client_id=input.client_id",
        keys,
    )
    return {(sender, client_id): id_ for sender, client_id, id_ in found}


def invalid_fields(draft: Draft) -> list[tuple[str, str]]:
    """(field, message) of each field that can't be, before the store is asked."""
    errors = []
    if (draft.to is None) == (draft.conversation is None):
        errors.append(("to", "exactly one of to and conversation"))
    for field, number in (("to", draft.to), ("conversation", draft.conversation), ("reply_to", draft.reply_to)):
        if number is not None and not 0 < number < ID_MAX:
            errors.append((field, "an id"))
    if not 1 <= len(draft.body) <= BODY_CHARS:
        errors.append(("body", f"1 to {BODY_CHARS} characters"))
    if draft.priority not in PRIORITIES:
        errors.append(("priority", "normal, important or urgent"))
    if draft.to == draft.sender:
        errors.append(("to", "another user than yourself"))
    return errors


def _places(
    tx: Transaction, drafts: Sequence[Draft], first: dict[tuple[int, str | None], int]
) -> list[tuple[int, str] | RefusedError]:
    """Where each draft goes, (conversation, kind): the sender is a member there now, as the transaction sees it."""
    invalid = [() if (d.sender, d.client_id) in first else invalid_fields(d) for d in drafts]
    valid = [d for d, bad in zip(drafts, invalid, strict=True) if not bad]
    kinds = conversations.kinds_by_member(tx, [(d.conversation, d.sender) for d in valid if d.conversation is not None])
    direct = conversations.direct_conversations(tx, [(d.sender, d.to) for d in valid if d.to is not None])
    places: list[tuple[int, str] | RefusedError] = []
    for draft, bad in zip(drafts, invalid, strict=True):
        key = (draft.sender, draft.client_id)
        if key in first or bad:
            places.append(InvalidError(*bad))
        elif draft.to is not None:
            places.append(_direct_place(tx, draft.sender, draft.to, direct))
        elif draft.conversation is not None and (draft.conversation, draft.sender) in kinds:
            places.append((draft.conversation, kinds[draft.conversation, draft.sender]))
        else:
            places.append(NotFoundError())
    return places


def _direct_place(tx: Transaction, sender: int, to: int, direct: dict[str, int]) -> tuple[int, str] | RefusedError:
    pair = conversations.pair_key(sender, to)
    if pair not in direct:
        try:
            direct[pair] = conversations.create(tx, sender, [to], None)
        except InvalidError:
            return NotFoundError("no such user")
    return direct[pair], "direct"


def _reply_places(drafts: Sequence[Draft]) -> dict[int, int]:
    asked = sorted({d.reply_to for d in drafts if d.reply_to is not None})
    if not asked:
        return {}
    return dict(rows(f"SELECT id, conversation_id FROM messages WHERE id IN ({placeholders(len(asked))})", asked))


def views(ids: Sequence[int]) -> list[MessageView]:
    """Messages with their reactions, newest first, by two queries."""
    if not ids:
        return []
    found = rows(f"SELECT {COLUMNS} FROM messages WHERE id IN ({placeholders(len(ids))}) ORDER BY id DESC", ids)
    reactions: dict[int, dict[str, list[int]]] = {}
    reacted = rows(
        f"SELECT message_id, emoji, user_id FROM reactions WHERE message_id IN ({placeholders(len(ids))}) ORDER BY emoji, user_id",
        ids,
    )
    for message, emoji, user in reacted:
        reactions.setdefault(message, {}).setdefault(emoji, []).append(user)
    return [
        MessageView(
            i,
            place,
            by,
            decode_text(body),
            priority,
            reply,
            client_id,
            rfc3339(made),
            rfc3339_or_none(edited),
            rfc3339_or_none(gone),
            reactions.get(i, {}),
        )
        for i, place, by, body, priority, reply, client_id, made, edited, gone in found
    ]


def get_view(user: int, message: int) -> MessageView:
    """One message of one of the user's conversations. Raises NotFoundError."""
    found = views([message])
    if not found:
        raise NotFoundError
    require_member(found[0].conversation, user)
    return found[0]


def history(user: int, conversation: int, before: int | None, around: int | None, limit: int) -> list[MessageView]:
    """A conversation's messages, newest first: before an id, or half before and half after one. Members see all of it."""
    require_member(conversation, user)
    if around is not None:
        newer = rows(
            "SELECT id FROM messages WHERE conversation_id=? AND id>? ORDER BY id LIMIT ?",
            (conversation, around, (limit - 1) // 2),
        )
        limit, before = limit - len(newer), around + 1
    else:
        newer = []
    older = rows(
        "SELECT id FROM messages WHERE conversation_id=? AND id<? ORDER BY id DESC LIMIT ?",
        (conversation, before if before is not None else 2**62, limit),
    )
    return views([i for (i,) in newer + older])


def edit(tx: Transaction, user: int, message: int, body: str) -> MessageView:
    """Changes the text of one's own message."""
    found = get_view(user, message)
    if found.sender != user:
        raise ForbiddenError("only its sender edits a message")
    if found.deleted_at is not None:
        raise NotFoundError("the message is deleted")
    if not 1 <= len(body) <= BODY_CHARS:
        raise InvalidError(("body", f"1 to {BODY_CHARS} characters"))
    execute("UPDATE messages SET body=?, edited_ms=? WHERE id=?", (encode_text(body), tx.now_ms, message))
    search.unindex(message)  # the search drain indexes it anew
    changed = views([message])[0]
    event = tx.append(conversation_stream(found.conversation), "message.updated", msgspec.json.encode(changed))
    execute("INSERT INTO message_copies (message_id, event) VALUES (?, ?)", (message, event))
    return changed


def delete(tx: Transaction, user: int, role: str, message: int) -> None:
    """Empties one's own message (an admin any): its text leaves row, log and search in this transaction."""
    found = views([message])
    if not found:
        raise NotFoundError
    if role != "admin":
        require_member(found[0].conversation, user)
        if found[0].sender != user:
            raise ForbiddenError("only its sender or an admin deletes a message")
    if found[0].deleted_at is not None:
        return
    execute("UPDATE messages SET body='', deleted_ms=? WHERE id=?", (tx.now_ms, message))
    search.unindex(message)
    data = msgspec.json.encode(views([message])[0])
    copies = rows(
        "SELECT event FROM messages WHERE id=? UNION SELECT event FROM message_copies WHERE message_id=?",
        (message, message),
    )
    tx.scrub([event for (event,) in copies], data)
    tx.append(conversation_stream(found[0].conversation), "message.deleted", data)


def react(tx: Transaction, user: int, message: int, emoji: str, added: bool) -> None:
    """Puts or takes back one emoji; doing it twice changes nothing and announces nothing."""
    found = get_view(user, message)
    if added and found.deleted_at is not None:
        raise NotFoundError("the message is deleted")
    if len(emoji) > EMOJI_CHARS or not is_displayable(emoji) or " " in emoji:
        raise InvalidError(("emoji", f"1 to {EMOJI_CHARS} printable characters without spaces"))
    there = user in found.reactions.get(emoji, [])
    if there == added:
        return
    if added:
        execute("INSERT INTO reactions (message_id, user_id, emoji) VALUES (?,?,?)", (message, user, emoji))
    else:
        execute("DELETE FROM reactions WHERE message_id=? AND user_id=? AND emoji=?", (message, user, emoji))
    data = {"message": message, "conversation": found.conversation, "user": user, "emoji": emoji, "added": added}
    tx.append(conversation_stream(found.conversation), "message.reacted", msgspec.json.encode(data))
