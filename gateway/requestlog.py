"""One line a request, in the log's form but not by its way: that would cost a send a tenth of what it takes.

Lines are gathered and written together, a fifth of a second later at most. They hold the route's pattern, never the path or the
query, so no token and no id of anybody's but the caller's.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import msgspec

from conf.logging import write
from models.clock import rfc3339

if TYPE_CHECKING:
    from gateway.base import Handler

WRITTEN_AFTER_S = 0.2
FAILED = 500


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

    def add(self, handler: Handler, took_s: float) -> None:
        """A request that was answered."""
        status, actor = handler.get_status(), getattr(handler, "actor", None)
        line = Line(
            rfc3339(time.time_ns() // 1_000_000),
            "warning" if status >= FAILED else "info",
            handler.request.method or "",
            handler.route,
            status,
            round(took_s, 6),
            handler.request_id(),
            None if actor is None else actor.user,
            handler.stages,
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
