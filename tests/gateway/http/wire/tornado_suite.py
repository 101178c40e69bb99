"""Tornado's own tests of its HTTP server, of requests and of WebSockets, as its wheel contains them, on a server of ours."""

from __future__ import annotations

import contextlib
import logging
import os
import unittest
import warnings
from collections.abc import Callable, Iterator

from tornado.httpserver import HTTPServer

from tests.waiting import LIMIT_S

MODULES = (  # not http1connection_test: its connections are those of clients
    "httpserver_test",
    "web_test",
    "routing_test",
    "websocket_test",
    "wsgi_test",
    "security_corpus_test",
)


class Outcomes(unittest.TestResult):
    """The names of the tests that passed, and of those that failed with the end of their reason."""

    def __init__(self) -> None:
        super().__init__()
        self.passed: set[str] = set()
        self.failed: dict[str, str] = {}

    def startTest(self, test: unittest.TestCase) -> None:
        """Count the test as passed until it fails."""
        super().startTest(test)
        self.passed.add(name_of(test))

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: object) -> None:
        """A case within a test fails the whole test."""
        super().addSubTest(test, subtest, err)  # type: ignore[arg-type]
        if err is not None:
            self._fail(test, f"{subtest}: {err[1]}")  # type: ignore[index]

    def addFailure(self, test: unittest.TestCase, err: object) -> None:
        """Keep the reason."""
        super().addFailure(test, err)  # type: ignore[arg-type]
        self._fail(test, self.failures[-1][1])

    def addError(self, test: unittest.TestCase, err: object) -> None:
        """Keep the reason."""
        super().addError(test, err)  # type: ignore[arg-type]
        self._fail(test, self.errors[-1][1])

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        """A test that Tornado leaves out here has no outcome."""
        super().addSkip(test, reason)
        self.passed.discard(name_of(test))

    def _fail(self, test: unittest.TestCase, reason: str) -> None:
        self.passed.discard(name_of(test))
        self.failed[name_of(test)] = self.failed.get(name_of(test), "") + reason[-600:]


def name_of(test: unittest.TestCase) -> str:
    """`web_test.CookieTest.test_set_cookie`."""
    return test.id().removeprefix("tornado.test.")


def tests_of(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    """Yield the tests within suites within suites."""
    for each in suite:
        if isinstance(each, unittest.TestSuite):
            yield from tests_of(each)
        else:
            yield each


def all_tests() -> Iterator[unittest.TestCase]:
    """Yield the tests of MODULES."""
    yield from tests_of(unittest.defaultTestLoader.loadTestsFromNames([f"tornado.test.{module}" for module in MODULES]))


@contextlib.contextmanager
def _as_tornado_runs_them(timeout_s: int) -> Iterator[None]:
    """Set what tornado.test.runtests sets, and the timeout of a request."""
    access, before = logging.getLogger("tornado.access"), os.environ.get("ASYNC_TEST_TIMEOUT")
    level = access.level
    access.setLevel(logging.CRITICAL)
    os.environ["ASYNC_TEST_TIMEOUT"] = str(timeout_s)
    try:
        with warnings.catch_warnings():
            yield
    finally:
        access.setLevel(level)
        os.environ.pop("ASYNC_TEST_TIMEOUT")
        if before is not None:
            os.environ["ASYNC_TEST_TIMEOUT"] = before


def run(server: type[HTTPServer], chosen: Callable[[str], bool] = lambda name: True, timeout_s: int = LIMIT_S) -> Outcomes:
    """Run the tests of the chosen names, with a class of ours wherever they make an HTTPServer."""
    configured = HTTPServer._save_configuration()
    HTTPServer.configure(server)
    outcomes = Outcomes()
    try:
        with _as_tornado_runs_them(timeout_s):
            unittest.TestSuite(test for test in all_tests() if chosen(name_of(test))).run(outcomes)
    finally:
        HTTPServer._restore_configuration(configured)
    return outcomes
