"""Schemathesis generates valid and invalid requests from the document. They are sent to a gateway on each store, as an admin and as
a user by turns, and each answer is checked against the document.

`FUZZ_EXAMPLES=200` makes more of them, and sends all values of wrong types.
"""

import contextlib
import itertools
import os
import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import CheckFunction
from schemathesis.generation.meta import CoverageScenario
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi import checks

from gateway.apidoc.openapi import document as openapi_document
from gateway.app import AREAS
from gateway.http.describe import BINARY
from gateway.http.errors import STATUS
from models.store.database import ID_MAX
from tests.gateway.client import Client
from tests.gateway.running import Gateway
from tests.stores import KINDS, Database, PostgresServer

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "2"))  # for each operation
WRONG_TYPES_APART = 3 if EXAMPLES <= 2 else 1  # each field of a document gets six values of wrong types: two of them are sent
# Answers that wait or never end, or refuse wrong lines by a 200; test_stream.py, test_history.py and others test them.
UNENDING_ROUTES = "/events/stream$|/events/ws$|/communication/poll/|/admin/import$"
MAX_ID = 6  # ids are at most this, so that most requests address an existing object
OPEN_SCHEMAS = ("OpenApi", "LegacyNewMessage")  # schemas that allow unnamed fields: the document, and the older client's message
PDF = b"%PDF-1.7\n1 0 obj\n"
BODIES = itertools.cycle((PDF, b"\x89PNG\r\n\x1a\nand no picture", "some text".encode("utf-16"), b"<html><script>", b"\0"))
wrong_types = itertools.count()
CHECKS: list[CheckFunction] = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]


def document() -> dict[str, Any]:
    """Return the gateway's document, with schemas that forbid unnamed fields."""
    openapi: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(openapi_document(AREAS)))
    for name, schema in openapi["components"]["schemas"].items():
        if schema.get("type") == "object" and name not in OPEN_SCHEMAS:
            schema.setdefault("additionalProperties", False)
    return openapi


@pytest.fixture
def operations(request: pytest.FixtureRequest) -> BaseSchema:
    """The operations that are called. A fixture, since each process that collects tests would generate the examples, too."""
    schema = schemathesis.openapi.from_dict(document())
    schema.config.phases.coverage.unexpected_methods = set()  # test_base.py has them
    schema.config.generation.update(deterministic=True, with_security_parameters=False)
    request.node._nodeid = request.node.nodeid  # read by schemathesis; pytest 9.2 has another name for it
    return schema


class Caller:
    """A user of a role, who is replaced when a request has revoked the token."""

    def __init__(self, client: Client, role: str) -> None:
        self.client = client
        self.role = role
        self.session = requests.Session()
        self.session.trust_env = False  # it would look for proxies before each request

    def headers(self) -> dict[str, str]:
        """Return the headers that authenticate the caller."""
        return {"Authorization": f"Bearer {self.client.token}"}

    def replace_after(self, status: int) -> None:
        """Replace the caller if the answer is 401."""
        if status == 401:
            self.client = self.client.gateway.user(self.role)


@pytest.fixture(scope="module")
def callers(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[Iterator[Caller]]:
    """The callers of the examples, by turns: an admin and a user on each store."""
    with contextlib.ExitStack() as opened:
        made: list[tuple[Caller, Caller]] = []
        for kind in KINDS:
            store = opened.enter_context(Database(kind, postgres if kind == "postgresql" else None).fresh())
            gateway = Gateway(tmp_path_factory.mktemp(kind), store, "gateway")
            opened.callback(gateway.close)
            made.append(callers_of(gateway.start()))
        yield itertools.cycle(caller for pair in made for caller in pair)


def callers_of(gateway: Gateway) -> tuple[Caller, Caller]:
    """An admin and a user of a gateway with a few objects of each kind."""
    admin, *people = gateway.user("admin"), *gateway.users(3)
    for person in people:
        group = admin.group(person)
        message = admin.send("hello", to=person)
        person.send("hello", at=group)
        admin.put(f"/messages/{message['id']}/reactions/👍")
        post = person.post("/posts", {"body": "hello"}).json()["id"]
        admin.post(f"/posts/{post}/comments", {"body": "hello"})
        admin.post("/groups", {"name": person.name})
        answer = person.post("/files", content=PDF)
        assert answer.status_code == 201, answer.text
        file = answer.json()["id"]
        person.post("/messages", {"conversation": group, "body": "", "files": [file]})
    return Caller(admin, "admin"), Caller(people[0], "user")


@pytest.mark.timeout(900)
@schemathesis.pytest.from_fixture("operations").exclude(path_regex=UNENDING_ROUTES).parametrize()
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
def test_every_answer_fits_the_document_and_none_is_a_server_error(case: Case, callers: Iterator[Caller]) -> None:
    if is_wrong_type(case) and next(wrong_types) % WRONG_TYPES_APART:
        return
    case.path_parameters.update({name: existing_id(value) for name, value in case.path_parameters.items()})
    if case.path == "/api/v1/events" and not isinstance(case.query.get("timeout"), str):
        case.query["timeout"] = 0
    if case.media_type == BINARY:
        case.body = next(BODIES)
    caller = next(callers)
    answer = case.call(base_url=caller.client.gateway.url, headers=caller.headers(), session=caller.session)
    caller.replace_after(answer.status_code)
    if answer.status_code >= HTTPStatus.BAD_REQUEST:
        require_fitting_problem(answer.status_code, answer.json())
    case.validate_response(answer, checks=CHECKS[:-1] if has_empty_argument(answer.request.url) else CHECKS)


def is_wrong_type(case: Case) -> bool:
    """Return whether a request was generated for a value that has not the type of its field."""
    return getattr(case.meta and case.meta.phase.data, "scenario", None) == CoverageScenario.INCORRECT_TYPE


def require_fitting_problem(status: int, problem: dict[str, Any]) -> None:
    """Fail unless an error's type belongs to its status: the document has one schema for all errors."""
    slugs = [slug for slug, slug_status in STATUS.items() if slug_status == status]
    assert problem["status"] == status
    assert problem["type"] in [f"/problems/{slug}" for slug in slugs]


@pytest.mark.parametrize("problem", [{"status": 404, "type": "/problems/conflict"}, {"status": 400, "type": "/problems/not-found"}])
def test_an_error_of_another_status_is_refused(problem: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        require_fitting_problem(404, problem)


def has_empty_argument(url: str | None) -> bool:
    """Return whether a query argument is empty: the gateway treats it as missing, also where the document requires a value."""
    arguments = parse_qsl(urlsplit(url or "").query, keep_blank_values=True)
    return any(not re.sub(r"[\x00-\x20]", "", value) for _, value in arguments)


def existing_id(value: Any) -> Any:
    """Return an id that probably exists, if the value may be an id."""
    return 1 + value % MAX_ID if isinstance(value, int) and 0 < value < ID_MAX else value
