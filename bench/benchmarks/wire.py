"""The CPU of a gateway for a send and for an answered poll at a steady rate: its own wire, Tornado's, and the code before it."""

from pathlib import Path

from bench.benchmark import Benchmark, Bound, Figure, Line, Load, Round, Scale, round_of
from bench.benchmarks.delivery import RATE, READERS
from bench.load.loops import Readers, open_loop
from bench.load.targets import create_chat, numbers
from bench.servers.bellwire import ROOT, bellwire
from bench.servers.earlier import earlier
from bench.servers.processes import cpu_seconds

WARM_UP_S = 2.0  # each user's first send also makes a conversation
WIRES = ("tornado", "httptools")


class GatewayCost:
    """The CPU time of a gateway in µs: for a send that nobody waits for, and for an answered poll with the poll after it."""

    def __init__(self, name: str, send_us: float, both_us: float, polls_per_send: float, loads: list[Load]) -> None:
        self.send_us, self.loads = send_us, loads
        self.delivery_us = (both_us - send_us) / polls_per_send
        self.remark = (
            f"{name}: {send_us:.0f} µs a send alone, {both_us:.0f} µs with {polls_per_send:.2f} answered polls, "
            f"{self.delivery_us:.0f} µs each"
        )


async def measure(name: str, seconds: float, wire: str, root: Path = ROOT) -> GatewayCost:
    """Send at a steady rate to users who are away, then to the same when all of them poll without a pause."""
    with bellwire(settings={"BELLWIRE_WIRE": wire}, root=root) as server:
        target, counter, gateway = create_chat(server, READERS), numbers(), [server.gateway_pid()]
        readers = Readers(target)
        await open_loop(target, RATE, WARM_UP_S, counter)
        used_s = cpu_seconds(gateway)
        alone = await open_loop(target, RATE, seconds, counter)
        alone_s = cpu_seconds(gateway) - used_s
        await readers.start()
        await open_loop(target, RATE, WARM_UP_S, counter)
        used_s, answered = cpu_seconds(gateway), readers.answered
        both = await open_loop(target, RATE, seconds, counter)
        both_s, answered = cpu_seconds(gateway) - used_s, readers.answered - answered
        await readers.stop()
    sent = len(both.latencies_s)
    return GatewayCost(name, 1e6 * alone_s / len(alone.latencies_s), 1e6 * both_s / sent, answered / sent, [alone, both, readers])


async def wire(scale: Scale) -> Round:
    """Measure the commit before the wire, then Tornado's wire and the own one of today's code."""
    seconds = scale.seconds(10, 2)
    with earlier() as root:
        before = await measure("the commit before", seconds, "tornado", root)
    tornado, own = [await measure(f"{name}'s wire", seconds, name) for name in WIRES]
    figures = {
        "send tornado": Figure(own.send_us, tornado.send_us),
        "send before": Figure(own.send_us, before.send_us),
        "delivery tornado": Figure(own.delivery_us, tornado.delivery_us),
        "delivery before": Figure(own.delivery_us, before.delivery_us),
    }
    costs = (before, tornado, own)
    return round_of(figures, [load for cost in costs for load in cost.loads], [cost.remark for cost in costs])


_BOUNDS = Bound(0.65), Bound(0.5)
WIRE = Benchmark(
    "wire",
    {
        "send tornado": Line("CPU of the gateway per send, 200/s; floor: BELLWIRE_WIRE=tornado", "µs", *_BOUNDS),
        "send before": Line("the same; floor: the commit before the wire", "µs", *_BOUNDS),
        "delivery tornado": Line("CPU of the gateway per answered poll, 200 sends/s; floor: BELLWIRE_WIRE=tornado", "µs", *_BOUNDS),
        "delivery before": Line("the same; floor: the commit before the wire", "µs", *_BOUNDS),
    },
    wire,
)
