"""From the head of a request to the object that receives its body and runs its handler.

A path finds its route by one lookup; Tornado tries the patterns of all routes one after another. It also parses the query of each
request, and makes a deep copy of the arguments; here a request without a query has neither.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, TypeVar, cast
from urllib.parse import unquote_to_bytes

from tornado import httputil
from tornado.escape import parse_qs_bytes
from tornado.routing import _RoutingDelegate
from tornado.web import RequestHandler

GROUP = re.compile(r"\([^()]*\)")  # a parameter in a pattern
PARAMETER, REST = "()", "(.+)"  # REST: the rest of the path, slashes included
MAX_CACHED_HOST_CHARS = 255
NO_ARGUMENTS: Mapping[str, list[bytes]] = MappingProxyType({})
H = TypeVar("H", bound=RequestHandler)


class _Route(NamedTuple, Generic[H]):
    pattern: re.Pattern[str]
    handler: type[H]


class _Shape(NamedTuple, Generic[H]):
    """The routes whose parameters are at the same segments, by their other segments, which `literals` picks from a path's."""

    literals: Callable[[list[str]], Any]
    routes: dict[Any, _Route[H]]


class Routes(Generic[H]):
    """The routes, found by a path. The groups of a pattern are whole segments; REST is at the end."""

    def __init__(self, routes: Iterable[tuple[str, type[H]]]) -> None:
        self._fixed: dict[str, type[H]] = {}
        self._shapes: dict[
            int, dict[tuple[int, ...], _Shape[H]]
        ] = {}  # by the number of slashes, then the positions of the literals
        self._rests: list[tuple[str, type[H]]] = []
        for pattern, handler in routes:
            if pattern.endswith(REST):
                self._rests.append((pattern.removesuffix(REST), handler))
            elif "(" in pattern:
                self._add(pattern, handler)
            else:
                self._fixed[pattern] = handler

    def _add(self, pattern: str, handler: type[H]) -> None:
        segments = GROUP.sub(PARAMETER, pattern).split("/")
        assert all(PARAMETER not in segment or segment == PARAMETER for segment in segments), pattern
        positions = tuple(position for position, segment in enumerate(segments) if segment != PARAMETER)
        shapes = self._shapes.setdefault(len(segments) - 1, {})
        shape = shapes.setdefault(positions, _Shape[H](itemgetter(*positions), {}))
        shape.routes[shape.literals(segments)] = _Route(re.compile(pattern), handler)

    def find(self, path: str) -> tuple[type[H], Sequence[bytes]] | None:
        """The handler of a path, and its percent-decoded arguments; None if no route has this path."""
        handler = self._fixed.get(path)
        if handler is not None:
            return handler, ()
        shapes = self._shapes.get(path.count("/"))
        if shapes is not None:
            segments = path.split("/")
            for shape in shapes.values():
                route = shape.routes.get(shape.literals(segments))
                match = None if route is None else route.pattern.fullmatch(path)
                if route is not None and match is not None:
                    return route.handler, [unquote_to_bytes(value) for value in match.groups()]
        for start, handler in self._rests:
            if path.startswith(start) and len(path) > len(start):
                return handler, [unquote_to_bytes(path[len(start) :])]
        return None


@lru_cache(maxsize=256)
def _check_host(host: str) -> str:
    """Return the name of a Host header. Raises HTTPInputError for what is not a host, as Tornado does (RFC 9112, section 3.2)."""
    if not httputil._ABNF.host.fullmatch(host):
        raise httputil.HTTPInputError(f"Invalid Host header: {host!r}")
    if "," in host:  # several headers
        raise httputil.HTTPInputError(f"Multiple host headers not allowed: {host!r}")
    return httputil.split_host_and_port(host.lower())[0]


class Request(httputil.HTTPServerRequest):
    """A request whose `arguments` and `query_arguments` are the same. No body adds to them."""

    def __init__(  # it does what Tornado's does, from whose it differs by the query and the host
        self, connection: httputil.HTTPConnection, server_connection: object, start_line: Any, headers: httputil.HTTPHeaders
    ) -> None:
        self.method, self.uri, self.version = start_line
        self.headers = headers
        self.body = b""
        context = getattr(connection, "context", None)
        self.remote_ip = getattr(context, "remote_ip", None)
        self.protocol = getattr(context, "protocol", "http")
        self.host = self._read_host()
        self.connection, self.server_connection = connection, server_connection
        self._start_time = time.time()
        self._finish_time = None
        self.path, _, self.query = start_line[1].partition("?")
        self.arguments = self.query_arguments = self._parse_query() if self.query else cast(dict[str, list[bytes]], NO_ARGUMENTS)

    def header(self, name: str) -> str | None:
        """The value of a header, which is named as Tornado writes it, `X-Request-Id`; None if it is absent.

        Tornado's own lookup normalises the name each time.
        """
        values = self.headers._as_list.get(name)
        if values is None:
            return None
        return values[0] if len(values) == 1 else ",".join(values)

    def _read_host(self) -> str:
        host = self.header("Host")
        if host is None:
            if self.version != "HTTP/1.0":
                raise httputil.HTTPInputError("Missing Host header")
            host = "127.0.0.1"
        check = _check_host if len(host) <= MAX_CACHED_HOST_CHARS else _check_host.__wrapped__
        self.host_name = check(host)
        return host

    def _parse_query(self) -> dict[str, list[bytes]]:
        limit = httputil._DEFAULT_PARSE_BODY_CONFIG.urlencoded.max_arguments
        try:
            return parse_qs_bytes(self.query, keep_blank_values=True, max_num_fields=limit)
        except Exception as error:
            raise httputil.HTTPInputError(f"Invalid query string: {error}") from error


class RequestReceiver(_RoutingDelegate):
    """Tornado's receiver of a request, with our kind of request."""

    def headers_received(self, start_line: Any, headers: httputil.HTTPHeaders) -> Awaitable[None] | None:
        """Tornado's hook: find the receiver of the body."""
        request = Request(self.request_conn, self.server_conn, start_line, headers)
        self.delegate = self.router.find_handler(request)
        assert self.delegate is not None, "an application has a handler for every path"
        return self.delegate.headers_received(start_line, headers)
