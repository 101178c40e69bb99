"""Loads: a closed loop of sends, an open loop at a fixed rate, and readers that poll without a pause."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter

from bench.load.client import Client
from bench.load.targets import Polling, Sending

WARM_UP_REQUESTS = 20  # of each connection, before the clock runs
POLL_TIMEOUT_S = 25.0  # below the 30 s after which proxies, and Bellwire by default, end a poll
OPEN_LOOP_CONNECTIONS = 32  # at the start; an open loop opens more rather than wait for one
DELIVERY_TIMEOUT_S = 6.0  # a later delivery counts as lost
PAUSE_AFTER_FAILURE_S = 0.05
USER_STRIDE = 37  # has no factor in common with the usual numbers of users, so that successive messages go to distant users


def percentile(values: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile, NaN for an empty sequence."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


@dataclass
class Tally:
    """The result of a load: the requests with the expected status, and the number of all others."""

    latencies_s: list[float] = field(default_factory=list)
    ended_at: list[float] = field(default_factory=list)
    failed: int = 0
    first_failure: str = ""
    wall_s: float = 0.0

    @property
    def rate(self) -> float:
        """Requests with the expected status, per second."""
        return len(self.latencies_s) / self.wall_s

    def percentile_ms(self, share: float) -> float:
        """Return a percentile of the latencies in milliseconds."""
        return 1000 * percentile(self.latencies_s, share)

    def add(self, other: Tally) -> None:
        """Add another part of the same load."""
        self.latencies_s += other.latencies_s
        self.ended_at += other.ended_at
        self.failed += other.failed
        self.first_failure = self.first_failure or other.first_failure
        self.wall_s += other.wall_s

    def fail(self, reason: str) -> None:
        """Count a failure; keep the first one's reason."""
        self.failed += 1
        self.first_failure = self.first_failure or reason

    def summary(self) -> str:
        """Return rate and latencies as text."""
        return f"{self.rate:,.0f}/s, p50 {self.percentile_ms(0.5):.2f} ms, p99 {self.percentile_ms(0.99):.2f} ms"


async def timed_request(client: Client, raw: bytes, expected: int, tally: Tally) -> bool:
    """Send a request and enter its result in the tally; return whether the status was the expected one."""
    start = perf_counter()
    try:
        answer = await client.request(raw)
    except OSError as error:
        tally.fail(str(error))
        return False
    end = perf_counter()
    if answer.status != expected:
        tally.fail(f"{answer.status} {answer.text}")
        return False
    tally.latencies_s.append(end - start)
    tally.ended_at.append(end)
    return True


async def closed_loop(
    target: Sending, connections: int, numbers: Iterator[int], seconds: float = math.inf, count: int | None = None
) -> Tally:
    """Send over each connection as soon as the previous send was answered, for `seconds` or until `count` were sent.

    The connections share all users of the target between them and go through theirs in turn.
    """
    tally, warming = Tally(), Tally()
    clients = [Client(target.port) for _ in range(connections)]
    left = count

    async def send(client: Client, user: int, into: Tally) -> None:
        if not await timed_request(client, target.send(user % target.users, next(numbers)), target.created, into):
            await asyncio.sleep(PAUSE_AFTER_FAILURE_S)  # a dead server must not be called without a pause

    async def warm(client: Client, first_user: int) -> None:
        for user in itertools.islice(itertools.count(first_user, connections), WARM_UP_REQUESTS):
            await send(client, user, warming)

    async def loop(client: Client, first_user: int) -> None:
        nonlocal left
        for user in itertools.count(first_user, connections):
            if perf_counter() >= deadline or left == 0:
                break
            left = None if left is None else left - 1
            await send(client, user, tally)

    if count is None:
        await asyncio.gather(*(warm(client, k) for k, client in enumerate(clients)))
    start = perf_counter()
    deadline = start + seconds
    await asyncio.gather(*(loop(client, k) for k, client in enumerate(clients)))
    tally.wall_s = perf_counter() - start
    tally.failed += warming.failed
    tally.first_failure = warming.first_failure or tally.first_failure
    for client in clients:
        client.close()
    return tally


class Readers:
    """Readers, some for each user of the target, who poll without a pause and pass the cursor back."""

    def __init__(self, target: Polling, each: int = 1, timeout_s: float = POLL_TIMEOUT_S) -> None:
        self._target, self._each, self._timeout_s = target, each, timeout_s
        self._tasks: list[asyncio.Task[None]] = []
        self.got_at: dict[int, float] = {}
        self.answered = 0
        self.doubled = 0
        self.failed = 0
        self.first_failure = ""

    async def start(self, settle_s: float = 1.0) -> None:
        """Open every poll and wait until the server has accepted them."""
        client = Client(self._target.port)
        cursors = [await self._target.cursor(client, user) for user in range(self._target.users)]
        client.close()
        self._tasks = [asyncio.create_task(self._poll(number, cursor)) for number, cursor in enumerate(cursors * self._each)]
        await asyncio.sleep(settle_s)

    async def _poll(self, number: int, cursor: str) -> None:
        client, user = Client(self._target.port), number % self._target.users
        try:
            while True:
                cursor = await self._poll_once(client, user, cursor)
        finally:
            client.close()

    async def _poll_once(self, client: Client, user: int, cursor: str) -> str:
        try:
            answer = await client.request(self._target.poll(user, cursor, self._timeout_s), self._timeout_s + 10)
            if answer.status != 200:
                raise ConnectionError(f"{answer.status} {answer.text}")
        except OSError as error:
            self.failed += 1
            self.first_failure = self.first_failure or f"a poll failed: {error}"
            await asyncio.sleep(PAUSE_AFTER_FAILURE_S)
            return cursor
        self.answered += 1
        cursor, numbers = self._target.polled(user, answer.body)
        now = perf_counter()
        for number in numbers:
            self.doubled += number in self.got_at
            self.got_at.setdefault(number, now)
        return cursor

    async def stop(self) -> None:
        """End the polls."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@dataclass
class Stream(Tally):
    """An open loop's tally, with the time at which each message was sent, and the acknowledged messages."""

    sent_at: dict[int, float] = field(default_factory=dict)
    acknowledged: list[int] = field(default_factory=list)

    async def delivered(self, readers: Readers) -> tuple[list[float], int]:
        """Wait for the last deliveries; return the delays in seconds and the number of lost messages."""
        for _ in range(int(DELIVERY_TIMEOUT_S / 0.02)):
            if readers.got_at.keys() >= set(self.acknowledged):
                break
            await asyncio.sleep(0.02)
        known = self.sent_at.keys() & readers.got_at.keys()
        lost = len(set(self.acknowledged) - readers.got_at.keys())
        return [readers.got_at[number] - self.sent_at[number] for number in known], lost


async def connected(port: int) -> deque[Client]:
    """Open the connections of an open loop. They are used in turns, as each person has one."""
    clients = deque(Client(port) for _ in range(OPEN_LOOP_CONNECTIONS))
    for client in clients:
        await client.open()
    return clients


async def open_loop(
    target: Sending, rate: float, seconds: float, numbers: Iterator[int], clients: deque[Client] | None = None
) -> Stream:
    """Send `rate` messages a second to the users in turn, on time even when earlier ones are not answered yet.

    `clients` are those of an earlier loop, which stay open; without them, connections are opened for this one.
    """
    stream = Stream()
    free = await connected(target.port) if clients is None else clients

    async def send(user: int, number: int) -> None:
        client = free.popleft() if free else Client(target.port)
        stream.sent_at[number] = perf_counter()
        if await timed_request(client, target.send(user, number), target.created, stream):
            stream.acknowledged.append(number)
        free.append(client)

    start = perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for index in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, start + index / rate - perf_counter()))
            tasks.create_task(send(index * USER_STRIDE % target.users, next(numbers)))
    stream.wall_s = perf_counter() - start
    for client in free if clients is None else ():
        client.close()
    return stream
