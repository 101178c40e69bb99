"""Values that are safe in the headers of a mail (addresses, display names, subjects, URLs) and how a mail's headers are written.

`email.header` encodes and folds names and subjects (RFC 2047). The header classes of `email.headerregistry` are not used for it:
with Python 3.11 they add or lose spaces where a name or subject is folded, decode text of users that looks like an encoded word,
and encode long URLs.
"""

from __future__ import annotations

import re
from email.header import Header
from email.headerregistry import Address, BaseHeader, HeaderRegistry
from email.policy import Policy
from typing import Any
from urllib.parse import quote

from models.identity import email_address

MAX_LINE_CHARS = 76  # RFC 2047 2, of lines with encoded words
URL_CHARS = ":/?#[]@!$&'()*+,;=%~"  # these mean something in a URL (RFC 3986) and stay as they are

# Controls, line separators, halves of surrogate pairs, and characters that change the direction of the text after them.
_INVISIBLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_LIKE_A_CODE = re.compile(r"\b\d{6}\b")


def one_line(text: str) -> str:
    """Return `text` on one line: each invisible character becomes a space, and several spaces become one."""
    return " ".join(_INVISIBLE.sub(" ", text).split())


def ascii_url(url: str) -> str:
    """Return `url` with every character escaped that could end it in a header or in a text."""
    return quote(url, safe=URL_CHARS, errors="replace")


def split_sender(sender: str) -> tuple[str, str]:
    """Split `Name <a@b>` or `a@b` into name and address; the name may be empty."""
    if not sender.endswith(">"):
        return "", sender
    name, _, address = sender.removesuffix(">").rpartition("<")
    return one_line(name).strip('"'), address


def envelope_address(address: str) -> str:
    """Return the address of `a@b` or `Name <a@b>`, with its domain in ASCII. Raises AddressError, a ValueError, for anything but
    one mail address."""
    return email_address.mailable(split_sender(address)[1])


def mailbox(name: str, address: str) -> Address:
    """Return `Name <address>` for an address that `envelope_address` returned.

    A name that contains six digits in a row is left out: it could be mistaken for a code.
    """
    local, _, domain = address.rpartition("@")
    display_name = one_line(name)
    return Address("" if _LIKE_A_CODE.search(display_name) else display_name, local, domain)


class VerbatimHeader(BaseHeader):
    """A header that is written as it is, in ASCII and on one line.

    For values made by Bellwire. The library would write a long URL as encoded words, and mail programs would not find the URL of
    List-Unsubscribe (RFC 8058) in them.
    """

    max_count = 1

    @classmethod
    def parse(cls, value: str, kwds: dict[str, Any]) -> None:
        """Keep the value, with "?" for characters outside ASCII."""
        kwds["parse_tree"], kwds["decoded"] = None, value.encode("ascii", "replace").decode()

    def fold(self, *, policy: Policy) -> str:
        """Return the header's line."""
        return f"{self.name}: {self}{policy.linesep}"


class SubjectHeader(BaseHeader):
    """A subject: as it is when it is short and ASCII, else in encoded words."""

    max_count = 1

    @classmethod
    def parse(cls, value: str, kwds: dict[str, Any]) -> None:
        """Keep the value."""
        kwds["parse_tree"], kwds["decoded"] = None, value

    def fold(self, *, policy: Policy) -> str:
        """Return the header's lines."""
        line = f"{self.name}: {self}"
        return (line if _is_plain(line) else f"{self.name}: {_encoded_words(self.name, str(self), policy)}") + policy.linesep


class MailboxHeader(BaseHeader):
    """One mailbox: its display name as it is when it is short and ASCII, else in encoded words."""

    max_count = 1

    @classmethod
    def parse(cls, value: Address, kwds: dict[str, Any]) -> None:
        """Keep the mailbox."""
        kwds["parse_tree"], kwds["decoded"], kwds["mailbox"] = None, str(value), value

    def init(self, *args: Any, **kwds: Any) -> None:
        """Keep the mailbox of `parse`."""
        self._mailbox: Address = kwds.pop("mailbox")
        super().init(*args, **kwds)

    def fold(self, *, policy: Policy) -> str:
        """Return the header's lines."""
        display_name, address = self._mailbox.display_name, self._mailbox.addr_spec
        if not display_name or _is_plain(f"{self.name}: {display_name}"):
            return f"{self.name}: {self}{policy.linesep}"
        words = _encoded_words(self.name, display_name, policy)
        return f"{self.name}: {words}{policy.linesep} <{address}>{policy.linesep}"


def _is_plain(line: str) -> bool:
    """Tell whether a line can be written as it is: "=?" begins an encoded word, which a mail program would decode."""
    return line.isascii() and "=?" not in line and len(line) <= MAX_LINE_CHARS


def _encoded_words(name: str, text: str, policy: Policy) -> str:
    return Header(text, "utf-8", MAX_LINE_CHARS, name).encode(linesep=policy.linesep)


class HeaderClasses(HeaderRegistry):
    """The header classes of a mail, each made once: the library's registry makes one for each header of each mail, which takes a
    third of the time of composing it."""

    def __init__(self) -> None:
        super().__init__(default_class=VerbatimHeader, use_default_map=False)  # type: ignore[arg-type]
        self.map_to_type("from", MailboxHeader)
        self.map_to_type("to", MailboxHeader)
        self.map_to_type("subject", SubjectHeader)
        self._classes: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._classes:
            self._classes[name] = super().__getitem__(name)
        return self._classes[name]
