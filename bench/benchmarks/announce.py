"""An announcement to 10,000 people: the gain of writing in bulk, and the effect on the sends beside it.

The gain is measured in a process of its own (`python -m bench.benchmarks.announce SINGLES`): the same code with the same
durability both ways, without pauses for senders, since there are none.
"""

import asyncio
import sys
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
ANNOUNCE_TIMEOUT_S = 60.0


class Drained(NamedTuple):
    """The number of notified people and the time of one way."""

    people: int
    seconds: float

    @property
    def rate(self) -> float:
        """People notified per second."""
        return self.people / self.seconds


def _announced(users: list[int], per_transaction: int) -> Drained:
    """Announce to these users, so many in each transaction."""
    from jobs.consumers import announcements as consumer
    from jobs.drain.drain import drain
    from models.log import event
    from models.notices import announcement

    text = ANNOUNCEMENT
    with event.transaction() as tx:
        content = announcement.AnnouncementContent(users[0], None, users, text["type"], text["title"], text["body"], b"{}")
        announcement.create(tx, content)
    consumer.RECEIVERS_PER_TRANSACTION = per_transaction
    start = perf_counter()
    drain(consumer.AnnouncementConsumer(), pause=False)
    return Drained(len(users), perf_counter() - start)


def _announce_both_ways(singles: int) -> tuple[Drained, Drained]:
    """Announce to some users one by one, then to all in bulk, in the store that the environment names."""
    from commands import opening
    from jobs.consumers.announcements import RECEIVERS_PER_TRANSACTION
    from models.store.database import rows

    in_bulk = RECEIVERS_PER_TRANSACTION
    with opening.store(opening.settings()):
        users = [user for (user,) in rows("SELECT id FROM users WHERE role='user' ORDER BY id")]
        _announced(users[:50], in_bulk)  # warm-up: statements, caches, the checkpoint's row
        return _announced(users[:singles], 1), _announced(users, in_bulk)


async def _send_beside(server: Bellwire, target: Chat, seconds: float) -> tuple[Stream, float, float]:
    """Send during an announcement to everybody; return the sends, and the announcement's start and end."""
    client = Client(server.port)
    sending = asyncio.create_task(open_loop(target, RATE, seconds, numbers(500_000)))
    await client.call("POST", "/api/v1/admin/notifications", server.admin_token, {"role": "user", **ANNOUNCEMENT})
    start = perf_counter()
    end = await _wait_until_announced(client, server.admin_token)
    stream = await sending
    client.close()
    return stream, start, end


async def _wait_until_announced(client: Client, token: str) -> float:
    """Return the time at which the newest announcement was done; raise TimeoutError after ANNOUNCE_TIMEOUT_S."""
    deadline = perf_counter() + ANNOUNCE_TIMEOUT_S
    while perf_counter() < deadline:
        newest: dict[str, Any] = (await client.call("GET", "/api/v1/admin/jobs", token))["fanouts"][0]
        if newest["state"] == "done":
            return perf_counter()
        await asyncio.sleep(CHECK_INTERVAL_S)
    raise TimeoutError("the announcement did not end")


async def announce(scale: Scale) -> Round:
    """Announce in bulk and one by one without senders; then send at 200/s without and beside an announcement to 10,000."""
    singles, receivers, seconds = scale.count(1_000, 200), scale.count(10_000, 1_500), scale.seconds(12, 4)
    with bellwire(worker=False) as server:
        create_people(server, receivers, "reader", tokens=False)
        server.stop()
        output = server.run("-m", "bench.benchmarks.announce", str(singles))
        single, bulk = msgspec.json.decode(output.splitlines()[-1], type=tuple[Drained, Drained])  # after the drains' log lines
    with bellwire() as server:
        target = create_chat(server)
        create_people(server, receivers - USERS, "reader", tokens=False)
        await open_loop(target, RATE, 1, numbers())
        alone = await open_loop(target, RATE, seconds, numbers(1_000))
        beside, start, end = await _send_beside(server, target, seconds)
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


ANNOUNCE = Benchmark(
    "announce",
    {
        "rate": Line(
            "people notified in bulk; floor: one transaction each", "/s", Bound(20, at_least=True), Bound(50, at_least=True)
        ),
        "p99": Line("send p99 at 200/s beside an announcement to 10,000; floor: without", "ms", Bound(1.5), Bound(1.1)),
        "seconds": Line(
            "the announcement beside these sends, from its answer to its end", "s", Bound(10, "measured"), Bound(5, "measured")
        ),
    },
    announce,
)

if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(_announce_both_ways(int(sys.argv[1]))))
