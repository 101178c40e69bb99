"""Tornado's own tests of HTTP servers pass on the new wire, but for those listed here with the reason; all pass on Tornado's."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvloop
from tornado.http1connection import _GzipMessageDelegate
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPConnection, HTTPMessageDelegate
from tornado.log import app_log, gen_log

from gateway.http.deadlines import MAX_BODY_BYTES
from gateway.http.wire import connection
from gateway.http.wire.server import WireServer
from tests.gateway.http.wire import tornado_suite

RAW, LIMITS = "httpserver_test.HTTPServerRawTest", "httpserver_test.BodyLimitsTest"
FLOW = ("web_test.DecoratedStreamingRequestFlowControlTest", "web_test.NativeStreamingRequestFlowControlTest")
EXCLUDED: dict[str, tuple[str, ...]] = {  # reason -> tests
    "TLS ends at the proxy": (
        "httpserver_test.SSLTest.test_error_logging",
        "httpserver_test.SSLTest.test_large_post",
        "httpserver_test.SSLTest.test_non_ssl_request",
        "httpserver_test.SSLTest.test_ssl",
        "httpserver_test.SSLXHeaderTest.test_request_without_xprotocol",
    ),
    "gateway/http/client_address.py reads the headers of proxies": (
        "httpserver_test.XHeaderTest.test_ip_headers",
        "httpserver_test.XHeaderTest.test_scheme_headers",
        "httpserver_test.XHeaderTest.test_trusted_downstream",
        "httpserver_test.ManualProtocolTest.test_manual_protocol",
    ),
    "a bare LF ends no line": (
        "httpserver_test.HTTPConnectionTest.test_newlines",
        f"{RAW}.test_chunked_request_body_duplicate_header",
        f"{RAW}.test_chunked_request_body_transfer_encoding_and_content_length",
        f"{RAW}.test_chunked_request_body_unsupported_transfer_encoding",
    ),
    "HTTP/1.0 has no chunked bodies": ("httpserver_test.KeepAliveTest.test_keepalive_chunked",),
    "a client of HTTP/1.0 is told too that the connection closes": ("httpserver_test.KeepAliveTest.test_http10",),
    "of two lengths, also equal ones, none is believed": (f"{RAW}.test_content_length_list_whitespace",),
    "the size of a head is no option": ("httpserver_test.MaxHeaderSizeTest.test_large_headers",),
    "the time for a body is no option": (f"{LIMITS}.test_timeout",),
    "a body is handed over in the parts in which it arrives": (
        "httpserver_test.StreamingChunkSizeTest.test_chunked_body",
        "httpserver_test.StreamingChunkSizeTest.test_regular_body",
        *(f"{test}.test_flow_control_{kind}_body" for test in FLOW for kind in ("chunked", "fixed")),
    ),
}
EXCLUDED_TESTS = {test: reason for reason, tests in EXCLUDED.items() for test in tests}
TICK_S = 0.01
ATTEMPTS = 3  # some of Tornado's tests wait for times


class OnTheWire(HTTPServer):
    """Tornado's class, as its tests make it, with a server of ours in it."""

    def initialize(self, *arguments: Any, **options: Any) -> None:
        """Tornado's hook, in the place of __init__."""
        super().initialize(*arguments, **options)
        limits = {"max_body_bytes": options.get("max_body_size"), "idle_s": options.get("idle_connection_timeout")}
        self._make = functools.partial(WireServer, self, **{name: limit for name, limit in limits.items() if limit is not None})
        self._wire: WireServer | None = None

    def add_sockets(self, sockets: Any) -> None:
        """Accept connections as soon as the loop runs, which it does not yet."""
        asyncio.get_event_loop().call_soon(self._start, list(sockets))

    def _start(self, sockets: Any) -> None:
        self._wire = self._wire or self._make()
        self._wire.add_sockets(sockets)
        self._tick(asyncio.get_running_loop())

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look at the deadlines more often than a gateway does."""
        assert self._wire is not None
        self._wire.close_overdue()
        self._ticking = loop.call_later(TICK_S, self._tick, loop)

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        """Tornado's hook: what receives a request, which the wire never decompresses for it."""
        delegate = super().start_request(server_conn, request_conn)
        if self.conn_params.decompress:
            return _GzipMessageDelegate(delegate, self.conn_params.chunk_size, self.conn_params.max_body_size or MAX_BODY_BYTES)
        return delegate

    def stop(self) -> None:
        """Accept no more."""
        if self._wire is not None:
            self._ticking.cancel()
            self._wire.stop()

    def on_close(self, server_conn: object) -> None:
        """The server of ours knows its connections."""

    async def close_all_connections(self) -> None:
        """Close them."""
        if self._wire is not None:
            await self._wire.close_all_connections()


WORDS = {  # of the wire's log, and Tornado's for the same
    "the request line is malformed": "Malformed HTTP request line",
    "the Content-Length is too long": "Content-Length too long",
    "Invalid character in Content-Length": "Only integer Content-Length is allowed",
    "Invalid character in chunk size": "invalid chunk size",
    "Invalid header token": "no colon in header line",
}


class Logs:
    """The wire's log, in the places and words that Tornado's tests expect."""

    exception = staticmethod(functools.partial(app_log.error, exc_info=True))

    @staticmethod
    def info(text: str, address: str, error: Exception) -> None:
        """Log a request that is refused."""
        gen_log.info(text, address, WORDS.get(str(error), error))


@pytest.fixture(autouse=True)
def _logs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "logger", Logs)


@pytest.fixture(autouse=True)
def _uvloop() -> Iterator[None]:
    """Run on the loop that a gateway uses."""
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    yield
    asyncio.set_event_loop_policy(None)


def failures(server: type[HTTPServer], chosen: Callable[[str], bool]) -> dict[str, str]:
    """Run tests; return those that fail again and again, with the reason."""
    failed = tornado_suite.run(server, chosen).failed
    for _ in range(ATTEMPTS - 1):
        failed = tornado_suite.run(server, set(failed).__contains__).failed if failed else {}
    return failed


def test_the_suite_passes_on_tornado_s_wire() -> None:
    assert failures(HTTPServer, lambda name: True) == {}


def test_the_suite_passes_on_the_new_wire_but_for_what_is_listed() -> None:
    assert failures(OnTheWire, lambda name: name not in EXCLUDED_TESTS) == {}


def test_what_is_listed_fails() -> None:
    outcomes = tornado_suite.run(OnTheWire, EXCLUDED_TESTS.__contains__, timeout_s=1)
    assert outcomes.passed == set(), "these pass now: take them off the list"
    assert set(outcomes.failed) == set(EXCLUDED_TESTS)


def test_the_suite_is_large_and_reaches_the_server() -> None:
    assert len(list(tornado_suite.all_tests())) > 400

    class Silent(OnTheWire):
        def add_sockets(self, sockets: Any) -> None:
            for each in sockets:
                each.close()

    assert not tornado_suite.run(Silent, lambda name: name.startswith("routing_test.RuleRouterTest")).passed
