"""Which addresses webhooks may call."""

import asyncio
import ipaddress

import pytest

from jobs.hooks import addresses
from jobs.hooks.addresses import RefusedAddressError, may_call, resolve

REFUSED = [
    *("127.0.0.1", "127.255.0.1", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254"),
    *("100.64.0.1", "0.0.0.0", "0.1.2.3", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
    *("192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "192.0.0.1", "::", "::1", "fe80::1", "fc00::1"),
    *("fd12::1", "ff02::1", "fec0::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1"),
    *("::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::a00:1", "2002:7f00:1::"),
    *("2002:a00:1::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "100::1"),
]


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_public_is_refused_unless_it_is_named(text: str) -> None:
    address = ipaddress.ip_address(text)
    assert not may_call(address, ())
    assert may_call(address, (ipaddress.ip_network(text),))


@pytest.mark.parametrize("text", ["93.184.216.34", "1.1.1.1", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:93.184.216.34"])
def test_public_addresses_may_be_called(text: str) -> None:
    assert may_call(ipaddress.ip_address(text), ())


def test_a_mapped_address_is_the_ipv4_address() -> None:
    assert may_call(ipaddress.ip_address("::ffff:10.0.0.1"), (ipaddress.ip_network("10.0.0.0/8"),))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "2130706433", "0x7f.1", "127.1"])
def test_every_way_to_write_an_address_is_resolved_and_checked(host: str) -> None:
    with pytest.raises(RefusedAddressError):
        asyncio.run(resolve(host, 80, ()))


def test_of_a_name_with_several_addresses_all_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    async def addresses_of(host: str, port: int) -> list[str]:
        return ["93.184.216.34", "10.0.0.1"]

    monkeypatch.setattr(addresses, "_addresses_of", addresses_of)
    with pytest.raises(RefusedAddressError):
        asyncio.run(resolve("example.org", 80, ()))
    allowed = (ipaddress.ip_network("10.0.0.0/8"),)
    assert asyncio.run(resolve("example.org", 80, allowed)) == ["93.184.216.34", "10.0.0.1"]
