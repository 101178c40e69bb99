"""Gateways for tests that speak HTTP: one process a module, on a store in a temporary folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.gateway.client import Client
from tests.gateway.running import Gateway


def pytest_configure(config: pytest.Config) -> None:
    """`needs_binary("redis-server")` marks what can't run without a program."""
    config.addinivalue_line("markers", "needs_binary(name): skipped where the program is missing; fails there under CI=true")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips, or fails under CI=true, what needs a program that is missing."""
    for marker in item.iter_markers("needs_binary"):
        name = marker.args[0]
        if shutil.which(name) is None:
            if os.environ.get("CI") == "true":
                pytest.fail(f"{name} is not installed", pytrace=False)
            pytest.skip(f"{name} is not installed")


@pytest.fixture(scope="module")
def make_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Gateway]]:
    """Starts gateways with settings of their own; `folder` puts another one on a store that is there."""
    made: list[Gateway] = []

    def make(command: str = "gateway", folder: Path | None = None, **settings: str) -> Gateway:
        made.append(Gateway(folder or tmp_path_factory.mktemp("gateway"), command, **settings))
        return made[-1].start()

    yield make
    for gateway in made:
        gateway.close()


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway]) -> Gateway:
    """One gateway without background work."""
    return make_gateway()


@pytest.fixture(scope="module")
def served(make_gateway: Callable[..., Gateway]) -> Gateway:
    """The whole house, `run.py serve`: a gateway and a worker."""
    return make_gateway("serve")


@pytest.fixture(scope="module")
def admin(gateway: Gateway) -> Client:
    """An admin of the module's gateway."""
    return gateway.user("admin")


@pytest.fixture
def people(gateway: Gateway) -> list[Client]:
    """Ana, Ben and Cleo, whom no other test knows."""
    return gateway.users(3)


@pytest.fixture
def ana(people: list[Client]) -> Client:
    """A user."""
    return people[0]


@pytest.fixture
def ben(people: list[Client]) -> Client:
    """Another one."""
    return people[1]


@pytest.fixture
def cleo(people: list[Client]) -> Client:
    """A third one."""
    return people[2]
