"""How long from a send to its reader, who polls for ever."""

from bench.figures import Benchmark, Bound, Line, Outcome, Scale
from bench.load import Readers, Stream, open_loop, percentile
from bench.server import bellwire, floor
from bench.targets import HubFloor, Polling, chat, numbers

READERS = 100
RATE = 200  # sends a second


class Delivered:
    """One open loop with its deliveries."""

    def __init__(self, stream: Stream, readers: Readers, delays_s: list[float], lost: int) -> None:
        """Keep what the table needs."""
        self.delays_s = delays_s
        self.p50_ms, self.p99_ms = (1000 * percentile(delays_s, share) for share in (0.5, 0.99))
        self.wrong = lost + readers.doubled
        self.failed = stream.failed + readers.failed
        self.first_failure = stream.first_failure or ("a poll failed" if readers.failed else "")
        self.remark = (
            f"{len(delays_s):,} delivered, {lost} lost, {readers.doubled} doubled; delivery p50 {self.p50_ms:.2f} ms, "
            f"p99 {self.p99_ms:.2f} ms; send p50 {stream.percentile_ms(0.5):.2f} ms, "
            f"p99 {stream.percentile_ms(0.99):.2f} ms"
        )


async def deliver(target: Polling, seconds: float, first: int = 1, reading: Polling | None = None) -> Delivered:
    """Hold a poll for every user, where they are `reading`, and send to them."""
    readers, counter = Readers(reading or target), numbers(first)
    await readers.start()
    await open_loop(target, RATE, 0.5, counter)  # warm-up
    stream = await open_loop(target, RATE, seconds, counter)
    delays_s, lost = await stream.delivered(readers)
    await readers.stop()
    return Delivered(stream, readers, delays_s, lost)


async def delivery(scale: Scale) -> Outcome:
    """The hub floor, then Bellwire."""
    seconds = scale.pick(10, 3)
    with floor() as hub:
        base = await deliver(HubFloor(hub.port, READERS), seconds)
    with bellwire() as server:
        found = await deliver(await chat(server, READERS), seconds)
    return Outcome(
        {
            "p50": (found.p50_ms, base.p50_ms),
            "p99": (found.p99_ms, base.p99_ms),
            "wrong": (found.wrong, base.wrong),
        },
        found.failed + base.failed,
        found.first_failure or base.first_failure,
        [f"hub: {base.remark}", f"bellwire: {found.remark}"],
    )


DELIVERY = Benchmark(
    "delivery",
    {
        "p50": Line("send to parsed, 100 readers, 200/s, p50; floor: hub", "ms", Bound(2.5), Bound(1.7)),
        "p99": Line("the same, p99", "ms", Bound(2.5), Bound(1.7)),
        "wrong": Line("the same, lost or doubled", "", Bound(0, "measured"), Bound(0, "measured")),
    },
    delivery,
)
