"""The audit: the recorded calls of admins, the accounts they changed, and failed log-ins."""

from __future__ import annotations

from typing import Annotated

from gateway.api.admin.records import QUERY, Record, RecordsHandler
from gateway.http.describe import NDJSON, Listed, describe, one_of
from models.records import audit, failed_logins


class AuditRecord(Record):
    """A call of an admin, an account that a call has suspended or activated (`account.suspended`, `account.activated`, by the
    admin in `triggered_by`; its `metadata` has the call's `request_id`), or the failed log-ins of a minute (`login.failed`)."""

    outcome: Annotated[str, one_of((audit.DONE, audit.READ, failed_logins.FAILED))]
    address: str
    request_id: str


class AuditLog(RecordsHandler):
    """The audit records."""

    record_type = audit.RECORD_TYPE

    @describe("List audit records", {200: (Listed[AuditRecord], NDJSON)}, query=QUERY)
    async def get(self) -> None:
        """Answer a list of ACTIVITY, each with `outcome`, `address` and `request_id`, or all of them as NDJSON."""
        await self.answer_records()
