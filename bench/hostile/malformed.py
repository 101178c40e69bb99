"""Malformed bytes over raw sockets: from a list of known cases, and random changes of valid requests by a seed."""

import asyncio

from bench.hostile.scene import Attack, Scene
from bench.load.client import raw_request

SOCKETS = 64
ANSWER_TIMEOUT_S = 1.0
CASES = (
    b"\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    b"GET / HTTP/1.1\nHost: x\n\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n",
    b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /%zz?q=%ff%fe HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * 20_000 + b"\r\n",
    b"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}",
    b"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n",
    b"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    b"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    b"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
    b"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\n\xff\xfe{}",
    b"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n" + b"[" * 20_000,
    b"GET /api/v1/events/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
)


def mutated(scene: Scene, raw: bytes) -> bytes:
    """Return a request with up to five random bytes replaced, removed or doubled."""
    data = bytearray(raw)
    for _ in range(scene.random.randint(1, 5)):
        at = scene.random.randrange(len(data))
        data[at : at + scene.random.randint(0, 2)] = scene.random.randbytes(scene.random.randint(0, 2)) or data[at : at + 9]
    return bytes(data)


async def exchange(scene: Scene, raw: bytes) -> bytes:
    """Send bytes over a connection of their own; return the start of the answer, empty when there is none in time."""
    reader, writer = await asyncio.open_connection("127.0.0.1", scene.stage.port)
    try:
        writer.write(raw)
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            return await reader.read(64)
    except (OSError, TimeoutError):
        return b""
    finally:
        writer.close()


async def malformed(scene: Scene) -> None:
    """Send the known cases, then mutated requests, without a pause; count each answer's status."""
    valid = raw_request("POST", "/api/v1/messages", scene.attacker.token, {"to": scene.stage.people[1].id, "body": "hello"})

    async def work(number: int) -> None:
        for raw in CASES[number::SOCKETS]:
            count(await exchange(scene, raw))
        while True:
            count(await exchange(scene, mutated(scene, valid)))

    def count(answer: bytes) -> None:
        status = answer[9:12]
        scene.answers[int(status) if status.isdigit() else 0] += 1

    await asyncio.gather(*(work(number) for number in range(SOCKETS)))


MALFORMED = (Attack("malformed", "malformed requests over raw sockets without a pause", malformed),)
