"""What admins did, as admins read it."""

from __future__ import annotations

from typing import Annotated

from gateway.api.admin.records import QUERY, Record, RecordsHandler
from gateway.http.describe import NDJSON, Listed, describe, one_of
from models.records import audit


class AuditRecord(Record):
    """One call of an admin's."""

    outcome: Annotated[str, one_of((audit.DONE, audit.READ))]
    address: str
    request_id: str


class AuditLog(RecordsHandler):
    """What admins did."""

    kind = audit.RECORD_TYPE

    @describe("List what admins did", {200: (Listed[AuditRecord], NDJSON)}, query=QUERY)
    async def get(self) -> None:
        """A list of ACTIVITY, each with `outcome`, `address` and `request_id` besides; or all of them, as for activity."""
        await self.answer_records()
