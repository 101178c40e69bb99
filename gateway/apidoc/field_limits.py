"""The bounds of the fields of request bodies, as a module for the page: what it enforces is what the API enforces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gateway.apidoc.openapi import Route, verbs
from gateway.http.static_files import TYPES, StaticFile, file_of
from models.store.database import ID_MAX

Bounds = dict[str, int]
NAMES = {"minLength": "min", "maxLength": "max", "minItems": "min", "maxItems": "max", "minimum": "min", "maximum": "max"}


def field_limits(areas: Mapping[str, Sequence[Route]]) -> dict[str, dict[str, Bounds]]:
    """Name of a body -> field -> `min` and `max`: code points of a text, items of a list, or a number that is no id."""
    bodies = [
        description.body
        for routes in areas.values()
        for _, handler in routes
        for _, _, description in verbs(handler)
        if isinstance(description.body, type)
    ]
    _, components = msgspec.json.schema_components(bodies)
    found = {body.__name__: _of_properties(components[body.__name__]) for body in bodies}
    return {name: fields for name, fields in found.items() if fields}


def module(areas: Mapping[str, Sequence[Route]], file_max_bytes: int) -> StaticFile:
    """The module, as a file. `file_max_bytes` bounds an upload, whose body is no object with fields."""
    limits = field_limits(areas) | {"Upload": {"file": {"max": file_max_bytes}}}
    text = b"export const LIMITS = " + msgspec.json.encode(limits) + b";\n"
    return file_of(TYPES[".js"], text)


def _of_properties(schema: Mapping[str, Any]) -> dict[str, Bounds]:
    fields = {name: _bounds(field) for name, field in schema.get("properties", {}).items()}
    return {name: bounds for name, bounds in fields.items() if bounds}


def _bounds(field: Mapping[str, Any]) -> Bounds:
    """The bounds of a field, or of its first alternative that has some: the other one is null."""
    for schema in (field, *field.get("anyOf", ())):
        if schema.get("maximum") == ID_MAX - 1:
            continue
        if bounds := {NAMES[key]: value for key, value in schema.items() if key in NAMES}:
            return bounds
    return {}
