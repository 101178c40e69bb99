"""What admins do: accounts and tokens, watches, activity, and the work behind."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from gateway.accounts import hasher, password_errors
from gateway.base import ADMIN_BODY_BYTES, ID_MAX, Handler, field_error
from jobs import tasks
from jobs.backlog import standing
from models import activity, checkpoint, token
from models import user as users
from models.errors import InvalidError
from models.event import Log
from models.token import LABEL_CHARS
from models.user import ROLES, NewUser
from models.wording import shows

USERS_AT_ONCE = 1000
STATUSES = ("pending", "active", "suspended")
DEAD_SHOWN = 200


class NewUsers(msgspec.Struct, forbid_unknown_fields=True):
    """Accounts to be made."""

    users: list[NewUser]


class UserChanges(msgspec.Struct, forbid_unknown_fields=True):
    """What an admin changes of an account."""

    role: str | None = None
    display_name: str | None = None


class NewToken(msgspec.Struct, forbid_unknown_fields=True):
    """What a token is for."""

    label: str = ""


class AdminHandler(Handler):
    """For admins."""

    access = "admin"
    body_limit = ADMIN_BODY_BYTES


class AdminUsers(AdminHandler):
    """All accounts."""

    async def get(self) -> None:
        """A list of USER with e-mail, by `?status=`, `?role=` and `?q=`."""
        after, limit = self.page_number()
        status, role = self._one_of("status", STATUSES), self._one_of("role", ROLES)
        found = await self.services.read(users.admin_list, status, role, self.text("q"), after or 0, limit + 1)
        self.listed(found[:limit], found[limit - 1]["id"] if len(found) > limit else None)

    def _one_of(self, name: str, allowed: tuple[str, ...]) -> str | None:
        given = self.text(name)
        if given and given not in allowed:
            raise field_error(name, "one of " + ", ".join(allowed))
        return given or None

    async def post(self) -> None:
        """201 `{"items":[USER]}`, active at once: all or none."""
        new = self.decode(NewUsers).users
        if not 1 <= len(new) <= USERS_AT_ONCE:
            raise field_error("users", f"1 to {USERS_AT_ONCE} accounts")
        errors = await self.services.read(users.refusals, new)  # before any password is hashed, which takes its time
        for n, u in enumerate(new):
            errors += password_errors(u.password, f"users.{n}.password") if u.password is not None else []
        if errors:
            raise InvalidError(*errors)
        hashes = [await self.services.hash(hasher.hash, u.password) if u.password is not None else None for u in new]
        made = await self.commit(lambda log: users.create_active(log, new, hashes))
        self.answer({"items": made}, 201)


class AdminUser(AdminHandler):
    """One account."""

    async def patch(self, user: str) -> None:
        """200 USER."""
        asked, number = self.decode(UserChanges), int(user)
        errors = users.invalid_display_name(asked.display_name) if asked.display_name is not None else []
        if asked.role is not None and asked.role not in ROLES:
            errors.append(("role", "user or admin"))
        if errors:
            raise InvalidError(*errors)
        fields = {k: v for k, v in (("role", asked.role), ("display_name", asked.display_name)) if v is not None}
        self.answer(await self.commit(lambda log: users.change_by_admin(log, number, fields)))


class AdminTokens(AdminHandler):
    """An account's tokens."""

    async def post(self, user: str) -> None:
        """201 `{"token"}`: the only time that it is seen."""
        label, number = self.decode(NewToken).label, int(user)
        if len(label) > LABEL_CHARS or (label and not shows(label)):
            raise field_error("label", f"at most {LABEL_CHARS} printable characters")

        def run(log: Log) -> str:
            users.active_view(number)
            return token.create(log, number, label)

        self.answer({"token": await self.commit(run)}, 201)

    async def delete(self, user: str) -> None:
        """204: all are dead."""
        number = int(user)

        def run(log: Log) -> None:
            users.view(number)
            token.revoke(log, number)

        await self.commit(run)
        self.answer(None, 204)


class Watches(AdminHandler):
    """What this admin hears of."""

    async def get(self) -> None:
        """200 `{NAME:bool}`."""
        self.answer(await self.services.read(users.watches, self.actor.user))

    async def put(self) -> None:
        """200, with those named changed."""
        changed, user = self.decode(dict[str, Any]), self.actor.user
        wrong = [(name, "true or false") for name, value in changed.items() if not isinstance(value, bool)]
        if wrong:
            raise InvalidError(*wrong)
        await self.commit(lambda log: users.set_watches(log, user, changed))
        await self.get()


class ActivityLog(AdminHandler):
    """What users did."""

    async def get(self) -> None:
        """A list of ACTIVITY, newest first."""
        before, limit = self.page_number()
        filters: dict[str, Any] = {
            "user_id": self.number("user", 1, ID_MAX),
            "action": self.text("action") or None,
            "site": self.text("site") or None,
        }
        since, until = self._time_ms("since"), self._time_ms("until")
        found = await self.services.read(activity.listed, filters, since, until, before, limit + 1)
        self.listed(found[:limit], found[limit - 1]["id"] if len(found) > limit else None)

    def _time_ms(self, name: str) -> int | None:
        given = self.text(name)
        if not given:
            return None
        try:
            at = datetime.fromisoformat(given)
        except ValueError:
            raise field_error(name, "an RFC 3339 time such as 2026-11-21T09:30:00Z") from None
        return int(at.replace(tzinfo=at.tzinfo or UTC).timestamp() * 1000)


class Jobs(AdminHandler):
    """The work behind: how far each consumer of the log is, and what it gave up on."""

    async def get(self) -> None:
        """200 `{"consumers":[…],"dead":[…],"degraded":[…]}`."""
        consumers = await self.services.read(standing, list(tasks.consumers.values()))
        dead = await self.services.read(checkpoint.dead_events, DEAD_SHOWN)
        self.answer({"consumers": consumers, "dead": dead, "degraded": self.services.degraded()})


class JobRetry(AdminHandler):
    """A parked event that is to be tried again."""

    async def post(self, dead: str) -> None:
        """202: its drain takes it up."""
        number = int(dead)
        await self.commit(lambda log: checkpoint.ask_retry(log, number))
        self.services.wake_background()
        self.answer({}, 202)
