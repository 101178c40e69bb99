"""Descriptions of a route's verbs: body, query parameters, answers and errors.

A handler reads its request by them, and `gateway.apidoc` makes the OpenAPI document from them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Generic, NamedTuple, TypedDict, TypeVar

from msgspec import Meta, Struct

from models.store.database import ID_MAX

LIST_LIMIT, LIST_LIMIT_MAX = 50, 200
MAX_QUERY_CHARS = 1000
NDJSON = "application/x-ndjson"
BINARY = "application/octet-stream"  # as a body or an answer: bytes
ANY_TYPE = "*/*"  # as an answer: bytes of a type of their own
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


# Types of body fields. The decoder enforces the bounds, except where a verb checks the field: because another rule comes first,
# because it trims the text, or because it names all wrong fields together.

Id = Annotated[int, Meta(ge=1, le=ID_MAX - 1)]
UncheckedId = Annotated[int, Meta(extra_json_schema={"minimum": 1, "maximum": ID_MAX - 1})]
A_USER = "a user id, or `ext:` and an external id"
ExternalReference = Annotated[str, Meta(pattern="^ext:\\S{1,128}$(?!\\n)", description=A_USER)]
UserReference = Id | ExternalReference
UncheckedUser = UncheckedId | ExternalReference


def chars(low: int, high: int, about: str = "", *, enforced: bool = True) -> Meta:
    """A text of `low` to `high` characters (Unicode code points)."""
    if enforced:
        return Meta(min_length=low, max_length=high, description=about or None)
    return Meta(description=about or None, extra_json_schema={"minLength": low, "maxLength": high})


def one_of(values: tuple[str, ...], *, enforced: bool = True) -> Meta:
    """A text that is one of the values."""
    pattern = f"^({'|'.join(values)})$(?!\\n)"  # `$` alone allows a line break after the value
    return Meta(pattern=pattern if enforced else None, extra_json_schema={"enum": list(values)})


def many(low: int, high: int, *, enforced: bool = True) -> Meta:
    """A list of `low` to `high` items."""
    return Meta(min_length=low, max_length=high) if enforced else Meta(extra_json_schema={"minItems": low, "maxItems": high})


class Listed(Struct, Generic[T]):
    """A page of a list. `next` is the `?page=` of the following page, null at the end."""

    items: list[T]
    next: str | None


class Accepted(TypedDict):
    """The request was accepted and is carried out later."""


# Query parameters


class IntParameter(NamedTuple):
    """An integer from `low` to `high`."""

    name: str
    about: str
    low: int = 1
    high: int = ID_MAX - 1
    required: bool = False

    def schema(self) -> dict[str, Any]:
        """JSON Schema."""
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


class SecondsParameter(NamedTuple):
    """A duration from 0 to `high` seconds."""

    name: str
    about: str
    high: float
    required: bool = False

    def schema(self) -> dict[str, Any]:
        """JSON Schema."""
        return {"type": "number", "minimum": 0, "maximum": self.high}


class UserParameter(NamedTuple):
    """A user: an id, or `ext:` and an external id."""

    name: str
    about: str
    required: bool = False

    def schema(self) -> dict[str, Any]:
        """JSON Schema."""
        return {"anyOf": [{"type": "integer", "minimum": 1, "maximum": ID_MAX - 1}, {"type": "string", "pattern": "^ext:"}]}


class BoolParameter(NamedTuple):
    """`true` or `false`."""

    name: str
    about: str
    required: bool = False

    def schema(self) -> dict[str, Any]:
        """JSON Schema."""
        return {"type": "boolean"}


class TextParameter(NamedTuple):
    """A text of `low` to `high` characters. `one_of` lists all allowed values, if set; `format` is JSON Schema's."""

    name: str
    about: str
    low: int = 0
    high: int = MAX_QUERY_CHARS
    one_of: tuple[str, ...] = ()
    format: str = ""
    required: bool = False

    def schema(self) -> dict[str, Any]:
        """JSON Schema."""
        if self.one_of:
            return {"type": "string", "enum": list(self.one_of)}
        if self.format:
            return {"type": "string", "format": self.format}
        return {"type": "string", "minLength": self.low, "maxLength": self.high}


Parameter = IntParameter | SecondsParameter | UserParameter | BoolParameter | TextParameter
LIMIT = IntParameter("limit", f"the maximum number of items; {LIST_LIMIT} by default", 1, LIST_LIMIT_MAX)
PAGE = TextParameter("page", "the page to continue with: `next` of the previous answer")
PAGED = (LIMIT, PAGE)


class Description(NamedTuple):
    """The description of a verb.

    An answer is a type (JSON), None (no body) or another content type; of several, the client chooses by `Accept`. A body is a
    type, None, or BINARY for bytes, which clients may send with any content type.
    `errors` are slugs of gateway/http/errors.py, in addition to those that follow from access, body, path and query.
    """

    summary: str
    answers: Mapping[int, Any]
    body: Any
    query: tuple[Parameter, ...]
    errors: tuple[str, ...]
    example: Any


DESCRIBED: dict[Callable[..., Any], Description] = {}


def describe(
    summary: str,
    answers: Mapping[int, Any],
    *,
    body: Any = None,
    query: tuple[Parameter, ...] = (),
    errors: tuple[str, ...] = (),
    example: Any = None,
) -> Callable[[F], F]:
    """Record a verb's description, without changing the verb. `body` is the type of its body or BINARY, `example` such a body."""

    def record(verb: F) -> F:
        DESCRIBED[verb] = Description(summary, answers, body, query, errors, example)
        return verb

    return record
