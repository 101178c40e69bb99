"""One gateway on PostgreSQL and Redis: how many durable sends it takes, what each costs every process, and what that means for
installations of several."""

from collections.abc import Iterator
from functools import partial

from bench.capacity import Cost, Costs, capacity
from bench.client import Client
from bench.figures import Benchmark, Bound, Line, Outcome, Scale
from bench.load import Readers, Tally, closed_loop, open_loop
from bench.processes import cpu_seconds
from bench.sends import CONNECTIONS
from bench.server import bellwire, floor
from bench.shares import Installation, Share, share
from bench.statements import BATCH, full_batches
from bench.stores import stores
from bench.targets import Chat, EchoFloor, chat, numbers

RATE = 200  # sends a second: few share a commit
POLLERS = 16


class _EmptyPolls:
    """A load of polls that nothing waits for, in a send's place."""

    created = 200

    def __init__(self, target: Chat, cursor: str) -> None:
        self.port, self._target, self._cursor = target.port, target, cursor

    def send(self, user: int, number: int) -> bytes:
        """Return a poll."""
        return self._target.poll(user, self._cursor, 0)


class _Steps:
    """The loads of one run, one after the other."""

    def __init__(self, place: Installation, target: Chat, counter: Iterator[int], scale: Scale) -> None:
        self._place, self._target, self._counter = place, target, counter
        self._calm_s, self._poll_s = scale.pick(6, 2), scale.pick(3, 1)

    async def full(self, seconds: float) -> Share:
        """Run a closed loop over all connections."""
        return await share(self._place, self._counter, partial(closed_loop, self._target, CONNECTIONS, self._counter, seconds))

    async def calm(self) -> Share:
        """Send at a rate at which most sends are alone in their commit."""
        return await share(self._place, self._counter, partial(open_loop, self._target, RATE, self._calm_s, self._counter))

    def add_gateway(self) -> Chat:
        """Start a second gateway; return the target behind it."""
        before = self._place.tails()
        port, process = self._place.server.another_gateway()
        self._place.second, self._place.second_tail = process.pid, sorted(self._place.tails() - before)
        return self._target.through(port)

    async def read_by(self, other: Chat) -> Share:
        """Run the calm load with everybody polling the second gateway."""
        readers = Readers(other)
        await readers.start()
        found = await self.calm()
        await readers.stop()
        found.tally.failed += readers.failed + readers.doubled
        return found

    async def polled(self, other: Chat) -> tuple[float, Tally]:
        """Return the µs of the second gateway's CPU for an empty poll."""
        assert self._place.second is not None
        client, counter = Client(other.port), numbers()
        polls = _EmptyPolls(other, await other.cursor(client, 0))
        client.close()
        used = cpu_seconds([self._place.second])
        tally = await closed_loop(polls, POLLERS, counter, self._poll_s)
        return 1e6 * (cpu_seconds([self._place.second]) - used) / (next(counter) - 1), tally


def _costs(full: Share, calm: Share, tailed: Share, tailed_full: Share, delivered: Share, poll_us: float) -> Costs:
    """Return what the capacity is reckoned from."""

    def both(part: str, alone: Share = calm, batched: Share = full) -> Cost:
        return Cost(alone.us[part], batched.us[part])

    return Costs(
        batch=Cost(calm.batch, full.batch),
        commit_ms=Cost(calm.commit_ms, full.commit_ms),
        gateway=both("gateway"),
        postgres=both("PostgreSQL"),
        redis=both("Redis"),
        worker=both("worker"),
        tail=both("second", tailed, tailed_full),
        tail_postgres=both("second tail", tailed, tailed_full),
        delivery_us=max(0.0, (delivered.us["second"] - tailed.us["second"]) / 2),
        poll_us=poll_us,
    )


async def scaled(scale: Scale) -> Outcome:
    """The echo floor; one gateway at full load and at 200/s; the same with a second gateway that only reads; batches of 50."""
    seconds = scale.pick(8, 2)
    with floor() as echo:
        base = await closed_loop(EchoFloor(echo.port), CONNECTIONS, numbers(), seconds)
    with stores() as store:
        with bellwire(settings=store.settings()) as server:
            target = await chat(server, CONNECTIONS)
            steps = _Steps(Installation(server, store), target, numbers(), scale)
            full, calm = await steps.full(seconds), await steps.calm()
            other = steps.add_gateway()
            tailed, tailed_full = await steps.calm(), await steps.full(seconds / 2)
            delivered = await steps.read_by(other)
            poll_us, polls = await steps.polled(other)
        exact, batch = await full_batches(store, scale.count(40, 10))
    costs = _costs(full, calm, tailed, tailed_full, delivered, poll_us)
    shares = {
        "full load": full,
        f"{RATE}/s": calm,
        "the same, a second gateway tails": tailed,
        "full load, a second gateway tails": tailed_full,
        f"{RATE}/s, read at the second gateway": delivered,
    }
    tallies = [base, polls, *(one.tally for one in shares.values())]
    values = {
        "rate": (full.tally.rate, base.rate),
        "exact": (exact, None),
        "statements": (full.statements, None),
        **{f"cpu {part}": (us, None) for part, us in full.us.items()},
        **{name: (value, None) for name, value in costs.flat().items()},
    }
    return Outcome(
        values,
        sum(tally.failed for tally in tallies),
        next((tally.first_failure for tally in tallies if tally.first_failure), ""),
        [
            f"echo: {base.rate:,.0f}/s",
            *(one.remark(name) for name, one in shares.items()),
            f"a committer that got {batch:.0f} sends at once: {exact:.3f} statements a send",
        ],
    )


SCALED = Benchmark(
    "scaled",
    {
        "rate": Line("durable sends on PostgreSQL and Redis, 100 connections; floor: echo", "/s", Bound(0.3, least=True)),
        "exact": Line(f"statements a send, {BATCH} sends a commit", "", Bound(0.2, "measured")),
        "statements": Line("all statements a send, 100 connections, the drains' included", ""),
        "cpu gateway": Line("CPU of a send, 100 connections: gateway", "µs"),
        "cpu PostgreSQL": Line("the same: PostgreSQL", "µs"),
        "cpu Redis": Line("the same: Redis", "µs"),
        "cpu worker": Line("the same: worker", "µs"),
    },
    scaled,
    capacity,
)
