"""One line a request, in the log's form but not by its way: that would cost a send a tenth of what it takes.

Lines are gathered and written together, a fifth of a second later at most. They hold the route's pattern, never the path or the
query, so no token and no id of anybody's but the caller's.
"""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple

import msgspec

from conf.logging import write
from models.store.clock import rfc3339

WRITTEN_AFTER_S = 0.2
FAILED = 500


class Answered(NamedTuple):
    """A request that was answered. `route` is the pattern, `user` the caller's id, `stages` a send's times in seconds."""

    method: str
    route: str
    status: int
    seconds: float
    request_id: str
    user: int | None
    stages: dict[str, float] | None


class Line(msgspec.Struct, omit_defaults=True, gc=False):
    """What is said of a request. `stages` are seconds, of a send."""

    timestamp: str
    level: str
    method: str
    route: str
    status: int
    seconds: float
    request_id: str
    user: int | None = None
    stages: dict[str, float] | None = None


class RequestLog:
    """Gathers lines and writes them; as JSON, or for people."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._lines: list[str] = []

    def add(self, answered: Answered) -> None:
        """Log an answered request."""
        line = Line(
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
            asyncio.get_running_loop().call_later(WRITTEN_AFTER_S, self.write)
        self._lines.append(_json(line) if self._as_json else _text(line))

    def write(self) -> None:
        """Writes what was gathered."""
        lines, self._lines = self._lines, []
        if lines:
            write("".join(lines))


def _json(line: Line) -> str:
    head = b'{"event":"request","component":"gateway",'
    return (head + msgspec.json.encode(line)[1:] + b"\n").decode()


def _text(line: Line) -> str:
    who = f" user={line.user}" if line.user is not None else ""
    stages = "".join(f" {name}={took_s:g}" for name, took_s in (line.stages or {}).items())
    what = f"{line.method} {line.route} {line.status} {line.seconds * 1000:.1f} ms"
    return f"{line.timestamp} [{line.level:<8}] {what}{who} request_id={line.request_id}{stages}\n"
