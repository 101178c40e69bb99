"""Run attacks, each against a fresh Bellwire beside 50 ordinary senders, and measure the sends of these senders.

The attack runs in a process of its own: `python -m bench.hostile.battery NAME`, with its stage as JSON on standard input.
"""

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import AsyncIterator

import msgspec
import uvloop

from bench.hostile.files import FILES
from bench.hostile.malformed import MALFORMED
from bench.hostile.readers import READING
from bench.hostile.scene import Attack, Scene, Stage
from bench.hostile.writers import WRITING
from bench.load.loops import Stream, connected, open_loop
from bench.load.people import create_people
from bench.load.targets import Chat, create_chat, numbers
from bench.servers.bellwire import ROOT, Bellwire, bellwire
from bench.servers.processes import pss_bytes, raise_open_files

ATTACKS = {attack.name: attack for attack in (*READING, *WRITING, *FILES, *MALFORMED)}
SENDERS = 50
SENDS_PER_SECOND = 50
MEMORY_INTERVAL_S = 0.5
WARM_UP_S = 1.0
MAX_PEOPLE = 10_000


class Effect(msgspec.Struct):
    """The effect of an attack: the sends of ordinary senders without it and beside it; times in ms, memory in MB.

    `answers` counts the statuses of the attacker's answers, 0 for a closed connection.
    """

    name: str
    p50_ms: float
    p99_ms: float
    p50_without_ms: float
    p99_without_ms: float
    failed: int
    first_failure: str
    memory_mb: float
    answers: dict[int, int]

    @property
    def ratio(self) -> float:
        """p99 beside the attack, divided by p99 without."""
        return self.p99_ms / self.p99_without_ms


async def measure(attack: Attack, seconds: float, seed: int) -> Effect:
    """Measure an attack on a fresh server."""
    with bellwire() as server:
        return await measure_at(server, create_chat(server, SENDERS), attack, seconds, seed)


async def measure_at(
    server: Bellwire, chat: Chat, attack: Attack, seconds: float, seed: int, *, max_people: int = MAX_PEOPLE, first: int = 1
) -> Effect:
    """Send without the attack, then beside it; `first` is the number of the first message."""
    numbered = numbers(first)
    people = create_people(server, min(attack.people, max_people), attack.name, tokens=attack.tokens)
    if not attack.tokens:
        people[0] = create_people(server, 1, f"{attack.name}_by")[0]
    stage = Stage(server.port, people, seed)
    senders = await connected(server.port)
    await open_loop(chat, SENDS_PER_SECOND, WARM_UP_S, numbered, senders)
    without = await open_loop(chat, SENDS_PER_SECOND, seconds, numbered, senders)
    before = pss_bytes([server.gateway_pid()])
    async with attacking(attack, stage) as answers, peak_memory(server) as peak:
        beside = await open_loop(chat, SENDS_PER_SECOND, seconds, numbered, senders)
    for client in senders:
        client.close()
    return _effect_of(attack, without, beside, (max(peak) - before) / 1024 / 1024, answers)


@contextlib.asynccontextmanager
async def attacking(attack: Attack, stage: Stage) -> AsyncIterator[Counter[int]]:
    """Run the attack in a process of its own; the yielded counts of its answers are filled at the end."""
    command = (sys.executable, "-m", "bench.hostile.battery", attack.name)
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=PIPE, stdout=PIPE)
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(stage) + b"\n")
    await process.stdin.drain()
    answers: Counter[int] = Counter()
    try:
        yield answers
        process.stdin.close()  # ends the attack
        output, _ = await process.communicate()
        answers.update(msgspec.json.decode(output, type=dict[int, int]))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@contextlib.asynccontextmanager
async def peak_memory(server: Bellwire) -> AsyncIterator[list[int]]:
    """Read the gateway's memory in bytes every MEMORY_INTERVAL_S into the yielded list."""
    pid, sizes = server.gateway_pid(), [0]

    async def read() -> None:
        while True:
            sizes.append(pss_bytes([pid]))
            await asyncio.sleep(MEMORY_INTERVAL_S)

    reading = asyncio.create_task(read())
    try:
        yield sizes
    finally:
        reading.cancel()


def _effect_of(attack: Attack, without: Stream, beside: Stream, memory_mb: float, answers: dict[int, int]) -> Effect:
    return Effect(
        attack.name,
        beside.percentile_ms(0.5),
        beside.percentile_ms(0.99),
        without.percentile_ms(0.5),
        without.percentile_ms(0.99),
        without.failed + beside.failed,
        without.first_failure or beside.first_failure,
        memory_mb,
        answers,
    )


async def _attack(attack: Attack, stage: Stage) -> Counter[int]:
    """Attack until standard input ends; return the counts of the answers."""
    scene = Scene(stage)
    task = asyncio.create_task(attack.run(scene))
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
    await asyncio.wait([task, ended], return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()  # an attack has no end of its own: this raises its error
    task.cancel()
    return scene.answers


if __name__ == "__main__":
    raise_open_files()
    first_line = sys.stdin.buffer.readline()
    counted = uvloop.run(_attack(ATTACKS[sys.argv[1]], msgspec.json.decode(first_line, type=Stage)))
    sys.stdout.buffer.write(msgspec.json.encode(counted))
    sys.stdout.flush()
    os._exit(0)  # thousands of sockets need no orderly end
