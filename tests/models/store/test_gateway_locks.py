"""The locks of gateways on a data folder."""

from pathlib import Path

from models.store.gateway_locks import gateways, registered
from tests.stores import full_disk


def test_a_gateway_runs_on_a_full_disk_and_is_listed(tmp_path: Path) -> None:
    with full_disk(0), registered(tmp_path, "::1", 8080):
        assert [(gateway.host, gateway.port, gateway.is_alive) for gateway in gateways(tmp_path)] == [("::1", 8080, True)]
    assert gateways(tmp_path) == []
