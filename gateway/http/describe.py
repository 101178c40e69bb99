"""What a route takes, answers and refuses, said at its verb: it reads requests by it, and the API's document is made from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Generic, NamedTuple, TypedDict, TypeVar

from msgspec import Meta, Struct

from models.store.database import ID_MAX

LIST_LIMIT, LIST_LIMIT_MAX = 50, 200
QUERY_CHARS = 1000
NDJSON = "application/x-ndjson"
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


# Fields of bodies. What is said here of a type is documentation: its verb checks it, for some rules wait for others.

Id = Annotated[int, Meta(extra_json_schema={"minimum": 1, "maximum": ID_MAX - 1})]


def chars(low: int, high: int, about: str = "") -> Meta:
    """A text of so many characters (Unicode code points)."""
    return Meta(description=about or None, extra_json_schema={"minLength": low, "maxLength": high})


def one_of(values: tuple[str, ...]) -> Meta:
    """One of these."""
    return Meta(extra_json_schema={"enum": list(values)})


def many(low: int, high: int) -> Meta:
    """A list of so many."""
    return Meta(extra_json_schema={"minItems": low, "maxItems": high})


class Listed(Struct, Generic[T]):
    """A page of a list. `next` is the `?page=` of the following one, null at the end."""

    items: list[T]
    next: str | None


class Taken(TypedDict):
    """It was taken, and is done later."""


# Arguments of the query


class Number(NamedTuple):
    """An integer within bounds."""

    name: str
    about: str
    low: int = 1
    high: int = ID_MAX - 1
    needed: bool = False

    def schema(self) -> dict[str, Any]:
        """JSON Schema."""
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


class Seconds(NamedTuple):
    """A time to wait."""

    name: str
    about: str
    high: float
    needed: bool = False

    def schema(self) -> dict[str, Any]:
        """JSON Schema."""
        return {"type": "number", "minimum": 0, "maximum": self.high}


class Flag(NamedTuple):
    """`true` or `false`."""

    name: str
    about: str
    needed: bool = False

    def schema(self) -> dict[str, Any]:
        """JSON Schema."""
        return {"type": "boolean"}


class Text(NamedTuple):
    """A text; `one_of` names all that it may be, `format` is JSON Schema's."""

    name: str
    about: str
    low: int = 0
    high: int = QUERY_CHARS
    one_of: tuple[str, ...] = ()
    format: str = ""
    needed: bool = False

    def schema(self) -> dict[str, Any]:
        """JSON Schema."""
        if self.one_of:
            return {"type": "string", "enum": list(self.one_of)}
        if self.format:
            return {"type": "string", "format": self.format}
        return {"type": "string", "minLength": self.low, "maxLength": self.high}


Parameter = Number | Seconds | Flag | Text
LIMIT = Number("limit", f"how many at most; {LIST_LIMIT} when not given", 1, LIST_LIMIT_MAX)
PAGE = Text("page", "where to go on: `next` of the answer before")
PAGED = (LIMIT, PAGE)


class Description(NamedTuple):
    """Of a verb. An answer is a type (JSON), None (no body) or another content type; of two, the client chooses by `Accept`.
    `refuses` are slugs of gateway/http/errors.py, besides those that follow from access, body, path and query."""

    summary: str
    answers: Mapping[int, Any]
    takes: Any
    query: tuple[Parameter, ...]
    refuses: tuple[str, ...]
    example: Any


DESCRIBED: dict[Callable[..., Any], Description] = {}


def describe(
    summary: str,
    answers: Mapping[int, Any],
    takes: Any = None,
    *,
    query: tuple[Parameter, ...] = (),
    refuses: tuple[str, ...] = (),
    example: Any = None,
) -> Callable[[F], F]:
    """Notes a verb's description, and leaves the verb as it is. `takes` is what it decodes its body as, `example` such a body."""

    def note(verb: F) -> F:
        DESCRIBED[verb] = Description(summary, answers, takes, query, refuses, example)
        return verb

    return note
