"""Generate the bytes of connections: valid, odd and malformed HTTP/1.1, pipelined, cut into parts anywhere, ended early.

All choices come from one `random.Random`, so that a seed repeats them, and hypothesis, which has a Random of its own, shrinks them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from bench.hostile.vocabulary import (
    CONNECTION,
    ENCODINGS,
    EXPECT,
    HEADERS,
    LENGTHS,
    LINE_ENDS,
    METHODS,
    NOISE,
    ODD_HEADERS,
    ODD_METHODS,
    ODD_TARGETS,
    PREFACES,
    SIZES,
    TRAILERS,
    VERSIONS,
)

ENDINGS = ("stay", "stay", "stay", "half-close", "close")
MANY_HEADERS = (50, 200, 3_000)
LONG = (300, 9_000, 70_000)  # bytes
SMALLEST_LONG = LONG[0]


@dataclass(frozen=True)
class Bytes:
    """The bytes of one connection, in the parts in which they are sent, and how the client ends it."""

    parts: tuple[bytes, ...]
    ending: str  # one of ENDINGS
    requests: int = 1

    @property
    def data(self) -> bytes:
        """All parts."""
        return b"".join(self.parts)


@dataclass(frozen=True)
class Call:
    """A request that a server knows: its target, and a body for methods that have one."""

    target: str
    body: bytes = b""
    method: str = ""  # any if empty
    headers: tuple[str, ...] = ()


def connection(random: Random, calls: Sequence[Call], oddity: float = 0.15, most: int = 3) -> Bytes:
    """Generate one connection: up to `most` requests; `oddity` is the probability that a part of one is odd."""
    count = random.randint(1, most)
    data = b"".join(request(random, random.choice(calls), oddity) for _ in range(count))
    if random.random() < oddity / 4:
        data = random.choice(PREFACES) + data
    if random.random() < oddity:
        data = _mutated(random, data)
    if random.random() < oddity / 2:
        data = data[: random.randrange(len(data) + 1)]
    return Bytes(_parts(random, data), random.choice(ENDINGS), count)


def request(random: Random, call: Call, oddity: float) -> bytes:
    """Generate one request; with an oddity of 0 it is valid."""
    odd = _Odd(random, oddity)
    method = odd(call.method or random.choice(METHODS), ODD_METHODS)
    target = odd(call.target, ODD_TARGETS)
    if odd.happens(4):
        target += "?" + "q" * random.choice(LONG)
    version = odd("HTTP/1.1", VERSIONS)
    space = odd(" ", ("  ", "\t", "\x0b", " \t", ""), 4)
    body = call.body if method not in ("GET", "HEAD", "OPTIONS", "DELETE") or odd.happens() else b""
    framing, content = _framed(odd, body, is_needed=method in ("POST", "PUT", "PATCH"))
    lines = [f"{method}{space}{target}{space}{version}", *_headers(odd, call), *framing]
    return _head(odd, lines) + content


class _Odd:
    """Choices of a request, each of them usually the ordinary one."""

    def __init__(self, random: Random, oddity: float) -> None:
        self.random = random
        self._oddity = oddity

    def __call__(self, ordinary: str, odd: Sequence[str], rarer: int = 1) -> str:
        """Choose the ordinary value, or with the probability of an oddity one of the odd ones."""
        return self.random.choice(odd) if self.happens(rarer) else ordinary

    def happens(self, rarer: int = 1) -> bool:
        """Whether something odd happens here; `rarer` divides its probability."""
        return self.random.random() < self._oddity / rarer


def _headers(odd: _Odd, call: Call) -> list[str]:
    random = odd.random
    lines = [] if odd.happens(2) else ["Host: test"]
    lines += call.headers
    lines += random.sample(HEADERS, random.randint(0, 2)) if odd.happens() or not call.headers else []
    if odd.happens():
        lines += random.sample(ODD_HEADERS, random.randint(1, 2))
    if odd.happens():
        lines.append(f"Connection: {random.choice(CONNECTION)}")
    if odd.happens(2):
        lines.append(f"Expect: {random.choice(EXPECT)}")
    if odd.happens():
        random.shuffle(lines)
    if odd.happens():
        lines = [_recased(random, line) for line in lines]
    if odd.happens(6):
        lines += [f"X-{n}: {n}" for n in range(random.choice(MANY_HEADERS))]
    if odd.happens(6):
        lines.append("X-Long: " + "v" * random.choice(LONG))
    return lines


def _recased(random: Random, line: str) -> str:
    name, colon, value = line.partition(":")
    return random.choice((name.upper(), name.lower(), name.swapcase())) + colon + value


def _framed(odd: _Odd, body: bytes, *, is_needed: bool) -> tuple[list[str], bytes]:
    """Return the header lines that say how long a body is, and the bytes that follow the head."""
    random = odd.random
    if not body and not is_needed and not odd.happens():
        return [], b""
    if random.random() < 0.4:
        lines, content = ["Transfer-Encoding: " + odd("chunked", ENCODINGS)], _chunked(odd, body)
    else:
        length = len(body) if not odd.happens() else random.choice((0, len(body) + 1, len(body) + 40, max(0, len(body) - 1)))
        lines, content = ["Content-Length: " + odd("{0}", LENGTHS).format(length)], body
    if odd.happens():
        lines += random.choice((lines, [f"Content-Length: {len(body)}"], ["Content-Length: 3"], ["Transfer-Encoding: chunked"]))
        random.shuffle(lines)
    return lines, content


def _chunked(odd: _Odd, body: bytes) -> bytes:
    random, made, at = odd.random, bytearray(), 0
    sizes = (1, 3, 10) if len(body) < SMALLEST_LONG else (1_000, 10_000, 70_000)
    while at < len(body):
        chunk = body[at : at + random.choice(sizes)]
        at += len(chunk)
        made += odd("{0:x}", SIZES, 2).format(len(chunk)).encode("latin1") + _eol(odd) + chunk + _eol(odd)
    made += odd("0", ("00", "0000000000000000", "0;a=b", " 0", "0 ", "-0", "0x0", "", "1"), 2).encode() + _eol(odd)
    if odd.happens():
        made += random.choice(TRAILERS).encode()
    return bytes(made + (_eol(odd) if not odd.happens(4) else b""))


def _eol(odd: _Odd) -> bytes:
    return odd("\r\n", LINE_ENDS, 5).encode()


def _head(odd: _Odd, lines: Sequence[str]) -> bytes:
    if odd.happens(8):
        return "\n".join([*lines, "", ""]).encode("latin1")
    if not odd.happens(4) or len(lines) > SMALLEST_LONG:
        return "\r\n".join([*lines, "", ""]).encode("latin1")
    return b"".join(line.encode("latin1") + _eol(odd) for line in [*lines, ""])


def _mutated(random: Random, data: bytes) -> bytes:
    """Replace, remove or insert up to three small things."""
    changed = bytearray(data)
    for _ in range(random.randint(1, 3)):
        at = random.randrange(min(len(changed), 400) + 1)
        changed[at : at + random.randint(0, 2)] = random.choice(NOISE)
    return bytes(changed)


def _parts(random: Random, data: bytes) -> tuple[bytes, ...]:
    """Cut anywhere: often not at all, sometimes into single bytes."""
    kind = random.randint(0, 7)
    if kind < 4:
        return (data,)
    if kind == 7 and len(data) <= 200:
        return tuple(data[at : at + 1] for at in range(len(data)))
    cuts = sorted(random.randrange(len(data) + 1) for _ in range(random.randint(1, 4)))
    return tuple(data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if a < b)
