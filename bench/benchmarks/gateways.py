"""Two gateway processes against one, on SQLite: the rate of durable sends, and the idle polls that they hold.

Twice as many polls are opened at two gateways, and the busier of the two is compared with one alone: its memory, and its CPU time
while the polls time out and come again. From that follows how many polls two gateways hold when neither may need more than one.
It is less than twice as many when a poll costs more beside another gateway, or when the kernel spreads the connections unevenly.
"""

import asyncio
from typing import NamedTuple

from bench.benchmark import Benchmark, Bound, Figure, Line, Load, Round, Scale, round_of
from bench.benchmarks.idle import measure as measure_idle
from bench.benchmarks.sends import CONNECTIONS
from bench.load.loops import Readers, Tally, closed_loop
from bench.load.targets import USERS, create_chat, numbers
from bench.servers.bellwire import Bellwire, bellwire
from bench.servers.processes import CpuMeter, cpu_seconds

POLLS = 8_000  # at each gateway: the client has one open file for each, and 20,000 are a usual limit
RETURNING = 2_000  # polls at each gateway that time out and come again
RETURN_S = 2
WATCH_S = 10.0


class PollCost(NamedTuple):
    """The memory and the CPU time that the busiest gateway needs for its share of the polls."""

    kb: float
    cpu_s: float
    loads: list[Load]
    remark: str


async def _return(server: Bellwire, readers: Readers, seconds: float) -> list[float]:
    """Let polls time out and come again; return the CPU seconds of each gateway, of which none ended meanwhile."""
    pids = server.gateway_pids()
    await readers.start(2 * RETURN_S)
    used = [cpu_seconds([pid]) for pid in pids]
    await asyncio.sleep(seconds)
    spent = [cpu_seconds([pid]) - before for pid, before in zip(pids, used, strict=True)]
    await readers.stop()
    return spent


async def _polls(count: int, scale: Scale) -> PollCost:
    """Open the polls of `count` gateways, first all that wait, then those that come again."""
    with bellwire(settings={"BELLWIRE_GATEWAYS": str(count)}) as server:
        users = scale.count(USERS, 100)
        target = create_chat(server, users)
        idle = await measure_idle(f"{count} gateways", target, server.gateway_pids(), count * scale.count(POLLS, 500))
        readers = Readers(target, count * scale.count(RETURNING, 200) // users, RETURN_S)
        spent = await _return(server, readers, scale.seconds(WATCH_S, 4))
    text = ", ".join(f"{1000 * each:.0f}" for each in spent)
    remark = f"{idle.remark}; {idle.largest_kb / 1024:.1f} MB the largest; {readers.answered:,} came again, CPU {text} ms"
    return PollCost(idle.largest_kb, max(spent), [idle, readers], remark)


async def _sends(count: int, seconds: float) -> tuple[Tally, str]:
    """Run a closed loop over 100 connections."""
    with bellwire(settings={"BELLWIRE_GATEWAYS": str(count)}) as server:
        target = create_chat(server)
        meter = CpuMeter(server.gateway_pids())
        tally = await closed_loop(target, CONNECTIONS, numbers(), seconds)
        gateways, client = meter.read()
    return tally, f"{count} gateways: {tally.summary()}, {gateways:.0f} % CPU in all, client {client:.0f} %"


async def gateways(scale: Scale) -> Round:
    """Measure one gateway, then two."""
    (one, first), (two, second) = [await _sends(count, scale.seconds(8, 2)) for count in (1, 2)]
    alone, both = [await _polls(count, scale) for count in (1, 2)]
    waiting, returning = scale.count(POLLS, 500), scale.count(RETURNING, 200)
    figures = {
        "rate": Figure(two.rate, one.rate),
        "memory": Figure(2 * waiting * alone.kb / both.kb, waiting),
        "cpu": Figure(2 * returning * alone.cpu_s / both.cpu_s, returning),
    }
    return round_of(figures, [one, two, *alone.loads, *both.loads], [first, second, alone.remark, both.remark])


_TWICE = Bound(1.9, at_least=True)  # the busier of two has some more than half, as the kernel spreads connections by a hash
GATEWAYS = Benchmark(
    "gateways",
    {
        "rate": Line(
            "durable sends on SQLite with two gateways, 100 connections; floor: with one", "/s", Bound(1.0, at_least=True)
        ),
        "memory": Line("idle polls of two gateways, each with the memory that one has for 8,000; floor: those", "", _TWICE),
        "cpu": Line("polls of two that return each 2 s, each with the CPU that one has for 2,000; floor: those", "", _TWICE),
    },
    gateways,
)
