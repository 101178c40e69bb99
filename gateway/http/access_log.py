"""The access log: one line per request, in the form of the other log lines, but not through structlog: that would cost a tenth
of a send.

Requests are collected, and their lines formatted and written together, at most 0.2 s later. They contain the route's pattern, never
the path or the query, so no token, and no id of a user except the caller's.
"""

from __future__ import annotations

import asyncio

import msgspec

from conf import logging
from models.store.clock import rfc3339

WRITE_AFTER_S = 0.2
FAILED = 500


class AnsweredRequest(msgspec.Struct, gc=False):
    """An answered request. `route` is the pattern, `user` the caller's id, `at` the time in seconds since 1970, `stages` the
    durations of a send's stages in seconds."""

    method: str
    route: str
    status: int
    seconds: float
    request_id: str
    at: float
    user: int | None = None
    stages: dict[str, float] | None = None


class RequestLine(msgspec.Struct, omit_defaults=True, gc=False, tag_field="event", tag="request"):
    """The fields of a line. Durations are in seconds, to the microsecond."""

    component: str
    gateway: int | msgspec.UnsetType
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
    """Collects requests, and writes their lines as JSON or as text."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._answered: list[AnsweredRequest] = []

    def add(self, answered: AnsweredRequest) -> None:
        """Log an answered request."""
        if not self._answered:
            asyncio.get_running_loop().call_later(WRITE_AFTER_S, self.write)
        self._answered.append(answered)

    def write(self) -> None:
        """Write the lines of the collected requests."""
        answered, self._answered = self._answered, []
        lines = [_line(each) for each in answered]
        if lines:
            logging.write(_encoder.encode_lines(lines).decode() if self._as_json else "".join(map(_text, lines)))


_encoder = msgspec.json.Encoder()


def _line(answered: AnsweredRequest) -> RequestLine:
    stages = answered.stages
    return RequestLine(
        "gateway",
        msgspec.UNSET if logging.gateway_number is None else logging.gateway_number,
        rfc3339(int(answered.at * 1000)),
        "warning" if answered.status >= FAILED else "info",
        answered.method,
        answered.route,
        answered.status,
        round(answered.seconds, 6),
        answered.request_id,
        answered.user,
        None if stages is None else {name: round(seconds, 6) for name, seconds in stages.items()},
    )


def _text(line: RequestLine) -> str:
    user = f" user={line.user}" if line.user is not None else ""
    stages = "".join(f" {name}={seconds:g}" for name, seconds in (line.stages or {}).items())
    request = f"{line.method} {line.route} {line.status} {line.seconds * 1000:.1f} ms"
    return f"{line.timestamp} [{line.level:<8}] {request}{user} request_id={line.request_id}{stages}\n"
