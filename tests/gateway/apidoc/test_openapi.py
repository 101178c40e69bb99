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
from gateway.http.describe import DESCRIBED, PAGED
from tests.gateway.running import Gateway

pytestmark = pytest.mark.only("sqlite")  # the store has no part in it

CALLS = [(pattern, handler) for pattern, handler in ROUTES if not issubclass(handler, static_files.Static)]
VERBS_OF = [(handler, verb) for _, handler in CALLS for verb, _, _ in described_verbs(handler)]


@pytest.fixture(scope="module")
def document(gateway: Gateway) -> dict[str, Any]:
    """As anybody gets it."""
    answer = gateway.anonymous().get("/openapi.json")
    assert answer.status_code == 200
    return dict(answer.json())


def by_verb(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(verb, path): one for path, item in document["paths"].items() for verb, one in item.items()}


def has(handler: type[Handler], verb: str) -> bool:
    return getattr(handler, verb) is not getattr(Handler, verb)


def source(handler: type[Handler], verb: str) -> str:
    """The text of a verb and of all methods that it goes through, but for what all handlers have."""
    found: dict[str, str] = {}
    names = [verb]
    while names:
        name = names.pop()
        method = inspect.getattr_static(handler, name, None)
        if name not in found and inspect.isfunction(method) and getattr(Handler, name, None) is not method:
            found[name] = inspect.getsource(method)
            names += re.findall(r"self\.(\w+)\(", found[name])
    return "".join(found.values())


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    validate(document)
    assert document["openapi"] == "3.1.0"


@pytest.mark.parametrize(("pattern", "handler"), CALLS, ids=[pattern for pattern, _ in CALLS])
def test_every_verb_of_every_route_is_in_the_document(document: dict[str, Any], pattern: str, handler: type[Handler]) -> None:
    there = {verb for verb in VERBS if has(handler, verb)}
    path = re.sub(r"\([^)]*\)", "*", pattern)

    assert there == {verb for verb, _, _ in described_verbs(handler)}
    assert there == {verb for verb, of in by_verb(document) if re.sub(r"\{[^}]*\}", "*", of) == path}


@pytest.mark.parametrize(("handler", "verb"), VERBS_OF)
def test_what_a_verb_decodes_and_reads_of_the_query_is_what_it_says(handler: type[Handler], verb: str) -> None:
    said, text = DESCRIBED[getattr(handler, verb)], source(handler, verb)
    scope: dict[str, Any] = {}
    for one in reversed(handler.__mro__):
        scope |= vars(inspect.getmodule(one))

    decoded = set(re.findall(r"self\.decode\((\w+)\)", text))
    assert decoded == ({said.body.__name__} if said.body not in (None, OneClick) else set())
    read = {scope[name].name for name in re.findall(r"self\.query_(?:text|int|seconds|bool|time_ms)\(([A-Z_]+)\)", text)}
    read |= set(re.findall(r'get_query_argument\("(\w+)"', text))
    if re.search(r"self\.query_page(_id)?\(", text):
        read |= {parameter.name for parameter in PAGED}
    assert read == {parameter.name for parameter in said.query}


def test_each_operation_has_a_name_of_its_own_and_says_what_it_does(document: dict[str, Any]) -> None:
    found = list(by_verb(document).values())

    assert len({one["operationId"] for one in found}) == len(found)
    assert all(one["summary"] and len(one["description"]) > 10 for one in found)
    assert {one["tags"][0] for one in found} == {tag["name"] for tag in document["tags"]}


def test_each_body_that_must_say_something_has_an_example_that_is_one(document: dict[str, Any]) -> None:
    for described in DESCRIBED.values():
        if described.body is not None and issubclass(described.body, msgspec.Struct):
            assert described.example is not None, described.summary
            msgspec.convert(described.example, described.body)
    for one in by_verb(document).values():
        for media in one.get("requestBody", {}).get("content", {}).values():
            if "example" in media:
                jsonschema.validate(media["example"], {**media["schema"], "components": document["components"]})


def test_who_needs_no_token_is_told_so_and_nobody_else(document: dict[str, Any]) -> None:
    by_path = {re.sub(r"\([^)]*\)", "*", pattern): handler for pattern, handler in CALLS}
    for (verb, path), one in by_verb(document).items():
        handler = by_path[re.sub(r"\{[^}]*\}", "*", path)]
        assert (one["security"] == []) == (handler.access == "public")
        assert ({"query": []} in one["security"]) == handler.query_token
        assert ("401" in one["responses"]) == (handler.access != "public" or path == "/api/v1/login")
        assert verb == "get" or {"cookie": []} not in one["security"]
