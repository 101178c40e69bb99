"""From the head of a request to the object that receives its body and runs its handler.

Tornado makes a deep copy of the arguments of each query and tries the routes one after another; both cost as much as the rest of
the routing of a poll.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from tornado import httputil
from tornado.routing import _RoutingDelegate


class _Arguments(dict[str, list[bytes]]):
    """The arguments of a query. Tornado copies them for `request.arguments`, to which no body adds here."""

    def __deepcopy__(self, _memo: dict[int, Any]) -> _Arguments:
        return self


class Request(httputil.HTTPServerRequest):
    """A request whose `arguments` and `query_arguments` are the same."""

    @property
    def arguments(self) -> dict[str, list[bytes]]:
        """The arguments of the query."""
        return self._arguments

    @arguments.setter
    def arguments(self, parsed: dict[str, list[bytes]]) -> None:
        self._arguments = _Arguments(parsed)


class RequestReceiver(_RoutingDelegate):
    """Tornado's receiver of a request, with our kind of request."""

    def headers_received(self, start_line: Any, headers: httputil.HTTPHeaders) -> Awaitable[None] | None:
        """Tornado's hook: find the receiver of the body."""
        request = Request(connection=self.request_conn, server_connection=self.server_conn, start_line=start_line, headers=headers)
        self.delegate = self.router.find_handler(request)
        assert self.delegate is not None, "an application has a handler for every path"
        return self.delegate.headers_received(start_line, headers)
