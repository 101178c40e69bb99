"""The address of a client: one definition for rate limits, trusted proxies, the networks that may read metrics, and the audit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

WITH_PORT = re.compile(r"(?:\[([^\]]*)\]|([^:]*))(?::[0-9]{1,5})?")  # [2001:db8::7]:51234 or 203.0.113.7:51234
IPV6_PREFIX = 64  # what a provider gives to one customer, who can use any address in it

Address = IPv4Address | IPv6Address
Networks = Sequence[IPv4Network | IPv6Network]


@lru_cache(maxsize=4096)
def parse(text: str) -> Address | None:
    """The address in a peer's name or a hop of X-Forwarded-For, without port, brackets or zone; None if there is none.

    An IPv4 address within IPv6 (::ffff:203.0.113.7), as sockets for both families report it, is the IPv4 address.
    """
    text = text.strip().strip('"')
    ported = WITH_PORT.fullmatch(text)
    host = (ported[1] or ported[2] or "") if ported else text
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def is_within(text: str, networks: Networks) -> bool:
    """Whether a text is an address in one of the networks."""
    address = parse(text) if networks else None
    return address is not None and any(address in network for network in networks)


def client_address(peer: str, forwarded: str, trusted: Networks) -> str:
    """The peer's address, or the one that trusted proxies report.

    X-Forwarded-For is read from the right, up to the first address that is not a trusted proxy's, or up to what is not an address.
    """
    client = peer
    hops = forwarded.split(",") if forwarded and trusted else []
    while hops and is_within(client, trusted):
        hop = hops.pop()
        if parse(hop) is not None:
            client = hop
        elif hop.strip():
            break
    return _normal(client)


@lru_cache(maxsize=4096)
def _normal(address: str) -> str:
    return str(parse(address) or address)


def limited_as(address: str) -> str:
    """The address, or the network of an IPv6 address, whose requests are counted together."""
    parsed = parse(address)
    return str(ip_network((parsed, IPV6_PREFIX), strict=False)) if isinstance(parsed, IPv6Address) else address
