"""How long signing up takes when many do, with mail that takes its time, and what it does to the sends of others.

The gateway hashes a password, which takes some 25 ms of a core by design, and queues a code; the worker hands that to a relay
which takes 4 s over a mail, so nearly all of the mails still wait at the end.
"""

import asyncio
import sqlite3
from contextlib import closing
from statistics import median
from time import perf_counter
from typing import NamedTuple

from bench.client import raw_request
from bench.figures import Benchmark, Bound, Line, Outcome, Scale
from bench.load import Stream, open_loop
from bench.relay import relay
from bench.server import Bellwire, bellwire
from bench.targets import chat, numbers

SIGNUPS, FEW_SIGNUPS = 20, 4  # a second
SENDS = 97  # a second; in step with the sign-ups they would meet them always or never
SENDERS = 10
MAIL_S = 4.0
HASHES = 40
SHARE, MORE_MS = 1.3, 10.0  # what a sign-up may take: so many hashes, and so much for everything else


class Newcomers:
    """A load of sign-ups, in a send's place."""

    created = 201
    users = 1

    def __init__(self, port: int) -> None:
        """Name the gateway's port."""
        self.port = port

    def send(self, user: int, number: int) -> bytes:
        """Return the sign-up of newcomer `number`."""
        body = {"username": f"new{number}", "email": f"new{number}@example.org", "password": f"a nap of {number} minutes"}
        return raw_request("POST", "/api/v1/signup", body=body)


def _hash_ms() -> float:
    """Return the median time of a hash as the product makes it."""
    from models.identity.password import hashed

    times = []
    for number in range(HASHES):
        start = perf_counter()
        hashed(f"a nap of {number} minutes")
        times.append(perf_counter() - start)
    return 1000 * median(times)


def _codes(server: Bellwire) -> int:
    """Return how many mails with a code were queued."""
    with closing(sqlite3.connect(server.folder / "data" / "bellwire.db")) as connection:
        return int(connection.execute("SELECT count(*) FROM emails WHERE kind='signup_code'").fetchone()[0])


class _Found(NamedTuple):
    """What one server's loads came to."""

    sends_alone: Stream
    signups_alone: Stream
    sends: Stream
    signups: Stream


async def _loads(server: Bellwire, scale: Scale) -> _Found:
    """Send, then sign up, then do both beside each other."""
    people, newcomers, sent, new = await chat(server, SENDERS), Newcomers(server.port), numbers(), numbers()
    seconds = scale.pick(15, 3)
    await open_loop(people, SENDS, 1, sent)  # warm-up, as is the next: the first sign-up reads a list of passwords
    await open_loop(newcomers, FEW_SIGNUPS, 1, new)
    return _Found(
        await open_loop(people, SENDS, seconds, sent),
        await open_loop(newcomers, FEW_SIGNUPS, scale.pick(8, 2), new),
        *await asyncio.gather(open_loop(people, SENDS, seconds, sent), open_loop(newcomers, SIGNUPS, seconds, new)),
    )


async def signup(scale: Scale) -> Outcome:
    """One hash on the idle machine, then everything else on one server."""
    hash_ms = _hash_ms()
    with relay(MAIL_S) as through, bellwire(settings=through.settings) as server:
        found = await _loads(server, scale)
        codes, mails = _codes(server), len(through.taken())
    asked = FEW_SIGNUPS + len(found.signups_alone.latencies_s) + len(found.signups.latencies_s)
    bound_ms = SHARE * hash_ms + MORE_MS
    values = {
        "hash": (hash_ms, None),
        "alone": (found.signups_alone.percentile_ms(0.5), bound_ms),
        "p50": (found.signups.percentile_ms(0.5), bound_ms),
        "p95": (found.signups.percentile_ms(0.95), None),
        "sends p50": (found.sends.percentile_ms(0.5), found.sends_alone.percentile_ms(0.5)),
        "sends p99": (found.sends.percentile_ms(0.99), found.sends_alone.percentile_ms(0.99)),
    }
    why = next((stream.first_failure for stream in found if stream.first_failure), "")
    if asked != codes or not mails:
        why = why or f"{asked} sign-ups were answered 201, {codes} codes queued, {mails} mails taken"
    remark = f"{asked} sign-ups answered 201, {codes} codes queued; the relay took {mails} mails by then"
    return Outcome(values, sum(stream.failed for stream in found) + abs(asked - codes) + (not mails), why, [remark])


_BOUND = f"floor: {SHARE:g} hashes + {MORE_MS:g} ms"
SIGNUP = Benchmark(
    "signup",
    {
        "hash": Line("a password's hash (argon2), median", "ms"),
        "alone": Line(f"sign-up p50, {FEW_SIGNUPS}/s; {_BOUND}", "ms"),
        "p50": Line(f"sign-up p50, {SIGNUPS}/s, {SENDS} sends/s beside; {_BOUND}", "ms", Bound(1.0)),
        "p95": Line("the same, p95", "ms"),
        "sends p50": Line(f"send p50 beside {SIGNUPS} sign-ups/s; floor: without", "ms"),
        "sends p99": Line("the same, p99", "ms", Bound(1.5)),
    },
    signup,
)
