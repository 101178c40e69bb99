"""The memory and the CPU time of idle polls."""

import asyncio
from collections.abc import Sequence
from time import perf_counter

from bench.benchmark import Benchmark, Bound, Figure, Line, Round, Scale, round_of
from bench.load.client import Client, Connection
from bench.load.loops import closed_loop
from bench.load.targets import HubFloor, Polling, create_chat, numbers
from bench.servers.bellwire import bellwire
from bench.servers.floors import floor
from bench.servers.processes import CpuMeter, cpu_seconds, pss_bytes

POLLS_PER_USER = 10
POLL_TIMEOUT_S = 60.0  # the longest of the contract: the measurement must lie between two time-outs
QUIET_TIMEOUT_S = 20.0
QUIET_CPU_PERCENT = 5
WATCH_S = 10.0
OPENING_TASKS = 8
WARM_CONNECTIONS = 16  # several gateways get some each
WARM_SENDS = 320  # the memory of the first requests is not that of polls


async def _open_polls(target: Polling, cursors: list[str], count: int) -> list[Connection]:
    """Open `count` polls, spread over the users, and return their connections."""
    connections: list[Connection] = []

    async def open_some(numbers: range) -> None:
        for number in numbers:
            user = number % target.users
            connection = await Client(target.port).open()
            connection.send(target.poll(user, cursors[user], POLL_TIMEOUT_S))
            connections.append(connection)

    await asyncio.gather(*(open_some(range(start, count, OPENING_TASKS)) for start in range(OPENING_TASKS)))
    return connections


async def _until_quiet(pids: Sequence[int]) -> None:
    """Return when the processes together use less than QUIET_CPU_PERCENT of a core, or after QUIET_TIMEOUT_S."""
    deadline = perf_counter() + QUIET_TIMEOUT_S
    while perf_counter() < deadline:
        meter = CpuMeter(pids)
        await asyncio.sleep(1)
        if meter.read()[0] < QUIET_CPU_PERCENT:
            return


class IdleCost:
    """The cost of some idle polls to the processes that hold them; answered and refused polls count as failed."""

    def __init__(self, name: str, waiting: int, opened: int, grown_kb: Sequence[float], cpu_percent: float, seconds: float) -> None:
        self.kb_per_poll, self.largest_kb = sum(grown_kb) / max(1, waiting), max(grown_kb)
        self.cpu_percent, self.failed = cpu_percent, opened - waiting
        self.first_failure = f"{self.failed} polls of {name} ended early" if self.failed else ""
        self.remark = (
            f"{name}: {waiting:,} of {opened:,} polls waited to the end, {self.kb_per_poll:.1f} KB each, "
            f"{cpu_percent:.1f} % CPU, measured up to {seconds:.0f} s after the first was opened"
        )


async def measure(name: str, target: Polling, pids: Sequence[int], count: int) -> IdleCost:
    """Measure the memory of the processes before and with the polls, and the CPU time while they wait."""
    await closed_loop(target, WARM_CONNECTIONS, numbers(), count=WARM_SENDS)
    client = Client(target.port)
    cursors = [await target.cursor(client, user) for user in range(target.users)]
    client.close()
    await _until_quiet(pids)
    before, start = [pss_bytes([pid]) for pid in pids], perf_counter()
    connections = await _open_polls(target, cursors, count)
    await _until_quiet(pids)
    used_s, watched = cpu_seconds(pids), perf_counter()
    await asyncio.sleep(WATCH_S)
    now = perf_counter()
    percent = 100 * (cpu_seconds(pids) - used_s) / (now - watched)
    waiting = sum(1 for each in connections if not each.closed and each.waiting is not None and not each.waiting.done())
    grown_kb = [(pss_bytes([pid]) - had) / 1024 for pid, had in zip(pids, before, strict=True)]
    for connection in connections:
        connection.abort()
    return IdleCost(name, waiting, count, grown_kb, percent, now - start)


async def idle(scale: Scale) -> Round:
    """Open 10,000 idle polls of 1,000 users at the hub floor, then at Bellwire; measure the gateway's process alone."""
    count = scale.count(10_000, 1_000)
    users = count // POLLS_PER_USER
    with floor() as hub:
        base = await measure("the hub", HubFloor(hub.port, users), [hub.process.pid], count)
    with bellwire() as server:
        found = await measure("bellwire", create_chat(server, users), [server.gateway_pid()], count)
    figures = {"memory": Figure(found.kb_per_poll, base.kb_per_poll), "cpu": Figure(found.cpu_percent, base.cpu_percent)}
    return round_of(figures, [found, base], [base.remark, found.remark])


IDLE = Benchmark(
    "idle",
    {
        "memory": Line("PSS of an idle poll, 10,000 open; floor: hub", "KB", Bound(10, "measured"), Bound(8, "measured")),
        "cpu": Line("CPU of the gateway while they wait", "%", Bound(0.5, "measured")),
    },
    idle,
)
