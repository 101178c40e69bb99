"""One gateway with a worker on PostgreSQL and Redis: the rate of durable sends, and the cost of a send to every process."""

import asyncio
from collections.abc import Sequence

from bench.benchmark import Benchmark, Bound, Figure, Line, Round, Scale, round_of
from bench.benchmarks.backlog import wait_until_drained
from bench.benchmarks.sends import CONNECTIONS
from bench.load.client import Client
from bench.load.loops import closed_loop
from bench.load.metrics_page import read_page, samples
from bench.load.targets import USERS, EchoFloor, create_chat, numbers
from bench.servers.bellwire import Bellwire, bellwire
from bench.servers.floors import floor
from bench.servers.processes import cpu_seconds, tree
from bench.servers.stores import Stores, stores

PARTS = ("gateway", "PostgreSQL", "Redis", "worker")
SETTLED = 200  # statements a second; an idle gateway and its worker run about 100
SETTLE_TIMEOUT_S = 60
COMMITS, COMMITTED = "bellwire_commit_batch_size_count", "bellwire_commit_batch_size_sum"


class Totals:
    """The totals that a load's cost is computed from, at one moment: CPU seconds by part, statements, commits."""

    def __init__(self, server: Bellwire, store: Stores, page: str) -> None:
        gateway = server.gateway_pid()
        pids: dict[str, Sequence[int]] = {
            "gateway": [gateway],
            "PostgreSQL": tree(store.postgres.process.pid),
            "Redis": [store.redis.process.pid],
            "worker": [pid for pid in server.pids() if pid != gateway],
        }
        self.cpu_s = {part: cpu_seconds(pids[part]) for part in PARTS}
        self.statements = store.statements()
        self.commits, self.committed = (sum(samples(page, name).values()) for name in (COMMITS, COMMITTED))


async def _totals(server: Bellwire, store: Stores) -> Totals:
    client = Client(server.port)
    page = await read_page(client)
    client.close()
    return Totals(server, store, page)


async def _settle(server: Bellwire, store: Stores) -> None:
    """Return when the drains are done and the mails of the first notifications have left, or after SETTLE_TIMEOUT_S."""
    await wait_until_drained(server)
    for _ in range(SETTLE_TIMEOUT_S):
        before = store.statements()
        await asyncio.sleep(1)
        if store.statements() - before < SETTLED:
            return


async def scaled(scale: Scale) -> Round:
    """Run the echo floor, then a closed loop over 100 connections; the drains that follow it count as a part of its cost.

    Each user has sent and received a message before: a first one also makes a conversation, a notification and a mail.
    """
    seconds = scale.seconds(8, 2)
    with floor() as echo:
        base = await closed_loop(EchoFloor(echo.port), CONNECTIONS, numbers(), seconds)
    with stores() as store, bellwire(settings=store.settings()) as server:
        target, counter = create_chat(server), numbers()
        await closed_loop(target, CONNECTIONS, counter, count=USERS)
        await _settle(server, store)
        before, first = await _totals(server, store), next(counter)
        tally = await closed_loop(target, CONNECTIONS, counter, seconds)
        sent = next(counter) - first - 1
        await wait_until_drained(server)
        after = await _totals(server, store)
    figures = {
        "rate": Figure(tally.rate, base.rate),
        "statements": Figure((after.statements - before.statements) / sent),
        "batch": Figure((after.committed - before.committed) / (after.commits - before.commits)),
        **{f"cpu {part}": Figure(1e6 * (after.cpu_s[part] - before.cpu_s[part]) / sent) for part in PARTS},
    }
    return round_of(figures, [base, tally], [f"echo: {base.summary()}", f"bellwire: {tally.summary()}"])


SCALED = Benchmark(
    "scaled",
    {
        "rate": Line("durable sends on PostgreSQL and Redis, 100 connections; floor: echo", "/s", Bound(0.3, at_least=True)),
        "statements": Line("all statements and commits per send, the drains' included", "", Bound(0.5, "measured")),
        "batch": Line("sends per commit", ""),
        **{f"cpu {part}": Line(f"CPU per send: {part}", "µs") for part in PARTS},
    },
    scaled,
)
