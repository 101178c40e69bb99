"""Groups of the community: making, listing, joining and leaving them."""

from __future__ import annotations

from typing import Annotated, TypedDict

import msgspec

from gateway.http.base import Handler
from gateway.http.describe import PAGED, Listed, chars, describe
from gateway.http.request import field_error
from models.community import group as groups
from models.community.group import NAME_CHARS, GroupView
from models.store.text_rules import is_displayable


class NewGroup(msgspec.Struct, forbid_unknown_fields=True):
    """What a group is called."""

    name: Annotated[str, chars(1, NAME_CHARS, enforced=False)]


class GroupMembershipAnswer(TypedDict):
    """Whether the caller is in the group, and how many are."""

    joined: bool
    members_count: int


class Groups(Handler):
    """All groups."""

    @describe("List groups", {200: Listed[GroupView]}, query=PAGED)
    async def get(self) -> None:
        """A list of GROUP, newest first."""
        before, limit = self.query_page_id()
        found = await self.services.read(groups.list_page, self.actor.user, before, limit + 1)
        items = found[:limit]
        self.answer_list(items, (items[-1].id,) if len(found) > limit else None)

    @describe("Make a group", {201: GroupView}, body=NewGroup, example={"name": "Gardeners"})
    async def post(self) -> None:
        """201 GROUP: the caller owns it, and is its first member."""
        user, name = self.actor.user, self.decode(NewGroup).name.strip()
        if not (len(name) <= NAME_CHARS and is_displayable(name)):
            raise field_error("name", f"1 to {NAME_CHARS} printable characters")
        self.answer(await self.commit(lambda tx: groups.create(tx, user, name)), 201)


class GroupMembership(Handler):
    """Whether the caller is in a group."""

    @describe("Join a group", {200: GroupMembershipAnswer})
    async def put(self, group: str) -> None:
        """200 `{"joined","members_count"}`, also when they were in it."""
        user, number = self.actor.user, int(group)
        self._answer(await self.commit(lambda tx: groups.join(tx, user, number)))

    @describe("Leave a group", {200: GroupMembershipAnswer})
    async def delete(self, group: str) -> None:
        """200 `{"joined","members_count"}`, also when they were not in it."""
        user, number = self.actor.user, int(group)
        self._answer(await self.commit(lambda tx: groups.leave(tx, user, number)))

    def _answer(self, found: GroupView) -> None:
        self.answer({"joined": found.joined, "members_count": found.members_count})
