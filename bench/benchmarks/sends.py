"""The rate of durable sends that a gateway accepts, and the time of a single one."""

from collections.abc import Iterator
from typing import NamedTuple

from bench.benchmark import Benchmark, Bound, Figure, Line, Round, Scale, round_of
from bench.load.loops import Tally, closed_loop
from bench.load.targets import USERS, EchoFloor, Sending, create_chat, numbers
from bench.machine import commit_s
from bench.servers.bellwire import bellwire
from bench.servers.floors import floor
from bench.servers.processes import CpuMeter, cpu_seconds

CONNECTIONS = 100


class Loaded(NamedTuple):
    """A closed loop, the CPU time of one process for each send in µs, and a remark."""

    tally: Tally
    cpu_us: float
    remark: str


async def _load(
    name: str, target: Sending, connections: int, seconds: float, pid: int, counter: Iterator[int] | None = None
) -> Loaded:
    """Run a closed loop and measure the CPU time of the process that answers it."""
    counter = counter or numbers()
    before = next(counter)
    meter, used_s = CpuMeter([pid]), cpu_seconds([pid])
    tally = await closed_loop(target, connections, counter, seconds)
    cpu_us = 1e6 * (cpu_seconds([pid]) - used_s) / (next(counter) - before - 1)
    server, client = meter.read()
    return Loaded(tally, cpu_us, f"{name}: {tally.summary()}, server {server:.0f} % CPU, client {client:.0f} %")


async def sends(scale: Scale) -> Round:
    """Run a closed loop over 100 connections: the echo floor, then Bellwire with its worker."""
    seconds = scale.seconds(8, 2)
    with floor() as echo:
        base = await _load("echo", EchoFloor(echo.port), CONNECTIONS, seconds, echo.process.pid)
    with bellwire() as server:
        found = await _load("bellwire", create_chat(server), CONNECTIONS, seconds, server.gateway_pid())
    figures = {"rate": Figure(found.tally.rate, base.tally.rate), "cpu": Figure(found.cpu_us, base.cpu_us)}
    return round_of(figures, [found.tally, base.tally], [base.remark, found.remark])


async def one(scale: Scale) -> Round:
    """Send over one connection, one message after another; the floor is an echo and one commit on this disk."""
    seconds = scale.seconds(5, 1)
    with floor() as echo:
        base = await _load("echo", EchoFloor(echo.port), 1, seconds, echo.process.pid)
    with bellwire() as server:
        target, counter = create_chat(server), numbers()
        await closed_loop(target, 1, counter, count=USERS)  # a first send also makes a conversation, and looks a token up
        commit_ms = 1000 * commit_s(str(server.folder))
        found = await _load("bellwire", target, 1, seconds, server.gateway_pid(), counter)
    figures = {"p50": Figure(found.tally.percentile_ms(0.5), base.tally.percentile_ms(0.5) + commit_ms)}
    return round_of(figures, [found.tally, base.tally], [base.remark, f"one commit: {commit_ms:.2f} ms", found.remark])


SENDS = Benchmark(
    "sends",
    {
        "rate": Line("durable sends, 100 connections; floor: echo", "/s", Bound(1.0, at_least=True), Bound(1.2, at_least=True)),
        "cpu": Line("the same, CPU of the gateway per send; floor: echo", "µs"),
    },
    sends,
)
ONE = Benchmark(
    "one", {"p50": Line("send p50, 1 connection; floor: echo + one commit with fsync", "ms", Bound(1.5), Bound(1.2))}, one
)
