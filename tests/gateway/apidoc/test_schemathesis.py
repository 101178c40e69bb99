"""Schemathesis generates valid and invalid requests from the document, and checks each answer against it."""

import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import CheckFunction
from schemathesis.specs.openapi import checks

from gateway.apidoc.openapi import document as openapi_document
from gateway.app import AREAS
from models.store.database import ID_MAX
from tests.gateway.client import Client
from tests.gateway.running import Gateway

pytestmark = pytest.mark.only("sqlite")  # the store has no part in it

EXAMPLES = 5  # for each operation
# Answers that wait or never end; test_stream.py and others test them.
UNENDING_ROUTES = "/events/stream$|/events/ws$|/communication/poll/"
MAX_ID = 6  # ids are at most this, so that most requests address an existing object
OPEN_SCHEMAS = ("OpenApi", "LegacyNewMessage")  # schemas that allow unnamed fields: the document, and the older client's message
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


schema = schemathesis.openapi.from_dict(document()).exclude(path_regex=UNENDING_ROUTES)
schema.config.generation.update(deterministic=True, with_security_parameters=False)


class Caller:
    """An admin that gets a new token when a request has revoked the current one."""

    def __init__(self, admin: Client) -> None:
        self.admin = admin

    def headers(self) -> dict[str, str]:
        """Return the headers that authenticate the admin."""
        return {"Authorization": f"Bearer {self.admin.token}"}

    def replace_admin_after(self, status: int) -> None:
        """Replace the admin if the answer is 401."""
        if status == 401:
            self.admin = self.admin.gateway.user("admin")


@pytest.fixture(scope="module")
def caller(gateway: Gateway) -> Caller:
    """An admin of a gateway with a few objects of each kind."""
    admin, *people = gateway.user("admin"), *gateway.users(3)
    for person in people:
        group = admin.group(person)
        message = admin.send("hello", to=person)
        person.send("hello", at=group)
        admin.post(f"/messages/{message['id']}/reactions/👍")
        post = person.post("/posts", {"body": "hello"}).json()["id"]
        admin.post(f"/posts/{post}/comments", {"body": "hello"})
        admin.post("/groups", {"name": person.name})
    return Caller(admin)


@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
def test_every_answer_fits_the_document_and_none_is_a_server_error(case: Case, gateway: Gateway, caller: Caller) -> None:
    case.path_parameters.update({name: existing_id(value) for name, value in case.path_parameters.items()})
    if case.path == "/api/v1/events" and not isinstance(case.query.get("timeout"), str):
        case.query["timeout"] = 0
    answer = case.call(base_url=gateway.url, headers=caller.headers())
    caller.replace_admin_after(answer.status_code)
    case.validate_response(answer, checks=CHECKS[:-1] if has_empty_argument(answer.request.url) else CHECKS)


def has_empty_argument(url: str | None) -> bool:
    """Return whether a query argument is empty: the gateway treats it as missing, also where the document requires a value."""
    arguments = parse_qsl(urlsplit(url or "").query, keep_blank_values=True)
    return any(not re.sub(r"[\x00-\x20]", "", value) for _, value in arguments)


def existing_id(value: Any) -> Any:
    """Return an id that probably exists, if the value may be an id."""
    return 1 + value % MAX_ID if isinstance(value, int) and 0 < value < ID_MAX else value
