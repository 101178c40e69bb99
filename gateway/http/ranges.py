"""The part of a file that a request is for: `Range` and `If-Range` (RFC 9110, sections 14 and 13.1.5).

An ETag is strong, and there is no Last-Modified: a file has one content, or another file's.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from gateway.http.errors import ProblemError
from models.store.database import ID_MAX

ONE_RANGE = re.compile(r"bytes=[ \t]*(?:([0-9]+)-([0-9]*)|-([0-9]+))[ \t]*", re.IGNORECASE)
MAX_DIGITS = len(str(ID_MAX))


class Span(NamedTuple):
    """A part of a file."""

    start: int
    length: int

    def content_range(self, size: int) -> str:
        """The header Content-Range of a file with so many bytes."""
        return f"bytes {self.start}-{self.start + self.length - 1}/{size}"


def requested(header: str, size: int) -> Span | None:
    """The part that a Range header names; None for the whole file: other units, several ranges and malformed ones are ignored, as
    section 14.2 allows. Raises ProblemError 416."""
    found = ONE_RANGE.fullmatch(header)
    if found is None:
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        length = min(_number(suffix), size)
        if size == 0 and _number(suffix):
            return None  # satisfiable, but no Content-Range can name zero bytes
        return _satisfiable(size - length, length, size)
    start, end = _number(first), _number(last) if last else ID_MAX
    if end < start:
        return None
    return _satisfiable(start, min(end + 1, size) - start, size)


def _satisfiable(start: int, length: int, size: int) -> Span:
    if length < 1:
        detail = f"the file has {size} bytes"
        raise ProblemError("range-not-satisfiable", detail, {"Content-Range": f"bytes */{size}"})
    return Span(start, length)


def _number(digits: str) -> int:
    """A position, or one behind every file: Python refuses to convert thousands of digits."""
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) <= MAX_DIGITS else ID_MAX


def is_of_same_content(if_range: str | None, etag: str) -> bool:
    """Whether a Range counts (section 13.1.5): the comparison is strong, and a date is never the same."""
    return if_range is None or if_range.strip() == etag
