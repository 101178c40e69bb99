"""Importing the history of the product that embeds Bellwire."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from itertools import islice
from typing import ClassVar, TypedDict

from gateway.api.admin.base import AdminHandler
from gateway.http.describe import NDJSON, TextParameter, describe
from gateway.http.request import field_error
from models.history import importing, lines
from models.history.import_keys import CONVERSATION, DEFAULT_SOURCE, MAX_SOURCE_CHARS, MESSAGE, USER
from models.history.lines import ImportLine, Line, RawLine, Refused
from models.history.written import Written
from models.store.text_rules import is_displayable

MAX_LINES = 1_000
MAX_BODY_BYTES = 8 * 2**20
MAX_WEIGHT = 200  # of one transaction, shared with others' sends
SOURCE = TextParameter("source", f"the system that the keys are of; `{DEFAULT_SOURCE}` by default", high=MAX_SOURCE_CHARS)
EXAMPLE = {"conversation": {"key": "room-1", "kind": "direct", "members": ["ext:42", "ext:43"]}}


class ImportCounts(TypedDict):
    """The numbers of users, conversations or messages."""

    created: int
    changed: int
    unchanged: int


class RefusedLine(TypedDict):
    """A line that was not imported: the field is empty if the line itself is wrong."""

    line: int
    field: str
    message: str


class ImportAnswer(TypedDict):
    """The counts of an import, and the lines that were refused."""

    users: ImportCounts
    conversations: ImportCounts
    messages: ImportCounts
    refused: list[RefusedLine]


class HistoryImport(AdminHandler):
    """Users, conversations and messages of another system, as a line of JSON each."""

    body_limit = MAX_BODY_BYTES
    content_types: ClassVar[tuple[str, ...]] = (NDJSON,)

    @describe("Import history", {200: ImportAnswer}, body=ImportLine, query=(SOURCE,), example=EXAMPLE)
    async def post(self) -> None:
        """Answer 200 with the counts. At most 1,000 lines, in several transactions: a line that is refused does not keep the others
        from being imported, and a call that was interrupted can be repeated, since what is there stays as it is."""
        source = self.query_text(SOURCE) or DEFAULT_SOURCE
        if not is_displayable(source):
            raise field_error(SOURCE.name, "must have printable characters only")
        total = Written()
        steps = importing.steps(source, await self.read(_parse, self.request.body), total, MAX_WEIGHT)
        step = next(steps, None)
        while step is not None:
            done = await self.commit(step)
            try:
                step = steps.send(done)
            except StopIteration:
                step = None
        self.answer(_answer(total))


def _parse(body: bytes) -> list[Line | Refused]:
    """Check the lines that are not blank, if there are not too many. On a thread: 8 MiB take 50 ms."""
    numbered = (RawLine(str(number), line) for number, raw in enumerate(BytesIO(body), 1) if (line := raw.strip()))
    found = list(islice(numbered, MAX_LINES + 1))
    if len(found) > MAX_LINES:
        raise field_error("lines", f"must be at most {MAX_LINES}")
    return list(lines.parse(found))


def _answer(total: Written) -> ImportAnswer:
    users, conversations, messages = (
        ImportCounts(created=total.created[kind], changed=total.changed[kind], unchanged=total.unchanged[kind])
        for kind in (USER, CONVERSATION, MESSAGE)
    )
    return ImportAnswer(users=users, conversations=conversations, messages=messages, refused=_refused(total.refused))


def _refused(refused: Iterable[Refused]) -> list[RefusedLine]:
    by_line = sorted(refused, key=lambda line: int(line.place))
    return [RefusedLine(line=int(line.place), field=line.field, message=line.reason) for line in by_line]
