"""One lookup finds the route that Tornado's rules would find; a request reads its head as Tornado's does."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tornado.httputil import HTTPHeaders, HTTPInputError, HTTPServerRequest, RequestStartLine
from tornado.routing import PathMatches, Rule, RuleRouter
from tornado.web import RequestHandler

from gateway.app import API, ROUTES
from gateway.http.routing import Request, Routes

Found = tuple[type[RequestHandler], list[bytes]]
CONNECTION: Any = SimpleNamespace(context=SimpleNamespace(remote_ip="127.0.0.1", protocol="http"))
MADE = [  # arguments side by side, and at the beginning; the same literals elsewhere; a fixed path that a pattern matches, too
    (r"/a/([0-9]+)/([a-z]+)", type("Two", (RequestHandler,), {})),
    (r"/a/([0-9]+)/b", type("Inner", (RequestHandler,), {})),
    (r"/([b-z]+)/1/c", type("First", (RequestHandler,), {})),
    (r"/files/(.+)", type("Rest", (RequestHandler,), {})),
    (r"/a/1", type("Fixed", (RequestHandler,), {})),
    (r"/a/([0-9]+)", type("One", (RequestHandler,), {})),
]
SEGMENTS = sorted({segment for pattern, _ in ROUTES for segment in re.sub(r"\([^()]*\)", "", pattern).split("/")})
VALUES = (
    "1",
    "7",
    "0",
    "01",
    "9" * 16,
    "1" * 17,
    "ext:a",
    "ext%3Ab%2Fc",
    "ext:",
    "ext%3a%C3%A9",
    "%F0%9F%98%80",
    "a+b",
    "%",
    "A-b_9" * 4,
)


class Reference(RuleRouter):
    """Tornado's router, which returns what it finds. The dots of fixed paths are no wildcards here."""

    def __init__(self, routes: Sequence[tuple[str, type[RequestHandler]]]) -> None:
        escaped = [(pattern if "(" in pattern else re.escape(pattern), handler) for pattern, handler in routes]
        super().__init__([Rule(PathMatches(pattern), handler) for pattern, handler in escaped])

    def get_target_delegate(self, target: Any, request: HTTPServerRequest, **params: Any) -> Any:
        """Tornado's hook."""
        return target, params.get("path_args", [])

    def find(self, path: str) -> Found | None:
        """The handler and its arguments."""
        return cast(Found | None, self.find_handler(cast(HTTPServerRequest, SimpleNamespace(path=path))))


def found(routes: Routes, path: str) -> Found | None:
    """The handler's class and its arguments for a path; None if there is none."""
    handler = routes.find(path)
    return None if handler is None else (handler[0], list(handler[1]))


OURS, TORNADOS = Routes(ROUTES), Reference(ROUTES)
segments = st.sampled_from(SEGMENTS) | st.sampled_from(VALUES) | st.text("a1:%/+ é.", max_size=4)
filled = st.builds(
    lambda pattern, values: re.sub(r"\([^()]*\)", lambda _: values.pop(), pattern),
    st.sampled_from([pattern for pattern, _ in ROUTES]),
    st.lists(segments, min_size=3, max_size=3),
)


@given(
    filled | st.lists(segments, max_size=8).map("/".join) | st.lists(segments, max_size=6).map(lambda each: "/".join([API, *each]))
)
@example(f"{API}/admin/conversations/1/hooks/2")
@example(f"{API}/openapi.json")
@example(f"{API}/openapi-json")
@example("/static/a/b.js")
@example("/static/")
@example("/")
@example("")
def test_a_path_finds_what_tornados_rules_find(path: str) -> None:
    assert found(OURS, path) == TORNADOS.find(path)


@given(st.lists(st.sampled_from(["a", "b", "1", "c", "files", "", "x1"]), max_size=5).map("/".join))
def test_the_position_of_arguments_is_part_of_a_route(path: str) -> None:
    assert found(Routes(MADE), path) == Reference(MADE).find(path)


HEADS = st.builds(
    lambda query, host, version: (
        RequestStartLine("GET", f"/x{query}", version),
        HTTPHeaders({} if host is None else {"Host": host}),
    ),
    st.sampled_from(["", "?"]) | st.text("a=&%+1é?;", max_size=12).map("?{}".format) | st.just("?" + "&" * 2000),
    st.none() | st.sampled_from(["a", "A.example:80", "a,b", "a b", "[::1]:8", "", "x" * 300, "é"]),
    st.sampled_from(["HTTP/1.1", "HTTP/1.0"]),
)


def read(make: Callable[[], HTTPServerRequest]) -> tuple[Any, ...] | str:
    """The attributes of a request that was read from a head, or the error with which it is refused."""
    try:
        request = make()
    except HTTPInputError as error:
        return str(error)
    arguments = dict(request.arguments), dict(request.query_arguments)
    return request.method, request.uri, request.path, request.query, request.host, request.host_name, request.remote_ip, arguments


@given(HEADS)
def test_a_head_is_read_as_tornados_request_reads_it(head: tuple[RequestStartLine, HTTPHeaders]) -> None:
    line, headers = head
    theirs = read(lambda: HTTPServerRequest(connection=CONNECTION, start_line=line, headers=headers))
    assert read(lambda: Request(CONNECTION, None, line, headers)) == theirs


def test_a_request_without_a_query_has_no_arguments_to_add_to() -> None:
    request = Request(CONNECTION, None, RequestStartLine("GET", "/x", "HTTP/1.0"), HTTPHeaders())
    with pytest.raises(AttributeError):
        request.arguments.setdefault("a", [])
