"""Acting for somebody: a call with an admin's token and `Bellwire-As: USER` is done as that user.

Under /admin the header has no effect: these calls are the admin's own. The calls of an admin for others have a rate limit of their
own, `acting`. The audit has both: a record of the user's, triggered by the admin. It has nothing of the body, which is the user's.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import ClassVar, TypeVar

import msgspec

from gateway.commit.batch import Operation
from gateway.http.authentication import Authentication
from models.chat.drafts import Draft
from models.chat.message import Posted
from models.identity import acting, token
from models.identity.token import ADDRESS_CHARS, Actor
from models.log.event import Transaction
from models.records import audit
from models.records.audit import DONE, READ, AdminCall
from models.store.errors import ActingError, ForbiddenError, StoreDownError

HEADER = "Bellwire-As"
MAX_PATH_CHARS = 300
RECORDED_EVERY_S = 60.0  # reads of one route, by one token for one user: polls come as often as there are events
MAX_RECORDED = 1_000
T = TypeVar("T")

_recorded: dict[tuple[int, int, str], float] = {}  # (token, user, route) -> when a read was recorded, time.monotonic()


class Acting(Authentication):
    """The part of a handler that acts for the user of `Bellwire-As`. Then `actor` is that user, with the admin's token."""

    refuses_acting: ClassVar[str] = ""  # why the call is the admin's own
    route: ClassVar[str]
    request_id: Callable[[], str]
    is_acting_recorded = False

    @classmethod
    def can_act(cls) -> bool:
        """Whether calls may be for another user."""
        return cls.access == "user" and not cls.refuses_acting

    def authenticate(self) -> Awaitable[None] | None:
        """Set `actor`, as `Authentication` does, or the user whom it acts for. Raises ActingError or ForbiddenError, too."""
        authenticated = super().authenticate()
        if self.request.header(HEADER) is None or not (self.can_act() or self.refuses_acting):
            return authenticated
        return self._act(authenticated)

    def _limits(self, actor: Actor | None) -> tuple[str, ...]:
        """The limits of users are not for the calls of an admin for many of them."""
        is_acting = (
            actor is not None and actor.role == "admin" and self.access == "user" and self.request.header(HEADER) is not None
        )
        return ("acting",) if is_acting else super()._limits(actor)

    async def _act(self, authenticated: Awaitable[None] | None) -> None:
        if authenticated is not None:
            await authenticated
        self.actor = await self.acting_actor(self.actor)
        if self.refuses_acting:
            raise ActingError(self.refuses_acting)

    async def acting_actor(self, admin: Actor) -> Actor:
        """The user of the header, with the admin's token. Raises ActingError, or ForbiddenError for others' tokens."""
        if admin.role != "admin":
            raise ForbiddenError(f"only admins may use {HEADER}")
        reference = self.request.headers[HEADER].strip().encode("latin-1", "replace").decode("utf-8", "replace")
        user = await self.services.acted_for(reference)
        if isinstance(user, ActingError):
            raise user
        return Actor(user.id, admin.token, user.role, user.status, user.bot, admin.expires_ms, admin.user)

    def checked_actor(self, tx: Transaction) -> tuple[int, str]:
        """The caller, or whom they act for, and the role, as the transaction has them."""
        if self.actor.by_admin:
            user = acting.require_active(self.actor.user)
            return user.id, user.role
        return token.check_actor(tx, self.actor.token)

    def submit(self, run: Callable[[Transaction], T]) -> Operation[T]:
        """Run a function in the next transaction, where the caller's token is checked again, and whom they act for."""
        if not self.actor.by_admin:
            return self.services.committer.submit(run, self.actor.token)
        call = None if self.is_acting_recorded else self._acting_call(DONE)
        self.is_acting_recorded = True
        verb = partial(run_acting, run, self.actor.user, call)
        return self.services.committer.submit(verb, self.actor.token, acting_for=self.actor.user)

    def submit_message(self, draft: Draft) -> Operation[Posted]:
        """Post a message, together with the others of its batch."""
        call = self._acting_call(DONE) if self.actor.by_admin else None
        self.is_acting_recorded = call is not None
        return self.services.committer.post(draft, call)

    def record_acting(self) -> None:
        """Record, beside the answer, a call for another user that no transaction has recorded; the same read once a minute."""
        key, now = (self.actor.token, self.actor.user, self.route), time.monotonic()
        if self.is_acting_recorded or now - _recorded.get(key, -RECORDED_EVERY_S) < RECORDED_EVERY_S:
            return
        _recorded.pop(key, None)
        if len(_recorded) >= MAX_RECORDED:
            del _recorded[next(iter(_recorded))]
        _recorded[key] = now  # behind those that were recorded before
        user, call = self.actor.user, self._acting_call(READ)
        try:
            recorded = self.services.committer.call(None, lambda tx: audit.record_acting(tx, [(call, user)]))
        except StoreDownError:
            return
        recorded.add_done_callback(lambda future: future.cancelled() or future.exception())

    def _acting_call(self, outcome: str) -> AdminCall:
        return AdminCall(
            self.actor.by_admin,
            f"{self.request.method} {self.route}",
            self.request.path[:MAX_PATH_CHARS],
            msgspec.json.encode({"acting_for": self.actor.user}),
            outcome,
            self.client_address()[:ADDRESS_CHARS],
            self.request_id(),
        )


def run_acting(run: Callable[[Transaction], T], user: int, call: AdminCall | None, tx: Transaction) -> T:
    """Run a function for a user who is still active, and record the call. Raises ActingError."""
    acting.require_active(user)
    result = run(tx)
    if call is not None:
        audit.record_acting(tx, [(call, user)])
    return result
