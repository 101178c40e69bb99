"""Two gateways on PostgreSQL with nginx before them."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.deploy.proxy import Proxy
from tests.journeys.house import House
from tests.stores import SECRET, PostgresServer

SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")  # where Debian keeps nginx, and only root looks


@pytest.fixture(scope="session", autouse=True)
def _sbin() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", os.pathsep.join([os.environ.get("PATH", os.defpath), *SBIN]))
        yield


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[House]:
    """A migrated store with two gateways."""
    url = postgres.create()
    built = House(tmp_path_factory.mktemp("house"), {"database_url": url, "secret_key": SECRET, "trusted_proxies": "127.0.0.1"})
    try:
        for _ in range(2):
            built.start_gateway()
        yield built
    finally:
        built.close()
        postgres.drop(url)


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, house: House) -> Iterator[Proxy]:
    """nginx before both."""
    with_both = Proxy(tmp_path_factory.mktemp("nginx"), house.ports)
    yield with_both.start()
    with_both.stop()
