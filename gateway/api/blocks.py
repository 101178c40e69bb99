"""Blocks: whom the caller keeps away."""

from __future__ import annotations

from gateway.http.base import Handler
from gateway.http.describe import PAGED, Listed, describe
from models.chat import blocks
from models.chat.blocks import BlockPosition, BlockView


class Blocks(Handler):
    """The people whom the caller blocks."""

    @describe("List whom I block", {200: Listed[BlockView]}, query=PAGED)
    async def get(self) -> None:
        """Answer a list of `{"user": USER, "since"}`, the latest first."""
        start, limit = self.query_page(BlockPosition)
        user = self.actor.user
        await self.answer_list(lambda before, count: self.read(blocks.page, user, before, count), start, limit)


class Block(Handler):
    """One of them."""

    @describe("Block a user", {204: None}, errors=("invalid", "conflict"))
    async def put(self, other: str) -> None:
        """Answer 204, also if the caller blocks the user already. The user is not told. They cannot open a direct conversation with
        the caller nor write in it (403 `blocked`), cause the caller no notifications, and always see them offline. A caller blocks
        at most 1,000 people: another is answered 409."""
        user, blocked = self.actor.user, int(other)
        is_new = await self.commit(lambda tx: blocks.block(tx, user, blocked, self.bound_in(tx)))
        self.answer(None, 204)
        if is_new:
            await self.services.presence.announce_block(user, blocked, is_blocked=True)

    @describe("Unblock a user", {204: None}, errors=("invalid",))
    async def delete(self, other: str) -> None:
        """Answer 204, also if the caller does not block the user."""
        user, blocked = self.actor.user, int(other)
        is_ended = await self.commit(lambda tx: blocks.unblock(tx, user, blocked, self.bound_in(tx)))
        self.answer(None, 204)
        if is_ended:
            await self.services.presence.announce_block(user, blocked, is_blocked=False)
