"""client.d.ts, and index.d.ts of the npm package, say of the API's objects what the document says."""

from __future__ import annotations

import re
from typing import Any

import pytest

from gateway.apidoc import openapi
from gateway.app import AREAS
from gateway.http.static_files import FOLDER
from tests.gateway.running import ROOT

CLIENT, PACKAGE = (FOLDER / "client.d.ts").read_text(), (ROOT / "clients/js/index.d.ts").read_text()
TYPES = CLIENT + PACKAGE
SCHEMAS = {  # interface -> its name in the document, where that is another
    **{"NewAccount": "NewUser", "HostUser": "HostedFields", "Found": "SearchHit", "Imported": "Import"},
    **{"NewNotificationType": "NewDefinition", "NotificationType": "HostType", "ImportedMessage": "MessageLine"},
    **{"WebhookChanges": "WebhookChange", "StoredFile": "File"},
}
OTHERS = ("EventData", "EventsOptions", "CallOptions", "UploadOptions", "StateEvent", "Batch", "BellwireOptions", "Admin")
ROTATION = {"rotate"}  # a method of its own


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    """The components of the document."""
    return dict(openapi.document(AREAS)["components"]["schemas"])


def fields(interface: str) -> dict[str, bool]:
    """The fields of an interface, each with whether it is required, those of its base included."""
    found = re.search(rf"interface {interface} (?:extends (\w+) )?\{{\n(.*?)\n\}}", TYPES, re.DOTALL)
    assert found, interface
    own = {name: not optional for name, optional in re.findall(r"^  (\w+)(\??): ", found[2], re.MULTILINE)}
    return (fields(found[1]) if found[1] else {}) | own


@pytest.mark.parametrize("interface", re.findall(r"^export interface (\w+)", TYPES, re.MULTILINE))
def test_an_object_of_the_api_has_the_fields_of_the_document(schemas: dict[str, Any], interface: str) -> None:
    if interface in OTHERS:
        return
    schema = schemas[SCHEMAS.get(interface, interface)]
    written = fields(interface)
    assert written.keys() == schema["properties"].keys() - ROTATION
    if interface != "NewMessage":  # the client adds what it leaves out
        assert {name for name, required in written.items() if required} == set(schema.get("required", ()))


def test_the_types_of_events_are_those_of_the_document(schemas: dict[str, Any]) -> None:
    data = re.search(r"interface EventData \{\n(.*?)\n\}", CLIENT, re.DOTALL)
    assert data
    written = dict(re.findall(r'^  "([a-z.]+)": (.*);$', data[1], re.MULTILINE))
    mapping = schemas["Event"]["discriminator"]["mapping"]

    assert written.keys() == mapping.keys() - {"cursor.expired"}, "the client loads the state after that one"
    for event_type, text in written.items():
        schema = schemas[mapping[event_type].rpartition("/")[2]]["properties"]["data"]["$ref"].rpartition("/")[2]
        named = set(re.findall(r"(\w+)\??: ", text)) or set(fields(text))
        assert named == schemas[schema]["properties"].keys(), event_type


def test_the_types_have_what_the_client_exports() -> None:
    assert re.findall(r"^export (?:class|function) (\w+)", CLIENT, re.MULTILINE) == [
        "BellwireError",
        "Bellwire",
        "uniqueId",
        "backoffS",
    ]
