"""What it costs to hold idle polls, and to serve a community of a modest size."""

import asyncio
from time import perf_counter

from bench.client import Client, Connection
from bench.delivery import READERS
from bench.figures import Benchmark, Bound, Line, Outcome, Scale
from bench.load import Readers, closed_loop, open_loop
from bench.processes import CpuMeter, cpu_seconds, pss_bytes
from bench.server import bellwire, floor
from bench.targets import HubFloor, Polling, chat, numbers

POLLS_A_USER = 10
POLL_S = 60.0  # the contract's longest: what is measured must lie between two time-outs
QUIET_S = 20.0  # longest wait for the server to have taken every poll
WATCH_S = 10.0
MODEST_RATE = 50  # sends a second


async def _hold(target: Polling, cursors: list[str], count: int) -> list[Connection]:
    """Open `count` polls, spread over the users, and return their connections."""
    held: list[Connection] = []

    async def hold(numbers: range) -> None:
        for number in numbers:
            user = number % target.users
            connection = await Client(target.port).open()
            connection.send(target.poll(user, cursors[user], POLL_S))
            held.append(connection)

    await asyncio.gather(*(hold(range(start, count, 8)) for start in range(8)))
    return held


async def _until_quiet(pid: int) -> None:
    """Return when the process uses less than 5 % of a core, or after QUIET_S."""
    deadline = perf_counter() + QUIET_S
    while perf_counter() < deadline:
        meter = CpuMeter([pid])
        await asyncio.sleep(1)
        if meter.read()[0] < 5:
            return


class Idle:
    """What some idle polls cost a process."""

    def __init__(self, name: str, held: int, asked: int, kb_a_poll: float, cpu_percent: float, took_s: float) -> None:
        """Keep the figures; polls that were answered or refused are not held."""
        self.kb_a_poll, self.cpu_percent, self.missing = kb_a_poll, cpu_percent, asked - held
        self.remark = (
            f"{name}: {held:,} of {asked:,} polls held to the end, {kb_a_poll:.1f} KB each, "
            f"{cpu_percent:.1f} % CPU, measured up to {took_s:.0f} s after the first was opened"
        )


async def _idle(name: str, target: Polling, pid: int, count: int) -> Idle:
    """Measure memory before and with the polls, and the CPU time while they wait."""
    await closed_loop(target, 1, numbers(), count=50)  # a first request's memory is not a poll's
    client = Client(target.port)
    cursors = [await target.cursor(client, user) for user in range(target.users)]
    client.close()
    await _until_quiet(pid)
    before, start = pss_bytes([pid]), perf_counter()
    held = await _hold(target, cursors, count)
    await _until_quiet(pid)
    used, watched = cpu_seconds([pid]), perf_counter()
    await asyncio.sleep(WATCH_S)
    now = perf_counter()
    percent = 100 * (cpu_seconds([pid]) - used) / (now - watched)
    waiting = sum(1 for one in held if not one.closed and one.waiting is not None and not one.waiting.done())
    kb_a_poll = (pss_bytes([pid]) - before) / 1024 / max(1, waiting)
    for connection in held:
        connection.abort()
    return Idle(name, waiting, count, kb_a_poll, percent, now - start)


async def idle(scale: Scale) -> Outcome:
    """10,000 idle polls of 1,000 users, on the hub floor, then on Bellwire; the gateway's process alone."""
    count = scale.count(10_000, 1_000)
    users = count // POLLS_A_USER
    with floor() as hub:
        base = await _idle("hub", HubFloor(hub.port, users), hub.process.pid, count)
    with bellwire() as server:
        found = await _idle("bellwire", await chat(server, users), server.gateway_pid(), count)
    missing = found.missing + base.missing
    return Outcome(
        {"memory": (found.kb_a_poll, base.kb_a_poll), "cpu": (found.cpu_percent, base.cpu_percent)},
        missing,
        f"{missing} polls were not held to the end" if missing else "",
        [base.remark, found.remark],
    )


async def modest(scale: Scale) -> Outcome:
    """100 people polling, 50 sends a second: every process of the instance together."""
    seconds = scale.pick(15, 4)
    with bellwire() as server:
        target, counter = await chat(server, READERS), numbers()
        readers = Readers(target)
        await readers.start()
        await open_loop(target, MODEST_RATE, 1, counter)
        meter = CpuMeter(server.pids())
        stream = await open_loop(target, MODEST_RATE, seconds, counter)
        percent, _ = meter.read()
        megabytes = pss_bytes(server.pids()) / 1e6
        gateway_mb = pss_bytes([server.gateway_pid()]) / 1e6
        _, lost = await stream.delivered(readers)
        await readers.stop()
    return Outcome(
        {"cpu": (percent, None), "memory": (megabytes, None)},
        stream.failed + readers.failed + lost + readers.doubled,
        stream.first_failure,
        [f"{len(stream.latencies_s)} sends, {lost} lost; of the memory {gateway_mb:.0f} MB are the gateway's"],
    )


IDLE = Benchmark(
    "idle",
    {
        "memory": Line("PSS of an idle poll, 10,000 open; floor: hub", "KB", Bound(20, "measured"), Bound(1.0)),
        "cpu": Line("gateway's CPU while they wait", "%", Bound(3, "measured"), Bound(1, "measured")),
    },
    idle,
)
MODEST = Benchmark(
    "modest",
    {
        "cpu": Line("100 polling, 50 sends/s: CPU of a core", "%", Bound(40, "measured"), Bound(20, "measured")),
        "memory": Line("the same: PSS", "MB", Bound(200, "measured"), Bound(120, "measured")),
    },
    modest,
)
