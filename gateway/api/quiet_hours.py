"""The caller's quiet hours as of now, and a rehearsal of their settings."""

from __future__ import annotations

from typing import Annotated, TypedDict

import msgspec
from msgspec import UNSET, UnsetType

from gateway.api.preferences import PreferenceChange, merged
from gateway.http.base import Handler
from gateway.http.describe import describe, one_of
from gateway.http.request import is_number
from jobs.insight.own_rehearsal import Rehearsed, Settings, rehearse_own
from jobs.insight.quiet_status import quiet_now
from models.notices import preference
from models.notices import quiet as quiet_hours
from models.notices.host_types import MAX_NAME_CHARS
from models.notices.preference import TYPES
from models.notices.quiet import Quiet
from models.store.clock import rfc3339_or_none
from models.store.errors import InvalidError
from models.store.wrong_fields import UNKNOWN

MAX_TRIED = 500  # preferences, and levels
LEVELS = ("all", "mentions", "none")


class Waiting(TypedDict):
    """The numbers of mails and pushes that wait for the end of quiet hours."""

    mails: int
    pushes: int


class QuietStatus(TypedDict):
    """The caller's quiet hours. `until` is when they end, null if it is not quiet now."""

    quiet: Quiet | None
    timezone: str
    until: str | None
    waiting: Waiting


class QuietHours(Handler):
    """The caller's quiet hours as of now."""

    @describe("See whether it is quiet for me", {200: QuietStatus})
    async def get(self) -> None:
        """Answer 200 with the quiet hours, until when they last if it is quiet now, and the numbers of mails and pushes that wait.
        What was read by then does not go. `PATCH /api/v1/me` sets them."""
        now = await self.read(quiet_now, self.actor.user)
        waiting = {"mails": now.mails, "pushes": now.pushes}
        self.answer({"quiet": now.quiet, "timezone": now.timezone, "until": rfc3339_or_none(now.until_ms), "waiting": waiting})


class TriedSettings(msgspec.Struct, forbid_unknown_fields=True):
    """Settings to try. What is left out is as it is now. `preferences` are by type of notification, `levels` by conversation."""

    quiet: Quiet | UnsetType | None = UNSET
    preferences: dict[str, PreferenceChange] = {}
    levels: dict[str, Annotated[str, one_of(LEVELS)]] = {}


EXAMPLE = {"quiet": {"days": ["sat", "sun"], "from": "20:00", "to": "10:00"}, "levels": {"7": "mentions"}}


class Rehearsal(Handler):
    """A rehearsal of the caller's settings: how much they would have received with others."""

    @describe("Rehearse my settings", {200: Rehearsed}, body=TriedSettings, example=EXAMPLE)
    async def post(self) -> None:
        """Answer 200 with what the caller would have received of the last 14 days with the settings of `now`, and with those that
        were `tried`. Nothing is changed.

        `notifications` is the number of events that settings decide on: what the caller did, or saw at once, is not among them.
        Each counts as unread, and presence is that of then. Of these, `in_app` are shown; `mails` and `pushes` are sent about them.
        """
        tried = self.decode(TriedSettings)
        user = self.actor.user
        await self.services.rate_limits.hit("rehearsal", f"user:{self.actor.counted_user}")
        settings = await self.read(_settings, user, tried)
        self.answer(await self.services.rehearse.of_account(user, rehearse_own, user, settings))


def _settings(user: int, tried: TriedSettings) -> Settings:
    """The settings that are tried. Raises InvalidError."""
    errors = quiet_hours.invalid(tried.quiet) if isinstance(tried.quiet, Quiet) else []
    for field in ("preferences", "levels"):
        if len(getattr(tried, field)) > MAX_TRIED:
            errors.append((field, f"must have at most {MAX_TRIED} members"))
    known = {*TYPES, *preference.host_defaults(tried.preferences)}
    errors += [(f"preferences.{name[:MAX_NAME_CHARS]}", UNKNOWN) for name in tried.preferences if name not in known]
    errors += [(f"levels.{name[:MAX_NAME_CHARS]}", "must be a conversation's id") for name in tried.levels if not is_number(name)]
    if errors:
        raise InvalidError(*errors)
    choices = merged(preference.choices_of(user, tried.preferences), tried.preferences)
    quiet = None if tried.quiet is UNSET else tried.quiet
    return Settings(tried.quiet is UNSET, quiet, choices, {int(name): level for name, level in tried.levels.items()})
