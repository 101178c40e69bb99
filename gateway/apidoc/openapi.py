"""The API's document (OpenAPI 3.1): made when somebody first asks for it, from the route table and what verbs say of themselves."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, TypedDict

from gateway.apidoc.schemas import Schema, Schemas
from gateway.http.authentication import SAFE_METHODS
from gateway.http.base import JSON, Handler
from gateway.http.describe import DESCRIBED, Description, describe
from gateway.http.errors import STATUS
from gateway.http.static_files import FileHandler
from gateway.http.tokens import COOKIE
from models.chat.message import EMOJI_CHARS
from models.store.database import ID_MAX

VERBS = ("get", "post", "put", "patch", "delete")
PROBLEM = "application/problem+json"
ALWAYS = ("rate-limited", "unavailable")
RETRIED = (429, 503)  # with Retry-After
Route = tuple[str, type[Handler]]

ABOUT = """JSON in UTF-8, both ways. Ids are integers below 2^53, cursors opaque strings, times RFC 3339 in UTC with milliseconds. \
A field that is not known is refused in requests, and to be ignored in answers. An empty argument of a query is one that is not \
given.

Errors are `application/problem+json` (RFC 9457) with a stable `type`; a 422 names each field that is wrong. Lists take `?limit=` \
and `?page=`, and answer the `next` page or null. Every answer carries `X-Request-Id`.

A token goes into `Authorization: Bearer TOKEN`. A browser may ask for a cookie session instead (`POST /api/v1/login` with \
`"cookie": true`); calls that change something then repeat the `_xsrf` cookie in `X-XSRFToken`."""

SCHEMES: dict[str, Schema] = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "token": {"type": "apiKey", "in": "header", "name": "Authorization", "description": "`Token TOKEN`"},
    "cookie": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "a session that began with `cookie`"},
    "xsrf": {"type": "apiKey", "in": "header", "name": "X-XSRFToken", "description": "the `_xsrf` cookie again"},
    "query": {"type": "apiKey", "in": "query", "name": "token", "description": "written to no log"},
}


class OpenApi(TypedDict):
    """This."""

    openapi: str


class Document(FileHandler):
    """The document itself. The application's setting `openapi_file` makes it, once."""

    @describe("Read this document", {200: OpenApi})
    async def get(self) -> None:
        """200 OpenAPI 3.1."""
        self.answer_file(await asyncio.to_thread(self.settings["openapi_file"]))


def document(areas: Mapping[str, Sequence[Route]]) -> Schema:
    """All routes whose verbs are described, by area. What is not described is no call of the API: its pages."""
    described = [one for routes in areas.values() for _, handler in routes for _, _, one in verbs(handler)]
    schemas = Schemas(kind for one in described for kind in (one.body, *map(_kind, one.answers.values())) if kind is not None)
    paths: Schema = {}
    for area, routes in areas.items():
        for pattern, handler in routes:
            for verb, method, one in verbs(handler):
                paths.setdefault(template(pattern, handler), {})[verb] = _operation(
                    area, pattern, handler, verb, method, one, schemas
                )
    return {
        "openapi": "3.1.0",
        "info": {"title": "Bellwire", "version": "1", "description": ABOUT},
        "servers": [{"url": "/"}],
        "tags": [{"name": area} for area, routes in areas.items() if any(list(verbs(h)) for _, h in routes)],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "responses": {str(status): _problem(status) for status in sorted(set(STATUS.values()) - {405, 500})},
            "headers": {"X-Request-Id": {"description": "as in the log", "schema": {"type": "string"}}},
            "securitySchemes": SCHEMES,
        },
    }


def verbs(handler: type[Handler]) -> Iterator[tuple[str, Any, Description]]:
    """(verb, its function, its description) of each that is described."""
    for verb in VERBS:
        function = getattr(handler, verb)
        if function in DESCRIBED:
            yield verb, function, DESCRIBED[function]


def template(pattern: str, handler: type[Handler]) -> str:
    """A route's path, with its groups named as its verbs name them: `/posts/{post}`."""
    names = iter(_names(next((function for _, function, _ in verbs(handler)), None)))
    return re.sub(r"\([^)]*\)", lambda _: f"{{{next(names, 'name')}}}", pattern)


def _names(verb: Any) -> list[str]:
    """What a verb calls the groups of its path."""
    return (
        []
        if verb is None
        else [p.name for p in list(inspect.signature(verb).parameters.values())[1:] if p.kind is p.POSITIONAL_OR_KEYWORD]
    )


def _kind(answer: Any) -> Any:
    """The type of an answer's JSON, if it is that."""
    first = answer[0] if isinstance(answer, tuple) else answer
    return None if isinstance(first, str) else first


def _operation(
    area: str, pattern: str, handler: type[Handler], verb: str, method: Any, described: Description, schemas: Schemas
) -> Schema:
    path = [_path_parameter(name, group) for name, group in zip(_names(method), re.findall(r"\(([^)]*)\)", pattern), strict=True)]
    query = [
        {"name": p.name, "in": "query", "required": p.required, "description": p.about, "schema": p.schema()}
        for p in described.query
    ]
    found: Schema = {
        "tags": [area],
        "operationId": re.sub("[^a-z]+", "_", described.summary.lower()).strip("_"),
        "summary": described.summary,
        "description": _description(handler, method),
        "parameters": path + query,
        "responses": {str(status): _answer(status, answer, schemas) for status, answer in described.answers.items()},
        "security": _security(handler, verb),
    }
    for status in sorted({STATUS[slug] for slug in _refusals(handler, verb, described, bool(path))}):
        found["responses"][str(status)] = {"$ref": f"#/components/responses/{status}"}
    if described.body is not None:
        found["requestBody"] = _body(handler, described, schemas)
    return found


def _description(handler: type[Handler], method: Any) -> str:
    """What the handler is, and what the verb does."""
    about = [re.sub("^[A-Z]+: ", "", inspect.cleandoc(doc)) for doc in (handler.__doc__, method.__doc__) if doc]
    return "\n\n".join(text[:1].upper() + text[1:] for text in about)


def _path_parameter(name: str, group: str) -> Schema:
    number = {"type": "integer", "minimum": 1, "maximum": ID_MAX - 1}
    text = {"type": "string", "minLength": 1, "maxLength": EMOJI_CHARS}
    return {"name": name, "in": "path", "required": True, "schema": number if "0-9" in group else text}


def _security(handler: type[Handler], verb: str) -> list[Schema]:
    if handler.access == "public":
        return []
    cookie: Schema = {"cookie": []} if verb.upper() in SAFE_METHODS else {"cookie": [], "xsrf": []}
    return [{"bearer": []}, {"token": []}, cookie, *([{"query": []}] if handler.query_token else [])]


def _refusals(handler: type[Handler], verb: str, described: Description, has_path: bool) -> Iterator[str]:
    """Slugs: those that the verb names, and those that follow from what it is."""
    yield from (*described.errors, *ALWAYS)
    if handler.access != "public":
        yield from ("unauthorized", "suspended")
    if has_path:
        yield "not-found"
    if described.body is not None:
        yield from ("malformed", "too-large", "unsupported-media-type", "invalid")
    if described.query:
        yield from ("malformed", "invalid")


def _answer(status: int, answer: Any, schemas: Schemas) -> Schema:
    found: Schema = {
        "description": HTTPStatus(status).phrase,
        "headers": {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}},
    }
    parts = answer if isinstance(answer, tuple) else (answer,)
    if parts != (None,):
        found["content"] = {
            part if isinstance(part, str) else JSON: {"schema": {"type": "string"} if isinstance(part, str) else schemas.of(part)}
            for part in parts
        }
    return found


def _body(handler: type[Handler], described: Description, schemas: Schemas) -> Schema:
    schema = schemas.of(described.body)
    media: Schema = {"schema": schema} if described.example is None else {"schema": schema, "example": described.example}
    return {
        "required": bool(schemas.component(described.body).get("required")),
        "content": dict.fromkeys(handler.content_types, media),
    }


def _problem(status: int) -> Schema:
    slugs = [f"/problems/{slug}" for slug, of in STATUS.items() if of == status]
    properties: dict[str, Schema] = {
        "type": {"enum": slugs},
        "title": {"type": "string"},
        "status": {"const": status},
        "detail": {"type": "string"},
    }
    found: Schema = {"type": "object", "properties": properties, "required": [*properties]}
    if status == 410:
        properties["cursor"] = {"type": "string", "description": "the cursor of now"}
    if status == 503:
        properties["failing"] = {"type": "array", "items": {"type": "string"}}
    if status == 422:
        field = {"field": {"type": "string"}, "message": {"type": "string"}}
        properties["errors"] = {"type": "array", "items": {"type": "object", "properties": field, "required": [*field]}}
        found["required"].append("errors")
    headers: Schema = {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}}
    if status in RETRIED:
        headers["Retry-After"] = {"description": "seconds", "required": True, "schema": {"type": "integer"}}
    return {
        "description": HTTPStatus(status).phrase + ": " + ", ".join(slug.rpartition("/")[2] for slug in slugs),
        "headers": headers,
        "content": {PROBLEM: {"schema": found}},
    }
