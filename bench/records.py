"""Activity in bulk: a page of many records, the export of all, and what sends notice while old ones are moved to the archive."""

import asyncio
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from time import perf_counter

from bench.client import Client, raw_request
from bench.figures import Benchmark, Bound, Line, Outcome, Scale
from bench.filling import ACTIONS, RARE, SITES, ended, fill, start
from bench.load import Tally, open_loop, timed_request
from bench.people import make_people
from bench.processes import pss_bytes
from bench.server import Bellwire, bellwire
from bench.targets import chat, numbers

USERS, DAYS = 50, 60
A_TURN = 50
RATE = 200
SAMPLE_S = 0.2
STARTING_S = 1.2  # a process needs before it archives
READ_BYTES = 1 << 20


def _filters(users: list[int], since: datetime) -> Iterator[str]:
    """Return queries without end: each filter in turn, from moments all over the time that there are records of."""
    chance = random.Random(11)
    while True:
        until = (since + timedelta(days=chance.uniform(1, DAYS))).strftime("%Y-%m-%dT%H:%M:%SZ")
        for one in (
            "",
            f"user={chance.choice(users)}",
            f"action={chance.choice(ACTIONS)}",
            f"action={RARE}",
            f"site=site{chance.randrange(SITES)}",
        ):
            yield f"{one}&until={until}"


class _Pages:
    """A server with so many records, and the pages that are asked of it, one after another."""

    def __init__(self, server: Bellwire, users: list[int]) -> None:
        """Nothing is asked yet."""
        self._server, self.tally = server, Tally()
        self._asked = _filters(users, datetime.now(UTC) - timedelta(days=DAYS))

    async def ask(self, count: int) -> None:
        """Ask for so many more."""
        client = Client(self._server.port)
        for query in islice(self._asked, count):
            raw = raw_request("GET", f"/api/v1/admin/activity?{query}", self._server.admin_token)
            await timed_request(client, raw, 200, self.tally)
        client.close()


async def _filled(server: Bellwire, count: int) -> _Pages:
    client = Client(server.port)
    users = [person.id for person in await make_people(client, server.admin_token, USERS, "person", tokens=False)]
    client.close()
    fill(server, count, DAYS)
    pages = _Pages(server, users)
    await pages.ask(A_TURN)
    pages.tally = Tally()
    return pages


async def activity(scale: Scale) -> Outcome:
    """Pages of 10,000 records and of 1,000,000, on a server each, in turns, so that both meet whatever else the machine does."""
    few, many, turns = 10_000, scale.count(1_000_000, 100_000), scale.count(20, 5)
    with bellwire(worker=False) as small, bellwire(worker=False) as large:
        base, found = await _filled(small, few), await _filled(large, many)
        for _ in range(turns):
            await base.ask(A_TURN)
            await found.ask(A_TURN)
    one, other = base.tally, found.tally
    return Outcome(
        {"p95": (other.percentile_ms(0.95), one.percentile_ms(0.95)), "p50": (other.percentile_ms(0.5), one.percentile_ms(0.5))},
        one.failed + other.failed,
        one.first_failure or other.first_failure,
    )


async def _read_all(server: Bellwire) -> tuple[int, int]:
    """Read an export to its end; return its lines and bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=READ_BYTES)
    lines = size = 0
    request = raw_request("GET", "/api/v1/admin/activity", server.admin_token)
    writer.write(request.replace(b"\r\n\r\n", b"\r\nAccept: application/x-ndjson\r\nConnection: close\r\n\r\n"))
    while part := await reader.read(READ_BYTES):
        lines, size = lines + part.count(b"}\n"), size + len(part)
    writer.close()
    return lines, size


async def export(scale: Scale) -> Outcome:
    """Export all: first 100,000, for the readers' caches to be full; then 1,000,000, looking at the memory meanwhile."""
    few, many = scale.count(100_000, 50_000), scale.count(1_000_000, 100_000)
    with bellwire() as server:
        pid = server.gateway_pid()
        fill(server, few, DAYS)
        await _read_all(server)
        fill(server, many - few, DAYS)
        before, most, began = pss_bytes([pid]), 0, perf_counter()
        reading = asyncio.create_task(_read_all(server))
        while not reading.done():
            await asyncio.wait([reading], timeout=SAMPLE_S)
            most = max(most, pss_bytes([pid]))
        lines, size = await reading
        took_s = perf_counter() - began
    return Outcome(
        {"memory": ((most - before) / 1e6, None), "rate": (lines / took_s, None)},
        abs(many - lines),
        f"{lines:,} of {many:,} records came" if lines != many else "",
        [
            f"{lines:,} records, {size / 1e6:.0f} MB in {took_s:.1f} s; "
            f"PSS before {before / 1e6:.1f} MB, at most {most / 1e6:.1f} MB"
        ],
    )


async def archiving(scale: Scale) -> Outcome:
    """Sends at 200/s without, and while another process archives records of long ago, as the sweep does; in turns."""
    turns, seconds, old = scale.count(4, 2), scale.pick(5, 3), scale.count(300_000, 60_000)
    alone, beside, moved, counter = Tally(), Tally(), 0, numbers()
    with bellwire(settings={"BELLWIRE_ACTIVITY_KEEP_DAYS": "36500"}) as server:
        target = await chat(server, USERS)
        fill(server, old, 400)
        await open_loop(target, RATE, 2, counter)
        for _ in range(turns):
            alone.add(await open_loop(target, RATE, seconds, counter))
            mover = start(server, "archive", str(seconds + 1), ACTIVITY_KEEP_DAYS="10")
            await asyncio.sleep(STARTING_S)
            beside.add(await open_loop(target, RATE, seconds, counter))
            moved += await asyncio.to_thread(ended, mover)
    remarks = [
        f"{moved:,} records moved; sends without: p50 {alone.percentile_ms(0.5):.2f} ms, beside: {beside.percentile_ms(0.5):.2f} ms"
    ]
    failed, why = alone.failed + beside.failed, alone.first_failure or beside.first_failure
    return Outcome({"p99": (beside.percentile_ms(0.99), alone.percentile_ms(0.99))}, failed, why, remarks)


ACTIVITY = Benchmark(
    "activity",
    {
        "p95": Line("a page of 1,000,000 records, any one filter, p95; floor: of 10,000", "ms", Bound(2.0), Bound(1.2)),
        "p50": Line("the same, p50", "ms"),
    },
    activity,
)
EXPORT = Benchmark(
    "export",
    {
        "memory": Line(
            "the gateway's PSS grows while 1,000,000 records are exported", "MB", Bound(20, "measured"), Bound(8, "measured")
        ),
        "rate": Line("the same: records", "/s"),
    },
    export,
)
ARCHIVING = Benchmark(
    "archiving",
    {"p99": Line("send p99 at 200/s while records are archived; floor: without", "ms", Bound(1.5), Bound(1.1))},
    archiving,
)
