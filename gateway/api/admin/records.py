"""Lists of records, of activity and of what admins did."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, NamedTuple, TypedDict

from tornado.iostream import StreamClosedError

from gateway.api.admin.base import AdminHandler
from gateway.api.stream import DRAIN_WITHIN_S
from gateway.http import page_cursor
from gateway.http.deadlines import abort_connection
from gateway.http.describe import NDJSON, PAGED, IntParameter, TextParameter
from models.records import archive, records
from models.records.export import Export
from models.records.records import RecordFilter, RecordType

USER = IntParameter("user", "what this user did")
ACTION = TextParameter("action", "acts of this kind")
SITE = TextParameter("site", "on this site")
SINCE = TextParameter("since", "from this time on", format="date-time")
UNTIL = TextParameter("until", "before this time", format="date-time")
QUERY = (USER, ACTION, SITE, SINCE, UNTIL, *PAGED)


class Record(TypedDict):
    """ACTIVITY of the contract."""

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
    """Records of a kind."""

    kind: ClassVar[RecordType]

    async def answer_records(self) -> None:
        """A page of those that are asked for, newest first; or all of them, oldest first, for who accepts NDJSON."""
        filtered = self._filter()
        if NDJSON in self.request.headers.get("Accept", ""):
            await self._export(filtered)
            return
        before, limit = self.query_page(RecordPosition)
        found = await self.services.read(records.list_newest, self.kind, filtered, before, limit + 1)
        following = found[limit - 1].place if len(found) > limit else None
        self.answer_list([record.view for record in found[:limit]], following)

    async def _export(self, filtered: RecordFilter) -> None:
        """Step by step, each when the one before is on its way, so that a slow reader holds no memory."""
        steps = Export(self.kind, filtered, archive.folder(self.services.settings.data_dir)).steps()
        self.set_header("Content-Type", NDJSON)
        self.audit_read()
        try:
            while (lines := await self.services.read(next, steps, None)) is not None:
                if lines:
                    self.write(lines)
                    async with asyncio.timeout(DRAIN_WITHIN_S):
                        await self.flush()
        except (StreamClosedError, TimeoutError):
            abort_connection(self)
        except Exception:
            if self._headers_written:  # it must not be taken for the whole
                abort_connection(self)
            raise
        else:
            self.finish()

    def _filter(self) -> RecordFilter:
        return RecordFilter(
            self.query_int(USER),
            self.query_text(ACTION) or None,
            self.query_text(SITE) or None,
            self.query_time_ms(SINCE),
            self.query_time_ms(UNTIL),
        )
