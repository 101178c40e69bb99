"""What a call is made of, without doing any of it.

A call is a generator: it gives out steps one by one, is sent what each led to, and returns what the call gives. A driver takes the
steps, `client.py` with blocking connections and `aio.py` on an event loop. Whatever is decided is decided by the calls, once.
"""

from __future__ import annotations

import time
from collections.abc import Container, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar

from bellwire_client.backoff import Backoff
from bellwire_client.errors import FieldError, ProblemError, UnauthorizedError, UnreachableError

T = TypeVar("T")
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
ANSWER_WITHIN_S = 30.0
TRY_AGAIN = frozenset({408, 502, 503, 504})  # gateway or store are away for now; it may have been done all the same
TOO_MANY = 429  # refused before anything was done


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request; is sent an `Answer`. `stream` asks for one that goes on and on.

    `repeatable` says of a POST that doing it twice is as good as once; of other methods HTTP says it.
    """

    method: Method
    path: str  # below /api/v1
    body: Any = None
    params: Mapping[str, str | int | None] = field(default_factory=dict)  # None: not given
    repeatable: bool = False
    timeout_s: float = ANSWER_WITHIN_S  # without a byte
    stream: Literal["", "sse", "ws"] = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request: `body` is decoded JSON, or None; `link` is the open connection of a stream."""

    status: int
    headers: Mapping[str, str]
    body: Any
    link: Any = None


@dataclass(frozen=True, slots=True)
class Receive:
    """Waits for more on a link; is sent bytes (server-sent events) or a frame's text (WebSocket)."""

    link: Any


@dataclass(frozen=True, slots=True)
class Close:
    """Lets go of a link."""

    link: Any


@dataclass(frozen=True, slots=True)
class Pause:
    """Does nothing for a while."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Report:
    """Tells the server how long sends took, beside whatever else happens."""

    seconds: list[float]


Step: TypeAlias = Request | Receive | Close | Pause | Report
Steps: TypeAlias = Generator[Step, Any, T]


def ask(request: Request, patience_s: float, again: Container[int] = TRY_AGAIN) -> Steps[Answer]:
    """The answer, after as many tries as it takes and `patience_s` has room for.

    It is tried again after a broken connection, a 429, and the statuses of `again`. Raises ProblemError when the server refuses,
    UnreachableError when no answer came, both at once when waiting would be of no use.
    """
    waits, give_up_at = Backoff(), time.monotonic() + patience_s
    failure: ProblemError | UnreachableError
    may_repeat = request.repeatable or request.method != "POST"
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
            if failure.status != TOO_MANY and failure.status not in again:
                raise failure
            at_least_s = failure.retry_after_s or 0.0
        wait_s = waits.next_s(at_least_s)
        refused_undone = isinstance(failure, ProblemError) and failure.status == TOO_MANY
        if not (may_repeat or refused_undone) or time.monotonic() + wait_s > give_up_at:
            raise failure
        yield Pause(wait_s)


def problem_of(answer: Answer) -> ProblemError:
    """The exception that an answer stands for."""
    told = answer.body if isinstance(answer.body, dict) else {}
    slug = str(told.get("type", "")).rpartition("/")[2]
    elsewhere = answer.headers.get("location")
    detail = str(told.get("detail") or (f"go to {elsewhere}" if elsewhere else "not an answer of Bellwire"))
    errors = tuple(FieldError(str(e.get("field")), str(e.get("message"))) for e in told.get("errors", ()))
    retry_after = answer.headers.get("retry-after", "")
    kind = UnauthorizedError if answer.status == 401 else ProblemError
    return kind(answer.status, slug, detail, errors, float(retry_after) if retry_after.isdecimal() else None)
