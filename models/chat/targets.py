"""Where a user may write: conversations that they are a member of, and direct ones with people who do not block them.

Each send reads it, through the transaction's cache.
"""

from __future__ import annotations

from collections.abc import Collection

from models.chat import conversation as conversations
from models.chat.conversation import pair_key
from models.identity import contacts
from models.identity.contacts import MEET, Bound
from models.log.event import Transaction
from models.store.database import rows, values_cte
from models.store.errors import BlockedError

BLOCKED = "blocked"  # in the place of a kind: that of a direct conversation whose other user blocks the member
_KIND = (
    "CASE WHEN c.kind='direct' AND EXISTS (SELECT 1 FROM memberships o CROSS JOIN blocks b WHERE o.conversation_id=c.id "
    "AND o.user_id<>m.user_id AND b.user_id=o.user_id AND b.blocked_id=m.user_id AND b.to_event IS NULL) "
    f"THEN '{BLOCKED}' ELSE c.kind END"
)


def direct_conversations(tx: Transaction, pairs: Collection[tuple[int, int]]) -> dict[str, int]:
    """pair key -> conversation, for the direct conversations that exist: from the transaction's cache, else by one query.

    Then the cache has for each of these pairs, with a conversation or without, which of the two the other blocks.
    """
    known = tx.cache.direct
    missing = {pair: users for users in pairs if (pair := pair_key(*users)) not in known}
    if missing:
        both_ways = [(pair, *users) for pair, (user, other) in missing.items() for users in ((user, other), (other, user))]
        # Raw: part of a send; the join's order makes each row of `input` seek the index.
        found = rows(
            values_cte("pair, sender, other", len(both_ways)) + "SELECT i.sender, i.other, c.id, EXISTS (SELECT 1 FROM blocks b "
            "WHERE b.user_id=i.other AND b.blocked_id=i.sender AND b.to_event IS NULL) "
            "FROM input i LEFT JOIN conversations c ON c.pair=i.pair",
            [value for way in both_ways for value in way],
        )
        for sender, other, number, is_blocked in found:
            if number is not None:
                tx.cache.add_direct(pair_key(sender, other), (sender, other), number)
            (tx.cache.blocked.add if is_blocked else tx.cache.blocked.discard)((sender, other))
    return known


def kinds_by_member(tx: Transaction, members: Collection[tuple[int, int]]) -> dict[tuple[int, int], str]:
    """(conversation, user) -> kind, for the users who are members now: from the transaction's cache, else by one query. BLOCKED is
    that of a direct conversation whose other user blocks this one."""
    known = tx.cache.kinds
    missing = {member for member in members if member not in known}
    if missing:
        # Raw: part of a send; the order of the joins makes each row of `input` seek the index.
        kinds = rows(
            values_cte("conversation, member", len(missing)) + f"SELECT m.conversation_id, m.user_id, {_KIND}, c.pair FROM input "
            "CROSS JOIN memberships m CROSS JOIN conversations c WHERE m.conversation_id=input.conversation "
            "AND m.user_id=input.member AND m.to_event IS NULL AND c.id=m.conversation_id",
            [value for member in missing for value in member],
        )
        for conversation, user, kind, pair in kinds:
            tx.cache.add_kind(conversation, user, kind, None if pair is None else other_of(pair, user))
    return known


def get_or_create_direct(tx: Transaction, user: int, other: int, caller: Bound | None = None) -> tuple[int, bool]:
    """The direct conversation of a pair, and whether it was created just now.

    Raises InvalidError for a user who is not active, NotFoundError and ForbiddenError as the setting says who may reach whom, and
    BlockedError.
    """
    pair = pair_key(user, other)
    direct = direct_conversations(tx, [(user, other)])
    if pair in direct:
        if (user, other) in tx.cache.blocked:
            raise BlockedError
        return direct[pair], False
    contacts.require(caller, MEET, [other])
    if (user, other) in tx.cache.blocked:
        conversations.require_active([other])
        raise BlockedError
    tx.cache.add_direct(pair, (user, other), conversations.create(tx, user, [other], None))
    return direct[pair], True


def other_of(pair: str, user: int) -> int:
    """Return the other user of a pair's key."""
    return sum(int(number) for number in pair.split(":")) - user


def require_unblocked(tx: Transaction, conversation: int, user: int) -> None:
    """Raise BlockedError if this is a direct conversation whose other user blocks the user."""
    if kinds_by_member(tx, [(conversation, user)]).get((conversation, user)) == BLOCKED:
        raise BlockedError
