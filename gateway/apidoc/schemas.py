"""The JSON Schemas of bodies and answers, under their names in the OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from gateway.api.event_types import DATA_BY_EVENT_TYPE

REF_PREFIX = "#/components/schemas/"
FURTHER_FIELDS = {"Preferences": "Preference", "PreferenceChanges": "PreferenceChange"}  # are named by the host, and have this type
Schema = dict[str, Any]


class Schemas:
    """The schemas of the given types, of the data of events, and of their parts. `components` maps names to schemas."""

    def __init__(self, types: Iterable[Any]) -> None:
        distinct = list(dict.fromkeys([*types, *DATA_BY_EVENT_TYPE.values()]))
        definitions = msgspec.json.schema_components(distinct, ref_template=REF_PREFIX + "{name}")
        schemas, components = msgspec.json.decode(
            re.sub(REF_PREFIX + r"(\w+)", _renamed, msgspec.json.encode(definitions).decode())
        )
        self._references = dict(zip(distinct, schemas, strict=True))
        self.components: dict[str, Schema] = {_name(name): schema for name, schema in components.items()}
        assert len(self.components) == len(components), "two types have one name in the document"
        for schema in self.components.values():
            schema.pop("title", None)
            for name, field in schema.get("properties", {}).items():
                _finish(name, field)
        for name, field_type in FURTHER_FIELDS.items():
            if name in self.components:
                self.components[name]["additionalProperties"] = {"$ref": REF_PREFIX + field_type}
        self.components["Event"] = self._event(self.components["Event"])

    def reference(self, answer_type: Any) -> Schema:
        """A reference to the schema of a type."""
        return dict(self._references[answer_type])

    def component(self, body_type: Any) -> Schema:
        """The schema of a type."""
        return self.components[self._references[body_type]["$ref"].removeprefix(REF_PREFIX)]

    def _event(self, schema: Schema) -> Schema:
        """The schema of EVENT: one of all types of events, each a component of its own with its data."""
        description = schema.pop("description")
        mapping: dict[str, str] = {}
        for event_type, data in DATA_BY_EVENT_TYPE.items():
            name = "".join(part.capitalize() for part in event_type.split(".")) + "Event"
            kind = {"type": "string", "enum": [event_type]}
            properties = {**schema["properties"], "type": kind, "data": self.reference(data)}
            assert name not in self.components, "an event and another type have one name in the document"
            self.components[name] = {**schema, "properties": properties}
            mapping[event_type] = REF_PREFIX + name
        discriminator = {"propertyName": "type", "mapping": mapping}
        return {"description": description, "oneOf": [{"$ref": ref} for ref in mapping.values()], "discriminator": discriminator}


def _renamed(match: re.Match[str]) -> str:
    return REF_PREFIX + _name(match[1])


def _name(name: str) -> str:
    """The name of a type in the document: Message for `MessageView`, MessageList for a list of them."""
    listed = re.fullmatch(r"Listed_(\w+?)_", name)
    return _name(listed[1]) + "List" if listed else re.sub("(View|Answer)$", "", name)


def _finish(name: str, field: Schema) -> None:
    """Complete a property: a text that is called `at` is a time. Remove an empty default, and a pattern that repeats an enum."""
    if field.get("default", 0) in ("", None):
        del field["default"]
    for schema in field.get("anyOf", [field]):
        if "enum" in schema:
            schema.pop("pattern", None)
        if schema.get("type") == "array":
            schema.setdefault("items", {})  # generators need it
        if (name == "at" or name.endswith("_at")) and schema["type"] == "string":
            schema["format"] = "date-time"
