"""The steps of a call, without input and output.

A call is a generator: it yields steps, is sent the result of each, and returns the result of the call. A client performs the steps:
`client.py` with blocking connections, `aio.py` with asyncio. All decisions are made here, once for both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

from bellwire_client.backoff import Backoff
from bellwire_client.errors import FieldError, NotFoundError, ProblemError, UnauthorizedError, UnreachableError

T = TypeVar("T")
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
ANSWER_TIMEOUT_S = 30.0
DOWNLOAD_TIMEOUT_S = 300.0  # the server makes the whole file before it answers
RETRY_STATUSES = frozenset({408, 502, 503, 504})  # a gateway or the database is away; the call may have been performed
TOO_MANY_REQUESTS = 429  # refused before anything was performed
ERROR_CLASSES = {401: UnauthorizedError, 404: NotFoundError}


class Writable(Protocol):
    """A file that is open for bytes, or anything else that they can be written to."""

    def write(self, data: bytes, /) -> object:
        """Write bytes."""


@dataclass(frozen=True, slots=True)
class Request:
    """Make one HTTP request; its result is an `Answer`. `stream` opens a stream of events, or of the bytes of a file.

    `repeatable` says whether the request may be repeated without a second effect; by default all but a POST may (RFC 9110).
    """

    method: Method
    path: str  # below /api/v1
    body: Any = None  # sent as JSON; bytes and `Outgoing` as they are
    params: Mapping[str, str | int | None] = field(default_factory=dict)  # None is left out
    headers: Mapping[str, str] = field(default_factory=dict)  # beside those of every request
    repeatable: bool | None = None
    timeout_s: float = ANSWER_TIMEOUT_S  # without receiving a byte
    stream: Literal["", "sse", "ws", "file"] = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request. `body` is decoded JSON, or None; `link` is the open connection of a stream."""

    status: int
    headers: Mapping[str, str]
    body: Any
    link: Any = None


@dataclass(frozen=True, slots=True)
class Receive:
    """Wait for data on a link; the result is bytes, which are empty at the end, or the text of a frame (WebSocket)."""

    link: Any


@dataclass(frozen=True, slots=True)
class Close:
    """Close a link."""

    link: Any


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait for some seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Report:
    """Report the durations of sends in the background."""

    seconds: list[float]


Step: TypeAlias = Request | Receive | Close | Pause | Report
Steps: TypeAlias = Generator[Step, Any, T]


def send_with_retries(request: Request, patience_s: float, retry_statuses: Container[int] = RETRY_STATUSES) -> Steps[Answer]:
    """Make a request, repeat it for up to `patience_s` seconds if necessary, and return its answer.

    It is repeated after a broken connection, a 429, and the statuses of `retry_statuses`. Raises ProblemError when the server
    refuses, UnreachableError without an answer; at once when the next wait would exceed `patience_s`.
    """
    backoff, deadline = Backoff(), time.monotonic() + patience_s
    failure: ProblemError | UnreachableError
    can_repeat = request.method != "POST" if request.repeatable is None else request.repeatable
    while True:
        at_least_s = 0.0
        try:
            answer: Answer = yield request
        except UnreachableError as error:
            failure = error
        else:
            if answer.status < 300:
                return answer
            failure = problem_of(answer)
            if failure.status != TOO_MANY_REQUESTS and failure.status not in retry_statuses:
                raise failure
            at_least_s = failure.retry_after_s or 0.0
        wait_s = backoff.next_s(at_least_s)
        is_rate_limited = isinstance(failure, ProblemError) and failure.status == TOO_MANY_REQUESTS
        if not (can_repeat or is_rate_limited) or time.monotonic() + wait_s > deadline:
            raise failure
        yield Pause(wait_s)


def download(path: str, file: Writable, patience_s: float) -> Steps[None]:
    """Write the bytes of an answer to a file as they arrive. Raises UnreachableError if they break off."""
    request = Request("GET", path, timeout_s=DOWNLOAD_TIMEOUT_S, stream="file")
    link = (yield from send_with_retries(request, patience_s)).link
    yield from receive(link, file.write)


def receive(link: Any, use: Callable[[bytes], object]) -> Steps[None]:
    """Call `use` with the bytes of a link until its end, and close it. Raises UnreachableError if they break off."""
    try:
        while received := (yield Receive(link)):
            use(received)
    except Exception:  # not when the call is cancelled: nobody performs steps then
        yield Close(link)
        raise
    yield Close(link)


def problem_of(answer: Answer) -> ProblemError:
    """Return the exception for an answer that is a refusal."""
    problem = answer.body if isinstance(answer.body, dict) else {}
    slug = str(problem.get("type", "")).rpartition("/")[2]
    location = answer.headers.get("location")
    detail = str(problem.get("detail") or (f"go to {location}" if location else "not an answer of Bellwire"))
    errors = tuple(FieldError(str(e.get("field")), str(e.get("message"))) for e in problem.get("errors", ()))
    retry_after = answer.headers.get("retry-after", "")
    error_class = ERROR_CLASSES.get(answer.status, ProblemError)
    return error_class(answer.status, slug, detail, errors, float(retry_after) if retry_after.isdecimal() else None)
