"""The changes of a conversation that the log still has: members who came and went, and new titles."""

from __future__ import annotations

from itertools import islice
from typing import NamedTuple

from models.chat.conversation import require_member
from models.log.event import Event, conversation_stream
from models.store.database import ID_MAX, placeholders, rows, snapshot

TYPES = ("member.joined", "member.left", "conversation.updated")
MAX_EVENTS_SCANNED = 2_000  # of one conversation, in one call: most are of messages


class Changes(NamedTuple):
    """Events of changes, newest first. `reached`: those before this id are still to be read; None when all have been."""

    events: list[Event]
    reached: int | None = None


def list_newest(user: int, conversation: int, before: int | None, limit: int) -> Changes:
    """Up to `limit` changes before an event id, within the user's memberships. Raises NotFoundError for a user who is not a member.

    It reads at most MAX_EVENTS_SCANNED events: those of all memberships together, so that many short ones cost no more than one.
    """
    stream = conversation_stream(conversation)
    with snapshot():
        require_member(conversation, user)
        intervals = _intervals(user, conversation)
        end, oldest = before or ID_MAX, min(opened for opened, _ in intervals)
        # Raw: pinned to the index of a stream.
        within = "FROM events WHERE stream=? AND id>=? AND id<?"
        last_scanned = rows(f"SELECT id {within} ORDER BY id DESC LIMIT 1 OFFSET ?", (stream, oldest, end, MAX_EVENTS_SCANNED - 1))
        start = last_scanned[0][0] if last_scanned else oldest
        events = rows(
            f"SELECT id, type, at_ms, data {within} AND type IN ({placeholders(len(TYPES))}) ORDER BY id DESC",
            (stream, start, end, *TYPES),
        )
    seen = (event for event in events if any(opened <= event[0] < closed for opened, closed in intervals))
    page = [Event(number, stream, kind, at_ms, data.encode()) for number, kind, at_ms, data in islice(seen, limit)]
    if len(page) == limit:
        return Changes(page, page[-1].id)
    return Changes(page, start if last_scanned else None)


def _intervals(user: int, conversation: int) -> list[tuple[int, int]]:
    """The user's memberships as event ids. The event after a membership's last one tells the others that it has ended."""
    # Raw: like the rest.
    found = rows("SELECT from_event, to_event FROM memberships WHERE user_id=? AND conversation_id=?", (user, conversation))
    return [(opened, ID_MAX if closed is None else closed + 2) for opened, closed in found]
