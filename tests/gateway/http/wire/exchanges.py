"""Sends the bytes of one connection to a server in this process, and reads what comes back as a list of answers."""

from __future__ import annotations

import asyncio
import re
import socket
from dataclasses import dataclass, field

from bench.hostile.requests import Bytes

QUIET_TICKS = 40  # of the loop, in which nothing arrives: then a server in this loop has done all it can
FIRST_PATIENCE_S, PATIENCE_S = 0.2, 5.0  # when the answers of two servers differ: a busy machine may be late
LAST = b"GET /echo?last HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
BEGIN = re.compile(rb"HTTP/1\.[01] \d{3}[^\r\n]*\r\n(?=[!-~]+: |\r\n)")
CHUNK = re.compile(rb"([0-9a-f]+)\r\n")
MASKED = {"date", "x-request-id"}


@dataclass
class Answer:
    """One answer; `framing` says what is wrong with its length, if anything is."""

    status: int
    headers: list[str]
    body: bytes
    framing: str = ""


@dataclass
class Outcome:
    """The answers on a connection, and whether the server closed it: at once, or only after one more request."""

    answers: list[Answer] = field(default_factory=list)
    before_last: int = 0  # of the answers, without 100 Continue
    closed: bool = False
    closed_after_last: bool = False

    @property
    def final(self) -> list[Answer]:
        """The answers without 100 Continue."""
        return [answer for answer in self.answers if answer.status >= 200]


def answers_in(data: bytes) -> list[Answer]:
    """Cut the bytes of a connection into answers: no body of the tests contains the beginning of one."""
    begins = [match.start() for match in BEGIN.finditer(data)]
    if data and begins[:1] != [0]:
        return [Answer(0, [], data, "not HTTP/1.1")]
    return [_answer(data[a:b]) for a, b in zip(begins, [*begins, len(data)][1:], strict=True)]


def _answer(data: bytes) -> Answer:
    head, end, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin1").split("\r\n")
    headers = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in lines[1:]}
    answer = Answer(int(lines[0][9:12]), sorted(f"{n}: {v}" for n, v in headers.items() if n not in MASKED), body)
    if not end:
        answer.framing = "the head has no end"
    elif len(headers) < len(lines) - 1 and "set-cookie" not in headers:
        answer.framing = "a header is twice in it"
    elif "transfer-encoding" in headers and body:
        _unchunk(answer)
    elif body and headers.get("content-length") != str(len(body)):
        answer.framing = f"{len(body)} bytes instead of {headers.get('content-length')}"
    return answer


def _unchunk(answer: Answer) -> None:
    """The parts of an answer may differ, not their sum."""
    data, whole, size = answer.body, b"", -1
    while size and (match := CHUNK.match(data)):
        size = int(match[1], 16)
        whole, rest = whole + data[match.end() : match.end() + size], data[match.end() + size :]
        if not rest.startswith(b"\r\n"):
            break
        data = rest[2:]
    answer.body, answer.framing = whole, "" if size == 0 and not data else "the chunks do not end"


class Receiver(asyncio.Protocol):
    """A client's connection, which keeps all that it receives."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.ended = False  # by the server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send each part on its own."""
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        """Keep it."""
        self.data += data

    def eof_received(self) -> None:
        """Note that the server has closed the connection."""
        self.ended = True

    def connection_lost(self, error: Exception | None) -> None:
        """Note that the connection is closed."""
        self.ended = True

    async def quiet(self, patience_s: float) -> None:
        """Wait until nothing more arrives."""
        calm = 0
        while calm < QUIET_TICKS and not self.ended:
            size = len(self.data)
            await asyncio.sleep(patience_s / QUIET_TICKS)
            calm = calm + 1 if size == len(self.data) else 0


async def exchange(port: int, sent: Bytes, patience_s: float = 0) -> Outcome:
    """Send the parts, each when the one before has been read; then one request more, to see whether the connection lives."""
    transport, receiver = await asyncio.get_running_loop().create_connection(Receiver, "127.0.0.1", port)
    for part in sent.parts:
        if receiver.ended:
            break
        transport.write(part)
        for _ in range(3):
            await asyncio.sleep(patience_s / 100)
    await receiver.quiet(patience_s)
    before = sum(answer.status >= 200 for answer in answers_in(bytes(receiver.data)))
    outcome = Outcome(before_last=before, closed=receiver.ended)
    if sent.ending == "stay" and not receiver.ended:
        transport.write(LAST)
    elif sent.ending == "half-close" and not receiver.ended:
        transport.write_eof()
    await receiver.quiet(patience_s)
    outcome.closed_after_last = receiver.ended
    outcome.answers = answers_in(bytes(receiver.data))
    transport.abort()
    return outcome
