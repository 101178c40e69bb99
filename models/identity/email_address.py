"""E-mail addresses: which ones can be mailed, how a relay gets them, and the key by which accounts are found.

Sign-up, commands, log-in and the mailer have this one definition. An address that differs from an account's, even by a letter that
looks or sorts the same, is another person's.
"""

from __future__ import annotations

import re
import unicodedata

import idna

from models.store.text_rules import has_only_visible

MAX_ADDRESS_CHARS = 254  # RFC 5321 4.5.3.1.3: 256 bytes with the angle brackets
MAX_LOCAL_BYTES = 64  # RFC 5321 4.5.3.1.1
MAX_DOMAIN_CHARS = 253
NONE = "none:"  # begins the keys of accounts without an address; no address has one of these
EXPECTED = "an e-mail address such as ana@example.org"
_LOCAL_PART = re.compile(r"[^\s@<>()\[\],;:\\\"\x00-\x1f\x7f-\x9f]+")  # atoms and dots; no quoted strings
_LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_ASCII_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_AMBIGUOUS = re.compile("[ßς\u200c\u200d]")  # IDNA 2003 and 2008 write them differently: the mail could reach another person
_ASCII_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


class AddressError(ValueError):
    """The text is not an address that can be mailed."""


def mailable(address: str) -> str:
    """Return the address as relays get it: its domain in ASCII (UTS 46, RFC 5890), without the dot of the root.

    Raises AddressError for anything but one mail address, and for a domain that is not written as people write it but for case:
    with characters that UTS 46 would replace or remove, or that older programs understand differently.
    """
    local, _, domain = address.rpartition("@")
    if not _LOCAL_PART.fullmatch(local) or not has_only_visible(local) or len(local.encode()) > MAX_LOCAL_BYTES:
        raise AddressError("not a mail address")
    envelope = f"{local}@{_ascii_domain(domain)}"
    if len(envelope.encode()) > MAX_ADDRESS_CHARS:
        raise AddressError("not a mail address")
    return envelope


def _ascii_domain(domain: str) -> str:
    domain = domain.removesuffix(".")
    if len(domain) > MAX_DOMAIN_CHARS:
        raise AddressError("not a mail address")
    ascii_domain = domain.lower() if domain.isascii() else _encoded(domain)
    if not _ASCII_DOMAIN.fullmatch(ascii_domain):
        raise AddressError("not a mail address")
    return ascii_domain


def _encoded(domain: str) -> str:
    composed = unicodedata.normalize("NFC", domain)
    try:
        mapped = idna.uts46_remap(composed)
        encoded = idna.encode(mapped).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        raise AddressError("not a mail address") from None
    if mapped != composed.lower() or _AMBIGUOUS.search(mapped):
        raise AddressError("the domain of the mail address is ambiguous")
    return encoded


def is_mailable(address: str) -> bool:
    """Return whether the text is one address that can be mailed."""
    try:
        return bool(mailable(address))
    except AddressError:
        return False


def key(address: str) -> str:
    """Return the key of an address: two addresses with one key are one mailbox. Only the case of ASCII letters is disregarded, and
    how the domain is written.

    What is not an address is its own key, which no address has: accounts of earlier versions are found by it. The key of an account
    without an address is that of no text.
    """
    try:
        return mailable(address).translate(_ASCII_LOWER)
    except AddressError:
        own = address.translate(_ASCII_LOWER)
        return f"not {own}" if own.startswith(NONE) else own


def no_key(user: int) -> str:
    """Return the key of an account without an address: each has one of its own."""
    return f"{NONE}{user}"
