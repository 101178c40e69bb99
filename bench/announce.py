"""An announcement to 10,000 people: what writing in bulk is worth, and what the sends beside it notice.

The first is measured as `bulk` is: in a process of its own (`python -m bench.announce SINGLES RECEIVERS`), the same code and the
same durability both ways, without pauses for senders, of whom there are none.
"""

import asyncio
import subprocess
import sys
from time import perf_counter
from typing import Any

import msgspec

from bench.bulk import DRAIN_S, Drained
from bench.client import Client
from bench.figures import Benchmark, Bound, Line, Outcome, Scale
from bench.load import Stream, open_loop, percentile
from bench.people import make_people
from bench.server import ROOT, Bellwire, StartFailed, bellwire
from bench.targets import Chat, chat, numbers

RATE, USERS = 200, 100
LOOK_S = 0.05
SAID = {"type": "system", "title": "Down on Sunday", "body": "From noon to one o'clock, for a new disk."}
LATEST_S = 60.0


def _people(count: int) -> list[int]:
    """Make so many people in the store; return their ids."""
    from models.accounts import registration
    from models.accounts.registration import NewUser
    from models.log import event

    new = [NewUser(f"reader{number}", f"reader{number}@example.org") for number in range(count)]
    with event.transaction() as tx:
        return [made.id for made in registration.create_active(tx, new, [None] * count)]


def _announced(users: list[int], a_transaction: int) -> Drained:
    """Announce something to these people, so many a transaction."""
    from jobs.consumers import announcements as job
    from jobs.drain.drain import drain
    from models.log import event
    from models.notices import announcement

    with event.transaction() as tx:
        announcement.create(
            tx, announcement.AnnouncementContent(users[0], None, users, SAID["type"], SAID["title"], SAID["body"], b"{}")
        )
    job.RECEIVERS_PER_TRANSACTION = a_transaction
    start = perf_counter()
    drain(job.AnnouncementConsumer(), pause=False)
    return Drained(len(users), perf_counter() - start)


def _both_ways(singles: int, receivers: int) -> tuple[Drained, Drained]:
    """Announce to some one by one, then to all in bulk, in the store that the environment names."""
    from commands import opening
    from jobs.consumers.announcements import RECEIVERS_PER_TRANSACTION

    usual = RECEIVERS_PER_TRANSACTION
    with opening.store(opening.settings()):
        users = _people(receivers)
        _announced(users[:50], usual)  # warm-up: statements, caches, the checkpoint's row
        return _announced(users[:singles], 1), _announced(users, usual)


def _apart(server: Bellwire, singles: int, receivers: int) -> tuple[Drained, Drained]:
    """Let another process, which has the server's settings, do it."""
    command = [sys.executable, "-m", "bench.announce", str(singles), str(receivers)]
    done = subprocess.run(command, cwd=ROOT, env=server.env(), capture_output=True, timeout=DRAIN_S)
    if done.returncode:
        raise StartFailed(done.stderr.decode()[-2000:])
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=tuple[Drained, Drained])  # behind the drains' own lines


async def _beside(server: Bellwire, target: Chat, seconds: float) -> tuple[Stream, float, float]:
    """Send while everybody is told; return the sends, and from when to when people were."""
    client = Client(server.port)
    sending = asyncio.create_task(open_loop(target, RATE, seconds, numbers(500_000)))
    await client.call("POST", "/api/v1/admin/notifications", server.admin_token, {"role": "user", **SAID})
    start = perf_counter()
    ended = await _told(client, server.admin_token)
    stream = await sending
    client.close()
    return stream, start, ended


async def _told(client: Client, token: str) -> float:
    """Return when the newest announcement was over."""
    deadline = perf_counter() + LATEST_S
    while perf_counter() < deadline:
        newest: dict[str, Any] = (await client.call("GET", "/api/v1/admin/jobs", token))["fanouts"][0]
        if newest["state"] == "done":
            return perf_counter()
        await asyncio.sleep(LOOK_S * 4)
    raise TimeoutError("the announcement did not end")


async def announce(scale: Scale) -> Outcome:
    """Bulk against one by one without senders; then sends at 200/s without and beside an announcement to 10,000."""
    singles, receivers, seconds = scale.count(1_000, 200), scale.count(10_000, 1_000), scale.pick(12, 4)
    with bellwire(worker=False) as server:
        server.stop()
        one, many = _apart(server, singles, receivers)
    with bellwire() as server:
        target = await chat(server, USERS)
        client = Client(server.port)
        await make_people(client, server.admin_token, receivers - USERS, "reader", tokens=False)
        client.close()
        await open_loop(target, RATE, 1, numbers())
        alone = await open_loop(target, RATE, seconds, numbers(1_000))
        beside, start, ended = await _beside(server, target, seconds)
    during = [t for t, end in zip(beside.latencies_s, beside.ended_at, strict=True) if start <= end <= ended]
    remarks = [
        f"one by one: {one.rows:,} told in {one.seconds:.2f} s; in bulk: {many.rows:,} in {many.seconds:.2f} s",
        f"beside sends: {receivers:,} told in {ended - start:.1f} s; {len(during):,} sends lay beside it, and only these count",
        f"sends without: p50 {alone.percentile_ms(0.5):.2f} ms, beside: p50 {1000 * percentile(during, 0.5):.2f} ms",
    ]
    values: dict[str, tuple[float, float | None]] = {
        "rate": (many.rate, one.rate),
        "p99": (1000 * percentile(during, 0.99), alone.percentile_ms(0.99)),
        "seconds": (ended - start, None),
    }
    failed, why = alone.failed + beside.failed, alone.first_failure or beside.first_failure
    return Outcome(values, failed, why, remarks)


ANNOUNCE = Benchmark(
    "announce",
    {
        "rate": Line("people told in bulk; floor: one transaction each", "/s", Bound(20, least=True), Bound(50, least=True)),
        "p99": Line("send p99 at 200/s beside an announcement to 10,000; floor: without", "ms", Bound(1.5), Bound(1.1)),
        "seconds": Line(
            "the announcement beside these sends, from its answer to its end", "s", Bound(10, "measured"), Bound(5, "measured")
        ),
    },
    announce,
)

if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(_both_ways(int(sys.argv[1]), int(sys.argv[2]))))
