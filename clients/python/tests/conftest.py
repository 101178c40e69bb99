"""A real gateway on SQLite, and people of whom each test has its own. The store has no part in what a client does."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from bellwire_client import Client
from clients.python.tests.relay import Relay
from tests.conftest import ana, ben, cleo, gateway, make_gateway, people
from tests.gateway.client import Client as Person
from tests.gateway.running import Gateway
from tests.stores import Database

__all__ = ["ana", "ben", "cleo", "gateway", "make_gateway", "people"]
Connect = Callable[..., Client]


@pytest.fixture(scope="module")
def database() -> Database:
    """One kind is enough."""
    return Database("sqlite", None)


@pytest.fixture
def connect(gateway: Gateway) -> Iterator[Connect]:
    """Makes blocking clients for people, closed after the test."""
    with contextlib.ExitStack() as clients:
        yield lambda person, url=gateway.url, **options: clients.enter_context(Client(url, person.token, **options))


@pytest.fixture
def bot(connect: Connect, ana: Person) -> Client:
    """Ana's program."""
    return connect(ana)


@pytest.fixture
def relay(gateway: Gateway) -> Iterator[Relay]:
    """Something before the gateway that may lose an answer."""
    relay = Relay(gateway)
    yield relay
    relay.close()
