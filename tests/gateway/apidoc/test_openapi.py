import inspect
import re
from typing import Any

import jsonschema
import msgspec
import pytest
from openapi_spec_validator import validate

from gateway.api.preferences import OneClick
from gateway.apidoc.openapi import VERBS
from gateway.apidoc.openapi import verbs as described_verbs
from gateway.app import ROUTES
from gateway.http import static_files
from gateway.http.base import Handler
from gateway.http.describe import BINARY, DESCRIBED, PAGED
from models.history.lines import ImportLine
from tests.gateway.running import Gateway

pytestmark = pytest.mark.only("sqlite")  # the store has no part in it

CALLS = [(pattern, handler) for pattern, handler in ROUTES if not issubclass(handler, (static_files.Static, static_files.Index))]
VERBS_OF = [(handler, verb) for _, handler in CALLS for verb, _, _ in described_verbs(handler)]


@pytest.fixture(scope="module")
def document(gateway: Gateway) -> dict[str, Any]:
    """The OpenAPI document that the gateway serves."""
    answer = gateway.anonymous().get("/openapi.json")
    assert answer.status_code == 200
    return dict(answer.json())


def by_verb(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(verb, path): operation for path, item in document["paths"].items() for verb, operation in item.items()}


def implements(handler: type[Handler], verb: str) -> bool:
    return getattr(handler, verb) is not getattr(Handler, verb)


def source(handler: type[Handler], verb: str) -> str:
    """Return the source of a verb and of all methods that it calls, without the methods of the base handler."""
    sources: dict[str, str] = {}
    names = [verb]
    while names:
        name = names.pop()
        method = inspect.getattr_static(handler, name, None)
        if name not in sources and inspect.isfunction(method) and getattr(Handler, name, None) is not method:
            sources[name] = inspect.getsource(method)
            names += re.findall(r"self\.(\w+)\(", sources[name])
    return "".join(sources.values())


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    validate(document)
    assert document["openapi"] == "3.1.0"


@pytest.mark.parametrize(("pattern", "handler"), CALLS, ids=[pattern for pattern, _ in CALLS])
def test_every_verb_of_every_route_is_in_the_document(document: dict[str, Any], pattern: str, handler: type[Handler]) -> None:
    verbs = {verb for verb in VERBS if implements(handler, verb)}
    path = re.sub(r"\([^)]*\)", "*", pattern)

    assert verbs == {verb for verb, _, _ in described_verbs(handler)}
    assert verbs == {verb for verb, template in by_verb(document) if re.sub(r"\{[^}]*\}", "*", template) == path}


@pytest.mark.parametrize(("handler", "verb"), VERBS_OF)
def test_a_verb_reads_exactly_the_body_and_query_that_it_describes(handler: type[Handler], verb: str) -> None:
    described, text = DESCRIBED[getattr(handler, verb)], source(handler, verb)
    scope: dict[str, Any] = {}
    for base in reversed(handler.__mro__):
        scope |= vars(inspect.getmodule(base))

    decoded = set(re.findall(r"self\.decode\((\w+)\)", text))
    assert decoded == ({described.body.__name__} if described.body not in (None, OneClick, ImportLine, BINARY) else set())
    read = {scope[name].name for name in re.findall(r"self\.query_(?:text|int|user|seconds|bool|time_ms)\(([A-Z_]+)\)", text)}
    read |= set(re.findall(r'get_query_argument\("(\w+)"', text))
    if re.search(r"self\.(query_page|query_page_id|answer_list_by_id)\(", text):
        read |= {parameter.name for parameter in PAGED}
    assert read == {parameter.name for parameter in described.query}


def test_each_operation_has_a_unique_id_a_summary_and_a_description(document: dict[str, Any]) -> None:
    operations = list(by_verb(document).values())

    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert all(operation["summary"] and len(operation["description"]) > 10 for operation in operations)
    assert {operation["tags"][0] for operation in operations} == {tag["name"] for tag in document["tags"]}


def test_each_body_has_a_valid_example(document: dict[str, Any]) -> None:
    for described in DESCRIBED.values():
        if described.body not in (None, BINARY) and issubclass(described.body, msgspec.Struct):
            assert described.example is not None, described.summary
            msgspec.convert(described.example, described.body)
    for operation in by_verb(document).values():
        for media in operation.get("requestBody", {}).get("content", {}).values():
            if "example" in media:
                jsonschema.validate(media["example"], {**media["schema"], "components": document["components"]})


def test_exactly_the_public_operations_need_no_token(document: dict[str, Any]) -> None:
    by_path = {re.sub(r"\([^)]*\)", "*", pattern): handler for pattern, handler in CALLS}
    for (verb, path), operation in by_verb(document).items():
        handler = by_path[re.sub(r"\{[^}]*\}", "*", path)]
        assert (operation["security"] == []) == (handler.access == "public")
        assert ({"query": []} in operation["security"]) == handler.query_token
        assert ("401" in operation["responses"]) == (handler.access != "public" or path == "/api/v1/login")
        assert verb == "get" or {"cookie": []} not in operation["security"]


def test_calls_for_another_user_name_the_header_by_reference(document: dict[str, Any]) -> None:
    reference = {"$ref": "#/components/parameters/Bellwire-As"}
    operations = by_verb(document)
    with_header = {call for call, operation in operations.items() if reference in operation["parameters"]}
    with_token = {call for call, operation in operations.items() if operation["security"] and "/admin/" not in call[1]}

    assert document["components"]["parameters"]["Bellwire-As"]["in"] == "header"
    assert {(verb, path.removeprefix("/api/v1")) for verb, path in with_token - with_header} == {
        ("post", "/activity"),
        ("post", "/logout"),
        ("get", "/communication/poll/events/"),
        *((verb, "/me/push") for verb in ("get", "put", "delete")),
    }
    assert with_header <= with_token
    assert all({"403", "422"} <= operations[call]["responses"].keys() for call in with_header)


def test_generators_can_read_events_problems_and_defaults(document: dict[str, Any]) -> None:
    """They tell events apart by a discriminator, name what is a component, and copy a default into code that must compile."""
    schemas = document["components"]["schemas"]
    event = schemas["Event"]
    assert event["discriminator"]["propertyName"] == "type"
    for event_type, reference in event["discriminator"]["mapping"].items():
        component = schemas[reference.rpartition("/")[2]]
        assert component["properties"]["type"] == {"type": "string", "enum": [event_type]}
        assert {"$ref": reference} in event["oneOf"]
    text = msgspec.json.encode(document).decode()
    assert '"default":null' not in text
    assert text.count('"/problems/not-found"') == 2, "in Problem and Invalid alone"
