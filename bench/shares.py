"""What a load costs each part of a scaled installation: CPU by process, statements, and sends a commit, told per send."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field

from bench.background import caught_up
from bench.client import Client
from bench.load import Tally
from bench.metrics_page import read_page, samples
from bench.processes import cpu_seconds, tree
from bench.server import Bellwire
from bench.statements import calls
from bench.stores import Stores

TAIL_SQL = "SELECT pid FROM pg_stat_activity WHERE application_name IN ('bellwire gateway tail', 'bellwire gateway listener')"


@dataclass
class Installation:
    """A gateway with its worker, the stores, and perhaps a second gateway: its process, and its tail's at PostgreSQL."""

    server: Bellwire
    stores: Stores
    second: int | None = None
    second_tail: Sequence[int] = ()

    def tails(self) -> set[int]:
        """Return the processes of PostgreSQL that read the log for a gateway."""
        return {pid for (pid,) in self.stores.postgres.rows(TAIL_SQL)}

    def cpu(self) -> dict[str, float]:
        """Return the seconds of CPU that each part has used."""
        gateway = self.server.gateway_pid()
        second = {} if self.second is None else {"second": [self.second], "second tail": self.second_tail}
        parts: dict[str, Sequence[int]] = {
            "gateway": [gateway],
            "PostgreSQL": tree(self.stores.postgres.process.pid),
            "Redis": [self.stores.redis.process.pid],
            "worker": [pid for pid in self.server.pids() if pid not in (gateway, self.second)],
            **second,
        }
        return {name: cpu_seconds(pids) for name, pids in parts.items()}


@dataclass
class Counted:
    """Everything that is counted, at one moment."""

    cpu: dict[str, float]
    statements: int
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass
class Share:
    """A load's cost: µs of CPU a send by part, statements a send, sends a commit, milliseconds a commit."""

    tally: Tally
    sent: int
    us: dict[str, float]
    statements: float
    batch: float
    commit_ms: float

    def remark(self, name: str) -> str:
        """Return it as a line."""
        used = ", ".join(f"{part} {us:.0f}" for part, us in self.us.items())
        return (
            f"{name}: {self.tally.rate:,.0f}/s, send p50 {self.tally.percentile_ms(0.5):.2f} ms, "
            f"p99 {self.tally.percentile_ms(0.99):.2f} ms; {self.batch:.1f} sends a commit of {self.commit_ms:.2f} ms; "
            f"{self.statements:.2f} statements a send; µs of CPU a send: {used}"
        )


METRICS = tuple(f"bellwire_commit_{part}" for part in ("batch_size_sum", "batch_size_count", "seconds_sum", "seconds_count"))


async def _count(place: Installation) -> Counted:
    client = Client(place.server.port)
    page = await read_page(client)
    client.close()
    return Counted(place.cpu(), calls(place.stores), {name: sum(samples(page, name).values()) for name in METRICS})


async def share(place: Installation, counter: Iterator[int], load: Callable[[], Awaitable[Tally]]) -> Share:
    """Run a load that numbers its sends by `counter`, wait for the drains, and divide."""
    before, first = await _count(place), next(counter)
    tally = await load()
    sent = next(counter) - first - 1
    await caught_up(place.server)
    after = await _count(place)
    size_sum, size_count, seconds_sum, seconds_count = (after.metrics[name] - before.metrics[name] for name in METRICS)
    return Share(
        tally,
        sent,
        {part: 1e6 * (after.cpu[part] - before.cpu[part]) / sent for part in before.cpu},
        (after.statements - before.statements) / sent,
        size_sum / size_count,
        1000 * seconds_sum / seconds_count,
    )
