"""Incoming hooks: an address by which a program writes into one group, as the hook's own bot user.

The address's secret part is a capability, stored only as a hash.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Any, NamedTuple

import msgspec
import peewee
from peewee import fn

from models.accounts import registration
from models.accounts.registration import NewAccount
from models.chat import conversation as conversations
from models.chat import message as messages
from models.chat.conversation import Conversation
from models.chat.drafts import Draft
from models.chat.message import Posted
from models.identity import email_address
from models.identity.user import User, UserView, invalid_display_name
from models.log.event import Transaction
from models.store.clock import rfc3339
from models.store.database import Base, NeverReusedIdField, fetch_rows
from models.store.errors import ConflictError, InvalidError, NotFoundError, RefusedError

SECRET_BYTES = 24
MAX_HOOKS = 50  # of a conversation
NO_TOKEN = 0  # a hook's bot has none


class IncomingHook(Base):
    """An incoming hook of a conversation. `label` is the bot's name, too."""

    id = NeverReusedIdField()
    secret_hash = peewee.CharField(max_length=64, unique=True)
    conversation = peewee.ForeignKeyField(Conversation, on_delete="CASCADE")
    bot = peewee.ForeignKeyField(User, on_delete="CASCADE")
    label = peewee.TextField()
    created_by = peewee.BigIntegerField()
    created_ms = peewee.BigIntegerField()

    class Meta:
        table_name = "incoming_hooks"


class IncomingHookView(msgspec.Struct):
    """HOOK: an incoming hook, whose messages are those of the user `bot`. `title` is its conversation's."""

    id: int
    conversation: int
    title: str | None
    bot: int
    label: str
    created_by: int
    created_at: str


class HookTarget(NamedTuple):
    """The hook that a secret belongs to."""

    hook: int
    bot: int
    conversation: int


def digest(secret: str) -> str:
    """The hash that is stored of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def create(tx: Transaction, by: int, conversation: int, label: str) -> tuple[IncomingHookView, str]:
    """Create a hook with its bot user, who becomes a member, and return it with its secret.

    Raises NotFoundError, InvalidError for the label, and ConflictError for a direct conversation or beyond MAX_HOOKS.
    """
    found = fetch_rows(Conversation.select(Conversation.kind).where(Conversation.id == conversation))
    if not found:
        raise NotFoundError
    if found[0][0] == "direct":
        raise ConflictError("a direct conversation has no hooks")
    if IncomingHook.select(fn.COUNT(IncomingHook.id)).where(IncomingHook.conversation == conversation).scalar() >= MAX_HOOKS:
        raise ConflictError(f"the conversation has {MAX_HOOKS} hooks already")
    made, secret = tx.next_id("incoming_hooks"), secrets.token_urlsafe(SECRET_BYTES)
    bot = _create_bot(tx, made, label)
    conversations.join(tx, by, conversation, bot)
    values = {"id": made, "secret_hash": digest(secret), "conversation": conversation, "bot": bot, "label": label}
    IncomingHook.insert(**values, created_by=by, created_ms=tx.now_ms).as_rowcount().execute()
    return _views(IncomingHook.id == made, 1)[0], secret


def _create_bot(tx: Transaction, hook: int, label: str) -> int:
    errors = invalid_display_name(label)
    if errors:
        raise InvalidError(*(("label", message) for _, message in errors))
    number, name = tx.next_id("users"), f"hook-{hook}-{secrets.token_hex(4)}"  # somebody may have the name without an ending
    bot = UserView(number, name, label, "user", "active", None, bot=True)
    registration.insert(tx, [NewAccount(bot, "", email_address.no_key(number), None, None, None)])
    return number


def page(conversation: int | None, after: int | None, limit: int) -> list[IncomingHookView]:
    """Return the hooks of a conversation, or all, with a larger id, oldest first."""
    later = IncomingHook.id > (after or 0)
    return _views(later if conversation is None else later & (IncomingHook.conversation == conversation), limit)


def of_conversation(conversation: int, hook: int) -> IncomingHookView:
    """Return a conversation's hook. Raises NotFoundError."""
    found = _views((IncomingHook.conversation == conversation) & (IncomingHook.id == hook), 1)
    if not found:
        raise NotFoundError
    return found[0]


def rotate(_tx: Transaction, conversation: int, hook: int) -> str:
    """Return a new secret of a hook; the one of before has ended. Raises NotFoundError."""
    secret = secrets.token_urlsafe(SECRET_BYTES)
    mine = (IncomingHook.conversation == conversation) & (IncomingHook.id == hook)
    if not IncomingHook.update(secret_hash=digest(secret)).where(mine).execute():
        raise NotFoundError
    return secret


def delete(tx: Transaction, conversation: int, hook: int) -> None:
    """Delete a hook. Its bot leaves the conversation, and its messages stay. Raises NotFoundError."""
    bot = of_conversation(conversation, hook).bot
    IncomingHook.delete().where(IncomingHook.id == hook).execute()
    if conversations.members_among(conversation, [bot]):
        conversations.remove_member(tx, bot, conversation, bot)


def find(secret: str) -> HookTarget:
    """Return the hook of a secret, whose bot is not suspended. Raises NotFoundError."""
    columns = (IncomingHook.id, IncomingHook.bot, IncomingHook.conversation)
    is_mine = (IncomingHook.secret_hash == digest(secret)) & (User.status == "active")
    found = fetch_rows(IncomingHook.select(*columns).join(User).where(is_mine))
    if not found:
        raise NotFoundError
    return HookTarget(*found[0])


def post(tx: Transaction, secret: str, text: str, key: str | None) -> Posted:
    """Post a text as the hook's bot; with a key that was used before, the earlier message is the answer. Raises NotFoundError."""
    target = find(secret)  # again, inside the transaction
    draft = Draft(target.bot, NO_TOKEN, text, conversation=target.conversation, client_id=key)
    (posted,) = messages.post(tx, [draft])
    if isinstance(posted, RefusedError):
        raise posted
    return posted


def _views(condition: Any, limit: int) -> list[IncomingHookView]:
    about = (IncomingHook.id, IncomingHook.conversation, Conversation.title, IncomingHook.bot, IncomingHook.label)
    query = IncomingHook.select(*about, IncomingHook.created_by, IncomingHook.created_ms).join(Conversation).where(condition)
    found = fetch_rows(query.order_by(IncomingHook.id).limit(limit))
    return [IncomingHookView(n, at, title, bot, label, by, rfc3339(ms)) for n, at, title, bot, label, by, ms in found]
