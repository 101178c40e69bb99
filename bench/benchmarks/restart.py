"""A restart of the gateway with 10,000 clients: the time until all have a poll again, and who was wrongly seen as offline."""

import asyncio
import random
import time
from time import perf_counter

import msgspec

from bench.benchmark import Benchmark, Bound, Figure, Line, Round, Scale
from bench.load.client import Answer, Client, raw_request
from bench.load.metrics_page import read_page, samples
from bench.load.people import Person, create_people
from bench.servers.bellwire import bellwire
from bench.servers.processes import cpu_seconds

WATCHED = 49  # members of a group of 50: each hears of the others' presence
POLL_TIMEOUT_S = 60
RETRY_S = (0.1, 1.0)  # a client waits so long, at random, before it connects again
OPEN_TIMEOUT_S = 60.0
CHECK_INTERVAL_S = 0.25  # reading the metrics of 10,000 connections costs the gateway 20 ms
SETTLE_S = 35.0  # longer than the 30 s after which a person without a poll is offline
OPENING_SPREAD_S = 5.0


class _Data(msgspec.Struct):
    online: bool = True


class _Event(msgspec.Struct):
    type: str
    data: _Data


class _Events(msgspec.Struct):
    events: list[_Event]
    cursor: str


class Reader:
    """A client that polls for presence and connects again after its connection was lost."""

    def __init__(self, port: int, token: str) -> None:
        self._port, self._token, self._cursor = port, token, ""
        self.offline_events = 0

    async def run(self, delay_s: float) -> None:
        """Poll without end, from `delay_s` seconds on."""
        await asyncio.sleep(delay_s)
        client = Client(self._port)
        while True:
            path = f"/api/v1/events?timeout={POLL_TIMEOUT_S}&types=presence{self._cursor}"
            try:
                self._enter(await client.request(raw_request("GET", path, self._token), POLL_TIMEOUT_S + 30))
            except OSError:
                await asyncio.sleep(random.uniform(*RETRY_S))

    def _enter(self, answer: Answer) -> None:
        if answer.status != 200:
            raise ConnectionError(f"{answer.status} {answer.text}")
        events = msgspec.json.decode(answer.body, type=_Events)
        self._cursor = f"&cursor={events.cursor}"
        self.offline_events += sum(event.type == "presence" and not event.data.online for event in events.events)


async def _until_open(port: int, count: int) -> float:
    """Return when so many polls are open; raise TimeoutError after OPEN_TIMEOUT_S."""
    deadline = perf_counter() + OPEN_TIMEOUT_S
    while perf_counter() < deadline:
        client = Client(port)
        try:
            if sum(samples(await read_page(client), "bellwire_polls_open").values()) >= count:
                return perf_counter()
        except OSError:
            pass
        finally:
            client.close()
        await asyncio.sleep(CHECK_INTERVAL_S)
    raise TimeoutError(f"{count} polls were not open within {OPEN_TIMEOUT_S:g} s")


async def _online(port: int, people: list[Person]) -> int:
    """Return how many of the watched the first of them sees online."""
    client = Client(port)
    presence = (await client.call("GET", "/api/v1/state", people[0].token))["presence"]
    client.close()
    return sum(bool(presence.get(str(person.id))) for person in people[1 : WATCHED + 1])


async def restart(scale: Scale) -> Round:
    """Open a poll for each client, kill the gateway, start it again at once."""
    count = scale.count(10_000, 500)
    with bellwire(worker=False) as server:
        server.start_worker()
        people = create_people(server, count)
        client = Client(server.port)
        group = {"members": [person.id for person in people[1 : WATCHED + 1]], "title": "watched"}
        await client.call("POST", "/api/v1/conversations", people[0].token, group)
        client.close()
        readers = [Reader(server.port, person.token) for person in people]
        tasks = [asyncio.create_task(each.run(random.uniform(0, OPENING_SPREAD_S))) for each in readers]
        await _until_open(server.port, count)
        for each in readers:
            each.offline_events = 0
        server.kill_gateway()
        started, own_cpu = perf_counter(), time.process_time()
        gateway = server.start("gateway")
        opened = await _until_open(server.port, count) - started
        own_cpu, gateway_cpu = time.process_time() - own_cpu, cpu_seconds([gateway.pid])
        await asyncio.sleep(scale.seconds(SETTLE_S, 5))
        online = await _online(server.port, people)
        for task in tasks:
            task.cancel()
    wrong = sum(each.offline_events for each in readers) + WATCHED - online
    remarks = [
        f"{count:,} clients; {online} of {WATCHED} watched people online afterwards",
        f"CPU time until all had a poll: gateway {gateway_cpu:.1f} s, start included; clients {own_cpu:.1f} s, on the same cores",
    ]
    return Round({"opened": Figure(opened), "wrong": Figure(wrong)}, remarks=remarks)


RESTART = Benchmark(
    "restart",
    {
        "opened": Line("a killed gateway with 10,000 clients, from its start until all have a poll", "s", Bound(10, "measured")),
        "wrong": Line("the same: people wrongly seen offline", "", Bound(0, "measured")),
    },
    restart,
)
