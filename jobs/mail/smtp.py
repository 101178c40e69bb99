"""Handing letters to the mail server that takes them for everybody (RFC 5321), for the thread that sends them.

Three outcomes besides success, which the sender must treat differently: the mail is refused for good, it may go another time, or
the relay itself is not to be had. One connection is kept for a burst, since making one costs more than a letter.
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

CONNECT_TIMEOUT_S = 10.0  # for each of the host's addresses, and for the greeting, which some hold back for 6 s
ANSWER_TIMEOUT_S = 30.0  # a relay that looks through a mail before it answers takes 4 s and more
QUIT_TIMEOUT_S = 2.0  # nothing depends on how QUIT is answered
IDLE_S = 10.0  # a relay cuts idle connections sooner or later; RFC 5321 asks it to wait for 5 minutes, and few do
CLOSING = 421  # RFC 5321 3.8: the relay takes no more on this connection
LOGIN_CODES = frozenset({530, 534, 535, 538})  # RFC 4954 6: it is the login that is wanting, whatever the mail


class MailRefusedError(Exception):
    """This mail will never be taken: its sender, receiver or content was refused for good (RFC 5321 4.2.1), or the relay can't
    transport its address."""


class MailDeferredError(Exception):
    """This mail was not taken now; or the line was cut in the middle of it, and it may have been taken."""


class _LineCutError(MailDeferredError):
    """The relay went away in the middle of a mail."""


class SmtpTransport:
    """The mail server at a URL (see `jobs.mail.smtp_connection`). Used by one thread at a time. The text of each error is one
    line with the
    relay's code and words, and without the password."""

    def __init__(self, url: str) -> None:
        self._link = RelayConnector(url)
        self._smtp: smtplib.SMTP | None = None
        self._used_at = 0.0

    def send(self, sender: str, receiver: str, letter: ComposedMail) -> None:
        """Has the relay take a letter, over the kept connection or a new one. Returns when it has taken responsibility for it.
        Raises MailRefusedError, MailDeferredError or RelayDownError."""
        kept = self._smtp is not None
        try:
            smtp = self._announce(sender, receiver, letter)
        except (_LineCutError, RelayDownError):
            if not kept:
                raise
            smtp = self._announce(sender, receiver, letter)  # it was closed meanwhile, and knows nothing of the letter
        dots = re.sub(rb"^\.", b"..", letter.message, flags=re.MULTILINE)  # RFC 5321 4.5.2

        def hand_over() -> tuple[int, bytes]:
            smtp.send(dots + b".\r\n")
            return smtp.getreply()

        self._ask(hand_over, 250)
        self._used_at = time.monotonic()

    def _announce(self, sender: str, receiver: str, letter: ComposedMail) -> smtplib.SMTP:
        """MAIL, RCPT and DATA, after which the relay waits for the letter."""
        try:
            sender, receiver = envelope_address(sender), envelope_address(receiver)
        except ValueError as error:
            raise MailRefusedError(str(error)) from None
        if self._smtp is None:
            self._smtp = self._link.connected(CONNECT_TIMEOUT_S, ANSWER_TIMEOUT_S)
        smtp = self._smtp
        if letter.smtputf8 and not smtp.has_extn("smtputf8"):
            raise MailRefusedError("the relay takes only ASCII letters before the @ of an address (it offers no SMTPUTF8)")
        smtp.command_encoding = "utf-8" if letter.smtputf8 else "ascii"
        options = " SMTPUTF8 BODY=8BITMIME" if letter.smtputf8 else ""
        self._ask(lambda: smtp.docmd("MAIL", f"FROM:<{sender}>{options}"), 250)
        self._ask(lambda: smtp.docmd("RCPT", f"TO:<{receiver}>"), 250, 251)
        self._ask(lambda: smtp.docmd("DATA"), 354)
        return smtp

    def _ask(self, command: Callable[[], tuple[int, bytes]], *wanted: int) -> None:
        try:
            code, words = command()
        except OSError as error:  # as are smtplib's
            self._drop()
            raise _LineCutError(self._link.line(f"the relay went away in the middle: {error}")) from None
        if code not in wanted:
            self._refuse(code, self._link.line(f"{code} {words.decode('utf-8', 'replace')}"))

    def _refuse(self, code: int, line: str) -> NoReturn:
        if code == CLOSING or not 400 <= code < 600:
            self._drop()
            raise RelayDownError(line)
        self._reset()
        if code in LOGIN_CODES:
            raise RelayDownError(line)
        raise (MailRefusedError if code >= 500 else MailDeferredError)(line)

    def _reset(self) -> None:
        """Makes the connection fit for the next letter, or drops it."""
        try:
            usable = self._smtp is not None and self._smtp.docmd("RSET")[0] == 250
        except OSError:
            usable = False
        if not usable:
            self._drop()
        self._used_at = time.monotonic()

    def close_if_idle(self) -> None:
        """Closes a connection that nothing was sent over for IDLE_S."""
        if self._smtp is not None and time.monotonic() - self._used_at >= IDLE_S:
            self.close()

    def close(self) -> None:
        """Takes leave of the relay, whatever it says."""
        smtp, self._smtp = self._smtp, None
        if smtp is not None:
            _leave(smtp)

    def _drop(self) -> None:
        smtp, self._smtp = self._smtp, None
        if smtp is not None:
            smtp.close()

    def check(self, limit_s: float) -> None:
        """Connects, logs in and takes leave again; nothing is sent, and each step takes at most `limit_s`. Raises
        RelayDownError."""
        smtp = self._link.connected(limit_s, limit_s)
        try:
            code, words = smtp.noop()
        except OSError as error:
            raise RelayDownError(self._link.line(f"it went away: {error}")) from None
        finally:
            _leave(smtp)
        if code != 250:
            raise RelayDownError(self._link.line(f"{code} {words.decode('utf-8', 'replace')}"))


def _leave(smtp: smtplib.SMTP) -> None:
    with suppress(OSError):
        if smtp.sock is not None:
            smtp.sock.settimeout(QUIT_TIMEOUT_S)
        smtp.quit()
    smtp.close()
