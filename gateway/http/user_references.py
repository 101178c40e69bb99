"""Users that a request names: by their id, or as `ext:EXTERNAL_ID`, what the host calls them."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import ClassVar

from tornado import web

from gateway.http.describe import A_USER, UserParameter
from gateway.http.request import field_error, is_number
from gateway.http.services import Services
from models.identity import external_id
from models.identity.external_id import PREFIX
from models.identity.token import Actor
from models.store.database import ID_MAX


class UserReferences(web.RequestHandler):
    """The part of a handler that finds the users whom a request names."""

    services: Services
    actor: Actor
    path_args: list[str]
    has_user_in_path: ClassVar[bool] = False  # set by the route table

    async def user_ids(self, references: Sequence[int | str]) -> list[int]:
        """The ids of users. An unknown external id becomes an id that nobody has: the answer is that for an unknown id."""
        if all(isinstance(reference, int) for reference in references):
            return list(references)  # type: ignore[arg-type]
        return await self.services.read.of_account(self.actor.user, external_id.resolve, references)

    async def user_id(self, reference: int | str) -> int:
        """The id of one user."""
        return reference if isinstance(reference, int) else (await self.user_ids([reference]))[0]

    async def query_user(self, parameter: UserParameter) -> int | None:
        """A user of the query; None if absent. Raises ProblemError 422."""
        value: str = self.get_query_argument(parameter.name, "")
        if not value:
            return None
        if value.startswith(PREFIX):
            return await self.user_id(value)
        if not (is_number(value) and 0 < int(value) < ID_MAX):
            raise field_error(parameter.name, f"must be {A_USER}")
        return int(value)

    async def resolve_path(self, authenticated: Awaitable[None] | None) -> None:
        """Replace the external id at the end of the path's arguments by an id, after the caller was authenticated."""
        if authenticated is not None:
            await authenticated
        *others, user = self.path_args
        self.path_args = [*others, str(await self.user_id(user))]
