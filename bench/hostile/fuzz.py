"""Send generated requests to a gateway, valid, odd and malformed: nothing may break, hang or stay.

`python -m bench.hostile.fuzz` starts a gateway without rate limits, sends a million requests over many connections, and expects no
server error, an end of every connection, as many connections and not much more memory than before, and an ordinary send to be
accepted. It prints the first bytes that broke a rule.
"""

import argparse
import asyncio
import os
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from random import Random

import uvloop

from bench.hostile.requests import Bytes, Call, connection
from bench.load.client import Client, raw_request
from bench.load.people import Person, create_people
from bench.servers.bellwire import Bellwire, bellwire
from bench.servers.processes import PROC, raise_open_files, rss_bytes

REQUESTS = 1_000_000
CONNECTIONS = 200  # at a time
ODDITIES = (0.0, 0.02, 0.1, 0.3)
MOST_REQUESTS, MOST_ODD_REQUESTS = 16, 4  # on a connection, which ends with the first that is refused
ODD = 0.1
SILENCE_S = 0.5  # then the gateway waits for more of a request, and the client goes
HANG_S = 60.0  # for the answers to valid requests
REST_S = 5.0  # without a change: then a process closes no more connections soon
CLOSED_S = 90.0  # after which no connection is open that waits for its client (gateway/http/deadlines.py, lingering.py)
WARM_UP_SHARE = 0.1  # of the requests, before the memory is read first
CHEAP_FOR_EACH_OTHER = 8
MAX_GROWTH_BYTES = 64 * 1024 * 1024
SETTINGS = {"BELLWIRE_RATE_LIMITS": "off", "BELLWIRE_LOG_LEVEL": "warning"}
LAST = b"GET /healthz HTTP/1.1\r\nHost: last\r\nConnection: close\r\n\r\n"
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) [A-Z]")


def calls(person: Person, other: Person) -> list[Call]:
    """Return the requests that are varied: mostly cheap ones, for it is the wire that is tried."""
    bearer = (f"Authorization: Bearer {person.token}",)
    as_json = (*bearer, "Content-Type: application/json")
    message = f'{{"to": {other.id}, "body": "fuzzed", "client_id": "1"}}'.encode()
    cheap = [
        *(Call(path) for path in ("/healthz", "/nothing", "/api/v1/me", "/api/v1/messages")),
        *(Call(f"/api/v1/{path}", method="GET", headers=bearer) for path in ("events", "events?timeout=0", "me/blocks")),
        Call("/api/v1/messages", message, "POST", as_json),
        Call("/api/v1/messages", b"{", headers=as_json),
        Call("/api/v1/conversations/1/typing", b"", "POST", as_json),
        Call("/api/v1/me", b"{}", headers=as_json),
    ]
    paths = ("state", "conversations/1/messages?limit=5", "notifications", "users", "posts", "me")
    return [
        *cheap * CHEAP_FOR_EACH_OTHER,
        *(Call(f"/api/v1/{path}", method="GET", headers=bearer) for path in paths),
        *(Call(path) for path in ("/", "/api/v1/instance", "/static/app.js")),
        Call("/api/v1/files?name=a.txt", b"fuzzed" * 2_000, "POST", bearer),
    ]


@dataclass
class Tally:
    """The requests that were sent, their answers, and the faults: `broken` has the first bytes of each kind."""

    sent: int = 0
    connections: int = 0
    growth_bytes: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    broken: dict[str, str] = field(default_factory=dict)

    def fault(self, kind: str, sent: Bytes) -> None:
        """Keep the first case of a kind."""
        self.broken.setdefault(kind, repr(sent)[:4_000])


class Fuzzed(asyncio.Protocol):
    """A client's connection: it counts the statuses that it receives."""

    def __init__(self) -> None:
        self.ended = asyncio.get_running_loop().create_future()
        self.received = 0
        self.statuses: list[int] = []

    def data_received(self, data: bytes) -> None:
        """Count: a status that is cut in two is lost, which is rare."""
        self.received += len(data)
        self.statuses += [int(status) for status in STATUS.findall(data)]

    def connection_lost(self, error: Exception | None) -> None:
        """Note the end."""
        if not self.ended.done():
            self.ended.set_result(None)


async def send(port: int, sent: Bytes, tally: Tally, *, is_valid: bool) -> None:
    """Send one connection's bytes and a last request. Valid ones must be answered to the end."""
    transport, client = await asyncio.get_running_loop().create_connection(Fuzzed, "127.0.0.1", port)
    for part in sent.parts if not is_valid else (sent.data + LAST,):
        if client.ended.done():
            break
        transport.write(part)
        await asyncio.sleep(0)
    if sent.ending == "half-close" and not is_valid and not client.ended.done():
        transport.write_eof()
    if is_valid or sent.ending != "close":
        await _answered(client, HANG_S if is_valid else SILENCE_S)
    if is_valid and not client.ended.done():
        tally.fault("hang", sent)
    transport.abort()
    tally.statuses.update(client.statuses)
    for status in client.statuses:
        if status >= 500:
            tally.fault(str(status), sent)


async def _answered(client: Fuzzed, silence_s: float) -> None:
    """Wait until the gateway closes the connection, or sends nothing for a while."""
    received = -1
    while received != client.received and not client.ended.done():
        received = client.received
        await asyncio.wait([client.ended], timeout=silence_s)


async def fuzz(port: int, varied: list[Call], random: Random, requests: int, tally: Tally) -> None:
    """Send so many requests over many connections at a time."""
    end = tally.sent + requests

    async def work() -> None:
        while tally.sent < end:
            oddity = random.choice(ODDITIES)
            sent = connection(random, varied, oddity, MOST_REQUESTS if oddity < ODD else MOST_ODD_REQUESTS)
            tally.sent += sent.requests
            tally.connections += 1
            await send(port, sent, tally, is_valid=not oddity)

    await asyncio.gather(*(work() for _ in range(CONNECTIONS)))


def connections_of(pid: int) -> int:
    """Return the number of open sockets of a process."""
    links = (each for each in (PROC / str(pid) / "fd").iterdir() if each.is_symlink())
    return sum(os.readlink(each).startswith("socket:") for each in links)


async def connections_at_rest(pid: int, most: int = 0, rest_s: float = REST_S) -> int:
    """Return the open sockets of a process once there are at most so many, or no fewer become open for so long."""
    number, since = connections_of(pid), time.monotonic()
    while number > most and time.monotonic() < since + rest_s:
        await asyncio.sleep(0.1)
        if (now := connections_of(pid)) < number:
            since = time.monotonic()
        number = now
    return number


async def ordinary_send(port: int, person: Person, other: Person) -> int:
    """Return the status of a message that is sent as it should be."""
    client = Client(port)
    raw = raw_request("POST", "/api/v1/messages", person.token, {"to": other.id, "body": "after all"})
    try:
        return (await client.request(raw, HANG_S)).status
    finally:
        client.close()


async def attack(server: Bellwire, people: list[Person], requests: int, seed: int) -> Tally:
    """Fuzz a gateway, and note what is left of it that should not be."""
    tally, random, pid = Tally(), Random(seed), server.gateway_pid()
    varied = calls(*people)
    await fuzz(server.port, varied, random, int(requests * WARM_UP_SHARE), tally)
    before, memory = await connections_at_rest(pid), rss_bytes(pid)
    await fuzz(server.port, varied, random, requests - tally.sent, tally)
    if (left := await connections_at_rest(pid, before, CLOSED_S)) > before:
        tally.broken["connections"] = f"{left} are open instead of {before}"
    tally.growth_bytes = rss_bytes(pid) - memory
    if tally.growth_bytes > MAX_GROWTH_BYTES:
        tally.broken["memory"] = f"{tally.growth_bytes / 2**20:.0f} MB more"
    if (status := await ordinary_send(server.port, *people)) != 201:
        tally.broken["send"] = f"an ordinary send was answered {status}"
    return tally


def main() -> int:
    """Fuzz a fresh gateway and print what came of it; return 1 when something broke."""
    parser = argparse.ArgumentParser(prog="python -m bench.hostile.fuzz", description=__doc__)
    parser.add_argument("--requests", type=int, default=REQUESTS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--wire", default="httptools", choices=("httptools", "tornado"))
    arguments = parser.parse_args()
    raise_open_files()
    began = time.monotonic()
    with bellwire(worker=False, settings={**SETTINGS, "BELLWIRE_WIRE": arguments.wire}) as server:
        people = create_people(server, 2, "fuzz")
        tally = uvloop.run(attack(server, people, arguments.requests, arguments.seed))
    statuses = ", ".join(f"{number:,} × {status}" for status, number in sorted(tally.statuses.items()))
    seconds, answers = time.monotonic() - began, tally.statuses.total()
    print(f"{tally.sent:,} requests on {tally.connections:,} connections in {seconds:.0f} s: {answers:,} answers ({statuses}),")
    print(f"memory {tally.growth_bytes / 2**20:+.1f} MB after the first tenth, seed {arguments.seed}")
    for kind, what in tally.broken.items():
        print(f"{kind}: {what}", file=sys.stderr)
    return 1 if tally.broken else 0


if __name__ == "__main__":
    sys.exit(main())
