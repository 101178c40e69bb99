"""Incoming hooks of conversations, as managed by admins."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from gateway.api.admin.base import AdminHandler
from gateway.http.describe import PAGED, Listed, chars, describe
from models.hooks import incoming
from models.hooks.incoming import IncomingHookView
from models.identity.user import DISPLAY_NAME_CHARS
from models.log.event import Transaction


class NewIncomingHook(msgspec.Struct, forbid_unknown_fields=True):
    """An incoming hook to create. `label` is its bot's name."""

    label: Annotated[str, chars(1, DISPLAY_NAME_CHARS)]


class IncomingHookChange(msgspec.Struct, forbid_unknown_fields=True):
    """A change of an incoming hook. `rotate` makes a new address; the one of before ends at once."""

    rotate: bool = False


class IncomingHookWithUrl(IncomingHookView):
    """An incoming hook with its address, which is shown after creating and after rotating only."""

    url: str | UnsetType = UNSET


class AllIncomingHooks(AdminHandler):
    """The incoming hooks of all conversations."""

    @describe("List all incoming hooks", {200: Listed[IncomingHookView]}, query=PAGED)
    async def get(self) -> None:
        """Answer a list of HOOK, oldest first."""
        await self.answer_list_by_id(lambda after, count: self.read(incoming.page, None, after, count))


class IncomingHooks(AdminHandler):
    """The incoming hooks of a conversation."""

    @describe("List the incoming hooks of a conversation", {200: Listed[IncomingHookView]}, query=PAGED)
    async def get(self, conversation: str) -> None:
        """Answer a list of HOOK, oldest first."""
        number = int(conversation)
        await self.answer_list_by_id(lambda after, count: self.read(incoming.page, number, after, count))

    @describe(
        "Create an incoming hook", {201: IncomingHookWithUrl}, body=NewIncomingHook, errors=("conflict",), example={"label": "CI"}
    )
    async def post(self, conversation: str) -> None:
        """Answer 201 with HOOK and its address."""
        new, by, number = self.decode(NewIncomingHook), self.actor.user, int(conversation)
        view, secret = await self.commit(lambda tx: incoming.create(tx, by, number, new.label))
        self.answer(_with_url(self, view, secret), 201)


class IncomingHook(AdminHandler):
    """An incoming hook."""

    @describe("Change an incoming hook", {200: IncomingHookWithUrl}, body=IncomingHookChange, example={"rotate": True})
    async def patch(self, conversation: str, hook: str) -> None:
        """Answer 200 with HOOK, after `rotate` with its new address."""
        new, at, number = self.decode(IncomingHookChange), int(conversation), int(hook)

        def change(tx: Transaction) -> tuple[IncomingHookView, str | None]:
            secret = incoming.rotate(tx, at, number) if new.rotate else None
            return incoming.of_conversation(at, number), secret

        self.answer(_with_url(self, *await self.commit(change)))

    @describe("Delete an incoming hook", {204: None})
    async def delete(self, conversation: str, hook: str) -> None:
        """Answer 204. Its bot leaves the conversation, and its messages stay."""
        of_conversation, number = int(conversation), int(hook)
        await self.commit(lambda tx: incoming.delete(tx, of_conversation, number))
        self.answer(None, 204)


def _with_url(handler: AdminHandler, view: IncomingHookView, secret: str | None) -> IncomingHookWithUrl:
    url = UNSET if secret is None else f"{handler.services.settings.url}/api/v1/in/{secret}"
    return IncomingHookWithUrl(**msgspec.structs.asdict(view), url=url)
