"""Compose mails: from a kind of mail and its data to the bytes that go to the relay, in plain text and HTML.

Each kind has two templates in `templates/`, inside a layout for all: `KIND.txt` and `KIND.html`. They have no words: these are in
`words/`, one file a language. Nothing in a mail is random or of the moment: the same content is the same bytes at each attempt.
Before each attempt, jobs/mail/recheck.py leaves out of the content what was read since.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Any, NamedTuple

import css_inline
from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from jobs.mail import headers, languages, translation
from jobs.mail.headers import HeaderClasses
from jobs.mail.languages import Language
from jobs.mail.quoting import linkable, unlinked
from models.notices import host_types
from models.notices.host_types import HOST
from models.notices.pending_mail import DIGEST, SINGLE
from models.notices.preference import TYPES

TEMPLATES = Path(__file__).with_name("templates")
CONTENT = "[content]"  # the layout's placeholder for the template of a kind
CODE_VALID_MINUTES = 10
MAX_LINE_BYTES = 998  # RFC 5322 2.1.1
BOLD, LINK = Markup('<b dir="auto">{}</b>'), Markup('<a href="{0}">{0}</a>')
KINDS = ("signup_code", "login_code", "address_known", "test", "account", SINGLE, DIGEST)
CODES = frozenset({"signup_code", "login_code", "test"})  # kinds that a person has requested; they have no unsubscribe link

POLICY = SMTP.clone(header_factory=HeaderClasses())  # lines end in CRLF
UTF8_POLICY = POLICY.clone(utf8=True)  # headers in UTF-8 (RFC 6532)


class ComposedMail(NamedTuple):
    """A mail as it goes to the relay."""

    message: bytes  # ready for the DATA command, except that its leading dots are not doubled
    subject: str  # decoded, for people
    smtputf8: bool  # the relay must support SMTPUTF8 (RFC 6531): the local part of an address is not ASCII


class TemplatePair(NamedTuple):
    """The two templates of a kind of mail."""

    text: Template
    html: Template


class Composer:
    """Composes mails from one sender, `Name <a@b>` or `a@b`, about the installation at `base_url`. One per process serves all
    threads. Raises ValueError when the sender is not a mail address."""

    def __init__(self, sender: str, base_url: str) -> None:
        self._sender = headers.envelope_address(sender)
        self._from = POLICY.header_factory("From", headers.mailbox(headers.split_sender(sender)[0], self._sender))
        self._base_url = headers.ascii_url(base_url)
        self._templates: dict[str, TemplatePair] = {}

    def compose(
        self,
        kind: str,
        address: str,
        name: str,
        data: Mapping[str, Any],
        message_id: str,
        at_ms: int,
        unsubscribe_url: str | None,
        locale: str | None = None,
    ) -> ComposedMail:
        """Compose a mail to `name` at `address`, dated `at_ms` (Unix time), in the language of a locale such as `de-AT`.

        `data` has for signup_code: code and username; login_code: code; address_known: username or nothing; test: nothing;
        account: title and body (text, may have several lines); notification and digest: items (each as in
        jobs/mail/translation.py, with its path or url) and more (the number of items left out). `unsubscribe_url` accepts a POST
        (RFC 8058); CODES go without it.

        Raises ValueError when the address is not a mail address, KeyError for an unknown kind or missing items or title,
        jinja2.UndefinedError when other data is missing.
        """
        receiver = headers.envelope_address(address)
        language = languages.of(locale)
        texts = _worded(kind, self._linked(_clean(data)), language)
        subject = texts["subject"]
        link = headers.ascii_url(unsubscribe_url) if unsubscribe_url and kind not in CODES else None
        smtputf8 = not (receiver + self._sender).isascii()
        message = EmailMessage(UTF8_POLICY if smtputf8 else POLICY)
        message["Date"] = format_datetime(datetime.fromtimestamp(at_ms / 1000, UTC))
        message["From"] = self._from
        message["To"] = headers.mailbox(name, receiver)
        message["Subject"] = subject
        message["Message-ID"] = headers.one_line(message_id)
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation notice answers it
        if link:
            self._add_list_headers(message, link)
        context = {"kinds": ""} | texts | {"name": unlinked(headers.one_line(name)), "unsubscribe_url": link}
        _add_bodies(message, *self._render(kind, context, language), message_id)
        return ComposedMail(message.as_bytes(), subject, smtputf8)

    def _linked(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return the data with the address that each item leads to: its own, or a path of this installation."""
        if "items" not in data:
            return data
        items = []
        for item in data["items"]:
            url = item.get("url") or f"/{item['path']}"
            items.append({**item, "link": headers.ascii_url(self._base_url + url if url.startswith("/") else url)})
        return {**data, "items": items}

    def _add_list_headers(self, message: EmailMessage, link: str) -> None:
        message["List-Id"] = f"<bellwire.{self._sender.rpartition('@')[2]}>"  # RFC 2919
        message["List-Unsubscribe"] = f"<{link}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"

    def _render(self, kind: str, context: Mapping[str, Any], language: Language) -> tuple[str, str]:
        """Return the plain text and the HTML."""
        templates = self._templates.get(kind)
        if templates is None:
            templates = self._templates[kind] = _compile(kind)
        constants = {"base_url": self._base_url, "valid_minutes": CODE_VALID_MINUTES, "language": language}
        text = templates.text.render(context, t=language.text, greeting=_greeting(language.text, context), **constants)
        html = templates.html.render(
            context, t=language.html, greeting=_greeting(language.html, context), bold=BOLD.format, link=LINK.format, **constants
        )
        return text, html


def type_name(language: Language, notification_type: str) -> str:
    """Return the name of a type of notifications that people know it by."""
    is_own = notification_type in (*TYPES, HOST)
    return language.text(f"type.{notification_type}") if is_own else host_types.label(notification_type)


def _greeting(t: Callable[..., str], context: Mapping[str, Any]) -> str:
    return t("layout.greeting", name=context["name"]) if context["name"] else t("layout.greeting_nameless")


def _worded(kind: str, texts: Mapping[str, Any], language: Language) -> dict[str, Any]:
    """Return the data with its texts in a language, and the subject."""
    if kind == "account":
        title, body = translation.account(language, texts["title"], texts["body"])
        return {"subject": title, "body": body}
    if kind not in (SINGLE, DIGEST):
        return {**texts, "subject": language.text(f"{kind}.subject")}
    items = [
        dict(item, **dict(zip(("title", "body"), translation.notification(language, item), strict=True))) for item in texts["items"]
    ]
    count = len(items) + texts["more"]
    subject = linkable(items[0]["title"]) if count == 1 else language.text("digest.subject", n=count)
    kinds = ", ".join(type_name(language, type_) for type_ in sorted({item["type"] for item in items}))
    return {"subject": subject, "items": items, "more": texts["more"], "kinds": kinds}


def _add_bodies(message: EmailMessage, text: str, html: str, message_id: str) -> None:
    """Add the bodies as multipart/alternative, the richest last (RFC 2046 5.1.4).

    The boundary is derived from the Message-ID: it is the same at each attempt, and no author of a text knows it.
    """
    boundary = "=_" + hashlib.sha256(message_id.encode()).hexdigest()[:32]
    message["MIME-Version"] = "1.0"
    message.make_alternative(boundary=boundary)
    message.add_alternative(text, cte=_transfer_encoding(text))
    message.add_alternative(html, subtype="html", cte=_transfer_encoding(html))


def _transfer_encoding(body: str) -> str:
    """Return 7bit for short lines of ASCII, else quoted-printable, which people can read better than base64."""
    short = all(len(line) <= MAX_LINE_BYTES for line in body.splitlines())
    return "7bit" if short and body.isascii() else "quoted-printable"


def _compile(kind: str) -> TemplatePair:
    """Compile the templates of a kind inside their layouts.

    Styles are inlined into the template and not into each mail, which would take ten times as long. css-inline copies the braces
    of the template as text.
    """
    options: dict[str, Any] = {"undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    inliner = css_inline.CSSInliner(load_remote_stylesheets=False)
    plain = Environment(autoescape=False, **options)  # noqa: S701 - for text, not HTML
    html = Environment(autoescape=True, **options)
    return TemplatePair(plain.from_string(_source(kind, "txt")), html.from_string(inliner.inline(_source(kind, "html"))))


def _source(kind: str, suffix: str) -> str:
    layout = (TEMPLATES / f"layout.{suffix}").read_text("utf-8")
    return layout.replace(CONTENT, (TEMPLATES / f"{kind}.{suffix}").read_text("utf-8"))


def _clean(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data with each text on one line, except for bodies."""
    return {key: _clean_value(key, value) for key, value in data.items()}


def _clean_value(key: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_clean(item) if isinstance(item, Mapping) else item for item in value]
    if key == "username":
        return unlinked(headers.one_line(value))
    if isinstance(value, str):
        return _clean_lines(value) if key == "body" else headers.one_line(value)
    return value


def _clean_lines(text: str) -> str:
    return "\n".join(map(headers.one_line, text.splitlines())).strip()
