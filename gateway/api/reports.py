"""Reports: telling the admins of a message or post."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec

from gateway.http.base import Handler
from gateway.http.describe import Accepted, chars, describe
from models.chat import reports
from models.chat.reports import MAX_REASON_CHARS


class NewReport(msgspec.Struct, forbid_unknown_fields=True):
    """A report: why the caller reports it."""

    reason: Annotated[str, chars(1, MAX_REASON_CHARS)]


EXAMPLE = {"reason": "It insults somebody."}


class MessageReport(Handler):
    """The caller's report of a message."""

    rate_limit: ClassVar[str] = "report"

    @describe("Report a message", {202: Accepted}, body=NewReport, example=EXAMPLE)
    async def post(self, message: str) -> None:
        """Answer 202, also if the caller has reported it before: then nothing changes. Admins see the message as it is now, and the
        caller is notified of what they do. One's own message is answered 422."""
        user, number, reason = self.actor.user, int(message), self.decode(NewReport).reason
        await self.commit(lambda tx: reports.report_message(tx, user, number, reason))
        self.answer({}, 202)


class PostReport(Handler):
    """The caller's report of a post."""

    rate_limit: ClassVar[str] = "report"

    @describe("Report a post", {202: Accepted}, body=NewReport, example=EXAMPLE)
    async def post(self, post: str) -> None:
        """Answer 202, as for a message."""
        user, number, reason = self.actor.user, int(post), self.decode(NewReport).reason
        await self.commit(lambda tx: reports.report_post(tx, user, number, reason, self.bound_in(tx)))
        self.answer({}, 202)
