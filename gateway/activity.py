"""What users did: as admins read it, and as the application around Bellwire tells it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from gateway.admin import AdminHandler
from gateway.base import BODY_BYTES
from gateway.describe import NDJSON, Id, Listed, Taken, chars, describe
from gateway.records import QUERY, Record, RecordsHandler
from models import activity
from models.activity import ACTION_CHARS, DESCRIPTION_CHARS, SITE_CHARS, Report
from models.errors import InvalidError


class Reported(msgspec.Struct, forbid_unknown_fields=True):
    """What a user did in the application around. `user` and `site` may be left out."""

    action: Annotated[str, chars(1, ACTION_CHARS, "such as `invoice.paid`")]
    description: Annotated[str, chars(0, DESCRIPTION_CHARS)] = ""
    metadata: dict[str, Any] = {}
    user: Id | None = None
    site: Annotated[str, chars(1, SITE_CHARS)] | None = None


class ActivityReport(AdminHandler):
    """POST: for the application around, which has an admin's token."""

    body_limit = BODY_BYTES

    @describe("Report activity", {202: Taken}, Reported, example={"action": "invoice.paid", "metadata": {"amount": "12.50"}})
    async def post(self) -> None:
        """202: it is in the log; the record, and the word to admins, follow from it."""
        asked, by = self.decode(Reported), self.actor.user
        report = Report(by, asked.action, asked.description, asked.metadata, asked.user, asked.site)
        errors = activity.invalid_fields(report)
        if errors:
            raise InvalidError(*errors)
        await self.commit(lambda log: activity.report(log, report))
        self.answer({}, 202)


class ActivityLog(RecordsHandler):
    """What users did, as it was recorded."""

    kind = activity.KIND

    @describe("List activity", {200: (Listed[Record], NDJSON)}, query=QUERY)
    async def get(self) -> None:
        """A list of ACTIVITY, newest first; with `Accept: application/x-ndjson` all of them, a line each, oldest first."""
        await self.answer_records()
