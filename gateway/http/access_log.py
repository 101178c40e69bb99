"""The access log: one line per request, in the form of the other log lines, but not through structlog: that would cost a tenth
of a send.

Lines are collected and written together, at most 0.2 s later. They contain the route's pattern, never the path or the query, so
no token, and no id of a user except the caller's.
"""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple

import msgspec

from conf import logging
from models.store.clock import rfc3339

WRITE_AFTER_S = 0.2
FAILED = 500


class AnsweredRequest(NamedTuple):
    """An answered request. `route` is the pattern, `user` the caller's id, `stages` the durations of a send's stages in seconds."""

    method: str
    route: str
    status: int
    seconds: float
    request_id: str
    user: int | None
    stages: dict[str, float] | None


class RequestLine(msgspec.Struct, omit_defaults=True, gc=False):
    """The fields of a line."""

    timestamp: str
    level: str
    method: str
    route: str
    status: int
    seconds: float
    request_id: str
    user: int | None = None
    stages: dict[str, float] | None = None


class AccessLog:
    """Collects lines and writes them, as JSON or as text."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        number = b"" if logging.gateway_number is None else b'"gateway":%d,' % logging.gateway_number
        self._head = b'{"event":"request","component":"gateway",' + number
        self._lines: list[str] = []

    def add(self, answered: AnsweredRequest) -> None:
        """Log an answered request."""
        line = RequestLine(
            rfc3339(time.time_ns() // 1_000_000),
            "warning" if answered.status >= FAILED else "info",
            answered.method,
            answered.route,
            answered.status,
            round(answered.seconds, 6),
            answered.request_id,
            answered.user,
            answered.stages,
        )
        if not self._lines:
            asyncio.get_running_loop().call_later(WRITE_AFTER_S, self.write)
        self._lines.append(_json(line, self._head) if self._as_json else _text(line))

    def write(self) -> None:
        """Write the collected lines."""
        lines, self._lines = self._lines, []
        if lines:
            logging.write("".join(lines))


def _json(line: RequestLine, head: bytes) -> str:
    return (head + msgspec.json.encode(line)[1:] + b"\n").decode()


def _text(line: RequestLine) -> str:
    user = f" user={line.user}" if line.user is not None else ""
    stages = "".join(f" {name}={seconds:g}" for name, seconds in (line.stages or {}).items())
    request = f"{line.method} {line.route} {line.status} {line.seconds * 1000:.1f} ms"
    return f"{line.timestamp} [{line.level:<8}] {request}{user} request_id={line.request_id}{stages}\n"
