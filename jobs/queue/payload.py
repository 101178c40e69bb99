"""Tasks as JSON. With pickle, Huey's default, write access to the queue would be enough to run code in a worker."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import msgspec
from huey.registry import Message
from huey.serializer import Serializer

Seconds = int | float


class _Payload(msgspec.Struct, omit_defaults=True):
    """Huey's Message, with the time at which it was queued (`at`, ms since 1970). Chords are not supported."""

    at: int
    id: str
    name: str
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    eta: datetime | None = None
    retries: int | None = None
    retry_delay: Seconds | None = None
    priority: Seconds | None = None
    on_complete: _Payload | None = None
    on_error: _Payload | None = None
    expires: datetime | Seconds | None = None
    expires_resolved: datetime | None = None
    timeout: Seconds | None = None
    retry_backoff: Seconds | None = None


_decode = msgspec.json.Decoder(_Payload).decode


class QueuedMessage(Message):  # type: ignore[misc]
    """A Message with the time at which it was queued."""

    queued_ms: int


def queued_ms(payload: bytes) -> int:
    """Return when a stored payload was queued. Raises msgspec.MsgspecError when it is not a payload."""
    return _decode(payload).at


class JsonSerializer(Serializer):  # type: ignore[misc]
    """Encodes messages as _Payload, and other values (a flag, a revocation) as plain JSON.

    Raises msgspec.MsgspecError (a ValueError or TypeError) for values that JSON cannot express, and for a payload that is not a
    message.
    """

    def _serialize(self, data: Any) -> bytes:
        if not isinstance(data, Message):
            return msgspec.json.encode(data)
        return msgspec.json.encode(_payload(data, time.time_ns() // 1_000_000))

    def _deserialize(self, data: bytes) -> Any:
        raw = bytes(data)
        return _message(_decode(raw)) if raw.startswith(b'{"at":') else msgspec.json.decode(raw)


def _payload(message: Any, at: int) -> _Payload:
    if message.chord_config is not None:
        raise TypeError("this queue does not support chords")
    fields = {name: getattr(message, name) for name in _Payload.__struct_fields__ if name != "at"}
    for callback in ("on_complete", "on_error"):
        if fields[callback] is not None:
            fields[callback] = _payload(fields[callback], at)
    fields["args"] = list(message.args)
    return _Payload(at, **fields)


def _message(payload: _Payload) -> QueuedMessage:
    fields = {name: getattr(payload, name) for name in _Payload.__struct_fields__ if name != "at"}
    fields["args"] = tuple(payload.args)
    for callback in ("on_complete", "on_error"):
        if fields[callback] is not None:
            fields[callback] = _message(fields[callback])
    message = QueuedMessage(**fields)
    message.queued_ms = payload.at
    return message
