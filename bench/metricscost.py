"""What a gateway's metrics cost its sends: two gateways run, of which one observes nothing, and are loaded in turn."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median

from bench.figures import Benchmark, Bound, Line, Outcome, Scale
from bench.load import Tally, closed_loop
from bench.processes import cpu_seconds
from bench.sends import CONNECTIONS
from bench.server import Bellwire, bellwire
from bench.targets import Chat, chat, numbers

TURNS = (True, False, False, True) * 3  # whether it observes: whatever drifts drifts for both alike
UNMEASURED = ("-m", "bench.unmeasured")


@dataclass
class _Loaded:
    """One gateway, and what its turns came to: sends a second, and µs of its CPU a send."""

    server: Bellwire
    target: Chat
    counter: Iterator[int] = field(default_factory=numbers)
    rates: list[float] = field(default_factory=list)
    us: list[float] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)

    async def turn(self, seconds: float) -> None:
        """Run a closed loop over all connections."""
        pids, first = [self.server.gateway_pid()], next(self.counter)
        used = cpu_seconds(pids)
        tally = await closed_loop(self.target, CONNECTIONS, self.counter, seconds)
        sent = next(self.counter) - first - 1
        self.us.append(1e6 * (cpu_seconds(pids) - used) / sent)
        self.rates.append(tally.rate)
        self.tally.add(tally)

    def remark(self, name: str) -> str:
        """Return each turn's figures as a line."""
        turns = ", ".join(f"{rate:,.0f}/s {us:.1f} µs" for rate, us in zip(self.rates, self.us, strict=True))
        return f"{name}: {turns}"


async def metricscost(scale: Scale) -> Outcome:
    """Closed loops over 100 connections, without workers, first the one and then the other."""
    seconds = scale.pick(4, 1)
    with bellwire(worker=False) as server, bellwire(worker=False, program=UNMEASURED) as other:
        measured = _Loaded(server, await chat(server, CONNECTIONS))
        unmeasured = _Loaded(other, await chat(other, CONNECTIONS))
        for observes in TURNS:
            await (measured if observes else unmeasured).turn(seconds)
    both = [measured.tally, unmeasured.tally]
    return Outcome(
        {
            "rate": (median(measured.rates), median(unmeasured.rates)),
            "cpu": (median(measured.us), median(unmeasured.us)),
        },
        sum(tally.failed for tally in both),
        next((tally.first_failure for tally in both if tally.first_failure), ""),
        [measured.remark("observes"), unmeasured.remark("observes nothing")],
    )


METRICSCOST = Benchmark(
    "metricscost",
    {
        "rate": Line("durable sends, 100 connections; floor: metrics that observe nothing", "/s", Bound(0.97, least=True)),
        "cpu": Line("the same, CPU of the gateway a send", "µs", Bound(1.03)),
    },
    metricscost,
)
