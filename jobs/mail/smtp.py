"""Send mails to the relay, the mail server that delivers them (RFC 5321).

Besides success there are three outcomes, which the caller must treat differently: the mail is refused permanently, it may be
accepted later, or the relay itself cannot be used. A connection is kept for a burst of mails: opening one costs more than a mail.
"""

from __future__ import annotations

import re
import smtplib
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from jobs.mail.compose import ComposedMail
from jobs.mail.headers import envelope_address
from jobs.mail.smtp_connection import RelayConnector, RelayDownError

__all__ = ["MailDeferredError", "MailRefusedError", "RelayDownError", "SmtpTransport"]

CONNECT_TIMEOUT_S = 10.0  # for each of the host's addresses, and for the greeting, which some relays delay by 6 s
ANSWER_TIMEOUT_S = 30.0  # a relay that scans a mail before it answers needs 4 s and more
QUIT_TIMEOUT_S = 2.0  # nothing depends on the answer to QUIT
IDLE_S = 10.0  # relays close idle connections; RFC 5321 requires them to wait for 5 minutes, and few do
CLOSING = 421  # RFC 5321 3.8: the relay closes this connection
LOGIN_CODES = frozenset({530, 534, 535, 538})  # RFC 4954 6: the login is missing or wrong; not the fault of the mail

MEANS_LATER = re.compile(r"\b5\.(2\.2|4\.5|7\.0) ")  # RFC 3463: a mailbox is full, a quota or rate is used up


class MailRefusedError(Exception):
    """The relay will never accept this mail: its sender, receiver or content was refused permanently (RFC 5321 4.2.1), or the relay
    does not support its address."""


class MailDeferredError(Exception):
    """The relay did not accept this mail now; or the connection was lost in the middle, and it may have accepted it."""


class _ConnectionLostError(MailDeferredError):
    """The connection was lost in the middle of a mail."""


class SmtpTransport:
    """The relay at a URL (see `jobs.mail.smtp_connection`), for one thread at a time. The text of each error is one line with the
    relay's code and text, and without the password."""

    def __init__(self, url: str) -> None:
        self._connector = RelayConnector(url)
        self._smtp: smtplib.SMTP | None = None
        self._used_at = 0.0

    def send(self, sender: str, receiver: str, mail: ComposedMail) -> None:
        """Send a mail over the kept connection or a new one. Returns when the relay has accepted it.

        Raises MailRefusedError, MailDeferredError or RelayDownError.
        """
        is_reused = self._smtp is not None
        try:
            smtp = self._begin(sender, receiver, mail)
        except (_ConnectionLostError, RelayDownError):
            if not is_reused:
                raise
            smtp = self._begin(sender, receiver, mail)  # the relay had closed it and does not know the mail
        content = re.sub(rb"^\.", b"..", mail.message, flags=re.MULTILINE)  # RFC 5321 4.5.2

        def send_content() -> tuple[int, bytes]:
            smtp.send(content + b".\r\n")
            return smtp.getreply()

        self._command(send_content, 250)
        self._used_at = time.monotonic()

    def _begin(self, sender: str, receiver: str, mail: ComposedMail) -> smtplib.SMTP:
        """Send MAIL, RCPT and DATA; the relay waits for the content then."""
        try:
            sender, receiver = envelope_address(sender), envelope_address(receiver)
        except ValueError as error:
            raise MailRefusedError(str(error)) from None
        if self._smtp is None:
            self._smtp = self._connector.connect(CONNECT_TIMEOUT_S, ANSWER_TIMEOUT_S)
        smtp = self._smtp
        if mail.smtputf8 and not smtp.has_extn("smtputf8"):
            raise MailRefusedError("the relay accepts only ASCII before the @ of an address (it does not offer SMTPUTF8)")
        smtp.command_encoding = "utf-8" if mail.smtputf8 else "ascii"
        options = " SMTPUTF8 BODY=8BITMIME" if mail.smtputf8 else ""
        self._command(lambda: smtp.docmd("MAIL", f"FROM:<{sender}>{options}"), 250)
        self._command(lambda: smtp.docmd("RCPT", f"TO:<{receiver}>"), 250, 251)
        self._command(lambda: smtp.docmd("DATA"), 354)
        return smtp

    def _command(self, command: Callable[[], tuple[int, bytes]], *expected: int) -> None:
        try:
            code, text = command()
        except OSError as error:  # smtplib's errors are OSErrors
            self._drop()
            raise _ConnectionLostError(self._connector.error_line(f"the connection was lost in the middle: {error}")) from None
        if code not in expected:
            self._refuse(code, self._connector.error_line(f"{code} {text.decode('utf-8', 'replace')}"))

    def _refuse(self, code: int, line: str) -> NoReturn:
        if code == CLOSING or not 400 <= code < 600:
            self._drop()
            raise RelayDownError(line)
        self._reset()
        if code in LOGIN_CODES:
            raise RelayDownError(line)
        raise (MailDeferredError if code < 500 or MEANS_LATER.search(line) else MailRefusedError)(line)

    def _reset(self) -> None:
        """Make the connection usable for the next mail, or close it."""
        try:
            usable = self._smtp is not None and self._smtp.docmd("RSET")[0] == 250
        except OSError:
            usable = False
        if not usable:
            self._drop()
        self._used_at = time.monotonic()

    def close_if_idle(self) -> None:
        """Close the connection if it has been unused for IDLE_S."""
        if self._smtp is not None and time.monotonic() - self._used_at >= IDLE_S:
            self.close()

    def close(self) -> None:
        """Send QUIT and close the connection; errors are ignored."""
        smtp, self._smtp = self._smtp, None
        if smtp is not None:
            _quit(smtp)

    def _drop(self) -> None:
        smtp, self._smtp = self._smtp, None
        if smtp is not None:
            smtp.close()

    def check(self, limit_s: float) -> None:
        """Connect, log in and quit without sending a mail; each step takes at most `limit_s`. Raises RelayDownError."""
        smtp = self._connector.connect(limit_s, limit_s)
        try:
            code, text = smtp.noop()
        except OSError as error:
            raise RelayDownError(self._connector.error_line(f"the connection was lost: {error}")) from None
        finally:
            _quit(smtp)
        if code != 250:
            raise RelayDownError(self._connector.error_line(f"{code} {text.decode('utf-8', 'replace')}"))


def _quit(smtp: smtplib.SMTP) -> None:
    with suppress(OSError):
        if smtp.sock is not None:
            smtp.sock.settimeout(QUIT_TIMEOUT_S)
        smtp.quit()
    smtp.close()
