"""Incoming hooks of a conversation, as managed by admins."""

from __future__ import annotations

from typing import Annotated

import msgspec

from gateway.api.admin.base import AdminHandler
from gateway.http.describe import PAGED, Listed, chars, describe
from models.hooks import incoming
from models.hooks.incoming import IncomingHookView
from models.identity.user import DISPLAY_NAME_CHARS


class NewIncomingHook(msgspec.Struct, forbid_unknown_fields=True):
    """An incoming hook to create. `label` is its bot's name."""

    label: Annotated[str, chars(1, DISPLAY_NAME_CHARS)]


class CreatedIncomingHook(IncomingHookView):
    """An incoming hook with its address, which is not shown again."""

    url: str


class IncomingHooks(AdminHandler):
    """The incoming hooks of a conversation."""

    @describe("List incoming hooks", {200: Listed[IncomingHookView]}, query=PAGED)
    async def get(self, conversation: str) -> None:
        """Answer a list of HOOK, oldest first."""
        number = int(conversation)
        await self.answer_list_by_id(lambda after, count: self.read(incoming.page, number, after, count))

    @describe(
        "Create an incoming hook", {201: CreatedIncomingHook}, body=NewIncomingHook, errors=("conflict",), example={"label": "CI"}
    )
    async def post(self, conversation: str) -> None:
        """Answer 201 with HOOK and its address."""
        new, by, number = self.decode(NewIncomingHook), self.actor.user, int(conversation)
        view, secret = await self.commit(lambda tx: incoming.create(tx, by, number, new.label))
        url = f"{self.services.settings.url}/api/v1/in/{secret}"
        self.answer(CreatedIncomingHook(**msgspec.structs.asdict(view), url=url), 201)


class IncomingHook(AdminHandler):
    """An incoming hook."""

    @describe("Delete an incoming hook", {204: None})
    async def delete(self, conversation: str, hook: str) -> None:
        """Answer 204. Its bot leaves the conversation, and its messages stay."""
        of_conversation, number = int(conversation), int(hook)
        await self.commit(lambda tx: incoming.delete(tx, of_conversation, number))
        self.answer(None, 204)
