from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.client_address import client_address, limited_as, parse

PROXIES = [ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8"), ip_network("fd00::/8")]
PUBLIC = st.ip_addresses().filter(lambda a: not any(a in n for n in PROXIES) and not (a.version == 6 and a.ipv4_mapped))
PORT = st.integers(1, 65535)


def forms(address: str) -> st.SearchStrategy[str]:
    """Return the forms in which proxies write an address."""
    host = f"[{address}]" if ":" in address else address
    return st.one_of(st.just(address), st.just(host), PORT.map(lambda port: f"{host}:{port}"), st.just(f'"{host}"'))


@given(
    PUBLIC.flatmap(lambda a: st.tuples(st.just(a), forms(str(a)))),
    st.lists(st.sampled_from(["10.0.0.1", "[fd00::1]:80"])),
    st.text(),
)
def test_a_client_is_the_same_however_proxies_write_its_address(
    written: tuple[object, str], proxies: list[str], claimed: str
) -> None:
    address, form = written
    forwarded = ",".join([claimed, f" {form}", *proxies])
    assert client_address("127.0.0.1", forwarded, PROXIES) == str(address)


@given(st.text(), st.text())
def test_a_peer_that_is_no_trusted_proxy_says_nothing_about_the_client(forwarded: str, claimed: str) -> None:
    assert client_address("203.0.113.7", f"{forwarded},{claimed}", PROXIES) == "203.0.113.7"
    assert client_address("127.0.0.1", f"{forwarded},{claimed}", []) == "127.0.0.1"


@given(
    st.ip_addresses(v=6).filter(lambda a: not a.ipv4_mapped), st.integers(0, 2**64 - 1).filter(lambda host: host >> 32 != 0xFFFF)
)
def test_all_addresses_of_a_64_are_limited_together(address: object, host: int) -> None:
    network = ip_network((str(address), 64), strict=False)
    assert limited_as(str(address)) == limited_as(str(network[host])) == str(network)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("203.0.113.7:51234", "203.0.113.7"),
        ("[2001:db8::7]:51234", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("fe80::1%eth0", "fe80::1"),
        ("unknown", None),
        ("_hidden", None),
        ("", None),
        ("203.0.113.7:", None),
        ("[203.0.113.7", None),
    ],
)
def test_ports_brackets_and_zones_are_no_part_of_an_address(text: str, address: str | None) -> None:
    assert parse(text) == (None if address is None else ip_address(address))


def test_an_ipv4_address_is_limited_alone() -> None:
    assert limited_as("203.0.113.7") == "203.0.113.7"
