"""The time from a send to its reader, who polls without a pause; and the CPU and memory of a modest community."""

from bench.benchmark import Benchmark, Bound, Figure, Line, Round, Scale, round_of
from bench.load.loops import Readers, Stream, open_loop, percentile
from bench.load.targets import USERS, HubFloor, Polling, create_chat, numbers
from bench.servers.bellwire import bellwire
from bench.servers.floors import floor
from bench.servers.processes import CpuMeter, cpu_seconds, pss_bytes

READERS = 100
RATE = 200  # sends a second
WARM_UP_S = 0.5
MODEST_RATE = 50


class Delivery:
    """The sends of one open loop with their deliveries; times in seconds."""

    def __init__(self, stream: Stream, readers: Readers, delays_s: list[float], lost: int) -> None:
        self.delays_s, self.sends = delays_s, len(stream.acknowledged)
        self.wrong = lost + readers.doubled
        self.failed = stream.failed + readers.failed
        self.first_failure = stream.first_failure or readers.first_failure
        self.remark = (
            f"{len(delays_s):,} delivered, {lost} lost, {readers.doubled} doubled; delivery p50 {self.delay_ms(0.5):.2f} ms, "
            f"p99 {self.delay_ms(0.99):.2f} ms; sends {stream.summary()}"
        )

    def delay_ms(self, share: float) -> float:
        """Return a percentile of the delays in milliseconds."""
        return 1000 * percentile(self.delays_s, share)


async def deliver(target: Polling, seconds: float, first: int = 1, reading: Polling | None = None) -> Delivery:
    """Open a poll for every user (at the gateway `reading`, if given), and send RATE messages a second to them."""
    readers, counter = Readers(reading or target), numbers(first)
    await readers.start()
    await open_loop(target, RATE, WARM_UP_S, counter)
    stream = await open_loop(target, RATE, seconds, counter)
    delays_s, lost = await stream.delivered(readers)
    await readers.stop()
    return Delivery(stream, readers, delays_s, lost)


async def delivery(scale: Scale) -> Round:
    """Measure the hub floor, then Bellwire."""
    seconds = scale.seconds(10, 3)
    with floor() as hub:
        base = await deliver(HubFloor(hub.port, READERS), seconds)
    with bellwire() as server:
        target, gateway = create_chat(server, READERS), [server.gateway_pid()]
        used_s = cpu_seconds(gateway)
        found = await deliver(target, seconds)
        cpu_s = cpu_seconds(gateway) - used_s
    figures = {
        "p50": Figure(found.delay_ms(0.5), base.delay_ms(0.5)),
        "p99": Figure(found.delay_ms(0.99), base.delay_ms(0.99)),
        "wrong": Figure(found.wrong, base.wrong),
        "cpu": Figure(1e6 * cpu_s / (found.sends + RATE * WARM_UP_S)),
    }
    return round_of(figures, [found, base], [f"hub: {base.remark}", f"bellwire: {found.remark}"])


async def modest(scale: Scale) -> Round:
    """Measure every process of the instance together while 1,000 users poll and 50 messages a second are sent."""
    seconds = scale.seconds(15, 4)
    with bellwire() as server:
        target, counter = create_chat(server, scale.count(USERS, 100)), numbers()
        readers = Readers(target)
        await readers.start()
        await open_loop(target, MODEST_RATE, 1, counter)
        meter = CpuMeter(server.pids())
        stream = await open_loop(target, MODEST_RATE, seconds, counter)
        percent, _ = meter.read()
        megabytes, gateway_mb = pss_bytes(server.pids()) / 1e6, pss_bytes([server.gateway_pid()]) / 1e6
        found = Delivery(stream, readers, *await stream.delivered(readers))
        await readers.stop()
    figures = {"cpu": Figure(percent), "memory": Figure(megabytes), "wrong": Figure(found.wrong)}
    return round_of(figures, [found], [found.remark, f"{gateway_mb:.0f} MB of the memory are the gateway's"])


DELIVERY = Benchmark(
    "delivery",
    {
        "p50": Line("send to parsed, 100 readers, 200/s, p50; floor: hub", "ms", Bound(1.7), Bound(1.3)),
        "p99": Line("the same, p99", "ms", Bound(2.0), Bound(1.5)),
        "wrong": Line("the same, lost or doubled", "", Bound(0, "measured"), Bound(0, "measured")),
        "cpu": Line("the same, CPU of the gateway per send and its delivery", "µs"),
    },
    delivery,
)
MODEST = Benchmark(
    "modest",
    {
        "cpu": Line("1,000 users polling, 50 sends/s: CPU of gateway and worker", "%", Bound(40, "measured")),
        "memory": Line("the same, PSS", "MB", Bound(200, "measured")),
        "wrong": Line("the same, lost or doubled", "", Bound(0, "measured")),
    },
    modest,
)
