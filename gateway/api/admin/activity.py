"""Activity records: lists and counts for admins, and reports from the application that embeds Bellwire."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import msgspec

from gateway.api.admin.base import AdminHandler
from gateway.api.admin.records import ACTION, QUERY, SINCE, SITE, UNTIL, Record, RecordsHandler
from gateway.http import page_cursor
from gateway.http.base import BODY_BYTES
from gateway.http.describe import NDJSON, PAGED, Accepted, Listed, UncheckedUser, chars, describe
from models.records import activity, hourly
from models.records.activity import MAX_ACTION_CHARS, MAX_DESCRIPTION_CHARS, MAX_SITE_CHARS, Report
from models.records.hourly import Hour, HourFilter
from models.store.errors import InvalidError

Label = Annotated[str, msgspec.Meta(max_length=max(MAX_ACTION_CHARS, MAX_SITE_CHARS), pattern=r"\A[^\0]*\Z")]


class NewActivity(msgspec.Struct, forbid_unknown_fields=True):
    """An action of a user in the application that embeds Bellwire."""

    action: Annotated[str, chars(1, MAX_ACTION_CHARS, "such as `invoice.paid`", enforced=False)]
    description: Annotated[str, chars(0, MAX_DESCRIPTION_CHARS, enforced=False)] = ""
    metadata: dict[str, Any] = {}
    user: UncheckedUser | None = None
    site: Annotated[str, chars(1, MAX_SITE_CHARS, enforced=False)] | None = None


class ActivityReports(AdminHandler):
    """Reports of activity, by the application that embeds Bellwire, with an admin's token."""

    body_limit = BODY_BYTES
    refuses_acting = "reports are the admin's own: name the user in `user`"

    @describe(
        "Report activity", {202: Accepted}, body=NewActivity, example={"action": "invoice.paid", "metadata": {"amount": "12.50"}}
    )
    async def post(self) -> None:
        """Answer 202. The report is in the event log; the record and the notifications of admins are made from there."""
        new, by = self.decode(NewActivity), self.actor.user
        user = None if new.user is None else await self.user_id(new.user)
        report = Report(by, new.action, new.description, new.metadata, user, new.site)
        errors = activity.invalid_fields(report)
        if errors:
            raise InvalidError(*errors)
        await self.commit(lambda tx: activity.report(tx, report))
        self.answer({}, 202)


class ActivityLog(RecordsHandler):
    """The records of activity."""

    record_type = activity.RECORD_TYPE

    @describe("List activity", {200: (Listed[Record], NDJSON)}, query=QUERY)
    async def get(self) -> None:
        """Answer a list of ACTIVITY, newest first; with `Accept: application/x-ndjson` all of them, one a line, oldest first."""
        await self.answer_records()


class HourPosition(NamedTuple):
    """A position in a list of hourly counts: the hour in ms, the action, and the site (empty: none)."""

    hour_ms: page_cursor.Integer
    action: Label
    site: Label


class ActivityHours(AdminHandler):
    """The number of records by hour, action and site."""

    @describe("Count activity by hour", {200: Listed[Hour]}, query=(ACTION, SITE, SINCE, UNTIL, *PAGED))
    async def get(self) -> None:
        """Answer a list of counts, the newest hour first, of the hours that begin within the time. Counts stay when their records
        are archived."""
        hours = HourFilter(
            self.query_time_ms(SINCE), self.query_time_ms(UNTIL), self.query_text(ACTION) or None, self.query_text(SITE) or None
        )
        before, limit = self.query_page(HourPosition)
        await self.answer_list(lambda position, count: self.read(hourly.list_newest, hours, position, count), before, limit)
