"""Links to the mail server as the settings name it: `smtp://user:password@host:587?starttls=1` or `smtps://user:password@host`.

A link that is to be encrypted is so, to a host whose certificate is trusted, or there is none; a password never goes unencrypted
over a network.
"""

from __future__ import annotations

import base64
import smtplib
import socket
import ssl
from contextlib import suppress
from ipaddress import ip_address
from urllib.parse import parse_qs, unquote, urlsplit

ERROR_CHARS = 300
PORT, SUBMISSION_PORT, SMTPS_PORT = 25, 587, 465
MASK = "***"


class RelayDownError(Exception):
    """The relay can't be reached, is not to be trusted, refuses the login, or takes nothing at present, whatever the mail."""


class RelayConnector:
    """What it takes to reach one relay and to log in there."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._smtps = parts.scheme == "smtps"
        self._starttls = parse_qs(parts.query).get("starttls") == ["1"]
        self._port = parts.port or (SMTPS_PORT if self._smtps else SUBMISSION_PORT if self._starttls else PORT)
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._plain_login = base64.b64encode(f"\0{self._user}\0{self._password}".encode()).decode()  # RFC 4616

    def connected(self, connect_s: float, answer_s: float) -> smtplib.SMTP:
        """A connection that is encrypted if it is to be, and logged in. Making it, the greeting included, and then each answer
        take at most so many seconds; so do later ones. Raises RelayDownError."""
        if self._user and not (self._smtps or self._starttls or _is_loopback(self._host)):
            raise RelayDownError("the password would be sent unencrypted: use smtps://… or …?starttls=1")
        smtp = None
        try:
            smtp = self._greeted(connect_s)
            assert smtp.sock is not None
            smtp.sock.settimeout(answer_s)
            self._log_in(smtp)
        except (OSError, ValueError) as error:  # ValueError: a host that can't be one
            if smtp is not None:
                smtp.close()
            raise RelayDownError(self.line(self._why(error))) from None
        return smtp

    def _greeted(self, timeout_s: float) -> smtplib.SMTP:
        if not self._smtps:
            return smtplib.SMTP(self._host, self._port, _own_name(), timeout_s)
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(self._host, self._port, _own_name(), timeout=timeout_s, context=context)

    def _log_in(self, smtp: smtplib.SMTP) -> None:
        if self._starttls:
            smtp.starttls(context=ssl.create_default_context())  # raises when it is not offered: never without
        smtp.ehlo_or_helo_if_needed()
        if self._user and (self._user + self._password).isascii():
            smtp.login(self._user, self._password)
        elif self._user:  # smtplib's login knows ASCII alone
            code, words = smtp.docmd("AUTH", f"PLAIN {self._plain_login}")
            if code != 235:
                raise smtplib.SMTPAuthenticationError(code, words)

    def _why(self, error: Exception) -> str:
        match error:
            case smtplib.SMTPAuthenticationError():
                return f"it refuses the login ({_said(error)})"
            case smtplib.SMTPResponseException():
                return f"it is not ready ({_said(error)})"
            case smtplib.SMTPException():
                return str(error)
            case socket.gaierror():
                return f"the name is not known ({error.strerror})"
            case ssl.SSLCertVerificationError():
                return f"its certificate is not trusted ({error.verify_message})"
            case ssl.SSLError():
                return f"no TLS with it ({error.reason})"
        return f"it can't be reached ({getattr(error, 'strerror', None) or error})"

    def line(self, text: str) -> str:
        """`text` as one line of at most ERROR_CHARS, without the password in any of the shapes in which it goes to the relay and
        may come back."""
        if self._password:
            login = base64.b64encode(self._password.encode()).decode()
            for secret in (self._plain_login, login, self._password):
                text = text.replace(secret, MASK)
        return " ".join(text.split())[:ERROR_CHARS]


def _said(error: smtplib.SMTPResponseException) -> str:
    words = error.smtp_error
    return f"{error.smtp_code} {words.decode('utf-8', 'replace') if isinstance(words, bytes) else words}"


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


def _own_name() -> str:
    """What EHLO says of us. Not what smtplib would find out, which asks the name servers, and waits for them."""
    name = socket.gethostname()
    return name if "." in name else "[127.0.0.1]"
