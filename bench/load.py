"""Loads: a closed loop of sends, an open loop at a fixed rate, and readers that poll for ever."""

import asyncio
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter

from bench.client import Client
from bench.targets import Addressed, Polling, Sending

WARM_UP = 20  # requests of a connection before the clock runs
POLL_S = 25.0  # below the 30 s after which proxies, and Bellwire by default, end a poll
SENDERS = 32  # connections of an open loop at the start; it opens more rather than wait for one
LAST_DELIVERIES_S = 6.0  # how long a delivery may take before it counts as lost


def percentile(values: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile, NaN of nothing."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


@dataclass
class Tally:
    """What a load came to: what was answered as it should be, and what was not."""

    latencies_s: list[float] = field(default_factory=list)
    ended_at: list[float] = field(default_factory=list)
    failed: int = 0
    first_failure: str = ""
    wall_s: float = 0.0

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return len(self.latencies_s) / self.wall_s

    def percentile_ms(self, share: float) -> float:
        """Return a percentile of the latencies in milliseconds."""
        return 1000 * percentile(self.latencies_s, share)

    def add(self, other: "Tally") -> None:
        """Take in what another turn of the same load came to."""
        self.latencies_s += other.latencies_s
        self.ended_at += other.ended_at
        self.failed += other.failed
        self.first_failure = self.first_failure or other.first_failure
        self.wall_s += other.wall_s

    def fail(self, why: str) -> None:
        """Count a failure; keep the first one's reason."""
        self.failed += 1
        self.first_failure = self.first_failure or why


async def timed_request(client: Client, raw: bytes, expected: int, tally: Tally) -> bool:
    """Send, wait, and enter the outcome in the tally; return whether the status was the expected one."""
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
    target: Sending,
    connections: int,
    numbers: Iterator[int],
    seconds: float = math.inf,
    count: int | None = None,
    users: Sequence[int] = (),
) -> Tally:
    """Send over each connection as soon as the former send was answered, for `seconds` or until `count` were sent.

    Connection k sends to user k (or users[k]). After failures a connection pauses, so that a dead server is not spun at.
    """
    tally, warming = Tally(), Tally()
    clients = [Client(target.port) for _ in range(connections)]
    left = count

    async def warm(client: Client, user: int) -> None:
        for _ in range(WARM_UP):
            await timed_request(client, target.send(user, next(numbers)), target.created, warming)

    async def loop(client: Client, user: int) -> None:
        nonlocal left
        while perf_counter() < deadline and (left is None or left > 0):
            if left is not None:
                left -= 1
            if not await timed_request(client, target.send(user, next(numbers)), target.created, tally):
                await asyncio.sleep(0.05)

    pairs = [(client, users[k] if users else k) for k, client in enumerate(clients)]
    if count is None:
        await asyncio.gather(*(warm(*pair) for pair in pairs))
    start = perf_counter()
    deadline = start + seconds
    await asyncio.gather(*(loop(*pair) for pair in pairs))
    tally.wall_s = perf_counter() - start
    tally.failed += warming.failed
    tally.first_failure = warming.first_failure or tally.first_failure
    for client in clients:
        client.close()
    return tally


class Readers:
    """Everybody polls for ever, passing the cursor back; keeps when each message came, and what came twice."""

    def __init__(self, target: Polling) -> None:
        """Take the target; nobody polls yet."""
        self._target = target
        self._tasks: list[asyncio.Task[None]] = []
        self.got_at: dict[int, float] = {}
        self.doubled = 0
        self.failed = 0

    async def start(self, settle_s: float = 1.0) -> None:
        """Open every poll and give the server time to hold them."""
        client = Client(self._target.port)
        cursors = [await self._target.cursor(client, user) for user in range(self._target.users)]
        client.close()
        self._tasks = [asyncio.create_task(self._poll(user, cursor)) for user, cursor in enumerate(cursors)]
        await asyncio.sleep(settle_s)

    async def _poll(self, user: int, cursor: str) -> None:
        client = Client(self._target.port)
        try:
            while True:
                cursor = await self._poll_once(client, user, cursor)
        finally:
            client.close()

    async def _poll_once(self, client: Client, user: int, cursor: str) -> str:
        try:
            answer = await client.request(self._target.poll(user, cursor, POLL_S), POLL_S + 10)
            if answer.status != 200:
                raise ConnectionError(f"a poll was answered {answer.status}")
        except OSError:
            self.failed += 1
            await asyncio.sleep(0.1)
            return cursor
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
    """An open loop's tally, with the time at which each message was written and which were acknowledged."""

    sent_at: dict[int, float] = field(default_factory=dict)
    acknowledged: list[int] = field(default_factory=list)

    async def delivered(self, readers: Readers) -> tuple[list[float], int]:
        """Wait for the last deliveries; return the delays in seconds and how many messages never came."""
        for _ in range(int(LAST_DELIVERIES_S / 0.02)):
            if readers.got_at.keys() >= set(self.acknowledged):
                break
            await asyncio.sleep(0.02)
        known = self.sent_at.keys() & readers.got_at.keys()
        lost = len(set(self.acknowledged) - readers.got_at.keys())
        return [readers.got_at[number] - self.sent_at[number] for number in known], lost


async def open_loop(target: Addressed, rate: float, seconds: float, numbers: Iterator[int]) -> Stream:
    """Send `rate` messages a second, on time whether the former were answered or not, to the users in turn."""
    stream = Stream()
    free = [Client(target.port) for _ in range(SENDERS)]
    for client in free:
        await client.open()

    async def send(user: int, number: int) -> None:
        client = free.pop() if free else Client(target.port)
        stream.sent_at[number] = perf_counter()
        if await timed_request(client, target.send(user, number), target.created, stream):
            stream.acknowledged.append(number)
        free.append(client)

    start = perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for turn in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, start + turn / rate - perf_counter()))
            # 37 is prime to the usual numbers of users: neighbours in time are no neighbours in the list
            tasks.create_task(send(turn * 37 % target.users, next(numbers)))
    stream.wall_s = perf_counter() - start
    for client in free:
        client.close()
    return stream
