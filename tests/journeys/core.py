"""The core of a gateway without HTTP: committer, hub and reader threads over a store, on the loop that runs."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any, Self

from conf import Settings
from gateway.commit.committer import CommittedBatch, Committer
from gateway.commit.threads import MAX_READS_WAITING, READER_THREADS, ThreadPool
from gateway.delivery.hub import Hub
from gateway.delivery.subscriptions import Answer, Subscription
from gateway.delivery.tail import Tail
from models import schema
from models.chat.message import Draft, Posted
from models.identity import token
from models.log import event
from models.log.event import Event, Transaction
from models.store import facts
from models.store.database import connect, disconnect, rows
from tests.stores import settings_of


@contextmanager
def opened(folder: Path, **settings: Any) -> Iterator[Settings]:
    """A migrated store, with the models bound to it."""
    chosen = settings_of(folder, settings)
    connect(chosen)
    schema.migrate()
    try:
        yield chosen
    finally:
        disconnect()


class Core:
    """Made and used on one loop, as `async with Core() as core`. `look`: whether a tail follows what others commit."""

    def __init__(self, look: bool = False) -> None:
        self.read = ThreadPool("reader", READER_THREADS, MAX_READS_WAITING)
        self.hub = Hub(facts.epoch(), event.head(), self.read, self)
        self.committer = Committer(self._committed)
        self.batches: list[int] = []  # how many operations each commit had
        self.accounts: list[Event] = []  # what the hub told of accounts
        self.online: list[tuple[int, bool]] = []  # who began and ended to watch
        self.missing = 0  # how often the hub has missed a part of the log
        self._tail = Tail(self.hub) if look else None
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
        self.read.close()

    def _committed(self, committed: CommittedBatch) -> None:
        self.batches.append(len(committed.operations))
        self.hub.publish(committed.after, committed.events, committed.at)

    def account_event(self, event: Event) -> None:
        """The hub tells of an account."""
        self.accounts.append(event)

    def user_connected(self, user: int) -> None:
        """A user's first subscription was opened."""
        self.online.append((user, True))

    def user_disconnected(self, user: int) -> None:
        """A user's last subscription was closed."""
        self.online.append((user, False))

    def events_lost(self) -> None:
        """The hub tells that it has missed a part of the log."""
        self.missing += 1

    async def send(self, sender: int, body: str = "words", **draft: Any) -> Posted:
        """Posts with a token of the sender's. Raises what the future raises."""
        return await self.committer.post(Draft(sender, token_of(sender), body, **draft)).future

    async def do(self, run: Callable[[Transaction], Any]) -> Any:
        """Runs a verb as the gateway itself."""
        return await self.committer.call(None, run)

    async def poll(
        self, user: int, position: int, timeout_s: float = 0, types: frozenset[str] | None = None, posts: bool = False
    ) -> Answer:
        """One long poll."""
        subscription = await self.subscription(user, position, types, posts)
        try:
            return await self.hub.next(subscription, timeout_s)
        finally:
            self.hub.unregister(subscription)

    async def subscription(
        self, user: int, position: int, types: frozenset[str] | None = None, posts: bool = False
    ) -> Subscription:
        """Registers a reader, as a poll does."""
        feed = await self.hub.feed(user) if posts else None
        subscriber = self.hub.loaded_subscriber(user) or await self.hub.subscriber(user)
        return self.hub.register(subscriber, token_of(user), position, types, feed)

    async def all_after(self, user: int, position: int, types: frozenset[str] | None = None) -> tuple[list[Event], int]:
        """What a user's polls give from a position on, until there is no more."""
        events: list[Event] = []
        while True:
            answer = await self.poll(user, position, 0, types)
            events += answer.events
            position = answer.position
            if not answer.more:
                return events, position


def token_of(user: int) -> int:
    """The id of a user's newest token, made when there is none."""
    found = rows("SELECT max(id) FROM tokens WHERE user_id=?", (user,))[0][0]
    if found is None:
        with event.transaction() as tx:
            token.create(tx, user)
        return token_of(user)
    return int(found)


async def until(condition: Callable[[], object], limit_s: float = 30) -> None:
    """Returns when the condition holds, letting the loop run meanwhile; fails after a while."""
    deadline = monotonic() + limit_s
    while not condition():
        assert monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.002)
