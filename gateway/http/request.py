"""Reading a request: its body as one of our types, its query arguments within bounds, and which field is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
from tornado import httputil, web

from gateway.http.describe import LIMIT, LIST_LIMIT, PAGE, Flag, Number, Seconds, Text
from gateway.http.errors import ProblemError

NO_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
NUL = b"\\u0000"  # as JSON has it
FREE_TEXT = ("body", "message")  # of messages, the older client's too
T = TypeVar("T")


class Asked(web.RequestHandler):
    """What handlers ask of their request."""

    request: httputil.HTTPServerRequest

    def decode(self, kind: type[T]) -> T:
        """The body as one of our types. Raises ProblemError 400 for what is no JSON, 422 for a field that is wrong."""
        try:
            decoded = msgspec.json.decode(self.request.body or b"{}", type=kind)
            if NUL in self.request.body:
                self._refuse_nul()
            return decoded
        except msgspec.ValidationError as error:
            self._require_json()
            field, message = _wrong(str(error))
            raise ProblemError("invalid", message, errors=[{"field": field, "message": message}]) from None
        except NO_JSON:
            raise malformed() from None

    def _require_json(self) -> None:
        """Raises ProblemError 400 for a body that is no JSON further on than where a field was found wrong."""
        try:
            msgspec.json.decode(self.request.body)
        except msgspec.ValidationError:
            return  # a number that only JSON can hold
        except NO_JSON:
            raise malformed() from None

    def _refuse_nul(self) -> None:
        """Raises ProblemError 422 for a NUL character anywhere but in a message's text: names and the like have no use for one."""
        for field, value in _strings("", msgspec.json.decode(self.request.body)):
            if "\0" in value and field not in FREE_TEXT:
                raise field_error(field, "no NUL characters")

    def text(self, asked: Text) -> str:
        """A query argument, without control characters; empty when it is not given. Raises ProblemError 422."""
        given: str = self.get_query_argument(asked.name, "")
        if not given and not asked.needed:
            return ""
        if asked.one_of and given not in asked.one_of:
            raise field_error(asked.name, "one of " + ", ".join(asked.one_of))
        if not asked.low <= len(given) <= asked.high:  # longer than the store would look for
            raise field_error(asked.name, f"{asked.low} to {asked.high} characters")
        return given

    def number(self, asked: Number) -> int | None:
        """An integer of the query, within bounds. Raises ProblemError 422."""
        given = self.get_query_argument(asked.name, "")
        if not given and not asked.needed:
            return None
        if not (given.isascii() and given.isdigit() and len(given) < 17 and asked.low <= int(given) <= asked.high):
            raise field_error(asked.name, f"a number from {asked.low} to {asked.high}")
        return int(given)

    def seconds(self, asked: Seconds) -> float | None:
        """A time of the query. Raises ProblemError 422."""
        given = self.get_query_argument(asked.name, "")
        if not given:
            return None
        try:
            found = float(given)
        except ValueError:
            found = -1.0
        if not 0 <= found <= asked.high:
            raise field_error(asked.name, f"seconds from 0 to {asked.high:g}")
        return found

    def flag(self, asked: Flag) -> bool:
        """`true` or `false` of the query. Raises ProblemError 422."""
        given: str = self.get_query_argument(asked.name, "false")
        if given not in ("true", "false", ""):
            raise field_error(asked.name, "true or false")
        return given == "true"

    def time_ms(self, asked: Text) -> int | None:
        """A time of the query, in ms; UTC if it does not say. Raises ProblemError 422."""
        given = self.text(asked)
        if not given:
            return None
        try:
            at = datetime.fromisoformat(given)
        except ValueError:
            raise field_error(asked.name, "an RFC 3339 time such as 2026-11-21T09:30:00Z") from None
        return int(at.replace(tzinfo=at.tzinfo or UTC).timestamp() * 1000)

    def page(self) -> tuple[str | None, int]:
        """`?page=` (opaque) and `?limit=` of a list."""
        limit = self.number(LIMIT)
        return self.get_query_argument(PAGE.name, None), LIST_LIMIT if limit is None else limit

    def page_number(self) -> tuple[int | None, int]:
        """The same where a page is a place by id."""
        page, limit = self.page()
        if page is not None and not (page.isascii() and page.isdigit() and len(page) < 17):
            raise field_error("page", "a page that was given as `next`")
        return None if page is None else int(page), limit


def _strings(field: str, value: Any) -> Iterator[tuple[str, str]]:
    """(field, text) of all texts within a decoded body: `users.1.email`."""
    if isinstance(value, str):
        yield field, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _strings(f"{field}.{name}".lstrip("."), inner)
    elif isinstance(value, list):
        for n, inner in enumerate(value):
            yield from _strings(f"{field}.{n}".lstrip("."), inner)


def field_error(field: str, message: str) -> ProblemError:
    """422 for one field."""
    return ProblemError("invalid", f"{field}: {message}", errors=[{"field": field, "message": message}])


def malformed() -> ProblemError:
    """400."""
    return ProblemError("malformed", "the body is no JSON that can be read")


def _wrong(said: str) -> tuple[str, str]:
    """(field, message) of a decoder's error: "Object missing required field `email` - at `$.users[1]`" is about users.1.email."""
    message, _, path = said.partition(" - at `$")
    place = re.sub(r"\[(\d+)\]", r".\1", path.rstrip("`"))
    named = re.search(r"field `(.+)`$", message)
    return ".".join([place, named.group(1)] if named else [place]).lstrip("."), message
