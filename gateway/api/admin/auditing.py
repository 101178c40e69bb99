"""Describing an admin's call for the audit: the route, the ids, and a summary of the request without its secrets."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.http.base import Handler
from gateway.http.handling import JSON
from gateway.http.request import NO_JSON
from models.identity.token import ADDRESS_CHARS
from models.records.audit import AdminCall

# The value of a field is left out if its name contains one of these.
SECRET = ("password", "token", "code", "secret", "key", "credential", "authorization")
FREE_FORM = ("data", "metadata", "values")  # of unknown content
LEFT_OUT = "(left out)"
MAX_ITEMS, MAX_TEXT_CHARS, MAX_DEPTH = 20, 200, 4
MAX_REQUEST_BYTES, MAX_PATH_CHARS = 4_096, 300


def call_of(handler: Handler, outcome: str) -> AdminCall:
    """The audit's description of a call."""
    request = handler.request
    return AdminCall(
        handler.actor.user,
        f"{request.method} {handler.route}",
        request.path[:MAX_PATH_CHARS],
        _request_summary(handler),
        outcome,
        handler.client_address()[:ADDRESS_CHARS],
        handler.request_id(),
    )


def _request_summary(handler: Handler) -> bytes:
    """A summary of path ids, query and body as JSON, of at most MAX_REQUEST_BYTES: if it is longer, only the names of fields."""
    parts: dict[str, Any] = {
        "ids": [int(i) for i in handler.path_args if i.isascii() and i.isdigit()],
        "query": {name: values[-1].decode("utf-8", "replace") for name, values in handler.request.query_arguments.items()},
        "body": _body(handler.request.body) if JSON in handler.content_types else None,  # lines are people's texts
    }
    encoded = msgspec.json.encode({name: summary(part) for name, part in parts.items() if part})
    if len(encoded) > MAX_REQUEST_BYTES:
        encoded = msgspec.json.encode(
            {name: {"fields": sorted(part)[:MAX_ITEMS]} for name, part in parts.items() if isinstance(part, dict)}
        )
    return encoded if len(encoded) <= MAX_REQUEST_BYTES else b"{}"


def _body(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body) if body else None
    except NO_JSON:  # of a call that ignores its body
        return None


def summary(value: Any, depth: int = MAX_DEPTH) -> Any:
    """A copy of a JSON value without secrets, with long lists, texts and deep parts shortened."""
    if isinstance(value, dict):
        return {name: _member(name, inner, depth) for name, inner in list(value.items())[:MAX_ITEMS]} if depth else LEFT_OUT
    if isinstance(value, list):
        first = [summary(inner, depth - 1) for inner in value[:MAX_ITEMS]] if depth else []
        return first if len(first) == len(value) else {"first": first, "count": len(value)}
    if isinstance(value, str) and len(value) > MAX_TEXT_CHARS:
        return value[:MAX_TEXT_CHARS] + "…"
    return value


def _member(name: str, value: Any, depth: int) -> Any:
    is_secret = name in FREE_FORM or any(word in name.lower() for word in SECRET)
    return LEFT_OUT if is_secret and value else summary(value, depth - 1)
