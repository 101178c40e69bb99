"""Invitations, as managed by admins."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from gateway.api.admin.base import AdminHandler
from gateway.http.describe import PAGED, Id, Listed, describe, one_of
from models.accounts import invitation as invitations
from models.accounts.invitation import MAX_USES, MAX_VALID_S, VALID_S, InvitationView
from models.identity.user import ROLES


class NewInvitation(msgspec.Struct, forbid_unknown_fields=True):
    """An invitation to create."""

    uses: Annotated[int, Meta(ge=1, le=MAX_USES, description="how many accounts it may make")] = 1
    expires_in: Annotated[int, Meta(ge=60, le=MAX_VALID_S, description="seconds")] = VALID_S
    group: Annotated[Id, Meta(description="a group of the community, which they join")] | None = None
    role: Annotated[str, one_of(ROLES)] = "user"


class CreatedInvitation(InvitationView):
    """An invitation with its code, and the address of the page that accepts it. Neither is shown again."""

    code: str
    url: str


class AdminInvitations(AdminHandler):
    """All invitations."""

    @describe("List invitations", {200: Listed[InvitationView]}, query=PAGED)
    async def get(self) -> None:
        """Answer a list of INVITATION, newest first."""
        await self.answer_list_by_id(lambda before, count: self.read(invitations.page, before, count))

    @describe("Create an invitation", {201: CreatedInvitation}, body=NewInvitation, example={"uses": 20, "expires_in": 86_400})
    async def post(self) -> None:
        """Answer 201 with INVITATION, its code and its address."""
        new, by = self.decode(NewInvitation), self.actor.user
        view, code = await self.commit(lambda tx: invitations.create(tx, by, new.uses, new.expires_in, new.group, new.role))
        url = f"{self.services.settings.url}/#/invitation/{code}"
        self.answer(CreatedInvitation(**msgspec.structs.asdict(view), code=code, url=url), 201)


class AdminInvitation(AdminHandler):
    """An invitation."""

    @describe("End an invitation", {204: None})
    async def delete(self, invitation: str) -> None:
        """Answer 204. Nobody can sign up by it any more."""
        number = int(invitation)
        await self.commit(lambda tx: invitations.end(tx, number))
        self.answer(None, 204)
