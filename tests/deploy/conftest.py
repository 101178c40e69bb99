"""Two gateways on PostgreSQL behind nginx."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.deploy.proxy import Proxy
from tests.journeys.cluster import Cluster
from tests.stores import SECRET, PostgresServer

SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")  # Debian's folders of nginx, which are only in root's PATH


@pytest.fixture(scope="session", autouse=True)
def _sbin() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", os.pathsep.join([os.environ.get("PATH", os.defpath), *SBIN]))
        yield


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[Cluster]:
    """Start two gateways on a migrated store."""
    url = postgres.create()
    built = Cluster(tmp_path_factory.mktemp("cluster"), {"database_url": url, "secret_key": SECRET, "trusted_proxies": "127.0.0.1"})
    try:
        for _ in range(2):
            built.start_gateway()
        yield built
    finally:
        built.close()
        postgres.drop(url)


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster) -> Iterator[Proxy]:
    """Start nginx in front of both."""
    started = Proxy(tmp_path_factory.mktemp("nginx"), cluster.ports)
    yield started.start()
    started.stop()
