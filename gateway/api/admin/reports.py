"""The queue of reports, for admins."""

from __future__ import annotations

from typing import Annotated

import msgspec

from gateway.api.admin.base import AdminHandler
from gateway.http.describe import PAGED, Listed, TextParameter, chars, describe, one_of
from models.accounts import report_actions
from models.chat import reports
from models.chat.reports import ACTIONS, MAX_NOTE_CHARS, STATES, ReportView

STATE = TextParameter("state", "only reports in this state", one_of=STATES)


class ReportAction(msgspec.Struct, forbid_unknown_fields=True):
    """An action that closes a report. `note` is for admins."""

    action: Annotated[str, one_of(ACTIONS)]
    note: Annotated[str, chars(0, MAX_NOTE_CHARS)] | None = None


class AdminReports(AdminHandler):
    """All reports."""

    @describe("List reports", {200: Listed[ReportView]}, query=(STATE, *PAGED))
    async def get(self) -> None:
        """Answer a list of REPORT, the newest first, with the evidence as it was when it was reported."""
        state = self.query_text(STATE)
        await self.answer_list_by_id(lambda before, count: self.read(reports.page, state, before, count))


class AdminReport(AdminHandler):
    """One report."""

    @describe(
        "Close a report",
        {200: ReportView},
        body=ReportAction,
        errors=("conflict", "invalid"),
        example={"action": "delete", "note": "an insult"},
    )
    async def post(self, report: str) -> None:
        """Answer 200 with REPORT, after nothing else was done (`dismiss`), the message or post was deleted, or its author was
        suspended; not an admin, nor oneself (422). All open reports of the same are closed, and their reporters notified. A report
        that was closed otherwise is answered 409."""
        admin, number, new = self.actor.user, int(report), self.decode(ReportAction)
        self.answer(await self.commit(lambda tx: report_actions.close(tx, admin, number, new.action, new.note)))
