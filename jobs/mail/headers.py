"""The header fields of a letter, as RFC 5322 has them: names and subjects as encoded words (RFC 2047), domains by IDNA (RFC 5890),
other letters before the @ as they are (RFC 6532).

The standard library's `email` package writes the same, but takes longer over one letter than a relay nearby takes to accept it.
"""

from __future__ import annotations

import re
import string
from urllib.parse import quote

LINE_CHARS = 78  # RFC 5322 2.1.1
WORD_CHARS = 52  # inside `=?utf-8?q?` and `?=`; with the field's name less than the 76 that RFC 2047 allows a line
DOMAIN_CHARS = 255  # RFC 5321 4.5.3.1.2
URL_SIGNS = ":/?#[]@!$&'()*+,;=%~"

# Of one line only what is seen on it: no controls, no halves of characters, and nothing that turns the direction of what follows.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_LOCAL = re.compile(r"[^\s@<>()\[\],;:\\\"\x00-\x1f\x7f-\x9f\ud800-\udfff]+")  # atoms and dots; no quoted strings
_DOMAIN = re.compile(r"[A-Za-z0-9._-]+")
_LIKE_A_CODE = re.compile(r"\b\d{6}\b")
_LETTERS = frozenset(string.ascii_letters)


def one_line(value: str) -> str:
    """`value` on one line: whatever is not to be seen becomes a space, and several spaces one."""
    return " ".join(_UNSEEN.sub(" ", value).split())


def url(value: str) -> str:
    """A URL of ASCII characters, without any that could end it in a header or in a text."""
    return quote(value, safe=URL_SIGNS, errors="replace")


def split(sender: str) -> tuple[str, str]:
    """Name and address of `Name <a@b>` or `a@b`; the name may be empty."""
    if not sender.endswith(">"):
        return "", sender
    name, _, address = sender.removesuffix(">").rpartition("<")
    return one_line(name).strip('"'), address


def envelope(address: str) -> str:
    """`a@b`, or what is in the brackets of `Name <a@b>`, with its domain in ASCII. Raises ValueError for what can't be one mail
    address, or has a domain that the years' versions of IDNA write differently (ß): it would go to somebody else."""
    local, _, domain = split(address)[1].rpartition("@")
    if not _LOCAL.fullmatch(local) or len(domain) > DOMAIN_CHARS:
        raise ValueError("not a mail address")
    ascii_domain = domain if domain.isascii() else domain.encode("idna").decode()
    if not _DOMAIN.fullmatch(ascii_domain):
        raise ValueError("not a mail address")
    if not domain.isascii() and ascii_domain.encode().decode("idna") != domain.lower():
        raise ValueError("the domain of the mail address is ambiguous")
    return f"{local}@{ascii_domain}"


def text(name: str, value: str) -> str:
    """The field `name` with free text, of one line, as its value."""
    plain = f"{name}: {value}"
    return plain if _may_stand(value) and len(plain) <= LINE_CHARS else f"{name}: {_encoded(value)}"


def mailbox(name: str, address: str) -> str:
    """`"Name" <address>` as the value of a field. A name that could be taken for a code of six digits is left out."""
    name = one_line(name)
    if not name or _LIKE_A_CODE.search(name):
        return f"<{address}>"
    if not _may_stand(name) or len(name) > WORD_CHARS:
        return f"{_encoded(name)}\r\n <{address}>"
    escaped = re.sub(r'(["\\])', r"\\\1", name)
    return f'"{escaped}" <{address}>'


def _may_stand(value: str) -> bool:
    return value.isascii() and "=?" not in value  # which would be read as an encoded word


def _encoded(value: str) -> str:
    """Encoded words, each of whole characters. Digits are encoded too: beside an encoded byte they could look like a code."""
    words = [""]
    for char in value:
        code = char if char in _LETTERS else "_" if char == " " else "".join(f"={byte:02X}" for byte in char.encode())
        if len(words[-1]) + len(code) > WORD_CHARS:
            words.append("")
        words[-1] += code
    return "\r\n ".join(f"=?utf-8?q?{word}?=" for word in words)
