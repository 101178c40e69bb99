"""The base of lists of records: activity and audit."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple, TypedDict

from tornado.iostream import StreamClosedError

from gateway.api.admin.base import AdminHandler
from gateway.http import page_cursor
from gateway.http.connections import abort_connection
from gateway.http.describe import NDJSON, PAGED, TextParameter, UserParameter
from models.records import archive, records
from models.records.export import Export
from models.records.records import RecordFilter, RecordType

USER = UserParameter("user", "only actions of this user")
ACTION = TextParameter("action", "only this action")
SITE = TextParameter("site", "only actions on this site")
SINCE = TextParameter("since", "at this time or later", format="date-time")
UNTIL = TextParameter("until", "before this time", format="date-time")
QUERY = (USER, ACTION, SITE, SINCE, UNTIL, *PAGED)


class Record(TypedDict):
    """ACTIVITY."""

    id: int
    user: int | None
    action: str
    description: str
    metadata: dict[str, Any]
    triggered_by: int | None
    site: str | None
    at: str


class RecordPosition(NamedTuple):
    """A position in a list of records, which is sorted by time and id."""

    at_ms: page_cursor.Integer
    id: page_cursor.Integer


class RecordsHandler(AdminHandler):
    """The base of handlers that list the records of one type."""

    record_type: ClassVar[RecordType]

    async def answer_records(self) -> None:
        """Answer a page of the matching records, newest first; or all of them, oldest first, if the client accepts NDJSON."""
        filtered = await self._filter()
        if NDJSON in self.request.headers.get("Accept", ""):
            await self._export(filtered)
            return
        before, limit = self.query_page(RecordPosition)

        async def read(position: RecordPosition | None, count: int) -> list[tuple[RecordPosition, Any]]:
            fetched = await self.read(records.list_newest, self.record_type, filtered, position, count)
            return [(RecordPosition(*record.position), record.view) for record in fetched]

        await self.answer_list(read, before, limit)

    async def _export(self, filtered: RecordFilter) -> None:
        """Write all matching records. Each step waits until the one before is sent, so that a slow client uses no memory."""
        steps = Export(self.record_type, filtered, archive.folder(self.services.settings.data_dir)).steps()
        self.set_header("Content-Type", NDJSON)
        self.audit_read()
        try:
            while (lines := await self.read(next, steps, None)) is not None:
                if lines:
                    self.write(lines)
                    await self.flush()
        except StreamClosedError:
            return
        except Exception:
            if self._headers_written:  # an incomplete export must not look complete
                abort_connection(self)
            raise
        else:
            self.finish()

    async def _filter(self) -> RecordFilter:
        return RecordFilter(
            await self.query_user(USER),
            self.query_text(ACTION) or None,
            self.query_text(SITE) or None,
            self.query_time_ms(SINCE),
            self.query_time_ms(UNTIL),
        )
