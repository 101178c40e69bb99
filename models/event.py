"""The event log: the one table that everything else reads, and the one way into it.

An event belongs to a stream, `conversation:7` or `user:3` (or `gateways`, which only gateways read). Ids become visible in id
order: a transaction that appends holds the store's one write lock from its first statement through COMMIT.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec
import peewee

from models.clock import now_ms
from models.database import Base, NeverReusedIdField, begin_write, chunks, execute, in_transaction, insert_rows, marks, rows

GATEWAYS = "gateways"  # account changes that every gateway must hear of; no client reads this stream
COLUMNS = ("id", "stream", "type", "at_ms", "data")
REMEMBERED = 50_000  # of a kind
NEWEST_SQL = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name="
NEWEST_IDS_SQL = f"SELECT ({NEWEST_SQL}'events'), ({NEWEST_SQL}'messages')"  # what most transactions need, as one row
IDS_A_STATEMENT = 500


class EventRow(Base):
    """One event as it is stored. `data` is JSON, made once, spliced as it is into every answer."""

    id = NeverReusedIdField()
    stream = peewee.CharField(max_length=40)
    type = peewee.CharField(max_length=40)
    at_ms = peewee.BigIntegerField()
    data = peewee.TextField()

    class Meta:
        table_name = "events"
        indexes = ((("stream", "id"), False),)


class Event(msgspec.Struct, gc=False):
    """One event in memory: `data` is the stored JSON's bytes."""

    id: int
    stream: str
    type: str
    at_ms: int
    data: bytes
    json: bytes = b""  # EVENT of the contract, spliced together when somebody first reads it
    committed: float = 0.0  # when this process knew it to be on disk, time.perf_counter()


def conversation_stream(conversation: int) -> str:
    """The stream that the members of a conversation follow."""
    return f"conversation:{conversation}"


def user_stream(user: int) -> str:
    """The stream that only this user follows."""
    return f"user:{user}"


class TransactionLostError(Exception):
    """The connection fell out of its transaction (disk full, I/O error, lost server): nothing of it was kept."""


class Memory:
    """What a thread that commits again and again need not ask the store each time: exact, for the log tells of every change.

    Whoever holds the write lock and has heeded every event up to the log's head knows that what is remembered is still so.
    Tokens, status and roles change only with an event of the `gateways` stream, memberships end only with a `member.left`, and a
    direct conversation stays.
    """

    def __init__(self) -> None:
        self.actors: dict[int, tuple[int, str, str]] = {}  # token -> user, role, status
        self.kinds: dict[tuple[int, int], str] = {}  # (conversation, member) -> kind
        self.direct: dict[str, int] = {}  # pair -> conversation

    def heed(self, stream: str, kind: str) -> None:
        """An event that was appended, by whomever."""
        if stream == GATEWAYS:
            self.actors.clear()
        elif kind == "member.left":
            self.kinds.clear()

    def forget(self) -> None:
        """What was learned in a transaction that is undone may never have been."""
        self.actors.clear()
        self.kinds.clear()
        self.direct.clear()

    def bound(self) -> None:
        """Keeps it small."""
        for remembered in (self.actors, self.kinds, self.direct):
            if len(remembered) > REMEMBERED:
                remembered.clear()


class Log:
    """What one write transaction appends, buffered and inserted by one statement before COMMIT.

    `head` is the newest event id before this transaction. Ids are taken here, under the write lock, so the JSON that
    holds them can be made before the rows are inserted.
    """

    def __init__(self, memory: Memory) -> None:
        self.now_ms = now_ms()
        self.events: list[Event] = []
        self.memory = memory
        self._last: dict[str, int] = dict(zip(("events", "messages"), rows(NEWEST_IDS_SQL)[0], strict=True))
        self.head = self._newest("events")

    def _newest(self, table: str) -> int:
        """The newest id ever given to a table's rows."""
        if table not in self._last:
            self._last[table] = rows(f"{NEWEST_SQL}?", (table,))[0][0]
        return self._last[table]

    def take_id(self, table: str) -> int:
        """The next id of a table whose rows are inserted with ids taken here."""
        taken = self._newest(table) + 1
        self._last[table] = taken
        return taken

    def next_event(self) -> int:
        """The id that the next event appended will have: where an interval opens."""
        return self._newest("events") + 1

    def append(self, stream: str, kind: str, data: bytes) -> int:
        """Appends one event and returns its id. The only way into the log."""
        event = Event(self.take_id("events"), stream, kind, self.now_ms, data)
        self.events.append(event)
        self.memory.heed(stream, kind)
        return event.id

    def scrub(self, ids: Sequence[int], data: bytes) -> None:
        """Replaces the data of events whose text must go."""
        wanted = set(ids)
        for event in self.events:
            if event.id in wanted:
                event.data = data
        for part in chunks(ids, IDS_A_STATEMENT):
            execute(f"UPDATE events SET data=? WHERE id IN ({marks(len(part))})", (data.decode(), *part))

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Runs one operation: when it fails, it alone is undone, its events too."""
        kept = len(self.events)
        execute("SAVEPOINT operation")
        try:
            yield
            if not in_transaction():  # a savepoint of the next operation would begin, and commit, one of its own
                raise TransactionLostError
        except BaseException:
            self._undo(kept)
            raise
        execute("RELEASE operation")

    def _undo(self, kept: int) -> None:
        if not in_transaction():
            raise TransactionLostError
        execute("ROLLBACK TO operation")
        execute("RELEASE operation")
        del self.events[kept:]
        self.memory.forget()

    def flush(self) -> None:
        """Inserts what was appended."""
        values = [(e.id, e.stream, e.type, e.at_ms, e.data.decode()) for e in self.events]
        insert_rows(EventRow, COLUMNS, values)


@contextmanager
def transaction(memory: Memory | None = None) -> Iterator[Log]:
    """One write transaction, the only kind there is: everything in it is committed together, or nothing.

    Raises TransactionLostError when the store left the transaction on its own, peewee.OperationalError when it can't be begun
    or committed. What raised is rolled back; after an error in COMMIT itself the outcome is unknown and nothing is run again.
    """
    begin_write()
    try:
        log = Log(memory or Memory())
        yield log
        if not in_transaction():  # each statement from here on would commit by itself
            raise TransactionLostError
        log.flush()
        execute("COMMIT")
    except BaseException:
        if memory is not None:
            memory.forget()
        if in_transaction():
            execute("ROLLBACK")
        raise


def read_after(position: int, limit: int) -> list[Event]:
    """The whole log after a position, in order: what tails and drains read."""
    found = rows("SELECT id, stream, type, at_ms, data FROM events WHERE id>? ORDER BY id LIMIT ?", (position, limit))
    return [Event(i, stream, kind, at, data.encode()) for i, stream, kind, at, data in found]


def head() -> int:
    """The newest event id ever given."""
    found = rows("SELECT seq FROM sqlite_sequence WHERE name='events'")
    return int(found[0][0]) if found else 0
