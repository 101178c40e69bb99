"""Addresses that webhooks may call: public ones, and those that the operator names (server-side request forgery, OWASP)."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address
Networks = Sequence[IPv4Network | IPv6Network]
NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))  # RFC 6052, RFC 8215: an IPv4 address is in them


class RefusedAddressError(Exception):
    """A name has an address that must not be called."""


def is_public(address: Address) -> bool:
    """Whether an address is a unicast one of the public internet, and leads to no other through a translator."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        is_translated = address.sixtofour is not None or address.teredo is not None or any(address in net for net in NAT64)
        if is_translated or address.is_site_local:
            return False
    is_special = address.is_multicast or address.is_reserved or address.is_unspecified or address.is_link_local
    return address.is_global and not is_special


def may_call(address: Address, allowed: Networks) -> bool:
    """Whether webhooks may call an address."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return is_public(address) or any(address in network or (mapped is not None and mapped in network) for network in allowed)


def may_push_to(url: str, allowed: Networks) -> bool:
    """Whether a push may be sent to an address, as far as that is known without resolving its name: which names there are in a
    private network is nothing that users may try out. It must be https, except on this host."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    literal = "127.0.0.1" if host == "localhost" or host.endswith(".localhost") else _literal(host)
    if literal is None:
        return parts.scheme == "https"
    return _may_call(literal, tuple(allowed)) and (parts.scheme == "https" or ip_address(literal).is_loopback)


async def resolve(host: str, port: int, allowed: Networks) -> list[str]:
    """Return the addresses of a host, all of them checked. Raises RefusedAddressError, OSError when the name has none."""
    found = [literal] if (literal := _literal(host)) is not None else await _addresses_of(host, port)
    for text in found:
        if not _may_call(text, tuple(allowed)):
            raise RefusedAddressError(f"{text} is not a public address, and BELLWIRE_WEBHOOK_ALLOW does not name it")
    return found


class Resolver:
    """Resolves one host. Deliveries that begin while it is looked up share the result."""

    def __init__(self, host: str, port: int, allowed: Networks) -> None:
        self._where = (host, port, allowed)
        self._lookup: asyncio.Task[list[str]] | None = None

    async def resolve(self) -> list[str]:
        """Return the addresses, all of them checked. Raises RefusedAddressError, OSError."""
        if _literal(self._where[0]) is not None:
            return await resolve(*self._where)
        lookup = self._lookup
        if lookup is None or lookup.done():
            lookup = self._lookup = asyncio.create_task(resolve(*self._where))
            lookup.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            return await asyncio.shield(lookup)
        except asyncio.CancelledError:
            self._lookup = None  # it may never end: the next delivery begins another one
            raise


@lru_cache(maxsize=1_000)
def _may_call(text: str, allowed: Networks) -> bool:
    return may_call(ip_address(text.partition("%")[0]), allowed)


@lru_cache(maxsize=1_000)
def _literal(host: str) -> str | None:
    try:
        return str(ip_address(host.partition("%")[0]))
    except ValueError:
        return None


async def _addresses_of(host: str, port: int) -> list[str]:
    """Look a name up, on a thread of its own: one that is not answered must delay no other, nor the end of the process."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[list[str]] = loop.create_future()

    def run() -> None:
        try:
            entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            outcome: list[str] | Exception = list(dict.fromkeys(str(entry[4][0]) for entry in entries))
        except (OSError, UnicodeError) as error:
            outcome = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(_resolve, future, outcome)

    threading.Thread(target=run, name="lookup", daemon=True).start()
    return await future


def _resolve(future: asyncio.Future[list[str]], outcome: list[str] | Exception) -> None:
    if future.done():
        return
    if isinstance(outcome, list):
        future.set_result(outcome)
    else:
        future.set_exception(OSError(f"the name can't be resolved: {outcome}"))
