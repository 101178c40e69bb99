"""What people see of each other live: typing and read marks, timed at the other person's long poll."""

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any

from bench.client import Client
from bench.figures import Benchmark, Bound, Line, Outcome, Scale
from bench.load import percentile
from bench.people import Person, make_people
from bench.reader import Event, Reader
from bench.server import Bellwire, bellwire

LOST_S = 2.0  # an event that is later than this counts as lost


class Pair:
    """Two people in a direct conversation; `watcher` holds a poll, `actor` does something."""

    def __init__(self, client: Client, actor: Person, watcher: Person, conversation: int) -> None:
        """Prepare the watcher's reader; `start` opens its poll."""
        self.client, self.actor, self.watcher, self.conversation = client, actor, watcher, conversation
        self._events: asyncio.Queue[tuple[Event, float]] = asyncio.Queue()
        self.reader = Reader(client.another(), watcher.token, lambda event, at: self._events.put_nowait((event, at)))

    async def post(self, path: str, body: dict[str, Any], by: Person | None = None) -> Any:
        """Call as the actor (or `by`)."""
        return await self.client.call("POST", path, (by or self.actor).token, body)

    async def seen(self, kind: str, **wanted: object) -> float | None:
        """Return when the watcher parsed the event of this type with this data, None when it did not come."""
        try:
            async with asyncio.timeout(LOST_S):
                while True:
                    event, at = await self._events.get()
                    data = event.decoded()
                    if event.type == kind and all(data.get(name) == value for name, value in wanted.items()):
                        return at
        except TimeoutError:
            return None


async def _pair(server: Bellwire) -> Pair:
    client = Client(server.port)
    actor, watcher = await make_people(client, server.admin_token, 2, "pair")
    made = await client.call("POST", "/api/v1/conversations", actor.token, {"members": [watcher.id]})
    pair = Pair(client, actor, watcher, made["id"])
    await pair.reader.remember(client)
    pair.reader.start()
    await asyncio.sleep(0.5)
    return pair


async def _typing(pair: Pair, turn: int) -> tuple[float, float | None]:
    """Start or stop typing; return when, and when it was seen."""
    start, typing = perf_counter(), turn % 2 == 0
    await pair.post(f"/api/v1/conversations/{pair.conversation}/typing", {"typing": typing})
    return start, await pair.seen("typing", user=pair.actor.id, typing=typing)


async def _read(pair: Pair, turn: int) -> tuple[float, float | None]:
    """Read a message that the watcher has just sent; return when, and when the watcher saw it."""
    body = {"conversation": pair.conversation, "body": f"message {turn}"}
    message = (await pair.post("/api/v1/messages", body, by=pair.watcher))["id"]
    await pair.seen("message.created", id=message)
    start = perf_counter()
    await pair.post(f"/api/v1/conversations/{pair.conversation}/read", {"message": message})
    return start, await pair.seen("read.updated", user=pair.actor.id, message=message)


async def _repeated(pair: Pair, act: Callable[[Pair, int], Awaitable[tuple[float, float | None]]], times: int) -> tuple[float, int]:
    """Return the p95 in milliseconds, and how often nothing came."""
    delays, lost = [], 0
    for turn in range(times):
        start, seen = await act(pair, turn)
        if seen is None:
            lost += 1
        else:
            delays.append(seen - start)
        await asyncio.sleep(0.005)  # people do not type in a closed loop; let the poll come back
    return 1000 * percentile(delays, 0.95), lost


async def typing(scale: Scale) -> Outcome:
    """One person acts, the other's poll is timed."""
    times = scale.count(300, 50)
    with bellwire() as server:
        pair = await _pair(server)
        typed, typed_lost = await _repeated(pair, _typing, times)
        read, read_lost = await _repeated(pair, _read, times)
        await pair.reader.stop()
        pair.client.close()
    lost = typed_lost + read_lost
    remark = f"{times} each; {typed_lost} typing events and {read_lost} read marks not seen within {LOST_S:g} s"
    failed = lost + pair.reader.failed
    return Outcome({"typing": (typed, None), "read": (read, None)}, failed, remark if failed else "", [remark])


LIVE_MS = Bound(50, "measured"), Bound(10, "measured")
TYPING = Benchmark(
    "typing",
    {
        "typing": Line("typing to the other's poll, p95", "ms", *LIVE_MS),
        "read": Line("read mark to the other's poll, p95", "ms", *LIVE_MS),
    },
    typing,
)
