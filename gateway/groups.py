"""Groups of the community: making, listing, joining and leaving them."""

from __future__ import annotations

import msgspec

from gateway.asked import field_error
from gateway.base import Handler
from models import group as groups
from models.group import NAME_CHARS, GroupView
from models.wording import shows


class NewGroup(msgspec.Struct, forbid_unknown_fields=True):
    """What a group is called."""

    name: str


class Groups(Handler):
    """All groups."""

    async def get(self) -> None:
        """A list of GROUP, newest first."""
        before, limit = self.page_number()
        found = await self.services.read(groups.listed, self.actor.user, before, limit + 1)
        items = found[:limit]
        self.listed(items, items[-1].id if len(found) > limit else None)

    async def post(self) -> None:
        """201 GROUP: the caller owns it, and is its first member."""
        user, name = self.actor.user, self.decode(NewGroup).name.strip()
        if not (len(name) <= NAME_CHARS and shows(name)):
            raise field_error("name", f"1 to {NAME_CHARS} printable characters")
        self.answer(await self.commit(lambda log: groups.create(log, user, name)), 201)


class Membership(Handler):
    """Whether the caller is in a group."""

    async def put(self, group: str) -> None:
        """200 `{"joined","members_count"}`, also when they were in it."""
        user, number = self.actor.user, int(group)
        self._answer(await self.commit(lambda log: groups.join(log, user, number)))

    async def delete(self, group: str) -> None:
        """200 `{"joined","members_count"}`, also when they were not in it."""
        user, number = self.actor.user, int(group)
        self._answer(await self.commit(lambda log: groups.leave(log, user, number)))

    def _answer(self, found: GroupView) -> None:
        self.answer({"joined": found.joined, "members_count": found.members_count})
