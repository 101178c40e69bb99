"""Schemathesis makes requests of all kinds from the document, right and wrong, and holds each answer to it."""

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

from gateway.apidoc.openapi import document as made
from gateway.app import AREAS
from models.store.database import ID_MAX
from tests.gateway.client import Client
from tests.gateway.running import Gateway

pytestmark = pytest.mark.only("sqlite")  # the store has no part in it

EXAMPLES = 5  # of each operation
ENDLESS = "/events/stream$|/events/ws$|/communication/poll/"  # answers that wait, or never end: test_stream.py and others have them
IDS = 6  # so many are there of each kind, so that most calls find something
OPEN = ("OpenApi", "LegacyNewMessage")  # what may hold more: the document, and what the older client sends
HELD_TO: list[CheckFunction] = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]


def document() -> dict[str, Any]:
    """The gateway's, in which an answer may hold nothing that is not named."""
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(made(AREAS)))
    for name, schema in found["components"]["schemas"].items():
        if schema.get("type") == "object" and name not in OPEN:
            schema.setdefault("additionalProperties", False)
    return found


schema = schemathesis.openapi.from_dict(document()).exclude(path_regex=ENDLESS)
schema.config.generation.update(deterministic=True, with_security_parameters=False)


class Caller:
    """An admin, who gets another token when a call has killed the one they had."""

    def __init__(self, admin: Client) -> None:
        self.admin = admin

    def headers(self) -> dict[str, str]:
        """Who calls."""
        return {"Authorization": f"Bearer {self.admin.token}"}

    def look(self, status: int) -> None:
        """At how a call was answered."""
        if status == 401:
            self.admin = self.admin.gateway.user("admin")


@pytest.fixture(scope="module")
def caller(gateway: Gateway) -> Caller:
    """An admin of a place where a few things of each kind are."""
    admin, *people = gateway.user("admin"), *gateway.users(3)
    for one in people:
        place = admin.group(one)
        message = admin.send("hello", to=one)
        one.send("hello", at=place)
        admin.post(f"/messages/{message['id']}/reactions/👍")
        post = one.post("/posts", {"body": "hello"}).json()["id"]
        admin.post(f"/posts/{post}/comments", {"body": "hello"})
        admin.post("/groups", {"name": one.name})
    return Caller(admin)


@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
def test_no_answer_is_an_error_of_ours_or_other_than_the_document_says(case: Case, gateway: Gateway, caller: Caller) -> None:
    case.path_parameters.update({name: small(value) for name, value in case.path_parameters.items()})
    if case.path == "/api/v1/events" and not isinstance(case.query.get("timeout"), str):
        case.query["timeout"] = 0
    answer = case.call(base_url=gateway.url, headers=caller.headers())
    caller.look(answer.status_code)
    case.validate_response(answer, checks=HELD_TO[:-1] if says_nothing(answer.request.url) else HELD_TO)


def says_nothing(url: str | None) -> bool:
    """Whether an argument of the query is empty, and so as if it were not given, whatever the document says of it."""
    given = parse_qsl(urlsplit(url or "").query, keep_blank_values=True)
    return any(not re.sub(r"[\x00-\x20]", "", value) for _, value in given)


def small(value: Any) -> Any:
    """An id of something, for any that may be one."""
    return 1 + value % IDS if isinstance(value, int) and 0 < value < ID_MAX else value
