"""The JSON Schemas of what bodies and answers are made of, under the names that the API's document gives them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from gateway.api.event_types import DATA_BY_EVENT_TYPE

PLACE = "#/components/schemas/"
Schema = dict[str, Any]


class Schemas:
    """The schemas of types, of events' data, and of all that they are made of: `components`, by name."""

    def __init__(self, kinds: Iterable[Any]) -> None:
        distinct = list(dict.fromkeys([*kinds, *DATA_BY_EVENT_TYPE.values()]))
        found = msgspec.json.schema_components(distinct, ref_template=PLACE + "{name}")
        schemas, components = msgspec.json.decode(re.sub(PLACE + r"(\w+)", _renamed, msgspec.json.encode(found).decode()))
        self._of = dict(zip(distinct, schemas, strict=True))
        self.components: dict[str, Schema] = {_name(name): schema for name, schema in components.items()}
        assert len(self.components) == len(components), "two types have one name in the document"
        for schema in self.components.values():
            schema.pop("title", None)
            for name, field in schema.get("properties", {}).items():
                _finish(name, field)
        self.components["Event"] = self._event(self.components["Event"])

    def of(self, kind: Any) -> Schema:
        """A reference to a type's."""
        return dict(self._of[kind])

    def component(self, kind: Any) -> Schema:
        """A type's schema itself."""
        return self.components[self._of[kind]["$ref"].removeprefix(PLACE)]

    def _event(self, schema: Schema) -> Schema:
        """One of its types, each with its data."""
        about = schema.pop("description")
        kinds = []
        for kind, data in DATA_BY_EVENT_TYPE.items():
            properties = {**schema["properties"], "type": {"const": kind}, "data": self.of(data)}
            kinds.append({**schema, "title": kind, "properties": properties})
        return {"description": about, "oneOf": kinds}


def _renamed(found: re.Match[str]) -> str:
    return PLACE + _name(found[1])


def _name(name: str) -> str:
    """`MessageView` is Message in the document, a list of them MessageList."""
    listed = re.fullmatch(r"Listed_(\w+?)_", name)
    return _name(listed[1]) + "List" if listed else re.sub("(View|Answer)$", "", name)


def _finish(name: str, field: Schema) -> None:
    """Complete a property: a text that is called `at` is a time. Remove an empty default, and a pattern that repeats an enum."""
    if field.get("default") == "":
        del field["default"]
    for schema in field.get("anyOf", [field]):
        if "enum" in schema:
            schema.pop("pattern", None)
        if (name == "at" or name.endswith("_at")) and schema["type"] == "string":
            schema["format"] = "date-time"
