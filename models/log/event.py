"""The event log: the one table that everything else reads, and the one way into it.

An event belongs to a stream, `conversation:7`, `user:3`, `posts` or `group:5` (or `gateways`, `accounts` and `post:9`, which no
client reads). Ids become visible in id order: a transaction that appends holds the store's one write lock from its first statement
through COMMIT.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import msgspec
import peewee

from models.store.clock import now_ms
from models.store.database import Base, NeverReusedIdField, chunks, engine, execute, in_transaction, insert_rows, rows, values_cte
from models.store.engine import TransactionStart

GATEWAYS = "gateways"  # account changes that every gateway must hear of; no client reads this stream
ACCOUNTS = "accounts"  # people who are new, or whose status changed, for the drains; no client reads this one either
FANOUTS = "fanouts"  # announcements that admins ask for, for the drain
ACTIVITY = "activity"  # what users do in the application around, for the drains
POSTS = "posts"  # public posts and their comments, for clients that ask for them
COLUMNS = ("id", "stream", "type", "at_ms", "data")
MAX_CACHED_ENTRIES = 50_000  # of a kind
SCRUBBED_A_STATEMENT = 200

on_append: list[
    Callable[[int], None]
] = []  # told of the newest event after each commit of this process, on the thread that made it


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


def group_stream(group: int) -> str:
    """The stream of a group's posts, for those of its members who ask for posts."""
    return f"group:{group}"


def post_stream(post: int) -> str:
    """What people do to one post, for the drains: no client reads it."""
    return f"post:{post}"


class TransactionLostError(Exception):
    """The connection fell out of its transaction (disk full, I/O error, lost server): nothing of it was kept."""


class NotForAppendingError(RuntimeError):
    """A defect of ours: ids are given, and events appended, only under the log's lock."""


class TransactionCache:
    """What a thread that commits again and again need not ask the store each time: exact, for the log tells of every change.

    Whoever holds the write lock and has heeded every event up to the log's head knows that what is remembered is still so.
    Tokens, status and roles change only with an event of the `gateways` stream, memberships end only with a `member.left`, and a
    direct conversation stays.
    """

    def __init__(self) -> None:
        self.actors: dict[int, tuple[int, str, str]] = {}  # token -> user, role, status
        self.kinds: dict[tuple[int, int], str] = {}  # (conversation, member) -> kind
        self.direct: dict[str, int] = {}  # pair -> conversation

    def apply(self, stream: str, kind: str) -> None:
        """An event that was appended, by whomever."""
        if stream == GATEWAYS:
            self.actors.clear()
        elif kind == "member.left":
            self.kinds.clear()

    def clear(self) -> None:
        """What was learned in a transaction that is undone may never have been."""
        self.actors.clear()
        self.kinds.clear()
        self.direct.clear()

    def limit_size(self) -> None:
        """Keeps it small."""
        for remembered in (self.actors, self.kinds, self.direct):
            if len(remembered) > MAX_CACHED_ENTRIES:
                remembered.clear()


class Transaction:
    """What one write transaction appends, buffered and inserted by one statement before COMMIT.

    `head` is the newest event id before this transaction. Ids are taken here, under the write lock, so the JSON that
    holds them can be made before the rows are inserted.
    """

    def __init__(self, cache: TransactionCache, start: TransactionStart, *, appends: bool) -> None:
        self.now_ms = now_ms()
        self.events: list[Event] = []
        self.cache = cache
        self.head = start.head
        self.assigned_ids: dict[str, int] = {}  # the newest ids taken here, by table
        self._last = start.newest
        self._appends = appends

    def _newest(self, table: str) -> int:
        """The newest id ever given to a table's rows."""
        if not self._appends:
            raise NotForAppendingError
        if table not in self._last:
            self._last[table] = engine().newest_id(table)
        return self._last[table]

    def next_id(self, table: str) -> int:
        """The next id of a table whose rows are inserted with ids taken here."""
        taken = self._newest(table) + 1
        self._last[table] = self.assigned_ids[table] = taken
        return taken

    def next_event_id(self) -> int:
        """The id that the next event appended will have: where an interval opens."""
        return self._newest("events") + 1

    def append(self, stream: str, kind: str, data: bytes) -> int:
        """Appends one event and returns its id. The only way into the log."""
        event = Event(self.next_id("events"), stream, kind, self.now_ms, data)
        self.events.append(event)
        self.cache.apply(stream, kind)
        return event.id

    def scrub(self, ids: Sequence[int], data: bytes) -> None:
        """Replaces the data of events whose text must go."""
        self.scrub_each(dict.fromkeys(ids, data))

    def scrub_each(self, wanted: Mapping[int, bytes]) -> None:
        """The same, event id -> its new data."""
        for event in self.events:
            event.data = wanted.get(event.id, event.data)
        for part in chunks(wanted.items(), SCRUBBED_A_STATEMENT):
            execute(
                values_cte("id, data", len(part)) + "UPDATE events SET data=input.data FROM input WHERE events.id=input.id",
                [value for event, data in part for value in (event, data.decode())],
            )

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
        self.cache.clear()

    def flush(self) -> None:
        """Inserts what was appended."""
        values = [(e.id, e.stream, e.type, e.at_ms, e.data.decode()) for e in self.events]
        insert_rows(EventRow, COLUMNS, values)


@contextmanager
def transaction(cache: TransactionCache | None = None, *, appends: bool = True, durable: bool = True) -> Iterator[Transaction]:
    """One write transaction, the only kind there is: everything in it is committed together, or nothing.

    One that never `appends` need not wait for those that do. Unless `durable`, a crash of the machine may take it back as a whole.
    Raises TransactionLostError when the store left the transaction on its own, peewee.DatabaseError when it can't be begun
    or committed. What raised is rolled back; after an error in COMMIT itself the outcome is unknown and nothing is run again.
    """
    start = engine().begin(appends=appends, durable=durable)
    try:
        tx = Transaction(cache or TransactionCache(), start, appends=appends)
        yield tx
        if not in_transaction():  # each statement from here on would commit by itself
            raise TransactionLostError
        tx.flush()
        newest = tx.events[-1].id if tx.events else None
        if not engine().commit(tx.assigned_ids, newest):
            raise TransactionLostError
    except BaseException:
        if cache is not None:
            cache.clear()
        engine().rollback()
        raise
    if newest is not None:
        for callback in on_append:
            callback(newest)


def read_after(position: int, limit: int) -> list[Event]:
    """The whole log after a position, in order: what tails and drains read."""
    found = rows("SELECT id, stream, type, at_ms, data FROM events WHERE id>? ORDER BY id LIMIT ?", (position, limit))
    return [Event(i, stream, kind, at, data.encode()) for i, stream, kind, at, data in found]


def find(number: int) -> Event | None:
    """One event, when it is kept."""
    found = rows("SELECT id, stream, type, at_ms, data FROM events WHERE id=?", (number,))
    return next((Event(i, stream, kind, at, data.encode()) for i, stream, kind, at, data in found), None)


def head() -> int:
    """The newest event id that is committed."""
    return engine().head()
