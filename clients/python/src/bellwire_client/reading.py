"""Conversion of decoded JSON to dataclasses, by their annotations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import datetime
from functools import cache, partial
from types import UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from bellwire_client.errors import UnexpectedAnswerError

T = TypeVar("T")


def read(shape: type[T], data: Any) -> T:
    """Create a dataclass from decoded JSON. Unknown fields are ignored. Raises UnexpectedAnswerError if one is missing or wrong."""
    try:
        return shape(**{name: convert(data[name]) for name, convert in _fields(cast("Any", shape)) if name in data})
    except (TypeError, ValueError, AttributeError) as error:
        raise UnexpectedAnswerError(f"this is not a {shape.__name__} of Bellwire: is the address right?") from error


@cache
def _fields(shape: type[Any]) -> list[tuple[str, Callable[[Any], Any]]]:
    hints = get_type_hints(shape)
    return [(field.name, _converter(hints[field.name])) for field in fields(shape)]


def _converter(hint: Any) -> Callable[[Any], Any]:
    if isinstance(hint, type) and is_dataclass(hint):
        return partial(read, hint)
    if hint is datetime:
        return datetime.fromisoformat
    inner = get_args(hint)
    if get_origin(hint) in (Union, UnionType) and inner[1:] == (type(None),):
        return partial(_optional, _converter(inner[0]))
    if get_origin(hint) is list:
        return partial(_list, _converter(inner[0]))
    if get_origin(hint) is dict and inner[0] is int:  # JSON's names are strings
        return lambda value: {int(name): item for name, item in value.items()}
    return lambda value: value


def _optional(convert: Callable[[Any], Any], value: Any) -> Any:
    return None if value is None else convert(value)


def _list(convert: Callable[[Any], Any], value: Any) -> list[Any]:
    return [convert(item) for item in value]
