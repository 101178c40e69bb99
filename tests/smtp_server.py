"""A real mail server on a free port, which tests have refuse, dawdle, go away, and ask for passwords and TLS."""

from __future__ import annotations

import asyncio
import email
import email.policy
import ssl
import subprocess
import threading
from collections import defaultdict, deque
from email.message import EmailMessage
from pathlib import Path
from typing import Any, NamedTuple

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.stores import LIMIT_S, free_port, program


class Mail(NamedTuple):
    """A mail that was accepted."""

    sender: str
    receivers: list[str]
    message: bytes
    connection: int  # the how-many-eth it came over

    @property
    def parsed(self) -> EmailMessage:
        """The message, as a mail program reads it."""
        return email.message_from_bytes(self.message, policy=email.policy.default)


class Certificate:
    """A certificate of localhost that signs itself; `path` is what to trust."""

    def __init__(self, folder: Path) -> None:
        self.path, self._key = folder / "certificate.pem", folder / "key.pem"
        new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost")
        names = ("-addext", "subjectAltName=DNS:localhost")
        files = ("-keyout", str(self._key), "-out", str(self.path))
        subprocess.run([program("openssl"), *new, *names, *files], check=True, capture_output=True)

    def context(self) -> ssl.SSLContext:
        """For the server."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path, self._key)
        return context


class SmtpServer:
    """Takes mail from anybody, or from whoever knows `login`, over plain text, after STARTTLS, or over TLS (`smtps`).

    `answers["RCPT"]` has what is said to the next MAIL, RCPT or message (DATA) instead of 250; `refused` what is always said of a
    receiver. `open` held shut (`open.clear()`) keeps it from answering to messages, `delay_s` has it take so long."""

    def __init__(
        self,
        certificate: Certificate | None = None,
        *,
        smtps: bool = False,
        login: tuple[str, str] | None = None,
        smtputf8: bool = True,
    ) -> None:
        self.port = free_port()
        self.mails: list[Mail] = []
        self.connections = 0
        self.answers: dict[str, deque[str]] = defaultdict(deque)
        self.refused: dict[str, str] = {}
        self.open = threading.Event()
        self.open.set()
        self.delay_s = 0.0
        self.cuts = 0  # of how many messages to come the answer is withheld and the line cut
        self.takes: int | None = None  # mails a connection; then 421
        self.closes = False  # after each mail
        self._login, self._certificate, self._smtps, self._smtputf8 = login, certificate, smtps, smtputf8
        self._lines: set[_Line] = set()
        self._arrived = threading.Condition()
        self._controller: Controller | None = None

    @property
    def url(self) -> str:
        """Its URL, without user and password."""
        host = f"localhost:{self.port}"
        return f"smtps://{host}" if self._smtps else f"smtp://{host}" + ("?starttls=1" if self._certificate else "")

    def start(self) -> SmtpServer:
        """Starts it, again on the same port if it was stopped, and waits until it answers."""
        context = self._certificate.context() if self._certificate else None
        self._controller = _Controller(self, context if self._smtps else None, None if self._smtps else context)
        self._controller.start()
        self.connections = 0  # the controller's own was the first
        return self

    def stop(self) -> None:
        """Cuts every line and listens no more."""
        self.open.set()
        if self._controller is not None:
            self.cut()
            self._controller.stop()
            self._controller = None

    def cut(self) -> None:
        """Cuts every line, as a relay does that is restarted."""
        assert self._controller is not None
        asyncio.run_coroutine_threadsafe(self._cut(), self._controller.loop).result(LIMIT_S)

    async def _cut(self) -> None:
        for line in list(self._lines):
            line.abort()

    def wait(self, count: int) -> list[Mail]:
        """The mails, as soon as there are so many."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.mails) >= count, LIMIT_S), f"{len(self.mails)} mails, not {count}"
        return self.mails

    # What the server asks, on its own thread.

    def opened(self, line: _Line) -> int:
        """A connection begins; the number that it has."""
        self._lines.add(line)
        self.connections += 1
        return self.connections

    def closed(self, line: _Line) -> None:
        """A connection is over."""
        self._lines.discard(line)

    def authenticate(self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> AuthResult:
        """Whether somebody may log in."""
        known = isinstance(data, LoginPassword) and (data.login.decode(), data.password.decode()) == self._login
        return AuthResult(success=known, handled=False)

    async def handle_MAIL(self, line: _Line, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        """A mail begins."""
        if self._login and not session.authenticated:
            return "530 5.7.0 Authentication required"
        if self.takes is not None and line.taken >= self.takes:
            return "421 4.7.0 Too many mails on this connection"
        if self.answers["MAIL"]:
            return self.answers["MAIL"].popleft()
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(self, _line: _Line, _session: Session, envelope: Envelope, address: str, _options: list[str]) -> str:
        """It has a receiver."""
        if address in self.refused:
            return self.refused[address]
        if self.answers["RCPT"]:
            return self.answers["RCPT"].popleft()
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, line: _Line, _session: Session, envelope: Envelope) -> str:
        """It is there."""
        await asyncio.sleep(self.delay_s)
        if not self.open.is_set():
            await asyncio.to_thread(self.open.wait, LIMIT_S)
        if self.answers["DATA"]:
            return self.answers["DATA"].popleft()
        if self.cuts:
            self.cuts -= 1
            line.abort()
            return "250 OK"  # which goes nowhere
        line.taken += 1
        line.closing = self.closes
        assert isinstance(envelope.content, bytes)
        with self._arrived:
            self.mails.append(Mail(envelope.mail_from or "", envelope.rcpt_tos, envelope.content, line.number))
            self._arrived.notify_all()
        return "250 OK"


class _Line(SMTP):
    """One connection."""

    number = 0
    taken = 0
    closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._original_transport is None:  # else it is the same one, after STARTTLS
            self.number = self.event_handler.opened(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.event_handler.closed(self)
        super().connection_lost(error)

    async def push(self, status: Any) -> None:
        await super().push(status)
        if (self.closing or str(status).startswith("421")) and self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """Cuts it."""
        transport = self._original_transport or self.transport
        if transport is not None:
            transport.abort()  # type: ignore[attr-defined]


class _Controller(Controller):
    def __init__(self, server: SmtpServer, outer: ssl.SSLContext | None, inner: ssl.SSLContext | None) -> None:
        self._options: dict[str, Any] = {
            "tls_context": inner,
            "require_starttls": inner is not None,
            "auth_require_tls": inner is not None,
            "authenticator": server.authenticate,
            "enable_SMTPUTF8": server._smtputf8,
            "hostname": "relay.test",
        }
        super().__init__(server, "127.0.0.1", server.port, ssl_context=outer)

    def factory(self) -> SMTP:
        return _Line(self.handler, loop=self.loop, **self._options)
