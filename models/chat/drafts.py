"""Drafts: the messages that are to be sent, and the conversation that each goes to."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from models.chat.conversation import pair_key
from models.chat.targets import BLOCKED, direct_conversations, get_or_create_direct, kinds_by_member
from models.files import claims
from models.identity import contacts, token
from models.identity.contacts import EVERYONE
from models.log.event import Transaction
from models.store.database import ID_MAX
from models.store.errors import BlockedError, ForbiddenError, InvalidError, NotFoundError, RefusedError

MAX_BODY_CHARS = 20_000
BODY_RULE = f"must have 1 to {MAX_BODY_CHARS} characters"  # none are needed beside files
MAX_CLIENT_ID_CHARS = 64
PRIORITIES = ("normal", "important", "urgent")

Target = tuple[int, str]  # the conversation that a draft goes to, and its kind
RetryKey = tuple[int, str | None]  # sender and client_id


class Draft(msgspec.Struct, gc=False):
    """A message to be sent. Only the types of its fields have been checked. `contacts` is the setting."""

    sender: int
    token: int
    body: str
    to: int | None = None
    conversation: int | None = None
    client_id: str | None = None
    priority: str = "normal"
    reply_to: int | None = None
    contacts: str = EVERYONE
    files: Sequence[int] | None = None


def invalid_fields(draft: Draft) -> list[tuple[str, str]]:
    """(field, message) of each invalid field, found without reading the store."""
    errors = []
    if (draft.to is None) == (draft.conversation is None):
        errors.append(("to", "exactly one of to and conversation is required"))
    for field, number in (("to", draft.to), ("conversation", draft.conversation), ("reply_to", draft.reply_to)):
        if number is not None and not 0 < number < ID_MAX:
            errors.append((field, "must be an integer from 1 to 2^53-1"))
    if not (0 if draft.files else 1) <= len(draft.body) <= MAX_BODY_CHARS:
        errors.append(("body", BODY_RULE))
    if draft.priority not in PRIORITIES:
        errors.append(("priority", "must be normal, important or urgent"))
    if draft.files is not None and not claims.are_valid(draft.files):
        errors.append((claims.FIELD, claims.RULE))
    if draft.to == draft.sender:
        errors.append(("to", "must be another user than yourself"))
    return errors


def find_targets(tx: Transaction, drafts: Sequence[Draft], message_ids: dict[RetryKey, int]) -> list[Target | RefusedError]:
    """The target of each draft, or the reason why it is refused: its sender must be a member now.

    A retry needs no target; its item of the list has no meaning.
    """
    is_retry = [bool(message_ids) and (d.sender, d.client_id) in message_ids for d in drafts]
    invalid = [() if retried else invalid_fields(d) for d, retried in zip(drafts, is_retry, strict=True)]
    valid = [d for d, retried, errors in zip(drafts, is_retry, invalid, strict=True) if not retried and not errors]
    kinds = kinds_by_member(tx, [(d.conversation, d.sender) for d in valid if d.conversation is not None])
    direct = direct_conversations(tx, [(d.sender, d.to) for d in valid if d.to is not None])
    targets: list[Target | RefusedError] = []
    for draft, retried, errors in zip(drafts, is_retry, invalid, strict=True):
        if errors or retried:
            targets.append(InvalidError(*errors))
        elif draft.to is not None:
            targets.append(_direct_target(tx, draft, draft.to, direct))
        elif draft.conversation is not None and (kind := kinds.get((draft.conversation, draft.sender))) is not None:
            targets.append(BlockedError() if kind == BLOCKED else (draft.conversation, kind))
        else:
            targets.append(NotFoundError())
    return targets


def _direct_target(tx: Transaction, draft: Draft, to: int, direct: dict[str, int]) -> Target | RefusedError:
    """The pair's direct conversation, which is created if it does not exist and the sender may reach the other."""
    conversation = direct.get(pair_key(draft.sender, to))
    if conversation is not None:
        return BlockedError() if (draft.sender, to) in tx.cache.blocked else (conversation, "direct")
    try:
        return _create_direct(tx, draft, to), "direct"
    except InvalidError:
        return NotFoundError("no such user")
    except (NotFoundError, ForbiddenError, BlockedError) as refusal:
        return refusal


def _create_direct(tx: Transaction, draft: Draft, to: int) -> int:
    caller = None
    if draft.contacts != EVERYONE:
        _, role = token.check_actor(tx, draft.token)
        caller = contacts.bound(draft.contacts, draft.sender, is_admin=role == "admin")
    conversation, _ = get_or_create_direct(tx, draft.sender, to, caller)
    return conversation
