"""A real gateway on SQLite, and new users for each test. The database does not matter to a client."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from bellwire_client import Client
from clients.python.tests.relay import Relay
from tests.conftest import ana, ben, cleo, gateway, make_gateway, people, wire
from tests.gateway.client import Client as Person
from tests.gateway.running import Gateway
from tests.stores import Database

__all__ = ["ana", "ben", "cleo", "gateway", "make_gateway", "people", "wire"]
Connect = Callable[..., Client]


@pytest.fixture(scope="module")
def database() -> Database:
    """One kind of database is enough."""
    return Database("sqlite", None)


@pytest.fixture
def connect(gateway: Gateway) -> Iterator[Connect]:
    """Return a function that creates blocking clients for users. They are closed after the test."""
    with contextlib.ExitStack() as clients:
        yield lambda person, url=gateway.url, **options: clients.enter_context(Client(url, person.token, **options))


@pytest.fixture
def bot(connect: Connect, ana: Person) -> Client:
    """A client of Ana."""
    return connect(ana)


@pytest.fixture
def relay(gateway: Gateway) -> Iterator[Relay]:
    """A proxy in front of the gateway that can lose an answer."""
    relay = Relay(gateway)
    yield relay
    relay.close()
