"""The core of a gateway without HTTP: committer, hub and reader threads on the running loop."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from conf import Settings
from gateway.commit.committer import CommittedBatch, Committer
from gateway.commit.recorder import Recorder
from gateway.commit.threads import MAX_READS_WAITING, READER_THREADS, ThreadPool
from gateway.delivery.hub import Hub
from gateway.delivery.subscriptions import Answer, Subscription
from gateway.delivery.tail import Tail
from models.chat.message import Draft, Posted
from models.identity import token
from models.log import event
from models.log.event import Event, Transaction
from models.store import facts
from models.store.database import disconnect, rows
from tests.stores import open_migrated, settings_of


@contextmanager
def opened(folder: Path, **settings: Any) -> Iterator[Settings]:
    """A migrated store, with the models bound to it."""
    chosen = settings_of(folder, settings)
    open_migrated(chosen)
    try:
        yield chosen
    finally:
        disconnect()


class Reads:
    """The hub's reads, all by one function in the place of its thread pool."""

    def __init__(self, read: Callable[..., Awaitable[Any]]) -> None:
        self._read = read

    async def __call__(self, work: Callable[..., Any], *args: Any) -> Any:
        """Read."""
        return await self._read(work, *args)

    async def of_account(self, _account: int, work: Callable[..., Any], *args: Any) -> Any:
        """Read for an account."""
        return await self._read(work, *args)


class Core:
    """Use it as `async with Core() as core`. `with_tail`: a tail reads the events that other processes commit.

    `max_transaction_s` is generous: a busy machine must not divide batches.
    """

    def __init__(self, *, with_tail: bool = False, max_transaction_s: float = 60.0) -> None:
        self.read = ThreadPool("reader", READER_THREADS, MAX_READS_WAITING)
        self.hub = Hub(facts.epoch(), event.head(), self.read, self)
        self.committer = Committer(self._committed, max_transaction_s)
        self.recorder = Recorder()
        self.batches: list[int] = []  # the number of operations of each commit
        self.accounts: list[Event] = []  # the account events that the hub passed on
        self.online: list[tuple[int, bool]] = []  # (user, whether they connected or disconnected)
        self.missing = 0  # how often the hub reported lost events
        self._tail = Tail(self.hub) if with_tail else None
        if self._tail is not None:
            self.hub.check_log = self._tail.check

    async def __aenter__(self) -> Self:
        self.committer.start(self.hub.head)
        if self._tail is not None:
            self._tail.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.committer.stop()
        if self._tail is not None:
            self._tail.stop()
        self.recorder.close()
        self.read.close()

    def _committed(self, committed: CommittedBatch) -> None:
        self.batches.append(len(committed.operations))
        self.hub.publish(committed.after, committed.events, committed.at)

    def account_event(self, event: Event) -> None:
        """Record an account event from the hub."""
        self.accounts.append(event)

    def user_connected(self, user: int) -> None:
        """A user's first subscription was opened."""
        self.online.append((user, True))

    def user_disconnected(self, user: int, silent_s: float) -> None:
        """A user's last subscription was closed."""
        self.online.append((user, False))

    def events_lost(self) -> None:
        """Count a report of the hub that it has missed events."""
        self.missing += 1

    async def send(self, sender: int, body: str = "words", **draft: Any) -> Posted:
        """Post a message with a token of the sender. Raises the error of the future."""
        return await self.committer.post(Draft(sender, token_of(sender), body, **draft)).future

    async def do(self, run: Callable[[Transaction], Any]) -> Any:
        """Run an operation as the gateway itself."""
        return await self.committer.call(None, run)

    async def poll(
        self, user: int, position: int, timeout_s: float = 0, types: frozenset[str] | None = None, posts: bool = False
    ) -> Answer:
        """Answer one long poll."""
        subscription = await self.subscription(user, position, types, posts)
        try:
            return await self.hub.next(subscription, timeout_s)
        finally:
            self.hub.unregister(subscription)

    async def subscription(
        self, user: int, position: int, types: frozenset[str] | None = None, posts: bool = False
    ) -> Subscription:
        """Register a subscription, as a poll does."""
        feed = await self.hub.feed(user) if posts else None
        subscriber = self.hub.loaded_subscriber(user) or await self.hub.subscriber(user)
        return self.hub.register(subscriber, token_of(user), position, types, feed)

    async def all_after(self, user: int, position: int, types: frozenset[str] | None = None) -> tuple[list[Event], int]:
        """Poll from a position on until there are no more events; returns them and the last position."""
        events: list[Event] = []
        while True:
            answer = await self.poll(user, position, 0, types)
            events += answer.events
            position = answer.position
            if not answer.more:
                return events, position


def token_of(user: int) -> int:
    """The id of a user's newest token, which is created if there is none."""
    found = rows("SELECT max(id) FROM tokens WHERE user_id=?", (user,))[0][0]
    if found is None:
        with event.transaction() as tx:
            token.create(tx, user)
        return token_of(user)
    return int(found)
