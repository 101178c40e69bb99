"""The time of a sign-up while many people sign up and mail is slow, and the effect on the sends of others.

The gateway hashes a password, which costs some 25 ms of a core by design, and queues a code. The worker sends it to a relay that
needs 4 s for each mail, so nearly all mails still wait at the end.
"""

import asyncio
import sqlite3
from contextlib import closing
from statistics import median
from time import perf_counter
from typing import NamedTuple

from bench.benchmark import Benchmark, Bound, Figure, Line, Round, Scale, round_of
from bench.load.client import raw_request
from bench.load.loops import Stream, open_loop
from bench.load.targets import create_chat, numbers
from bench.servers.bellwire import Bellwire, bellwire
from bench.servers.relay import relay

SIGNUPS, FEW_SIGNUPS = 20, 4  # a second
SENDS = 97  # a second; a multiple of SIGNUPS would make each send coincide with a sign-up, or none
MAIL_S = 4.0
HASHES = 40
MAX_HASHES, MORE_MS = 1.3, 10.0  # the time allowed for a sign-up: so many hashes, and so much for everything else
PROXY = {"BELLWIRE_TRUSTED_PROXIES": "127.0.0.1/32"}  # sign-ups are limited by address: each comes from another one


class Newcomers:
    """A target whose sends are sign-ups."""

    created = 201
    users = 1

    def __init__(self, port: int) -> None:
        self.port = port

    def send(self, user: int, number: int) -> bytes:
        """Return the sign-up of newcomer `number`, from an address of their own."""
        body = {"username": f"new{number}", "email": f"new{number}@example.org", "password": f"a nap of {number} minutes"}
        head, _, content = raw_request("POST", "/api/v1/signup", body=body).partition(b"\r\n\r\n")
        return b"%b\r\nX-Forwarded-For: 10.0.%d.%d\r\n\r\n%b" % (head, number // 250, 1 + number % 250, content)


def _hash_ms() -> float:
    """Return the median time of a password's hash."""
    from models.identity.password import hashed

    times = []
    for number in range(HASHES):
        start = perf_counter()
        hashed(f"a nap of {number} minutes")
        times.append(perf_counter() - start)
    return 1000 * median(times)


def _count_codes(server: Bellwire) -> int:
    """Return the number of mails with a code."""
    with closing(sqlite3.connect(server.folder / "data" / "bellwire.db")) as connection:
        return int(connection.execute("SELECT count(*) FROM emails WHERE kind='signup_code'").fetchone()[0])


class _Loads(NamedTuple):
    sends_alone: Stream
    signups_alone: Stream
    sends: Stream
    signups: Stream


async def _run_loads(server: Bellwire, scale: Scale) -> _Loads:
    """Send, then sign up, then do both at once."""
    people, newcomers, sent, new = create_chat(server), Newcomers(server.port), numbers(), numbers()
    seconds = scale.seconds(15, 3)
    await open_loop(people, SENDS, 1, sent)  # warm-up, as is the next: the first sign-up reads a list of passwords
    await open_loop(newcomers, FEW_SIGNUPS, 1, new)
    return _Loads(
        await open_loop(people, SENDS, seconds, sent),
        await open_loop(newcomers, FEW_SIGNUPS, scale.seconds(8, 2), new),
        *await asyncio.gather(open_loop(people, SENDS, seconds, sent), open_loop(newcomers, SIGNUPS, seconds, new)),
    )


async def signup(scale: Scale) -> Round:
    """Hash passwords on the idle machine, then run the loads on one server."""
    hash_ms = _hash_ms()
    with relay(MAIL_S) as mail, bellwire(settings={**mail, **PROXY}) as server:
        loads = await _run_loads(server, scale)
        codes = _count_codes(server)
    signups = FEW_SIGNUPS + len(loads.signups_alone.latencies_s) + len(loads.signups.latencies_s)
    allowed_ms = MAX_HASHES * hash_ms + MORE_MS
    figures = {
        "hash": Figure(hash_ms),
        "alone": Figure(loads.signups_alone.percentile_ms(0.5), allowed_ms),
        "p50": Figure(loads.signups.percentile_ms(0.5), allowed_ms),
        "p95": Figure(loads.signups.percentile_ms(0.95)),
        "sends p50": Figure(loads.sends.percentile_ms(0.5), loads.sends_alone.percentile_ms(0.5)),
        "sends p99": Figure(loads.sends.percentile_ms(0.99), loads.sends_alone.percentile_ms(0.99)),
    }
    result = round_of(figures, loads, [f"{signups} sign-ups answered 201, {codes} codes queued"])
    if signups != codes:
        result.failed += abs(signups - codes)
        result.first_failure = result.first_failure or f"{signups} sign-ups were answered 201, but {codes} codes are queued"
    return result


_ALLOWED = f"floor: {MAX_HASHES:g} hashes + {MORE_MS:g} ms"
SIGNUP = Benchmark(
    "signup",
    {
        "hash": Line("a password's hash (argon2), median", "ms"),
        "alone": Line(f"sign-up p50, {FEW_SIGNUPS}/s; {_ALLOWED}", "ms"),
        "p50": Line(f"sign-up p50, {SIGNUPS}/s, {SENDS} sends/s beside; {_ALLOWED}", "ms", Bound(1.0)),
        "p95": Line("the same, p95", "ms"),
        "sends p50": Line(f"send p50 beside {SIGNUPS} sign-ups/s; floor: without", "ms"),
        "sends p99": Line("the same, p99", "ms", Bound(1.5)),
    },
    signup,
)
