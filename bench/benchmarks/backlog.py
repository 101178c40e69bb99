"""The effect of the background work on the sends beside it."""

import asyncio
from bisect import bisect_left
from contextlib import suppress
from time import perf_counter
from urllib.request import urlopen

from bench.benchmark import Benchmark, Bound, Figure, Line, Round, Scale, round_of
from bench.load.loops import Stream, closed_loop, open_loop, percentile
from bench.load.metrics_page import samples
from bench.load.targets import Chat, create_chat, numbers
from bench.servers.bellwire import Bellwire, bellwire

RATE = 200  # sends a second
CONNECTIONS = 100
CHECK_INTERVAL_S = 0.5
BEHIND_S = 1.0  # a drain with more lag is still processing the backlog
CATCH_UP_TIMEOUT_S = 120.0


class LagLog:
    """The lag of the slowest drain in seconds, each time it was read, and the rows that each drain has written."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.at: list[float] = []
        self.seconds: list[float] = []
        self.rows: dict[str, float] = {}

    async def read(self) -> None:
        """Read the page once; a worker that has just started has no samples yet."""
        page = await asyncio.to_thread(self._page)
        if lags := samples(page, "bellwire_log_lag_seconds"):
            self.at.append(perf_counter())
            self.seconds.append(max(lags.values()))
        self.rows = samples(page, "bellwire_drain_rows_total")

    def _page(self) -> str:
        """Read the page, whose answer has no length: it ends with the connection."""
        with urlopen(self._url, timeout=10) as answer:
            return str(answer.read().decode())

    async def watch(self) -> None:
        """Read again and again until cancelled."""
        while True:
            await self.read()
            await asyncio.sleep(CHECK_INTERVAL_S)

    def behind(self, at: float) -> bool:
        """Return whether the backlog was still there at the first reading after `at`."""
        index = bisect_left(self.at, at)
        return index < len(self.at) and self.seconds[index] > BEHIND_S


async def wait_until_drained(server: Bellwire) -> None:
    """Return when no drain is behind; raise TimeoutError after CATCH_UP_TIMEOUT_S."""
    lag, deadline = LagLog(server.worker_metrics), perf_counter() + CATCH_UP_TIMEOUT_S
    while perf_counter() < deadline:
        await lag.read()
        if lag.seconds and lag.seconds[-1] < BEHIND_S:
            return
        await asyncio.sleep(CHECK_INTERVAL_S)
    raise TimeoutError(f"the drains do not catch up: {lag.seconds[-3:]} s behind")


async def _send_while_draining(server: Bellwire, target: Chat, first: int, seconds: float) -> tuple[Stream, LagLog]:
    """Start the worker and send while it drains."""
    lag = LagLog(server.worker_metrics)
    server.start_worker()
    watching = asyncio.create_task(lag.watch())
    stream = await open_loop(target, RATE, seconds, numbers(first))
    await lag.read()
    watching.cancel()
    with suppress(asyncio.CancelledError):  # any other exception of the task is raised here
        await watching
    if not lag.seconds:
        raise LookupError("the worker's metrics page has no bellwire_log_lag_seconds")
    return stream, lag


async def backlog(scale: Scale) -> Round:
    """Send at 200/s while the drains keep up, then while they drain 100,000 waiting events."""
    count, seconds = scale.count(100_000, 10_000), scale.seconds(10, 3)
    with bellwire(worker=False) as server:
        worker = server.start_worker()
        target = create_chat(server)
        await open_loop(target, RATE, 1, numbers())
        alone = await open_loop(target, RATE, seconds, numbers(1_000))
        await wait_until_drained(server)
        server.stop(worker)
        filling = await closed_loop(target, CONNECTIONS, numbers(100_000), count=count)
        beside, lag = await _send_while_draining(server, target, 800_000, seconds)
    during = [latency for latency, end in zip(beside.latencies_s, beside.ended_at, strict=True) if lag.behind(end)]
    remarks = [
        f"{len(filling.latencies_s):,} sent at {filling.rate:,.0f}/s while the worker was stopped",
        f"the drains were {lag.seconds[0]:.0f} s behind at the start and {lag.seconds[-1]:.1f} s at the end; "
        f"{len(during):,} of {len(beside.latencies_s):,} sends were made during the backlog, and only these count",
        f"drained by then: {', '.join(f'{name} {rows:,.0f}' for name, rows in lag.rows.items())}",
        f"without: p50 {alone.percentile_ms(0.5):.2f} ms, beside: p50 {1000 * percentile(during, 0.5):.2f} ms",
    ]
    if not during:
        raise RuntimeError("the backlog was drained before the measurement: " + "; ".join(remarks))
    figures = {"p99": Figure(1000 * percentile(during, 0.99), alone.percentile_ms(0.99))}
    return round_of(figures, [alone, filling, beside], remarks)


BACKLOG = Benchmark(
    "backlog",
    {"p99": Line("send p99 at 200/s beside 100,000 events being drained; floor: without", "ms", Bound(4.0), Bound(2.0))},
    backlog,
)
