"""Closing reports: an admin dismisses one, deletes what was reported, or suspends its author.

All open reports of the same message or post are closed together, and their reporters are notified from the log.
"""

from __future__ import annotations

from contextlib import suppress

import msgspec

from models.accounts import status
from models.chat import message as messages
from models.chat import reports
from models.chat.reports import DELETE, MESSAGE, SUSPEND, ReportRow, ReportView
from models.community import removal
from models.identity import user as users
from models.log.event import REPORTS, Transaction
from models.store.errors import ConflictError, InvalidError, NotFoundError


def close(tx: Transaction, admin: int, report: int, action: str, note: str | None) -> ReportView:
    """Close a report by an action, and all other open reports of the same message or post. A repeated call changes nothing.

    Raises NotFoundError, ConflictError if it was closed otherwise, and InvalidError for an author who is not suspended so.
    """
    reports.require_text("note", note)
    found = reports.get(report)
    if found.closed_ms is None:
        _act(tx, admin, found, action)
        reporters = reports.close_all(tx, found.kind, found.subject, admin, action, note)
        data = {"report": report, "kind": found.kind, "subject": found.subject, "action": action, "reporters": reporters}
        tx.append(REPORTS, "report.closed", msgspec.json.encode(data))
    elif (found.closed_by, found.action, found.note) != (admin, action, note):
        raise ConflictError("the report is closed already")
    return reports.views([reports.get(report)])[0]


def _act(tx: Transaction, admin: int, report: ReportRow, action: str) -> None:
    if action == SUSPEND:
        _suspend(tx, admin, report.author)
    elif action == DELETE and report.kind == MESSAGE:
        messages.delete(tx, admin, "admin", report.subject)
    elif action == DELETE:
        with suppress(NotFoundError):  # its author has deleted it
            removal.delete_post(tx, admin, "admin", report.subject)


def _suspend(tx: Transaction, admin: int, author: int) -> None:
    if author == admin:
        raise InvalidError(("action", "must not be suspend: the author is you"))
    if users.view(author).role == "admin":
        raise InvalidError(("action", "must not be suspend: the author is an admin, whose role would have to be changed first"))
    status.suspend(tx, [author], admin)
