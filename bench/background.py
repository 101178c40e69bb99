"""What the background work does to the sends beside it."""

import asyncio
from bisect import bisect_left
from contextlib import suppress
from time import perf_counter

from bench.client import Client
from bench.figures import Benchmark, Bound, Line, Outcome, Scale
from bench.load import Stream, closed_loop, open_loop, percentile
from bench.metrics_page import read_page, samples
from bench.server import Bellwire, bellwire
from bench.targets import Chat, chat, numbers

RATE = 200  # sends a second
USERS = 100
LOOK_S = 0.5  # between two looks at the worker's metrics
BEHIND_S = 1.0  # a drain that is further behind than this still has the backlog before it
CAUGHT_UP_S = 120.0


class Lag:
    """How far the slowest drain was behind, in seconds, at each look; and what each has written."""

    def __init__(self, port: int) -> None:
        """Name the worker's metrics port; reading there costs the gateway nothing."""
        self._client = Client(port)
        self.at: list[float] = []
        self.seconds: list[float] = []
        self.rows: dict[str, float] = {}

    async def look(self) -> None:
        """Read the worker's page; a worker that has just started says nothing yet."""
        page = await read_page(self._client)
        if lags := samples(page, "bellwire_log_lag_seconds"):
            self.at.append(perf_counter())
            self.seconds.append(max(lags.values()))
        self.rows = samples(page, "bellwire_drain_rows_total")

    async def watch(self) -> None:
        """Look again and again until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    def behind(self, at: float) -> bool:
        """Tell whether the backlog was still there at the first look after `at`."""
        index = bisect_left(self.at, at)
        return index < len(self.at) and self.seconds[index] > BEHIND_S


async def caught_up(server: Bellwire) -> None:
    """Return when no drain is behind."""
    lag, deadline = Lag(server.worker_port), perf_counter() + CAUGHT_UP_S
    while perf_counter() < deadline:
        await lag.look()
        if lag.seconds and lag.seconds[-1] < BEHIND_S:
            return
        await asyncio.sleep(LOOK_S)
    raise TimeoutError(f"the drains do not catch up: {lag.seconds[-3:]} s behind")


async def _beside(server: Bellwire, target: Chat, first: int, seconds: float) -> tuple[Stream, Lag]:
    """Start the worker and send while it drains."""
    lag = Lag(server.worker_port)
    server.start("worker")
    server.wait(server.worker_metrics)
    watching = asyncio.create_task(lag.watch())
    stream = await open_loop(target, RATE, seconds, numbers(first))
    await lag.look()
    watching.cancel()
    with suppress(asyncio.CancelledError):  # but not what else may have ended it
        await watching
    if not lag.seconds:
        raise LookupError("the worker's metrics page has no bellwire_log_lag_seconds")
    return stream, lag


async def backlog(scale: Scale) -> Outcome:
    """Sends at 200/s with the drains keeping up, then beside 100,000 events that wait to be drained."""
    count, seconds = scale.count(100_000, 10_000), scale.pick(10, 3)
    with bellwire(worker=False) as server:
        worker = server.start("worker")
        server.wait(server.worker_metrics)
        target = await chat(server, USERS)
        await open_loop(target, RATE, 1, numbers())
        alone = await open_loop(target, RATE, seconds, numbers(1_000))
        await caught_up(server)
        server.stop(worker)
        filling = await closed_loop(target, USERS, numbers(100_000), count=count)
        beside, lag = await _beside(server, target, 800_000, seconds)
    during = [took for took, end in zip(beside.latencies_s, beside.ended_at, strict=True) if lag.behind(end)]
    beside_ms = 1000 * percentile(during, 0.99)
    remarks = [
        f"{len(filling.latencies_s):,} sent at {filling.rate:,.0f}/s while the worker was stopped",
        f"the drains were {lag.seconds[0]:.0f} s behind at the start and {lag.seconds[-1]:.1f} s at the end; "
        f"{len(during):,} of {len(beside.latencies_s):,} sends lay beside the backlog, and only these count",
        f"drained by then: {', '.join(f'{name} {rows:,.0f}' for name, rows in lag.rows.items())}",
        f"without: p50 {alone.percentile_ms(0.5):.2f} ms, beside: p50 {1000 * percentile(during, 0.5):.2f} ms",
    ]
    if not during:
        raise RuntimeError("the backlog was drained before the measurement: " + "; ".join(remarks))
    failed = sum(tally.failed for tally in (alone, filling, beside))
    why = alone.first_failure or filling.first_failure or beside.first_failure
    return Outcome({"p99": (beside_ms, alone.percentile_ms(0.99))}, failed, why, remarks)


BACKLOG = Benchmark(
    "backlog",
    {"p99": Line("send p99 at 200/s beside 100,000 events being drained; floor: without", "ms", Bound(4.0), Bound(2.0))},
    backlog,
)
