"""How much an installation of a size needs, reckoned from what a send, a delivery and a poll cost on the machine that measured.

Every gateway reads all events, also those that only others' users see: with the number of gateways grows what each send costs.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from bench.figures import number

USERS = (1_000, 10_000, 100_000, 1_000_000)
SENDS_AN_HOUR = 4  # of each connected user, in the busy hour
PEAK = 3  # the busiest minutes of that hour, over its mean
DELIVERIES_A_SEND = 2  # the other person's poll, and the sender's own
POLL_S = 30  # an idle poll is answered, and opened again, after so long
POLL_KB = 16.9  # `idle`, bench/RESULTS.md
POLLS_A_GATEWAY = 20_000  # 10,000 were measured
BUSY = 0.6  # of a core, and of the log's lock
BATCH_MAX = 100  # sends in one commit


class Cost(NamedTuple):
    """A send's cost where sends come alone, and where many share a commit. In between it falls with the batch: part of it is
    a commit's."""

    alone: float
    batched: float

    def at(self, batch: float, measured: "Cost") -> float:
        """Return it for a batch between the two `measured` sizes; outside them it is that of the nearer."""
        low, high = measured
        if low >= high:
            return self.batched
        inverse = 1 / min(max(batch, low), high)
        share = (inverse - 1 / high) / (1 / low - 1 / high)
        return self.batched + share * (self.alone - self.batched)


@dataclass(frozen=True)
class Costs:
    """What was measured: µs of CPU a send by part (`tail…`: for each further gateway), and of a delivery and an empty poll."""

    batch: Cost
    commit_ms: Cost
    gateway: Cost
    postgres: Cost
    redis: Cost
    worker: Cost
    tail: Cost
    tail_postgres: Cost
    delivery_us: float
    poll_us: float

    def flat(self) -> dict[str, float]:
        """Return it as the values of an outcome."""
        pairs = {name: value for name, value in vars(self).items() if isinstance(value, Cost)}
        ends = {f"{name} {end}": getattr(value, end) for name, value in pairs.items() for end in Cost._fields}
        return {**ends, "delivery_us": self.delivery_us, "poll_us": self.poll_us}

    @classmethod
    def of(cls, flat: Mapping[str, float]) -> "Costs":
        """Return what `flat` was made from."""
        names = [name for name, kind in cls.__annotations__.items() if kind is Cost]
        pairs = {name: Cost(flat[f"{name} alone"], flat[f"{name} batched"]) for name in names}
        return cls(**pairs, delivery_us=flat["delivery_us"], poll_us=flat["poll_us"])


class Need(NamedTuple):
    """What so many connected users need."""

    users: int
    sends: float  # a second
    batch: float  # sends a commit
    lock: float  # share of the time that the log's lock is held
    gateways: int
    gateway_cores: float  # of one gateway
    polls_gb: float
    postgres_cores: float
    redis_cores: float
    worker_cores: float


def shared(costs: Costs, sends: float) -> tuple[float, float]:
    """Return the sends that share a commit at a rate, and the share of the time that commits then take: one at a time, as many
    as keep the log's lock busy no more than BUSY."""
    batch = 1.0
    for _ in range(50):
        batch = min(BATCH_MAX, max(1.0, sends * costs.commit_ms.at(batch, costs.batch) / 1000 / BUSY))
    return batch, sends * costs.commit_ms.at(batch, costs.batch) / 1000 / batch


def need(costs: Costs, users: int) -> Need:
    """Reckon."""
    sends = users * SENDS_AN_HOUR * PEAK / 3600
    batch, lock = shared(costs, sends)

    def cores(cost: Cost) -> float:
        return sends * cost.at(batch, costs.batch) / 1e6

    spread = cores(costs.gateway) + (sends * DELIVERIES_A_SEND * costs.delivery_us + users / POLL_S * costs.poll_us) / 1e6
    tail = cores(costs.tail)
    gateways = math.ceil(users / POLLS_A_GATEWAY)
    while gateways < users and spread / gateways + (tail if gateways > 1 else 0) > BUSY:
        gateways += 1
    return Need(
        users,
        sends,
        batch,
        lock,
        gateways,
        spread / gateways + (tail if gateways > 1 else 0),
        users * POLL_KB / 1e6,
        cores(costs.postgres) + (gateways - 1) * cores(costs.tail_postgres),
        cores(costs.redis),
        cores(costs.worker),
    )


def _row(needed: Need) -> str:
    def of(cores: float) -> str:
        return f"{math.ceil(cores / BUSY)} ({number(cores)} busy)"

    cells = [
        f"{needed.users:,}",
        number(needed.sends),
        f"{needed.batch:.1f}",
        f"{100 * needed.lock:.0f} %",
        f"{needed.gateways} ({number(needed.gateway_cores)} busy each)",
        f"{number(needed.polls_gb)} GB",
        *map(of, (needed.postgres_cores, needed.redis_cores, needed.worker_cores)),
    ]
    return f"| {' | '.join(cells)} |"


HEAD = """\
| connected users | sends/s | sends a commit | log's lock held | gateways | memory of the polls | PostgreSQL cores | Redis cores | \
workers |
|---|---|---|---|---|---|---|---|---|"""


def _inputs(costs: Costs) -> str:
    parts = ("gateway", "postgres", "redis", "worker", "tail", "tail_postgres")
    told = {"postgres": "PostgreSQL", "redis": "Redis", "tail": "each further gateway", "tail_postgres": "its tail at PostgreSQL"}
    each = [f"{told.get(name, name)} {getattr(costs, name).alone:.0f} → {getattr(costs, name).batched:.0f}" for name in parts]
    return (
        f"Measured, µs of CPU a send, with {costs.batch.alone:.1f} → {costs.batch.batched:.0f} sends a commit: {', '.join(each)}. "
        f"A delivery, with the poll after it: {costs.delivery_us:.0f} µs; an empty poll: {costs.poll_us:.0f} µs; a commit: "
        f"{costs.commit_ms.alone:.1f} → {costs.commit_ms.batched:.1f} ms."
    )


def capacity(values: Mapping[str, float]) -> str:
    """Return the table with what it assumes."""
    costs = Costs.of(values)
    assumed = (
        f"Assumed: everybody polls, and sends {SENDS_AN_HOUR} direct messages an hour, {PEAK} times as many in the busiest "
        f"minutes; each is delivered to {DELIVERIES_A_SEND} polls; an idle poll is opened again every {POLL_S} s and takes "
        f"{POLL_KB} KB; a gateway, one core at most, holds {POLLS_A_GATEWAY:,} polls; cores, which are like this machine's, and "
        f"the log's lock are {BUSY:.0%} busy. One more of everything lets any one fail."
    )
    table = "\n".join([HEAD, *(_row(need(costs, users)) for users in USERS)])
    return "\n\n".join(["Capacity, reckoned:", table, assumed, _inputs(costs)])
