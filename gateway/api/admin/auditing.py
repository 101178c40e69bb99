"""What the audit records of an admin's call: the route, the ids, and the request without its secrets."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.http.base import Handler
from gateway.http.request import NO_JSON
from models.identity.token import ADDRESS_CHARS
from models.records.audit import AdminCall

SECRET = ("password", "token", "code", "secret", "key", "credential", "authorization")  # within a name, its value is left out
FREE_FORM = ("data", "metadata")  # of others' making: who knows what they hold
LEFT_OUT = "(left out)"
MAX_ITEMS, TEXT_CHARS, MAX_DEPTH = 20, 200, 4
REQUEST_BYTES, PATH_CHARS = 4_096, 300


def call_of(handler: Handler, outcome: str) -> AdminCall:
    """Who asked for what, from where."""
    request = handler.request
    return AdminCall(
        handler.actor.user,
        f"{request.method} {handler.route}",
        request.path[:PATH_CHARS],
        _request_summary(handler),
        outcome,
        handler.client_address()[:ADDRESS_CHARS],
        handler.request_id(),
    )


def _request_summary(handler: Handler) -> bytes:
    """Ids of the path, query and body, as JSON: their fields' names alone when that would be much."""
    parts: dict[str, Any] = {
        "ids": [int(i) for i in handler.path_args if i.isdigit()],
        "query": {name: values[-1].decode("utf-8", "replace") for name, values in handler.request.query_arguments.items()},
        "body": _body(handler.request.body),
    }
    encoded = msgspec.json.encode({name: summary(part) for name, part in parts.items() if part})
    if len(encoded) > REQUEST_BYTES:
        encoded = msgspec.json.encode(
            {name: {"fields": sorted(part)[:MAX_ITEMS]} for name, part in parts.items() if isinstance(part, dict)}
        )
    return encoded if len(encoded) <= REQUEST_BYTES else b"{}"


def _body(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body) if body else None
    except NO_JSON:  # of a call that does not look at it
        return None


def summary(value: Any, depth: int = MAX_DEPTH) -> Any:
    """A value without its secrets, and not much of what is long."""
    if isinstance(value, dict):
        return {name: _member(name, inner, depth) for name, inner in list(value.items())[:MAX_ITEMS]} if depth else LEFT_OUT
    if isinstance(value, list):
        shown = [summary(inner, depth - 1) for inner in value[:MAX_ITEMS]] if depth else []
        return shown if len(shown) == len(value) else {"first": shown, "count": len(value)}
    if isinstance(value, str) and len(value) > TEXT_CHARS:
        return value[:TEXT_CHARS] + "…"
    return value


def _member(name: str, value: Any, depth: int) -> Any:
    hidden = name in FREE_FORM or any(word in name.lower() for word in SECRET)
    return LEFT_OUT if hidden and value else summary(value, depth - 1)
