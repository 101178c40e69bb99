"""The answer of a webhook's receiver: the part of HTTP/1.1 (RFC 9112) that says its status, and where it ends.

A general parser needs more CPU time for an answer than all the rest of a delivery. Nothing depends on a body but whether the
connection can be used again, so what is not understood only ends the connection.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_HEAD_BYTES = 32 * 1024
CHUNKED, UNTIL_CLOSED = -1, -2  # in the place of a body's length

_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\r\n]*)?")
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_LENGTH = re.compile(rb"[0-9]{1,12}")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n")


class AnswerError(OSError):
    """The answer is not HTTP/1.1."""


class Head(NamedTuple):
    """The head of an answer. `end` is the position after it; `length` that of the body, or CHUNKED or UNTIL_CLOSED. `keeps` says
    whether the receiver keeps the connection."""

    status: int
    end: int
    length: int
    keeps: bool


def read_head(data: bytes) -> Head | None:
    """Return the head with which data begin; None if it is not complete. Raises AnswerError."""
    blank = _BLANK_LINE.search(data, 0, MAX_HEAD_BYTES)
    if blank is None:
        if len(data) >= MAX_HEAD_BYTES:
            raise AnswerError(f"the head of the answer has more than {MAX_HEAD_BYTES} bytes")
        return None
    first, *lines = data[: blank.start()].splitlines()
    found = _STATUS.fullmatch(first)
    if found is None:
        raise AnswerError("the answer is not HTTP/1.1")
    fields: dict[bytes, list[bytes]] = {}
    for line in lines:
        name, _, value = line.partition(b":")
        fields.setdefault(name.lower(), []).append(value.strip().lower())
    keeps = found[1] == b"1" and not any(b"close" in value for value in fields.get(b"connection", ()))
    status = int(found[2])
    return Head(status, blank.end(), 0 if status in (204, 304) else _length(fields), keeps)


def _length(fields: dict[bytes, list[bytes]]) -> int:
    """The length of a body (RFC 9112, 6.3). Of a head that contradicts itself it is not known."""
    encodings, lengths = fields.get(b"transfer-encoding"), fields.get(b"content-length", [])
    if encodings is not None:
        return CHUNKED if encodings == [b"chunked"] and not lengths else UNTIL_CLOSED
    return int(lengths[0]) if len(set(lengths)) == 1 and _LENGTH.fullmatch(lengths[0]) else UNTIL_CLOSED


def end_of(head: Head, data: bytes) -> int | None:
    """Return the position in data at which an answer ends; None if its end is not there. Raises AnswerError."""
    if head.length == CHUNKED:
        return _end_of_chunks(data, head.end)
    end = head.end + head.length
    return end if head.length >= 0 and len(data) >= end else None


def _end_of_chunks(data: bytes, at: int) -> int | None:
    while size := _CHUNK_SIZE.match(data, at):
        length = int(size[1], 16)
        if length == 0:
            blank = _BLANK_LINE.search(data, at)  # after the trailers, if there are any
            return blank.end() if blank else None
        at = size.end() + length + 2
        if data[at - 2 : at] not in (b"", b"\r", b"\r\n"):
            raise AnswerError("a chunk of the answer has another length than it says")
    if b"\n" in data[at:]:
        raise AnswerError("the answer has no chunk where one must be")
    return None
