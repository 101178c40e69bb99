"""Messages: posting many at once, reading them, and editing, deleting and reacting to one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
import peewee

from models.chat import mentions, search
from models.chat.conversation import Conversation, require_member
from models.chat.drafts import BODY_RULE, MAX_BODY_CHARS, MAX_CLIENT_ID_CHARS, PRIORITIES, Draft, RetryKey, find_targets
from models.chat.mentions import NOBODY, Mention, Mentioned, Text
from models.chat.targets import require_unblocked
from models.files import claims
from models.files import file as files
from models.files.file import FileView, views_of
from models.identity.user import User
from models.log.event import Transaction, conversation_stream
from models.notices import withdrawals
from models.store.clock import rfc3339, rfc3339_or_none
from models.store.database import (
    ID_MAX,
    Base,
    NeverReusedIdField,
    decode_text,
    encode_text,
    fetch_column,
    insert_rows,
    placeholders,
    rows,
    values_cte,
)
from models.store.errors import ForbiddenError, InvalidError, NotFoundError, RefusedError
from models.store.text_rules import is_emoji_or_word

MAX_EMOJI_CHARS = 32
MAX_EMOJIS_PER_MESSAGE = 50  # different ones
COLUMNS = (
    "id, conversation_id, sender_id, body, priority, reply_to, client_id, created_ms, edited_ms, deleted_ms, mentions, "
    "mentions_all, files"
)
INSERT_COLUMNS = ("id", "conversation_id", "sender_id", "body", "priority", "reply_to", "client_id", "created_ms", "event")
MENTION_COLUMNS = ("mentions", "mentions_all")


class Message(Base):
    """One message. `event` is the id of its `message.created` event, 0 if it was imported."""

    id = NeverReusedIdField()
    conversation = peewee.ForeignKeyField(Conversation, index=False)
    sender = peewee.ForeignKeyField(User, index=False)
    body = peewee.TextField()
    priority = peewee.CharField(max_length=9)
    reply_to = peewee.BigIntegerField(null=True)
    client_id = peewee.CharField(max_length=MAX_CLIENT_ID_CHARS, null=True)
    created_ms = peewee.BigIntegerField()
    edited_ms = peewee.BigIntegerField(null=True)
    deleted_ms = peewee.BigIntegerField(null=True)
    event = peewee.BigIntegerField()
    mentions = peewee.TextField(null=True)  # the ids of users, a JSON list; NULL for none
    mentions_all = peewee.BooleanField(null=True)
    files = peewee.SmallIntegerField(null=True)  # how many; NULL for none

    class Meta:
        table_name = "messages"
        indexes = (
            (("sender", "client_id"), True),
            (("conversation", "id", "sender", "deleted_ms", "event"), False),  # counts unread without reading a row
        )


class MessageCopy(Base):
    """Another event that contains a message's text, which is removed from the event when the message is deleted."""

    message = peewee.ForeignKeyField(Message, index=False)
    event = peewee.BigIntegerField(index=True)

    class Meta:
        table_name = "message_copies"
        primary_key = peewee.CompositeKey("message", "event")


class Reaction(Base):
    """A user's emoji on a message."""

    message = peewee.ForeignKeyField(Message, index=False)
    user = peewee.ForeignKeyField(User)
    emoji = peewee.CharField(max_length=MAX_EMOJI_CHARS)

    class Meta:
        table_name = "reactions"
        primary_key = peewee.CompositeKey("message", "emoji", "user")


class MessageView(msgspec.Struct, gc=False):
    """MESSAGE of the contract. `mentions` are the ids of the members whom its body names, in ascending order."""

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
    mentions: list[int]
    mentions_all: bool
    files: list[FileView]


class EditedMessage(MessageView):
    """MESSAGE after an edit, with the mentions that it did not have before, or when a picture of it is ready. They are absent once
    it is deleted."""

    mentions_added: list[int] = []
    mentions_all_added: bool = False


class Posted(msgspec.Struct, gc=False):
    """The answer to a send: MESSAGE as JSON, whether it is new, and its conversation's kind (empty for a retry)."""

    json: bytes
    created: bool
    kind: str


def post(tx: Transaction, drafts: Sequence[Draft]) -> list[Posted | RefusedError]:
    """Post many messages with a fixed number of statements; returns one result for each draft, in order.

    A draft whose sender has used its `client_id` before is answered with that first message, and its other fields are ignored
    (promise 4).
    """
    results: list[Posted | RefusedError | None] = [None] * len(drafts)
    message_ids = _find_sent(drafts)
    targets = find_targets(tx, drafts, message_ids)
    possible = [draft for draft, target in zip(drafts, targets, strict=True) if not isinstance(target, RefusedError)]
    replied = _conversations_of_replied(possible)
    mentioned = mentions.find(
        (n, Text(target[0], draft.sender, draft.body))
        for n, (draft, target) in enumerate(zip(drafts, targets, strict=True))
        if "@" in draft.body and not isinstance(target, RefusedError)
    )
    unclaimed = claims.find({number for draft in possible for number in draft.files or ()})
    claimed: dict[int, list[FileView]] = {}
    created_at = rfc3339(tx.now_ms)
    new_rows: list[tuple[Any, ...]] = []
    new_mentions: dict[int, Mentioned] = {}
    for n, draft in enumerate(drafts):
        key, target = (draft.sender, draft.client_id), targets[n]
        if key in message_ids:
            continue  # a retry, answered below
        if isinstance(target, RefusedError):
            results[n] = target
        elif draft.reply_to is not None and replied.get(draft.reply_to) != target[0]:
            results[n] = InvalidError(("reply_to", "must be a message of this conversation"))
        elif (own := claims.claim(unclaimed, draft.sender, draft.files or ())) is None:
            results[n] = InvalidError((claims.FIELD, claims.RULE))
        else:
            data, row = _append(tx, draft, target[0], created_at, mentioned.get(n, NOBODY), own)
            new_rows.append(row)
            if own:
                claimed[row[0]] = own
            if n in mentioned:
                new_mentions[row[0]] = mentioned[n]
            results[n] = Posted(data, created=True, kind=target[1])
            if draft.client_id is not None:
                message_ids[key] = row[0]
    insert(INSERT_COLUMNS, new_rows, new_mentions)
    claims.write(tx, "message", "messages", claimed)
    _answer_retries(drafts, message_ids, results)
    return results  # type: ignore[return-value]


def _append(
    tx: Transaction, draft: Draft, conversation: int, created_at: str, mentioned: Mentioned, own: list[FileView]
) -> tuple[bytes, tuple[Any, ...]]:
    """Append `message.created`; returns its data, which is also the answer, and the row to insert. MESSAGE is encoded only here."""
    sender, priority, reply_to, client_id = draft.sender, draft.priority, draft.reply_to, draft.client_id
    id_ = tx.next_id("messages")
    view = MessageView(
        id_, conversation, sender, draft.body, priority, reply_to, client_id, created_at, None, None, {}, *mentioned, own
    )
    data = msgspec.json.encode(view)
    event = tx.append(conversation_stream(conversation), "message.created", data)
    return data, (id_, conversation, sender, encode_text(draft.body), priority, reply_to, client_id, tx.now_ms, event)


def insert(columns: tuple[str, ...], new_rows: Sequence[tuple[Any, ...]], mentioned: Mapping[int, Mentioned]) -> None:
    """Insert rows of messages, whose first columns are the id and the conversation, and what they mention: id -> mentions."""
    if not mentioned:
        insert_rows(Message, columns, new_rows)
        return
    insert_rows(Message, columns + MENTION_COLUMNS, [(*row, *mentioned.get(row[0], NOBODY).columns) for row in new_rows])
    mentions.insert([mention for row in new_rows if row[0] in mentioned for mention in mentioned[row[0]].rows(row[1], row[0])])


def _answer_retries(drafts: Sequence[Draft], message_ids: dict[RetryKey, int], results: list[Posted | RefusedError | None]) -> None:
    """Fill in the results that are None, those of retries: the message that its sender and `client_id` name, as it is now."""
    retries = {n: message_ids[drafts[n].sender, drafts[n].client_id] for n, result in enumerate(results) if result is None}
    if not retries:
        return
    messages = {message.id: message for message in views(list(retries.values()))}
    for n, id_ in retries.items():
        results[n] = Posted(msgspec.json.encode(messages[id_]), created=False, kind="")


def _find_sent(drafts: Sequence[Draft]) -> dict[RetryKey, int]:
    """(sender, client_id) -> message, for the drafts whose message was sent before."""
    keys = [value for draft in drafts if draft.client_id is not None for value in (draft.sender, draft.client_id)]
    if not keys:
        return {}
    # Raw: part of a send; the order of the joins makes each row of `input` seek the index.
    sent = rows(
        values_cte("sender, client_id", len(keys) // 2) + "SELECT m.sender_id, m.client_id, m.id FROM input CROSS JOIN messages m "
        "WHERE m.sender_id=input.sender AND m.client_id=input.client_id",
        keys,
    )
    return {(sender, client_id): id_ for sender, client_id, id_ in sent}


def _conversations_of_replied(drafts: Sequence[Draft]) -> dict[int, int]:
    """message -> conversation, for the messages that drafts reply to."""
    ids = sorted({d.reply_to for d in drafts if d.reply_to is not None})
    if not ids:
        return {}
    # Raw: part of a send.
    return dict(rows(f"SELECT id, conversation_id FROM messages WHERE id IN ({placeholders(len(ids))})", ids))


def views(ids: Sequence[int]) -> list[MessageView]:
    """Messages with their reactions, newest first, by two queries, or three if there are files."""
    if not ids:
        return []
    # Raw: the answer to a retried send, and part of every initial state.
    messages = rows(f"SELECT {COLUMNS} FROM messages WHERE id IN ({placeholders(len(ids))}) ORDER BY id DESC", ids)
    reactions = _reactions(ids)
    attached = views_of("message", [id_ for id_, *_, deleted, _, _, count in messages if count and deleted is None])
    return [_view(row, reactions.get(row[0], {}), attached.get(row[0], [])) for row in messages]


def _view(row: tuple[Any, ...], reactions: dict[str, list[int]], attached: list[FileView]) -> MessageView:
    """MESSAGE of a row with COLUMNS."""
    id_, conversation, sender, body, priority, reply_to, client_id, created, edited, deleted, users, everyone, _ = row
    return MessageView(
        id_,
        conversation,
        sender,
        decode_text(body),
        priority,
        reply_to,
        client_id,
        rfc3339(created),
        rfc3339_or_none(edited),
        rfc3339_or_none(deleted),
        reactions,
        msgspec.json.decode(users) if users else [],
        bool(everyone),
        attached,
    )


def _reactions(ids: Sequence[int]) -> dict[int, dict[str, list[int]]]:
    """message -> emoji -> users, in ascending order."""
    by_message: dict[int, dict[str, list[int]]] = {}
    # Raw: like `views`.
    reactions = rows(
        f"SELECT message_id, emoji, user_id FROM reactions WHERE message_id IN ({placeholders(len(ids))}) ORDER BY emoji, user_id",
        ids,
    )
    for message, emoji, user in reactions:
        by_message.setdefault(message, {}).setdefault(emoji, []).append(user)
    return by_message


def get_view(user: int, message: int) -> MessageView:
    """One message of one of the user's conversations. Raises NotFoundError."""
    view = _get_view_of_any_user(message)
    require_member(view.conversation, user)
    return view


def _get_view_of_any_user(message: int) -> MessageView:
    messages = views([message])
    if not messages:
        raise NotFoundError
    return messages[0]


def history(user: int, conversation: int, before: int | None, around: int | None, limit: int) -> list[MessageView]:
    """A conversation's messages, newest first: those before an id, or half before and half after the id `around`.

    Members see all messages, also those from before they joined. Raises NotFoundError for a user who is not a member.
    """
    require_member(conversation, user)
    messages = Message.select(Message.id).where(Message.conversation == conversation)
    newer: list[int] = []
    if around is not None:
        newer = fetch_column(messages.where(Message.id > around).order_by(Message.id).limit((limit - 1) // 2))
        limit, before = limit - len(newer), around + 1
    end = before if before is not None else ID_MAX
    older = fetch_column(messages.where(Message.id < end).order_by(Message.id.desc()).limit(limit))
    return views(newer + older)


def edit(tx: Transaction, user: int, message: int, body: str) -> MessageView:
    """Change the text of the user's own message, and its mentions; its files stay. Raises NotFoundError, ForbiddenError,
    BlockedError and InvalidError."""
    old = get_view(user, message)
    if old.sender != user:
        raise ForbiddenError("only its sender may edit a message")
    if old.deleted_at is not None:
        raise NotFoundError("the message is deleted")
    require_unblocked(tx, old.conversation, user)
    if not (0 if old.files else 1) <= len(body) <= MAX_BODY_CHARS:
        raise InvalidError(("body", BODY_RULE))
    mentioned = mentions.find_in(old.conversation, user, body)
    users, everyone = mentioned.columns
    changes = {"body": encode_text(body), "edited_ms": tx.now_ms, "mentions": users, "mentions_all": everyone}
    Message.update(**changes).where(Message.id == message).execute()
    if mentioned != (old.mentions, old.mentions_all):
        mentions.replace(old.conversation, message, mentioned)
    search.unindex(message)  # the search drain indexes it anew
    edited = views([message])[0]
    added = [number for number in edited.mentions if number not in old.mentions]
    _append_updated(tx, edited, added, mentions_all_added=edited.mentions_all and not old.mentions_all)
    return edited


def append_update(tx: Transaction, message: int) -> None:
    """Append `message.updated` after a change of a message's files, which mentions nobody anew. Nothing if it is deleted."""
    for view in views([message]):
        if view.deleted_at is None:
            _append_updated(tx, view, [], mentions_all_added=False)


def _append_updated(tx: Transaction, view: MessageView, mentions_added: list[int], *, mentions_all_added: bool) -> None:
    data = EditedMessage(**msgspec.structs.asdict(view), mentions_added=mentions_added, mentions_all_added=mentions_all_added)
    event = tx.append(conversation_stream(view.conversation), "message.updated", msgspec.json.encode(data))
    MessageCopy.insert(message=view.id, event=event).as_rowcount().execute()


def delete(tx: Transaction, user: int, role: str, message: int) -> None:
    """Delete the user's own message (an admin any): its text is removed from row, log and search in this transaction.

    Deleting it again changes nothing. Raises NotFoundError and ForbiddenError.
    """
    view = _get_view_of_any_user(message)
    if role != "admin":
        require_member(view.conversation, user)
        if view.sender != user:
            raise ForbiddenError("only its sender or an admin may delete a message")
    if view.deleted_at is not None:
        return
    changes = {"body": "", "deleted_ms": tx.now_ms, "mentions": None, "mentions_all": None, "files": None}
    files.remove(tx, [file.id for file in view.files])
    Message.update(**changes).where(Message.id == message).execute()
    if view.mentions or view.mentions_all:
        Mention.delete().where(Mention.message == message).execute()
    search.unindex(message)
    data = msgspec.json.encode(views([message])[0])
    tx.scrub(_events_with_text(message), data)
    tx.append(conversation_stream(view.conversation), "message.deleted", data)
    withdrawals.withdraw(tx, view.conversation, message)


def _events_with_text(message: int) -> list[int]:
    """Ids of the events that carry the message's text."""
    created = Message.select(Message.event).where(Message.id == message)
    copies = MessageCopy.select(MessageCopy.event).where(MessageCopy.message == message)
    return fetch_column(created | copies)


def react(tx: Transaction, user: int, message: int, emoji: str, *, added: bool) -> None:
    """Add or remove one reaction of the user. Repeating it changes nothing and appends no second event.

    Raises NotFoundError, BlockedError and InvalidError. Somebody who is blocked may still remove theirs.
    """
    view = get_view(user, message)
    if added and view.deleted_at is not None:
        raise NotFoundError("the message is deleted")
    if added:
        require_unblocked(tx, view.conversation, user)
    exists = user in view.reactions.get(emoji, [])
    if not exists and (len(emoji) > MAX_EMOJI_CHARS or not is_emoji_or_word(emoji)):  # one that an earlier version allowed can go
        raise InvalidError(("emoji", f"must be an emoji or a word of up to {MAX_EMOJI_CHARS} characters"))
    if added == exists:
        return
    if added and emoji not in view.reactions and len(view.reactions) >= MAX_EMOJIS_PER_MESSAGE:
        raise InvalidError(("emoji", f"must be one of the {MAX_EMOJIS_PER_MESSAGE} different ones that the message has already"))
    if added:
        Reaction.insert(message=message, user=user, emoji=emoji).as_rowcount().execute()
    else:
        Reaction.delete().where(Reaction.message == message, Reaction.user == user, Reaction.emoji == emoji).execute()
    data = {"message": message, "conversation": view.conversation, "user": user, "emoji": emoji, "added": added}
    tx.append(conversation_stream(view.conversation), "message.reacted", msgspec.json.encode(data))
