"""What users did: as admins read it, and as the application around Bellwire tells it."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.admin import AdminHandler
from gateway.base import BODY_BYTES
from gateway.records import RecordsHandler
from models import activity
from models.activity import Report
from models.errors import InvalidError


class Reported(msgspec.Struct, forbid_unknown_fields=True):
    """What a user did in the application around. `user` and `site` may be left out."""

    action: str
    description: str = ""
    metadata: dict[str, Any] = {}
    user: int | None = None
    site: str | None = None


class ActivityReport(AdminHandler):
    """POST: for the application around, which has an admin's token."""

    body_limit = BODY_BYTES

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
    """GET: the records."""

    kind = activity.KIND
