"""An announcement to 10,000 people, and a notification of the host's: the gain of writing in bulk, and the effect on the sends
beside it.

The gain is measured in a process of its own (`python -m bench.benchmarks.announce WHAT SINGLES`): the same code with the same
durability both ways, without pauses for senders, since there are none.
"""

import asyncio
import sys
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

import msgspec

from bench.benchmark import Benchmark, Bound, Figure, Line, Round, Scale, round_of
from bench.load.client import Client
from bench.load.loops import Stream, open_loop, percentile
from bench.load.people import create_people
from bench.load.targets import USERS, Chat, create_chat, numbers
from bench.servers.bellwire import Bellwire, bellwire

RATE = 200  # sends a second
CHECK_INTERVAL_S = 0.2
ANNOUNCEMENT = {"type": "system", "title": "Down on Sunday", "body": "From noon to one o'clock, for a new disk."}
NOTICE_TYPE = {
    "words": {
        "en": {"title": "Order {{ order }} has left", "body": "It reaches you on {{ day }}."},
        "de": {"title": "Bestellung {{ order }} ist unterwegs", "body": "Sie kommt am {{ day }} an."},
    }
}
NOTICE: dict[str, Any] = {"type": "order.shipped", "values": {"order": 1017, "day": "Friday"}}
TIMEOUT_S = 60.0


class Call(NamedTuple):
    """A call that notifies everybody, and the consumer that does its work."""

    consumer: str
    route: str
    body: dict[str, Any]


ANNOUNCEMENTS = Call("fanout", "/api/v1/admin/notifications", {"role": "user", **ANNOUNCEMENT})
NOTICES = Call("host", "/api/v1/admin/notify", {"role": "user", **NOTICE})


class Batch(NamedTuple):
    """The number of people who are notified in one transaction, and of those who are read at once."""

    per_transaction: int
    per_read: int


class Drained(NamedTuple):
    """The number of notified people and the time of one way."""

    people: int
    seconds: float

    @property
    def rate(self) -> float:
        """People notified per second."""
        return self.people / self.seconds


def _announced(users: list[int], batch: Batch) -> Drained:
    """Announce to these users."""
    from jobs.consumers import announcements as consumer
    from jobs.drain.drain import drain
    from models.log import event
    from models.notices import announcement

    text = ANNOUNCEMENT
    with event.transaction() as tx:
        content = announcement.AnnouncementContent(users[0], None, users, text["type"], text["title"], text["body"], b"{}")
        announcement.create(tx, content)
    consumer.RECEIVERS_PER_TRANSACTION, consumer.RECEIVERS_PER_READ = batch
    start = perf_counter()
    drain(consumer.AnnouncementConsumer(), pause=False)
    return Drained(len(users), perf_counter() - start)


def _notified(users: list[int], batch: Batch) -> Drained:
    """Notify these users for the host."""
    from jobs.consumers import host_notices as consumer
    from jobs.drain.drain import drain
    from models.log import event
    from models.notices import host_notices, host_types

    receivers = msgspec.json.encode(users).decode()
    with event.transaction() as tx:
        host_types.put(tx, NOTICE["type"], msgspec.convert(NOTICE_TYPE, host_types.Definition))
        values = msgspec.json.encode(NOTICE["values"])
        new = host_notices.NewNotice(NOTICE["type"], host_notices.USERS, receivers, None, values, None, None, None, False)
        host_notices.request(tx, new)
    consumer.RECEIVERS_PER_TRANSACTION, consumer.RECEIVERS_PER_READ = batch
    start = perf_counter()
    drain(consumer.HostNoticeConsumer(), pause=False)
    return Drained(len(users), perf_counter() - start)


def _both_ways(notify: Callable[[list[int], Batch], Drained], singles: int) -> tuple[Drained, Drained]:
    """Notify some users one by one, then all in bulk, in the store that the environment names."""
    from commands import opening
    from jobs.consumers.announcements import RECEIVERS_PER_READ, RECEIVERS_PER_TRANSACTION
    from models.store.database import rows

    with opening.store(opening.settings()):
        users = [user for (user,) in rows("SELECT id FROM users WHERE role='user' ORDER BY id")]
        bulk = Batch(RECEIVERS_PER_TRANSACTION, RECEIVERS_PER_READ)
        notify(users[:50], bulk)  # warm-up: statements, caches, the checkpoint's row
        return notify(users[:singles], Batch(1, 1)), notify(users, bulk)


async def _send_beside(server: Bellwire, call: Call, target: Chat, seconds: float) -> tuple[Stream, float, float]:
    """Send while everybody is notified; return the sends, and when the call was answered and its work done."""
    client = Client(server.port)
    sending = asyncio.create_task(open_loop(target, RATE, seconds, numbers(500_000)))
    await client.call("POST", call.route, server.admin_token, call.body)
    start = perf_counter()
    end = await _wait_until_done(client, server.admin_token, call.consumer)
    stream = await sending
    client.close()
    return stream, start, end


async def _wait_until_done(client: Client, token: str, consumer: str) -> float:
    """Return when the consumer was at the log's end; raise TimeoutError after TIMEOUT_S."""
    deadline = perf_counter() + TIMEOUT_S
    while perf_counter() < deadline:
        await asyncio.sleep(CHECK_INTERVAL_S)
        jobs: dict[str, Any] = await client.call("GET", "/api/v1/admin/jobs", token)
        if all(status["lag_s"] == 0 for status in jobs["consumers"] if status["consumer"] == consumer):
            return perf_counter()
    raise TimeoutError("it did not end")


async def _notify_everybody(call: Call, scale: Scale) -> Round:
    """Notify in bulk and one by one without senders; then send at 200/s without and beside a call that notifies 10,000."""
    singles, receivers, seconds = scale.count(1_000, 200), scale.count(10_000, 1_500), scale.seconds(12, 4)
    with bellwire(worker=False) as server:
        create_people(server, receivers, "reader", tokens=False)
        server.stop()
        output = server.run("-m", "bench.benchmarks.announce", call.consumer, str(singles))
        single, bulk = msgspec.json.decode(output.splitlines()[-1], type=tuple[Drained, Drained])  # after the drains' log lines
    with bellwire() as server:
        target = create_chat(server)
        create_people(server, receivers - USERS, "reader", tokens=False)
        client = Client(server.port)
        await client.call("PUT", f"/api/v1/admin/notification-types/{NOTICE['type']}", server.admin_token, NOTICE_TYPE)
        client.close()
        await open_loop(target, RATE, 1, numbers())
        alone = await open_loop(target, RATE, seconds, numbers(1_000))
        beside, start, end = await _send_beside(server, call, target, seconds)
    during = [latency for latency, at in zip(beside.latencies_s, beside.ended_at, strict=True) if start <= at <= end]
    remarks = [
        f"one by one: {single.people:,} notified in {single.seconds:.2f} s; in bulk: {bulk.people:,} in {bulk.seconds:.2f} s",
        f"beside sends: {receivers:,} notified in {end - start:.1f} s; {len(during):,} sends lay beside it, and only these count",
        f"sends without: p50 {alone.percentile_ms(0.5):.2f} ms, beside: p50 {1000 * percentile(during, 0.5):.2f} ms",
    ]
    figures = {
        "rate": Figure(bulk.rate, single.rate),
        "p99": Figure(1000 * percentile(during, 0.99), alone.percentile_ms(0.99)),
        "seconds": Figure(end - start),
    }
    return round_of(figures, [alone, beside], remarks)


def _benchmark(name: str, what: str, call: Call) -> Benchmark:
    lines = {
        "rate": Line(
            f"people notified in bulk by {what}; floor: one transaction each",
            "/s",
            Bound(20, at_least=True),
            Bound(50, at_least=True),
        ),
        "p99": Line(f"send p99 at 200/s beside {what} to 10,000; floor: without", "ms", Bound(1.5), Bound(1.1)),
        "seconds": Line(f"{what} beside these sends, from its answer to its end", "s", Bound(10, "measured"), Bound(5, "measured")),
    }
    return Benchmark(name, lines, partial(_notify_everybody, call))


ANNOUNCE = _benchmark("announce", "an announcement", ANNOUNCEMENTS)
NOTIFY = _benchmark("notify", "a notification of the host's", NOTICES)

if __name__ == "__main__":
    ways = {ANNOUNCEMENTS.consumer: _announced, NOTICES.consumer: _notified}
    sys.stdout.buffer.write(msgspec.json.encode(_both_ways(ways[sys.argv[1]], int(sys.argv[2]))))
