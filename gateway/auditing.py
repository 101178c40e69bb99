"""Writing down what admins do: for all handlers of theirs alike, so that none can be forgotten.

A call that changes something is written down by the transaction that does it. One that only reads is answered first: neither does
its answer wait for the record, nor does it fail with it. Refused calls changed nothing and showed nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import structlog

from gateway.asked import NO_JSON
from gateway.committer import StoreDownError
from models import audit
from models.audit import DONE, READ, Call
from models.event import Log
from models.token import ADDRESS_CHARS

if TYPE_CHECKING:
    import asyncio

    from gateway.base import Handler

logger = structlog.get_logger()

SECRET = ("password", "token", "code", "secret", "key", "credential", "authorization")  # within a name, its value is left out
FREE = ("data", "metadata")  # of others' making: who knows what they hold
LEFT_OUT = "(left out)"
SHOWN, TEXT_CHARS, DEEP = 20, 200, 4
ASKED_BYTES, PATH_CHARS = 4_096, 300
R = TypeVar("R")


def audited(handler: Handler, run: Callable[[Log], R]) -> Callable[[Log], R]:
    """A verb that writes its call down when it has done its work."""
    call = call_of(handler, DONE)
    handler.is_audited = True

    def both(log: Log) -> R:
        result = run(log)
        audit.record(log, call)
        return result

    return both


def read(handler: Handler) -> None:
    """Writes down, beside the answer, that an admin reads."""
    handler.is_audited = True
    call = call_of(handler, READ)
    try:
        handler.services.committer.call(None, lambda log: audit.record(log, call)).add_done_callback(_look)
    except StoreDownError as error:
        _failed(error)


def answered(handler: Handler) -> None:
    """An admin's call is over: one that nobody has written down yet is, unless it was refused."""
    if not handler.is_audited and handler.get_status() < 400 and handler.request.method != "OPTIONS":
        read(handler)


def _look(future: asyncio.Future[None]) -> None:
    if not future.cancelled() and (error := future.exception()) is not None:
        _failed(error)


def _failed(error: BaseException) -> None:
    logger.warning("what an admin read could not be written down", error=str(error))


def call_of(handler: Handler, outcome: str) -> Call:
    """Who asked for what, from where."""
    request = handler.request
    return Call(
        handler.actor.user,
        f"{request.method} {handler.route}",
        request.path[:PATH_CHARS],
        _asked(handler),
        outcome,
        handler.client_address()[:ADDRESS_CHARS],
        handler.request_id(),
    )


def _asked(handler: Handler) -> bytes:
    """Ids of the path, query and body, as JSON: their fields' names alone when that would be much."""
    parts: dict[str, Any] = {
        "ids": [int(i) for i in handler.path_args if i.isdigit()],
        "query": {name: given[-1].decode("utf-8", "replace") for name, given in handler.request.query_arguments.items()},
        "body": _body(handler.request.body),
    }
    asked = msgspec.json.encode({name: summary(part) for name, part in parts.items() if part})
    if len(asked) > ASKED_BYTES:
        asked = msgspec.json.encode(
            {name: {"fields": sorted(part)[:SHOWN]} for name, part in parts.items() if isinstance(part, dict)}
        )
    return asked if len(asked) <= ASKED_BYTES else b"{}"


def _body(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body) if body else None
    except NO_JSON:  # of a call that does not look at it
        return None


def summary(value: Any, deep: int = DEEP) -> Any:
    """A value without its secrets, and not much of what is long."""
    if isinstance(value, dict):
        return {name: _member(name, inner, deep) for name, inner in list(value.items())[:SHOWN]} if deep else LEFT_OUT
    if isinstance(value, list):
        shown = [summary(inner, deep - 1) for inner in value[:SHOWN]] if deep else []
        return shown if len(shown) == len(value) else {"first": shown, "count": len(value)}
    if isinstance(value, str) and len(value) > TEXT_CHARS:
        return value[:TEXT_CHARS] + "…"
    return value


def _member(name: str, value: Any, deep: int) -> Any:
    hidden = name in FREE or any(word in name.lower() for word in SECRET)
    return LEFT_OUT if hidden and value else summary(value, deep - 1)
