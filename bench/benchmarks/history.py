"""Importing the history of another system: its speed and memory, and its effect on the sends beside it."""

import asyncio
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import msgspec

from bench.benchmark import Benchmark, Bound, Figure, Line, Round, Scale, round_of
from bench.load.loops import Stream, open_loop, percentile
from bench.load.targets import Chat, create_chat, numbers
from bench.servers.bellwire import Bellwire, bellwire

RATE = 200  # sends a second
PEOPLE = 100
MESSAGES_PER_CONVERSATION = 500
WORDS = "the order was sent yesterday and arrives in the morning, number"
MEASURED = """
import resource, sys, time
from commands.line import main
began = time.perf_counter()
status = main(["import", sys.argv[1], "--source", sys.argv[2]])
print(f"took {time.perf_counter() - began:.3f} s and {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss} KiB")
sys.exit(status)
"""


class Imported(NamedTuple):
    """The number of messages of an import, its time from the command's start, and its peak memory."""

    messages: int
    seconds: float
    mib: float


def _lines(count: int) -> Iterator[Mapping[str, object]]:
    """Yield people, and groups of ten with so many messages in all, one a second."""
    yield from ({"user": {"external_id": str(n), "display_name": f"Person {n}"}} for n in range(PEOPLE))
    for number in range(count):
        conversation, second = divmod(number, MESSAGES_PER_CONVERSATION)
        members = [f"ext:{(conversation + n) % PEOPLE}" for n in range(10)]
        if second == 0:
            yield {
                "conversation": {"key": f"c{conversation}", "kind": "group", "title": f"Group {conversation}", "members": members}
            }
        at = f"2024-05-01T10:{second // 60:02d}:{second % 60:02d}Z"
        fields = {"conversation": f"c{conversation}", "sender": members[number % 10], "body": f"{WORDS} {number}", "at": at}
        yield {"message": {"key": str(number), **fields}}


def _import(server: Bellwire, count: int, source: str) -> Imported:
    """Import so many messages from a file."""
    file = Path(server.folder) / f"{source}.jsonl"
    with file.open("wb") as lines:
        lines.writelines(msgspec.json.encode(line) + b"\n" for line in _lines(count))
    found = re.search(rb"took ([\d.]+) s and (\d+) KiB", server.run("-c", MEASURED, str(file), source))
    assert found is not None
    return Imported(count, float(found[1]), int(found[2]) / 1024)


async def _send_beside(server: Bellwire, target: Chat, count: int, seconds: float) -> tuple[Stream, float, float]:
    """Send during an import; return the sends, and the import's start and end."""
    sending = asyncio.create_task(open_loop(target, RATE, seconds, numbers(500_000)))
    start = perf_counter()
    await asyncio.to_thread(_import, server, count, "beside")
    end = perf_counter()
    return await sending, start, end


async def history(scale: Scale) -> Round:
    """Import a tenth and all of the messages into a store of their own; then send without and beside an import."""
    count, beside_count, seconds = scale.count(1_000_000, 20_000), scale.count(100_000, 5_000), scale.seconds(15, 4)
    with bellwire(worker=False) as server:
        server.stop()
        tenth, whole = _import(server, count // 10, "tenth"), _import(server, count, "whole")
    with bellwire() as server:
        target = create_chat(server)
        await open_loop(target, RATE, 1, numbers())
        alone = await open_loop(target, RATE, seconds, numbers(1_000))
        beside, start, end = await _send_beside(server, target, beside_count, seconds)
    during = [latency for latency, at in zip(beside.latencies_s, beside.ended_at, strict=True) if start <= at <= end]
    remarks = [
        f"{whole.messages:,} messages in {whole.seconds:.1f} s: {whole.mib:.0f} MiB, a tenth of them: {tenth.mib:.0f} MiB",
        f"beside sends: {beside_count:,} messages in {end - start:.1f} s; only the {len(during):,} sends beside them count",
    ]
    figures = {
        "rate": Figure(whole.messages / whole.seconds),
        "memory": Figure(whole.mib, tenth.mib),
        "p99": Figure(1000 * percentile(during, 0.99), alone.percentile_ms(0.99)),
    }
    return round_of(figures, [alone, beside], remarks)


HISTORY = Benchmark(
    "import",
    {
        "rate": Line("messages imported into SQLite", "/s", Bound(20_000, "measured", at_least=True)),
        "memory": Line("peak memory of importing a million messages; floor: a tenth of them", "MiB", Bound(1.2)),
        "p99": Line("send p99 at 200/s beside an import; floor: without", "ms", Bound(3), Bound(1.5)),
    },
    history,
)
