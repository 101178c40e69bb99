"""The changes of a conversation: who came, who went, and its titles."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.api.event_types import Event
from gateway.http.base import Handler
from gateway.http.describe import PAGED, Listed, describe
from gateway.http.page_cursor import IdPosition
from models.chat import changes


class ConversationChanges(Handler):
    """The changes of a conversation, as events of the log."""

    @describe("List a conversation's changes", {200: Listed[Event]}, query=PAGED)
    async def get(self, conversation: str) -> None:
        """Answer a list of EVENT, newest first: `member.joined`, `member.left` and `conversation.updated`, of the time in which the
        caller was a member, as far as the log is kept. A page may have few or none, and a `next`."""
        start, limit = self.query_page_id()
        found = await self.read(changes.list_newest, self.actor.user, int(conversation), start, limit + 1)
        items = [(IdPosition(event.id), msgspec.Raw(self.services.hub.encode(event))) for event in found.events]

        async def read(position: IdPosition | None, count: int) -> list[tuple[IdPosition, Any]]:
            return [item for item in items if position is None or item[0] < position][:count]

        rest = None if found.reached is None else IdPosition(found.reached)
        await self.answer_list(read, None if start is None else IdPosition(start), limit, rest)
