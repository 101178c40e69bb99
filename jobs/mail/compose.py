"""Writing letters: from a kind and its data to the bytes of a mail, in plain text and HTML, for the thread that sends them.

Every kind has two templates in `templates/`, over a common layout: `KIND.txt` and `KIND.html`. A letter depends on its arguments
alone, so every try to send it sends the same bytes.
"""

from __future__ import annotations

import hashlib
import quopri
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any, NamedTuple

import css_inline
from jinja2 import Environment, StrictUndefined, Template

from jobs.mail import headers

FOLDER = Path(__file__).with_name("templates")
CONTENT = "[content]"  # where a layout takes in the template of a kind
CODE_GOOD_MINUTES = 10
LINE_BYTES = 998  # RFC 5322 2.1.1, the hard limit
SUBJECTS = {
    "signup_code": "Your sign-up code",
    "login_code": "Your login code",
    "address_known": "Someone signed up with your address",
    "account": None,  # its title
    "notification": None,
    "digest": None,
}
ASKED_FOR = frozenset({"signup_code", "login_code"})  # nobody can unsubscribe from these


class ComposedMail(NamedTuple):
    """What goes over the wire."""

    message: bytes  # lines end by CRLF; ready for DATA, but for its dots
    subject: str  # decoded, for people
    smtputf8: bool  # whether the relay must offer SMTPUTF8 (RFC 6531): an address has other letters before its @


class _Pair(NamedTuple):
    text: Template
    html: Template


class Composer:
    """Writes from one sender, `Name <a@b>` or `a@b`, about the installation at `base_url`. Made once a process, for any
    thread. Raises ValueError when the sender has no mail address."""

    def __init__(self, sender: str, base_url: str) -> None:
        self._sender = headers.envelope(sender)
        self._from = headers.mailbox(headers.split(sender)[0], self._sender)
        self._base_url = headers.url(base_url)
        self._pairs: dict[str, _Pair] = {}

    def compose(
        self,
        kind: str,
        address: str,
        name: str,
        data: Mapping[str, Any],
        message_id: str,
        at_ms: int,
        unsubscribe: str | None,
    ) -> ComposedMail:
        """A letter of one of the SUBJECTS to `name` at `address`, dated `at_ms` (Unix time). `data` has for signup_code: code and
        username, login_code: code, address_known: username or nothing, account: title and body (text, may be of several lines),
        notification and digest: title, items (each of title, body and place) and more, the number of those left out.

        `unsubscribe` is a URL that takes a POST (RFC 8058); it is left out of the kinds that were asked for. Raises ValueError
        when the address can't be one, KeyError for another kind or no title, jinja2.UndefinedError when other data is missing."""
        receiver = headers.envelope(address)
        known = _sane(data)
        subject = SUBJECTS[kind] or known["title"]
        link = headers.url(unsubscribe) if unsubscribe and kind not in ASKED_FOR else None
        fields = [
            f"Date: {format_datetime(datetime.fromtimestamp(at_ms / 1000, UTC))}",
            f"From: {self._from}",
            f"To: {headers.mailbox(name, receiver)}",
            headers.text("Subject", subject),
            f"Message-ID: {headers.one_line(message_id)}",
            "Auto-Submitted: auto-generated",  # RFC 3834: nobody's holiday answers it
        ]
        if link:
            fields += [f"List-Unsubscribe: <{link}>", "List-Unsubscribe-Post: List-Unsubscribe=One-Click"]
        places = known | {"subject": subject, "name": headers.one_line(name), "unsubscribe": link}
        message = _message(fields, *self._bodies(kind, places), message_id)
        return ComposedMail(message, subject, smtputf8=not (receiver + self._sender).isascii())

    def _bodies(self, kind: str, places: Mapping[str, Any]) -> tuple[str, str]:
        pair = self._pairs.get(kind)
        if pair is None:
            pair = self._pairs[kind] = _compiled(kind)
        common = {"base_url": self._base_url, "good_minutes": CODE_GOOD_MINUTES}
        return pair.text.render(places, **common), pair.html.render(places, **common)


def _compiled(kind: str) -> _Pair:
    """A kind's templates in their layouts. Styles are put into the HTML here and not into each letter, which would take ten times
    as long: what stands in braces is text to css-inline."""
    options: dict[str, Any] = {"undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    inliner = css_inline.CSSInliner(load_remote_stylesheets=False)
    plain = Environment(autoescape=False, **options)  # noqa: S701 - of text, not HTML
    html = Environment(autoescape=True, **options)
    return _Pair(plain.from_string(_source(kind, "txt")), html.from_string(inliner.inline(_source(kind, "html"))))


def _source(kind: str, ending: str) -> str:
    layout = (FOLDER / f"layout.{ending}").read_text("utf-8")
    return layout.replace(CONTENT, (FOLDER / f"{kind}.{ending}").read_text("utf-8"))


def _sane(data: Mapping[str, Any]) -> dict[str, Any]:
    """Texts of one line each, but for bodies."""
    sane: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, list):
            sane[key] = [_sane(item) if isinstance(item, Mapping) else item for item in value]
        elif isinstance(value, str):
            sane[key] = _lines(value) if key == "body" else headers.one_line(value)
        else:
            sane[key] = value
    return sane


def _lines(value: str) -> str:
    return "\n".join(map(headers.one_line, value.splitlines())).strip()


def _message(fields: list[str], plain: str, html: str, message_id: str) -> bytes:
    """multipart/alternative (RFC 2046 5.1.4), what is least first. Nobody who has a say in the text knows the boundary."""
    boundary = "=_" + hashlib.sha256(message_id.encode()).hexdigest()[:32]
    fields = [*fields, "MIME-Version: 1.0", f'Content-Type: multipart/alternative; boundary="{boundary}"', "", ""]
    mark = f"--{boundary}".encode()
    parts = [_part("plain", plain), _part("html", html)]
    return "\r\n".join(fields).encode() + b"".join(mark + b"\r\n" + part + b"\r\n" for part in parts) + mark + b"--\r\n"


def _part(subtype: str, body: str) -> bytes:
    """One way to read it: as it is when that is short lines of ASCII, else quoted-printable, which people can read too."""
    lines = body.encode().splitlines()
    content = b"".join(line + b"\r\n" for line in lines)
    plain = body.isascii() and all(len(line) <= LINE_BYTES for line in lines)
    encoding = "7bit" if plain else "quoted-printable"
    head = f"Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return head.encode() + (content if plain else quopri.encodestring(content))
