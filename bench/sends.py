"""How many durable sends a gateway takes, and how long one takes."""

from bench.figures import Benchmark, Bound, Line, Outcome, Scale
from bench.load import Tally, closed_loop
from bench.machine import commit_s
from bench.processes import CpuMeter
from bench.server import bellwire, floor
from bench.targets import EchoFloor, Sending, chat, numbers

CONNECTIONS = 100


async def _loaded(target: Sending, connections: int, seconds: float, pids: list[int], name: str) -> tuple[Tally, str]:
    """Run a closed loop; return it with a remark on who used how much CPU."""
    meter = CpuMeter(pids)
    tally = await closed_loop(target, connections, numbers(), seconds)
    theirs, ours = meter.read()
    return tally, (
        f"{name}: {tally.rate:,.0f}/s, p50 {tally.percentile_ms(0.5):.2f} ms, p99 {tally.percentile_ms(0.99):.2f} ms, "
        f"server {theirs:.0f} % CPU, client {ours:.0f} %"
    )


async def sends(scale: Scale) -> Outcome:
    """Closed loop over 100 connections: the echo floor, then Bellwire with its worker running."""
    seconds = scale.pick(8, 2)
    with floor() as echo:
        base, base_remark = await _loaded(EchoFloor(echo.port), CONNECTIONS, seconds, [echo.process.pid], "echo")
    with bellwire() as server:
        target = await chat(server, CONNECTIONS)
        tally, remark = await _loaded(target, CONNECTIONS, seconds, server.pids(), "bellwire")
    why = tally.first_failure or base.first_failure
    return Outcome({"rate": (tally.rate, base.rate)}, tally.failed + base.failed, why, [base_remark, remark])


async def one(scale: Scale) -> Outcome:
    """One connection, one send after another: the floor is an echo and one commit of this disk."""
    seconds = scale.pick(5, 1)
    with floor() as echo:
        base, base_remark = await _loaded(EchoFloor(echo.port), 1, seconds, [echo.process.pid], "echo")
    with bellwire() as server:
        target = await chat(server, 2)
        commit_ms = 1000 * commit_s(str(server.folder))
        tally, remark = await _loaded(target, 1, seconds, server.pids(), "bellwire")
    return Outcome(
        {"p50": (tally.percentile_ms(0.5), base.percentile_ms(0.5) + commit_ms)},
        tally.failed + base.failed,
        tally.first_failure or base.first_failure,
        [base_remark, f"one commit: {commit_ms:.2f} ms", remark],
    )


SENDS = Benchmark(
    "sends",
    {"rate": Line("durable sends, 100 connections; floor: echo", "/s", Bound(0.55, least=True), Bound(0.75, least=True))},
    sends,
)
ONE = Benchmark("one", {"p50": Line("send p50, 1 connection; floor: echo + one fsync'd commit", "ms", Bound(2.0), Bound(1.4))}, one)
