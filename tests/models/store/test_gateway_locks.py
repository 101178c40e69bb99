"""The locks of gateways on a data folder."""

import resource
from pathlib import Path

from models.store.gateway_locks import gateways, registered


def test_a_gateway_runs_on_a_full_disk_and_is_listed(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))  # every write fails
    try:
        with registered(tmp_path, "::1", 8080):
            assert [(gateway.host, gateway.port, gateway.is_alive) for gateway in gateways(tmp_path)] == [("::1", 8080, True)]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert gateways(tmp_path) == []
