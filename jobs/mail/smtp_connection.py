"""Connections to the mail server that the settings name: `smtp://user:password@host:587?starttls=1` or `smtps://user:password@host`.

With starttls or smtps, a connection is encrypted to a host with a trusted certificate, or it fails. A password is never sent
unencrypted over a network.
"""

from __future__ import annotations

import base64
import smtplib
import socket
import ssl
from contextlib import suppress
from ipaddress import ip_address
from urllib.parse import parse_qs, unquote, urlsplit

MAX_ERROR_CHARS = 300
SMTP_PORT, SUBMISSION_PORT, SMTPS_PORT = 25, 587, 465
MASK = "***"


class RelayDownError(Exception):
    """The relay cannot be reached, is not trusted, refuses the login, or accepts no mail at present. Not the fault of the mail."""


class RelayConnector:
    """Connects to one relay and logs in."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._smtps = parts.scheme == "smtps"
        self._starttls = parse_qs(parts.query).get("starttls") == ["1"]
        self._port = parts.port or (SMTPS_PORT if self._smtps else SUBMISSION_PORT if self._starttls else SMTP_PORT)
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._plain_login = base64.b64encode(f"\0{self._user}\0{self._password}".encode()).decode()  # RFC 4616

    def connect(self, connect_s: float, answer_s: float) -> smtplib.SMTP:
        """Return a connection that is encrypted if the URL says so, and logged in.

        Connecting takes at most `connect_s`, the greeting included; each later answer at most `answer_s`. Raises RelayDownError.
        """
        if self._user and not (self._smtps or self._starttls or _is_loopback(self._host)):
            raise RelayDownError("the password would be sent unencrypted: use smtps://… or …?starttls=1")
        smtp = None
        try:
            smtp = self._open(connect_s)
            assert smtp.sock is not None
            smtp.sock.settimeout(answer_s)
            self._log_in(smtp)
        except (OSError, ValueError) as error:  # ValueError: not a host name
            if smtp is not None:
                smtp.close()
            raise RelayDownError(self.error_line(_describe(error))) from None
        return smtp

    def _open(self, timeout_s: float) -> smtplib.SMTP:
        if not self._smtps:
            return smtplib.SMTP(self._host, self._port, _local_name(), timeout_s)
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(self._host, self._port, _local_name(), timeout=timeout_s, context=context)

    def _log_in(self, smtp: smtplib.SMTP) -> None:
        if self._starttls:
            smtp.starttls(context=ssl.create_default_context())  # raises when the relay does not offer it
        smtp.ehlo_or_helo_if_needed()
        if self._user and (self._user + self._password).isascii():
            smtp.login(self._user, self._password)
        elif self._user:  # smtplib's login supports only ASCII
            code, text = smtp.docmd("AUTH", f"PLAIN {self._plain_login}")
            if code != 235:
                raise smtplib.SMTPAuthenticationError(code, text)

    def error_line(self, text: str) -> str:
        """Return `text` as one line of at most MAX_ERROR_CHARS, with the password masked in each form that is sent to the relay."""
        if self._password:
            login = base64.b64encode(self._password.encode()).decode()
            for secret in (self._plain_login, login, self._password):
                text = text.replace(secret, MASK)
        return " ".join(text.split())[:MAX_ERROR_CHARS]


def _describe(error: Exception) -> str:
    match error:
        case smtplib.SMTPAuthenticationError():
            return f"it refuses the login ({_answer(error)})"
        case smtplib.SMTPResponseException():
            return f"it is not ready ({_answer(error)})"
        case smtplib.SMTPException():
            return str(error)
        case socket.gaierror():
            return f"the name is not known ({error.strerror})"
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted ({error.verify_message})"
        case ssl.SSLError():
            return f"no TLS with it ({error.reason})"
    return f"it cannot be reached ({getattr(error, 'strerror', None) or error})"


def _answer(error: smtplib.SMTPResponseException) -> str:
    text = error.smtp_error
    return f"{error.smtp_code} {text.decode('utf-8', 'replace') if isinstance(text, bytes) else text}"


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


def _local_name() -> str:
    """Return the name for EHLO. smtplib's default queries name servers and waits for them."""
    name = socket.gethostname()
    return name if "." in name else "[127.0.0.1]"
