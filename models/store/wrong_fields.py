"""The fields of a body that are wrong, each with a text that says what is expected of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

MISSING, UNKNOWN = "is required", "is not a field of this request"
BOUNDS = (  # of a text, list or number: what the decoder says, and what the answer says
    (r"Expected `str` matching regex '\^\((.+)\)\$", "must be one of {}"),
    (r"Expected `(?:str|array)` of length >= 1$", "must not be empty"),
    (r"Expected `str` of length >= (\d+)", "must have at least {} characters"),
    (r"Expected `str` of length <= (\d+)", "must have at most {} characters"),
    (r"Expected `array` of length >= (\d+)", "must have at least {} items"),
    (r"Expected `array` of length <= (\d+)", "must have at most {} items"),
    (r"Expected `(?:int|float)` >= (\S+)", "must be at least {}"),
    (r"Expected `(?:int|float)` <= (\S+)", "must be at most {}"),
)
MEMBER = "[...]"  # of an object, in a field of the decoder's
MAX_NAME_CHARS = 60
EXTERNAL_REFERENCE = "Expected `str` matching regex '^ext:"
TYPES = {
    "int": "an integer",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


def wrong_fields(body: dict[str, Any], body_type: type[msgspec.Struct]) -> Iterator[tuple[str, str]]:
    """(field, message) of each wrong field of a body. The decoder stops at the first one, so each field is converted alone."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(body_type)}
    for name, field in fields.items():
        if name in body:
            for inner, message in _wrong_parts(body[name], field.type):
                yield f"{name}.{inner}".rstrip("."), message
        elif field.required:
            yield name, MISSING
    if body_type.__struct_config__.forbid_unknown_fields:
        yield from ((name, UNKNOWN) for name in body if name not in fields)


def _wrong_parts(value: Any, value_type: Any) -> Iterator[tuple[str, str]]:
    """(field, message) of the wrong part of a value. Of an object with names of the client's, which the decoder's error does not
    name, each member is converted alone."""
    try:
        msgspec.convert(value, value_type)
    except msgspec.ValidationError as error:
        field, message = wrong_field(error)
        if field.startswith(MEMBER) and len(value) > 1:
            for name, member in value.items():
                yield from _wrong_parts({name: member}, value_type)
        else:
            yield field.replace(MEMBER, next(iter(value))[:MAX_NAME_CHARS]) if field.startswith(MEMBER) else field, message


def wrong_field(error: msgspec.ValidationError) -> tuple[str, str]:
    """(field, message) of the decoder's error: the field at `$.users[1].email` is users.1.email, empty for the body itself.

    An item of a list that is beyond a bound is an error of the list: the field of `$.ids[3]` is ids.
    """
    said, _, path = str(error).removesuffix("`").partition(" - at `$")
    if said.startswith(EXTERNAL_REFERENCE):
        return _field(path), "must be a user id, or `ext:` and an external id"
    for pattern, text in BOUNDS:
        if bound := re.match(pattern, said):
            return _field(re.sub(r"\[\d+\]$", "", path)), text.format(*bound.groups()).replace("|", ", ")
    if named := re.fullmatch(r"Object (missing required|contains unknown) field `(.+?)`?", said):
        return _field(f"{path}.{named[2]}"), MISSING if named[1] == "missing required" else UNKNOWN
    if types := re.match(r"Expected `([^`]+)", said):
        return _field(path), "must be " + " or ".join(TYPES.get(name, name) for name in types[1].split(" | "))
    return _field(path), "is out of range" if said == "Number out of range" else said


def _field(path: str) -> str:
    named = re.sub(r"(?<=\w)(\[\.\.\.\])+$", "", path)  # an unnamed member at the end: the object is named
    return re.sub(r"\[(\d+)\]", r".\1", named).lstrip(".")
