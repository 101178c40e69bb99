"""Groups of the community: creating, listing, joining and leaving them."""

from __future__ import annotations

from typing import Annotated, TypedDict

import msgspec

from gateway.http.base import Handler
from gateway.http.describe import PAGED, Listed, chars, describe
from gateway.http.request import field_error
from models.community import group as groups
from models.community.group import MAX_NAME_CHARS, GroupView
from models.store.text_rules import is_displayable


class NewGroup(msgspec.Struct, forbid_unknown_fields=True):
    """A group to create."""

    name: Annotated[str, chars(1, MAX_NAME_CHARS, enforced=False)]


class GroupMembershipAnswer(TypedDict):
    """Whether the caller is a member of the group, and the number of its members."""

    joined: bool
    members_count: int


class Groups(Handler):
    """All groups of the community."""

    @describe("List groups", {200: Listed[GroupView]}, query=PAGED)
    async def get(self) -> None:
        """Answer a list of GROUP, newest first."""
        await self.answer_list_by_id(
            lambda before, count: self.read(groups.list_page, self.actor.user, before, count, self.bound())
        )

    @describe("Create a group", {201: GroupView}, body=NewGroup, example={"name": "Gardeners"})
    async def post(self) -> None:
        """Answer 201 with GROUP. The caller is its owner and first member."""
        user, name = self.actor.user, self.decode(NewGroup).name.strip()
        if not (len(name) <= MAX_NAME_CHARS and is_displayable(name)):
            raise field_error("name", f"must have 1 to {MAX_NAME_CHARS} printable characters")
        self.answer(await self.commit(lambda tx: groups.create(tx, user, name)), 201)


class GroupMembership(Handler):
    """The caller's membership of a group."""

    @describe("Join a group", {200: GroupMembershipAnswer})
    async def put(self, group: str) -> None:
        """Answer 200 with `{"joined","members_count"}`, also if the caller was a member already."""
        user, number = self.actor.user, int(group)
        self._answer(await self.commit(lambda tx: groups.join(tx, user, number)))

    @describe("Leave a group", {200: GroupMembershipAnswer})
    async def delete(self, group: str) -> None:
        """Answer 200 with `{"joined","members_count"}`, also if the caller was not a member."""
        user, number = self.actor.user, int(group)
        self._answer(await self.commit(lambda tx: groups.leave(tx, user, number)))

    def _answer(self, group: GroupView) -> None:
        self.answer({"joined": group.joined, "members_count": group.members_count})
