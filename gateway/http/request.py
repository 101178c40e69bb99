"""Reading a request: decoding the body, checking query parameters, and naming the field that is wrong."""

from __future__ import annotations

from collections.abc import Container, Iterator
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
from tornado import web

from gateway.http import page_cursor
from gateway.http.describe import LIMIT, LIST_LIMIT, PAGE, BoolParameter, IntParameter, SecondsParameter, TextParameter
from gateway.http.errors import ProblemError
from gateway.http.page_cursor import IdPosition
from gateway.http.routing import Request
from models.store.errors import InvalidError
from models.store.wrong_fields import wrong_field, wrong_fields

NO_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
NUL = b"\\u0000"  # as JSON writes it
MAX_LANGUAGES = 20  # that are read of an Accept-Language header
FREE_TEXT = ("body", "message")  # of messages, the older client's too
P = TypeVar("P", bound=tuple[Any, ...])
T = TypeVar("T", bound=msgspec.Struct)


class RequestReader(web.RequestHandler):
    """The part of a handler that reads its request."""

    request: Request

    def decode(self, body_type: type[T]) -> T:
        """Decode the body. Raises ProblemError 400 if it is not valid JSON, 422 if a field is wrong."""
        try:
            decoded = msgspec.json.decode(self.request.body or b"{}", type=body_type)
            if NUL in self.request.body:
                self._refuse_nul()
            return decoded
        except msgspec.ValidationError as error:
            raise InvalidError(*self._wrong_fields(body_type, error)) from None
        except NO_JSON:
            raise malformed() from None

    def _wrong_fields(self, body_type: type[msgspec.Struct], error: msgspec.ValidationError) -> list[tuple[str, str]]:
        """(field, message) of each wrong field. Raises ProblemError 400 if the body is not valid JSON after the first of them."""
        try:
            body = msgspec.json.decode(self.request.body)
        except msgspec.ValidationError:  # a number that JSON allows and we cannot represent
            return [wrong_field(error)]
        except NO_JSON:
            raise malformed() from None
        errors = list(wrong_fields(body, body_type)) if isinstance(body, dict) else []
        return errors or [wrong_field(error)]

    def _refuse_nul(self) -> None:
        """Raise ProblemError 422 for a NUL character outside a message's text: names and the like have no use for one."""
        for field, value in _strings("", msgspec.json.decode(self.request.body)):
            if "\0" in value and field not in FREE_TEXT:
                raise field_error(field, "must not contain NUL characters")

    def query_text(self, parameter: TextParameter) -> str:
        """A text of the query, without control characters; empty if absent. Raises ProblemError 422."""
        value: str = self.get_query_argument(parameter.name, "")
        if not value and not parameter.required:
            return ""
        if parameter.one_of and value not in parameter.one_of:
            raise field_error(parameter.name, "must be one of " + ", ".join(parameter.one_of))
        if not parameter.low <= len(value) <= parameter.high:
            raise field_error(parameter.name, f"must have {parameter.low} to {parameter.high} characters")
        return value

    def query_int(self, parameter: IntParameter) -> int | None:
        """An integer of the query, within its bounds; None if absent. Raises ProblemError 422."""
        value = self.get_query_argument(parameter.name, "")
        if not value and not parameter.required:
            return None
        if not (is_number(value) and parameter.low <= int(value) <= parameter.high):
            raise field_error(parameter.name, f"must be an integer from {parameter.low} to {parameter.high}")
        return int(value)

    def query_seconds(self, parameter: SecondsParameter) -> float | None:
        """A duration of the query, in seconds; None if absent. Raises ProblemError 422."""
        value = self.get_query_argument(parameter.name, "")
        if not value:
            return None
        try:
            seconds = float(value)
        except ValueError:
            seconds = -1.0
        if not 0 <= seconds <= parameter.high:
            raise field_error(parameter.name, f"must be a number of seconds from 0 to {parameter.high:g}")
        return seconds

    def query_bool(self, parameter: BoolParameter) -> bool:
        """`true` or `false` of the query; False if absent. Raises ProblemError 422."""
        value: str = self.get_query_argument(parameter.name, "false")
        if value not in ("true", "false", ""):
            raise field_error(parameter.name, "must be true or false")
        return value == "true"

    def query_time_ms(self, parameter: TextParameter) -> int | None:
        """A time of the query, in Unix milliseconds, UTC unless it names an offset; None if absent. Raises ProblemError 422."""
        value = self.query_text(parameter)
        return self.time_ms(parameter.name, value) if value else None

    def time_ms(self, field: str, value: str) -> int:
        """A time in Unix milliseconds, UTC unless it names an offset. Raises ProblemError 422."""
        try:
            at = datetime.fromisoformat(value)
            return int(at.replace(tzinfo=at.tzinfo or UTC).timestamp() * 1000)
        except (ValueError, OverflowError):
            raise field_error(field, "must be an RFC 3339 time such as 2026-11-21T09:30:00Z") from None

    def query_page(self, position_type: type[P]) -> tuple[P | None, int]:
        """`?page=` and `?limit=` of a list: the page starts after the position, None is the beginning. Raises ProblemError 422."""
        limit = self.query_int(LIMIT) or LIST_LIMIT
        page = self.get_query_argument(PAGE.name, None)
        if page is None:
            return None, limit
        try:
            return page_cursor.decode(page, position_type), limit
        except ValueError:
            raise field_error(PAGE.name, "must be the `next` of a previous answer") from None

    def query_page_id(self) -> tuple[int | None, int]:
        """`?page=` and `?limit=` of a list that is sorted by id: the page starts after the id. Raises ProblemError 422."""
        page = self.get_query_argument(PAGE.name, "")
        if is_number(page):  # a cursor of the version before
            return int(page), self.query_int(LIMIT) or LIST_LIMIT
        position, limit = self.query_page(IdPosition)
        return None if position is None else position.id, limit

    def preferred_language(self, known: Container[str]) -> str | None:
        """The tag of the first language of the Accept-Language header that is known, without its region; None if none of them is.
        Browsers sort theirs by weight."""
        header: str = self.request.headers.get("Accept-Language", "")
        tags = (
            part.partition(";")[0].partition("-")[0].strip().lower() for part in header.split(",", MAX_LANGUAGES)[:MAX_LANGUAGES]
        )
        return next((tag for tag in tags if tag in known), None)


def is_number(text: str) -> bool:
    """Whether the text is a decimal number of at most 16 digits, which an id or a position fits in."""
    return text.isascii() and text.isdigit() and len(text) < 17


def _strings(field: str, value: Any) -> Iterator[tuple[str, str]]:
    """(field, text) of all texts within a decoded body; a field is like `users.1.email`."""
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
    """400 for a body that is not valid JSON."""
    return ProblemError("malformed", "the request body is not valid JSON")
