"""The OpenAPI 3.1 document, made from the route table and the descriptions of verbs when it is first requested."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple, TypedDict

from gateway.apidoc.schemas import REF_PREFIX, Schema, Schemas
from gateway.http import acting
from gateway.http.authentication import SAFE_METHODS
from gateway.http.base import Handler
from gateway.http.describe import ANY_TYPE, BINARY, DESCRIBED, Description, Parameter, describe
from gateway.http.errors import STATUS
from gateway.http.handling import JSON
from gateway.http.static_files import FileHandler, StaticFile
from gateway.http.tokens import COOKIE
from models.chat.message import MAX_EMOJI_CHARS
from models.notices.host_types import MAX_NAME_CHARS
from models.notices.topics import MAX_TOPIC_CHARS
from models.store.database import ID_MAX

VERBS = ("get", "post", "put", "patch", "delete")
PROBLEM = "application/problem+json"
ALWAYS = ("rate-limited", "unavailable")
RETRIED = (429, 503)  # the statuses with Retry-After
PATH_TEXTS = {"topic": MAX_TOPIC_CHARS, "notification_type": MAX_NAME_CHARS}  # parameter -> maximum of characters
BYTES = {"type": "string", "format": "binary"}
Route = tuple[str, type[Handler]]

ABOUT = """JSON in UTF-8, both ways. Ids are integers below 2^53, cursors opaque strings, times RFC 3339 in UTC with milliseconds. \
An unknown field is refused in requests, and must be ignored in answers. An empty query parameter counts as absent.

Errors are `application/problem+json` (RFC 9457) with a stable `type`; a 422 names each field that is wrong. Lists take `?limit=` \
and `?page=`, and answer the `next` page or null. Every answer carries `X-Request-Id`.

A token goes into `Authorization: Bearer TOKEN`. A browser may use a cookie session instead (`POST /api/v1/login` with \
`"cookie": true`); calls that change something then repeat the `_xsrf` cookie in `X-XSRFToken`."""

SCHEMES: dict[str, Schema] = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "token": {"type": "apiKey", "in": "header", "name": "Authorization", "description": "`Token TOKEN`"},
    "cookie": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "a session that was created with `cookie`"},
    "xsrf": {"type": "apiKey", "in": "header", "name": "X-XSRFToken", "description": "the value of the `_xsrf` cookie"},
    "query": {"type": "apiKey", "in": "query", "name": "token", "description": "never written to a log"},
    "link": {"type": "apiKey", "in": "query", "name": "signature", "description": "of `GET /api/v1/files/{file}/link`"},
}

ACTING: Schema = {
    "name": acting.HEADER,
    "in": "header",
    "required": False,
    "description": "with an admin's token: the user as whom it is done, an id, or `ext:` and a percent-encoded external id",
    "schema": {"type": "string", "pattern": "^([0-9]{1,16}|ext:[!-~]{1,1600})$"},
}
ACTING_REF = f"#/components/parameters/{acting.HEADER}"


class OpenApi(TypedDict):
    """An OpenAPI document."""

    openapi: str


class Document(FileHandler):
    """The OpenAPI document. The application's setting `make_openapi_file` makes it, which takes 0.1 s."""

    @describe("Read this document", {200: OpenApi})
    async def get(self) -> None:
        """Answer 200 with the document."""
        self.answer_file(await self._document())

    def _document(self) -> Awaitable[StaticFile]:
        """The document, which the first request begins to make on a thread: requests meanwhile wait for the same one."""
        settings = self.settings
        if "openapi_file" not in settings:
            settings["openapi_file"] = asyncio.ensure_future(asyncio.to_thread(settings["make_openapi_file"]))
        making: Awaitable[StaticFile] = settings["openapi_file"]
        return making


class DocumentedCall(NamedTuple):
    """A verb of a route."""

    area: str
    pattern: str
    handler: type[Handler]
    verb: str
    function: Callable[..., Any]
    description: Description


def document(areas: Mapping[str, Sequence[Route]]) -> Schema:
    """The document of all routes whose verbs are described. Routes without descriptions are pages, not calls of the API."""
    operations = [
        DocumentedCall(area, pattern, handler, verb, function, description)
        for area, routes in areas.items()
        for pattern, handler in routes
        for verb, function, description in verbs(handler)
    ]
    schemas = Schemas(body_type for operation in operations for body_type in _body_types(operation.description))
    paths: Schema = {}
    for operation in operations:
        paths.setdefault(template(operation.pattern, operation.handler), {})[operation.verb] = _operation(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Bellwire", "version": "1", "description": ABOUT},
        "servers": [{"url": "/"}],
        "tags": [{"name": area} for area in dict.fromkeys(operation.area for operation in operations)],
        "paths": paths,
        "components": {
            "schemas": schemas.components | _problem_schemas(),
            "responses": {str(status): _problem(status) for status in sorted(set(STATUS.values()) - {405, 500})},
            "parameters": {acting.HEADER: ACTING},
            "headers": {"X-Request-Id": {"description": "as in the log", "schema": {"type": "string"}}},
            "securitySchemes": SCHEMES,
        },
    }


def verbs(handler: type[Handler]) -> Iterator[tuple[str, Any, Description]]:
    """(verb, function, description) of each verb that is described."""
    for verb in VERBS:
        function = getattr(handler, verb)
        if function in DESCRIBED:
            yield verb, function, DESCRIBED[function]


def template(pattern: str, handler: type[Handler]) -> str:
    """The path of a route, with its groups named by the parameters of its verbs: `/posts/{post}`."""
    described = next(verbs(handler), None)
    names = iter(_path_names(described[1]) if described else ())
    return re.sub(r"\([^)]*\)", lambda _: f"{{{next(names, 'name')}}}", pattern)


def _path_names(function: Callable[..., Any]) -> list[str]:
    """The parameters of a verb's function, which Tornado calls with the groups of the path."""
    parameters = list(inspect.signature(function).parameters.values())[1:]
    return [parameter.name for parameter in parameters if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]


def _body_types(description: Description) -> Iterator[Any]:
    """The types of the request's body, and of answers in JSON."""
    if description.body not in (None, BINARY):
        yield description.body
    for answer in description.answers.values():
        body_type = answer[0] if isinstance(answer, tuple) else answer
        if body_type is not None and not isinstance(body_type, str):
            yield body_type


def _operation(operation: DocumentedCall, schemas: Schemas) -> Schema:
    description = operation.description
    groups = re.findall(r"\(([^)]*)\)", operation.pattern)
    parameters = [_path_parameter(name, group) for name, group in zip(_path_names(operation.function), groups, strict=True)]
    parameters += [_query_parameter(parameter) for parameter in description.query]
    if operation.handler.can_act():
        parameters.append({"$ref": ACTING_REF})
    schema: Schema = {
        "tags": [operation.area],
        "operationId": re.sub("[^a-z]+", "_", description.summary.lower()).strip("_"),
        "summary": description.summary,
        "description": "\n\n".join(inspect.cleandoc(doc) for doc in (operation.handler.__doc__, operation.function.__doc__) if doc),
        "parameters": parameters,
        "responses": {str(status): _answer(status, answer, schemas) for status, answer in description.answers.items()},
        "security": _security(operation.handler, operation.verb),
    }
    for status in sorted({STATUS[slug] for slug in _errors(operation)}):
        schema["responses"][str(status)] = {"$ref": f"#/components/responses/{status}"}
    if description.body is not None:
        schema["requestBody"] = _body(operation, schemas)
    return schema


def _path_parameter(name: str, group: str) -> Schema:
    number = {"type": "integer", "minimum": 1, "maximum": ID_MAX - 1}
    text = {"type": "string", "minLength": 1, "maxLength": PATH_TEXTS.get(name, MAX_EMOJI_CHARS)}
    user = {"anyOf": [number, {"type": "string", "pattern": "^ext:[^/]+$"}]}
    schema = user if "ext:" in group else number if group.startswith("[1-9]") else text
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameter(parameter: Parameter) -> Schema:
    return {
        "name": parameter.name,
        "in": "query",
        "required": parameter.required,
        "description": parameter.about,
        "schema": parameter.schema(),
    }


def _security(handler: type[Handler], verb: str) -> list[Schema]:
    if handler.access == "public":
        return []
    cookie: Schema = {"cookie": []} if verb.upper() in SAFE_METHODS else {"cookie": [], "xsrf": []}
    further = {"query": handler.query_token, "link": handler.accepts_links}
    return [{"bearer": []}, {"token": []}, cookie, *({name: []} for name, is_accepted in further.items() if is_accepted)]


def _errors(operation: DocumentedCall) -> Iterator[str]:
    """The slugs of an operation's errors: those of its description, and those that follow from access, path, body and query."""
    description = operation.description
    yield from (*description.errors, *ALWAYS)
    if operation.handler.access != "public":
        yield from ("unauthorized", "suspended")
    if operation.handler.can_act():
        yield from ("forbidden", "bellwire-as")
    if operation.handler.access == "user" and operation.verb.upper() not in SAFE_METHODS and operation.handler.writes_count:
        yield "quota-exceeded"
    if "(" in operation.pattern:
        yield "not-found"
    if description.body is not None:
        yield from ("malformed", "too-large", "unsupported-media-type", "invalid")
    if description.body == BINARY:
        yield "insufficient-storage"
    if description.query:
        yield from ("malformed", "invalid")


def _answer(status: int, answer: Any, schemas: Schemas) -> Schema:
    schema: Schema = {
        "description": HTTPStatus(status).phrase,
        "headers": {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}},
    }
    if answer is None:
        return schema
    schema["content"] = {}
    for content in answer if isinstance(answer, tuple) else (answer,):
        if isinstance(content, str):
            schema["content"][content] = {"schema": BYTES if is_binary(content) else {"type": "string"}}
        else:
            schema["content"][JSON] = {"schema": schemas.reference(content)}
    return schema


def is_binary(content_type: str) -> bool:
    """Whether an answer of this type is bytes for generators of clients, too."""
    return content_type in (ANY_TYPE, BINARY) or content_type.startswith("image/")


def _body(operation: DocumentedCall, schemas: Schemas) -> Schema:
    body_type, example = operation.description.body, operation.description.example
    if body_type == BINARY:
        return {"required": True, "content": {BINARY: {"schema": BYTES}}}
    media: Schema = {"schema": schemas.reference(body_type)}
    if example is not None:
        media["example"] = example
    return {
        "required": bool(schemas.component(body_type).get("required")),
        "content": dict.fromkeys(operation.handler.content_types, media),
    }


def _problem_schemas() -> dict[str, Schema]:
    """The schemas of errors: Problem, and Invalid, which names the fields that are wrong."""
    properties: dict[str, Schema] = {
        "type": {"type": "string", "enum": [f"/problems/{slug}" for slug in STATUS]},
        "title": {"type": "string"},
        "status": {"type": "integer", "enum": sorted(set(STATUS.values()))},
        "detail": {"type": "string"},
    }
    required = [*properties]
    extras: dict[str, Schema] = {
        "cursor": {"type": "string", "description": "of a 410: the present cursor"},
        "left": {"type": "integer", "description": "of a 429 of an upload: the bytes that are left of the day"},
        "failing": {"type": "array", "items": {"type": "string"}, "description": "of a 503 of `/readyz`"},
    }
    field = {"field": {"type": "string"}, "message": {"type": "string"}}
    errors: Schema = {"type": "array", "items": {"type": "object", "properties": field, "required": [*field]}}
    invalid = {**properties, "errors": errors}
    return {
        "Problem": {"type": "object", "properties": {**properties, **extras}, "required": required},
        "Invalid": {"type": "object", "properties": invalid, "required": [*required, "errors"]},
    }


def _problem(status: int) -> Schema:
    """The response of an error status."""
    slugs = [slug for slug, slug_status in STATUS.items() if slug_status == status]
    headers: Schema = {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}}
    if status in RETRIED:
        headers["Retry-After"] = {"description": "seconds", "required": True, "schema": {"type": "integer"}}
    schema = {"$ref": REF_PREFIX + ("Invalid" if status == HTTPStatus.UNPROCESSABLE_ENTITY else "Problem")}
    return {
        "description": HTTPStatus(status).phrase + ": " + ", ".join(slugs),
        "headers": headers,
        "content": {PROBLEM: {"schema": schema}},
    }
