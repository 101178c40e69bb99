"""The event log: the table from which everything else is derived, and the transaction that appends to it.

An event belongs to a stream: `conversation:7`, `user:3`, `posts`, `group:5`, or one that no client reads, such as `gateways`,
`accounts` and `post:9`. Ids become visible in id order, because a transaction that appends has the store's one write lock from its
first statement through COMMIT. Its statements are raw SQL: other sends wait for that lock meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import msgspec
import peewee
import structlog

from models.store.database import Base, NeverReusedIdField, chunks, engine, execute, in_transaction, insert_rows, rows, values_cte
from models.store.engine import TransactionStart

GATEWAYS = "gateways"  # changes of accounts and tokens, for every gateway; no client reads this stream
ACCOUNTS = "accounts"  # new accounts and changes of status, for the drains; no client reads this stream
FANOUTS = "fanouts"  # announcements by admins, for the drain
HOST_NOTICES = "notices"  # notifications that the host requests, for the drain
MEMBERS = "members"  # users who were added to a conversation together, for every gateway; no client reads this stream
USER = "user:"  # the beginning of the streams that `user_stream` names
JOINING = "joining:"  # the beginning of the streams that `joining_stream` names
ADDITIONS = "additions"  # large conversations whose members are still to be added, for the drain
REPORTS = "reports"  # messages and posts that were reported, and what admins did, for the drains
ACTIVITY = "activity"  # actions of users in the embedding application, for the drains
POSTS = "posts"  # public posts, their comments, and new names of people, for clients that follow posts
BLOCK_EVENTS = ("block.added", "block.removed")
COLUMNS = ("id", "stream", "type", "at_ms", "data")
MAX_CACHED_ENTRIES = 50_000  # in each of a cache's dictionaries
MAX_SCRUBBED_PER_STATEMENT = 200

logger = structlog.get_logger()

# Called with the newest event id after each commit of this process, on the committing thread.
on_append: list[Callable[[int], None]] = []


class EventRow(Base):
    """One stored event. `data` is JSON, encoded once and copied unchanged into every answer."""

    id = NeverReusedIdField()
    stream = peewee.CharField(max_length=40)
    type = peewee.CharField(max_length=40)
    at_ms = peewee.BigIntegerField()
    data = peewee.TextField()

    class Meta:
        table_name = "events"
        indexes = ((("stream", "id"), False),)


class Event(msgspec.Struct, gc=False):
    """One event in memory. `data` is the stored JSON as bytes."""

    id: int
    stream: str
    type: str
    at_ms: int
    data: bytes
    json: bytes = b""  # EVENT of the contract, assembled when the event is first delivered
    committed: float = 0.0  # when this process learned that it is committed, time.perf_counter()


def conversation_stream(conversation: int) -> str:
    """Return the stream that the members of a conversation follow."""
    return f"conversation:{conversation}"


def joining_stream(conversation: int) -> str:
    """Return the stream of which a member sees only the event with which their membership begins."""
    return f"{JOINING}{conversation}"


def user_stream(user: int) -> str:
    """Return the stream that only this user follows."""
    return f"{USER}{user}"


def group_stream(group: int) -> str:
    """Return the stream of a group's posts, for members who follow posts."""
    return f"group:{group}"


def post_stream(post: int) -> str:
    """Return the stream of the actions on one post, for the drains; no client reads it."""
    return f"post:{post}"


class TransactionLostError(Exception):
    """The store ended the transaction because of an error (disk full, I/O error, lost connection): nothing was written."""


class NotForAppendingError(RuntimeError):
    """A defect of the caller: only a transaction with the log's lock may assign ids and append events."""


class TransactionCache:
    """Tokens, memberships and direct conversations that the committer's thread keeps from one transaction to the next.

    The cache is exact, because every change is an event: a thread that has the write lock and has applied every event up to the
    log's head has current entries. Tokens, status and roles change only with an event of the stream `gateways`, memberships end
    only with a `member.left`, a direct conversation is never deleted, and blocks begin and end with an event of their own.
    """

    def __init__(self) -> None:
        self.actors: dict[int, tuple[int, str, str, int | None]] = {}  # token -> user, role, status, when it expires
        self.kinds: dict[tuple[int, int], str] = {}  # (conversation, member) -> kind, or BLOCKED in a direct conversation
        self.direct: dict[str, int] = {}  # pair -> conversation
        self.blocked: set[tuple[int, int]] = set()  # (sender, other) if the other blocks the sender; read for the pairs of `direct`
        self._kinds_by_other: dict[int, set[tuple[int, int]]] = {}  # the keys of `kinds` of direct conversations with a user
        self._pairs_by_user: dict[int, set[str]] = {}

    def add_kind(self, conversation: int, member: int, kind: str, other: int | None) -> None:
        """Add the kind of a member's conversation, and if it is direct, with which other user."""
        self.kinds[conversation, member] = kind
        if other is not None:
            self._kinds_by_other.setdefault(other, set()).add((conversation, member))

    def add_direct(self, pair: str, users: tuple[int, int], conversation: int) -> None:
        """Add the direct conversation of a pair."""
        self.direct[pair] = conversation
        for user in users:
            self._pairs_by_user.setdefault(user, set()).add(pair)

    def apply(self, stream: str, kind: str) -> None:
        """Drop the entries that an appended event makes invalid."""
        if stream == GATEWAYS:
            self.actors.clear()
        elif kind == "member.left":
            self.kinds.clear()
            self._kinds_by_other.clear()
        elif kind in BLOCK_EVENTS:
            self._drop_direct(int(stream.removeprefix(USER)))

    def _drop_direct(self, user: int) -> None:
        """Drop the direct conversations with a user. Which of their users are blocked is read with them again."""
        for member in self._kinds_by_other.pop(user, ()):
            self.kinds.pop(member, None)
        for pair in self._pairs_by_user.pop(user, ()):
            self.direct.pop(pair, None)

    def clear(self) -> None:
        """Drop everything, because a transaction was rolled back: entries read in it may be wrong."""
        self.actors.clear()
        self._clear_targets()

    def _clear_targets(self) -> None:
        for entries in (self.kinds, self.direct, self.blocked, self._kinds_by_other, self._pairs_by_user):
            entries.clear()

    def limit_size(self) -> None:
        """Clear the entries of users, or of targets, if one of them has more than MAX_CACHED_ENTRIES."""
        if len(self.actors) > MAX_CACHED_ENTRIES:
            self.actors.clear()
        if max(len(self.kinds), len(self.direct), len(self.blocked)) > MAX_CACHED_ENTRIES:
            self._clear_targets()


class Transaction:
    """One write transaction. Its events are buffered, and inserted by one statement before COMMIT.

    `now_ms` is its time by the store's clock, in Unix ms, the same for all hosts.
    `head` is the newest event id before this transaction. Ids are assigned here, under the write lock, so JSON with these ids can
    be encoded before the rows are inserted.
    """

    def __init__(self, cache: TransactionCache, start: TransactionStart, *, appends: bool) -> None:
        self.now_ms = start.now_ms
        self.events: list[Event] = []
        self.cache = cache
        self.head = start.head
        self.assigned_ids: dict[str, int] = {}  # the newest id assigned here, by table
        self._newest_ids = start.newest
        self._appends = appends

    def newest_id(self, table: str) -> int:
        """Return the newest id ever used for a table's rows, those of this transaction included."""
        if not self._appends:
            raise NotForAppendingError
        if table not in self._newest_ids:
            self._newest_ids[table] = engine().newest_id(table)
        return self._newest_ids[table]

    def next_id(self, table: str) -> int:
        """Assign the next id of a table whose rows are inserted with explicit ids."""
        id_ = (self._newest_ids.get(table) or self.newest_id(table)) + 1
        self._newest_ids[table] = self.assigned_ids[table] = id_
        return id_

    def next_event_id(self) -> int:
        """Return the id that the next appended event will have. A membership's interval starts with it."""
        return self.newest_id("events") + 1

    def append(self, stream: str, kind: str, data: bytes) -> int:
        """Append one event and return its id. Nothing else writes new events."""
        event = Event(self.next_id("events"), stream, kind, self.now_ms, data)
        self.events.append(event)
        self.cache.apply(stream, kind)
        return event.id

    def scrub(self, ids: Sequence[int], data: bytes) -> None:
        """Replace the data of events whose text is deleted."""
        self.scrub_each(dict.fromkeys(ids, data))

    def scrub_each(self, data_by_id: Mapping[int, bytes]) -> None:
        """Replace the data of each event id in `data_by_id`."""
        for event in self.events:
            event.data = data_by_id.get(event.id, event.data)
        for chunk in chunks(data_by_id.items(), MAX_SCRUBBED_PER_STATEMENT):
            execute(
                values_cte("id, data", len(chunk)) + "UPDATE events SET data=input.data FROM input WHERE events.id=input.id",
                [value for event, data in chunk for value in (event, data.decode())],
            )

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Run one operation of a batch: when it raises, only its statements and events are undone."""
        events_before = len(self.events)
        execute("SAVEPOINT operation")
        try:
            yield
            if not in_transaction():  # else the next operation's SAVEPOINT would start a transaction of its own
                raise TransactionLostError
        except BaseException:
            self._undo(events_before)
            raise
        execute("RELEASE operation")

    def _undo(self, events_before: int) -> None:
        if not in_transaction():
            raise TransactionLostError
        execute("ROLLBACK TO operation")
        execute("RELEASE operation")
        del self.events[events_before:]
        self.cache.clear()

    def flush(self) -> None:
        """Insert the appended events."""
        values = [(e.id, e.stream, e.type, e.at_ms, e.data.decode()) for e in self.events]
        insert_rows(EventRow, COLUMNS, values)


@contextmanager
def transaction(cache: TransactionCache | None = None, *, appends: bool = True, durable: bool = True) -> Iterator[Transaction]:
    """Run one write transaction. All writes of Bellwire are in one of these.

    On PostgreSQL one that never `appends` does not wait for those that do. Unless `durable`, a crash of the machine may undo the
    whole transaction after its commit. Raises TransactionLostError when the store ended the transaction because of an error,
    peewee.DatabaseError when it can't be begun or committed. An exception rolls it back. After an error in COMMIT the outcome is
    unknown, and nothing is run again.
    """
    start = engine().begin(appends=appends, durable=durable)
    try:
        tx = Transaction(cache or TransactionCache(), start, appends=appends)
        yield tx
        if not in_transaction():  # else each statement from here on would commit alone
            raise TransactionLostError
        tx.flush()
        newest_event = tx.events[-1].id if tx.events else None
        if not engine().commit(tx.assigned_ids, newest_event):
            raise TransactionLostError
    except BaseException:
        if cache is not None:
            cache.clear()
        engine().rollback()
        raise
    if newest_event is not None:
        _announce(newest_event)


def _announce(newest_event: int) -> None:
    """Call the listeners. One that raises must not make a transaction that is on disk look failed."""
    for callback in on_append:
        try:
            callback(newest_event)
        except Exception:
            logger.exception("append_listener_failed")


def read_after(position: int, limit: int) -> list[Event]:
    """Return at most `limit` events of all streams after a position, in order. Raw SQL: tails run it for every commit."""
    events = rows("SELECT id, stream, type, at_ms, data FROM events WHERE id>? ORDER BY id LIMIT ?", (position, limit))
    return [Event(i, stream, kind, at, data.encode()) for i, stream, kind, at, data in events]


def find(number: int) -> Event | None:
    """Return one event, or None when it was trimmed or never existed."""
    row = EventRow.select().where(EventRow.id == number).tuples().first()
    if row is None:
        return None
    id_, stream, kind, at_ms, data = row
    return Event(id_, stream, kind, at_ms, data.encode())


def first_after(at_ms: int) -> int:
    """Return the id of the first event that is newer than a time, or the one after the head if there is none.

    Times grow with ids, so it reads no more events than an id has bits.
    """
    low, high = 0, head() + 1
    while low < high:
        middle = (low + high) // 2
        event = EventRow.select(EventRow.id, EventRow.at_ms).where(EventRow.id >= middle).order_by(EventRow.id).tuples().first()
        if event is None or event[1] > at_ms:
            high = middle
        else:
            low = event[0] + 1
    return low


def head() -> int:
    """Return the newest committed event id."""
    return engine().head()
