"""Compare the cost of a send with a token of the host's and with one of Bellwire's: the two take turns on one server."""

import json
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from statistics import median

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bench.benchmark import Benchmark, Bound, Figure, Line, Round, Scale, round_of
from bench.load.loops import Tally, closed_loop
from bench.load.people import Person, create_people
from bench.load.targets import Chat, numbers
from bench.servers.bellwire import Bellwire, bellwire
from bench.servers.processes import cpu_seconds

ISSUER = "https://host.example.org"
USERS, CONNECTIONS = 10, 10  # their conversations are all made before the measurement


def _hosts_people(server: Bellwire, count: int, key: EllipticCurvePrivateKey) -> list[Person]:
    """Return users with tokens that are signed with the key, each verified by a first call."""
    now, people = int(time.time()), []
    for number in range(count):
        claims = {
            "iss": ISSUER,
            "aud": "bellwire",
            "sub": f"bench-{number}",
            "iat": now,
            "exp": now + 3600,
            "name": f"Bench {number}",
        }
        token = jwt.encode(claims, key, "ES256")
        request = urllib.request.Request(f"{server.base}/api/v1/me", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request) as answer:
            people.append(Person(int(json.load(answer)["id"]), token))
    return people


async def _cpu_us(chat: Chat, counter: Iterator[int], seconds: float, pid: int) -> tuple[float, Tally]:
    """Return the CPU time of the gateway for each send, and the loop."""
    used_s, before = cpu_seconds([pid]), next(counter)
    tally = await closed_loop(chat, CONNECTIONS, counter, seconds)
    return 1e6 * (cpu_seconds([pid]) - used_s) / (next(counter) - before - 1), tally


async def host_tokens(scale: Scale) -> Round:
    """Send in slices, each with the one kind of token and then with the other."""
    key, seconds, slices = generate_private_key(SECP256R1()), 0.5, scale.count(50, 8)  # short ones: the machine's speed changes
    with tempfile.NamedTemporaryFile() as file:
        file.write(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        file.flush()
        settings = {"BELLWIRE_JWT_ISSUER": ISSUER, "BELLWIRE_JWT_KEYS": file.name, "BELLWIRE_RATE_LIMITS": "off"}
        with bellwire(settings=settings, worker=False) as server:
            chats = [Chat(server.port, people) for people in (_hosts_people(server, USERS, key), create_people(server, USERS))]
            counter, pid = numbers(), server.gateway_pid()
            for chat in chats:
                await closed_loop(chat, CONNECTIONS, counter, seconds)  # the first sends make the conversations
            found: Sequence[list[tuple[float, Tally]]] = ([], [])
            for number in range(slices):
                for kind in (0, 1) if number % 2 else (1, 0):
                    found[kind].append(await _cpu_us(chats[kind], counter, seconds, pid))
    cpu = [median(cost for cost, _ in kind) for kind in found]
    p50 = [median(tally.percentile_ms(0.5) for _, tally in kind) for kind in found]
    tallies = [tally for kind in found for _, tally in kind]
    return round_of({"cpu": Figure(*cpu), "p50": Figure(*p50)}, tallies, [])


JWT = Benchmark(
    "jwt",
    {
        "cpu": Line(
            "CPU of the gateway per send with a host's token; floor: a token of Bellwire's", "µs", Bound(1.05), Bound(1.02)
        ),
        "p50": Line("p50 of the same, 10 connections", "ms", Bound(1.1), Bound(1.02)),
    },
    host_tokens,
)
