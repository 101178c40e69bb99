"""What writing in bulk is worth: the drain of activity records in slices, against one transaction a record.

The drain runs alone, in a process of its own (`python -m bench.bulk SINGLES`), on a log that a gateway without a worker
has left behind. Both ways are the same code and the same durability, and neither pauses for senders: there are none.
"""

import itertools
import subprocess
import sys
from time import perf_counter
from typing import NamedTuple

import msgspec

from bench.figures import Benchmark, Bound, Line, Outcome, Scale
from bench.load import closed_loop
from bench.server import ROOT, Bellwire, StartFailed, bellwire
from bench.targets import chat, numbers

CONNECTIONS = 100
DRAIN_S = 300.0


class Drained(NamedTuple):
    """Rows that one way wrote, and the seconds it took."""

    rows: int
    seconds: float

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds


def _drained(events_per_slice: int | None, slices: int | None) -> Drained:
    """Drain in slices of this size (None: the drain's own), so many of them (None: to the log's end)."""
    from jobs.consumers.activity import ActivityConsumer
    from jobs.drain.drain import drain

    looks = itertools.count()
    start = perf_counter()
    result = drain(ActivityConsumer({}), lambda: next(looks) == slices, events_per_slice, pause=False)
    return Drained(result.rows, perf_counter() - start)


def _drain_both_ways(singles: int) -> tuple[Drained, Drained]:
    """Drain `singles` events one by one, then the rest in bulk, from the store that the environment names."""
    from commands import opening

    with opening.store(opening.settings()):
        _drained(1, 20)  # warm-up: statements, caches, the checkpoint's row
        return _drained(1, singles), _drained(None, None)


def _drain_apart(server: Bellwire, singles: int) -> tuple[Drained, Drained]:
    """Let another process, which has the server's settings, drain both ways."""
    command = [sys.executable, "-m", "bench.bulk", str(singles)]
    done = subprocess.run(command, cwd=ROOT, env=server.env(), capture_output=True, timeout=DRAIN_S)
    if done.returncode:
        raise StartFailed(done.stderr.decode()[-2000:])
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=tuple[Drained, Drained])  # behind the drains' own lines


async def bulk(scale: Scale) -> Outcome:
    """Fill a log with messages, stop the gateway, drain."""
    singles, rest = scale.count(3_000, 300), scale.count(50_000, 5_000)
    with bellwire(worker=False) as server:
        target = await chat(server, CONNECTIONS)
        filling = await closed_loop(target, CONNECTIONS, numbers(), count=singles + rest)
        server.stop()
        one, many = _drain_apart(server, singles)
    remark = f"one by one: {one.rows:,} rows in {one.seconds:.2f} s; in bulk: {many.rows:,} rows in {many.seconds:.2f} s"
    return Outcome({"rate": (many.rate, one.rate)}, filling.failed, filling.first_failure, [remark])


BULK = Benchmark(
    "bulk",
    {
        "rate": Line(
            "activity records drained in bulk; floor: one transaction a record",
            "rows/s",
            Bound(20, least=True),
            Bound(50, least=True),
        )
    },
    bulk,
)

if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(_drain_both_ways(int(sys.argv[1]))))
