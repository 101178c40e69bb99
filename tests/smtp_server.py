"""A real mail server on a free port. Tests make it refuse mail, answer late, disconnect, and require a password or TLS."""

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

from tests.stores import free_port, program
from tests.waiting import LIMIT_S


class Mail(NamedTuple):
    """A mail that was accepted."""

    sender: str
    receivers: list[str]
    message: bytes
    connection: int  # its number: 1 for the first

    @property
    def parsed(self) -> EmailMessage:
        """The message, as a mail program reads it."""
        return email.message_from_bytes(self.message, policy=email.policy.default)


class Certificate:
    """A self-signed certificate for localhost; clients must trust the file `path`."""

    def __init__(self, folder: Path) -> None:
        self.path, self._key = folder / "certificate.pem", folder / "key.pem"
        new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost")
        names = ("-addext", "subjectAltName=DNS:localhost")
        files = ("-keyout", str(self._key), "-out", str(self.path))
        subprocess.run([program("openssl"), *new, *names, *files], check=True, capture_output=True)

    def context(self) -> ssl.SSLContext:
        """Return the server's TLS context."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path, self._key)
        return context


class SmtpServer:
    """Accepts mail, from everybody or after `login`, without encryption, after STARTTLS, or over TLS (`smtps`).

    `answers["RCPT"]` (or MAIL, DATA) has the next answers instead of 250; `refused` has the answers for receivers. After
    `open.clear()` it does not answer to messages until `open.set()`; `delay_s` delays these answers.
    """

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
        self.messages_to_cut = 0  # so many messages get no answer: the connection is cut instead
        self.max_mails_per_connection: int | None = None  # then 421
        self.closes_after_each = False
        self._login, self._certificate, self._smtps, self._smtputf8 = login, certificate, smtps, smtputf8
        self._connections: set[_Connection] = set()
        self._arrived = threading.Condition()
        self._controller: Controller | None = None

    @property
    def url(self) -> str:
        """The URL, without user and password."""
        host = f"localhost:{self.port}"
        return f"smtps://{host}" if self._smtps else f"smtp://{host}" + ("?starttls=1" if self._certificate else "")

    def start(self) -> SmtpServer:
        """Start it, on the same port again if it was stopped, and wait until it answers."""
        context = self._certificate.context() if self._certificate else None
        self._controller = _Controller(self, context if self._smtps else None, None if self._smtps else context)
        self._controller.start()
        self.connections = 0  # the controller's own was the first
        return self

    def stop(self) -> None:
        """Cut all connections and stop listening."""
        self.open.set()
        if self._controller is not None:
            self.cut()
            self._controller.stop()
            self._controller = None

    def cut(self) -> None:
        """Cut all connections, as a relay does when it restarts."""
        assert self._controller is not None
        asyncio.run_coroutine_threadsafe(self._cut(), self._controller.loop).result(LIMIT_S)

    async def _cut(self) -> None:
        for connection in list(self._connections):
            connection.abort()

    def wait(self, count: int) -> list[Mail]:
        """Wait for so many mails and return them."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.mails) >= count, LIMIT_S), f"{len(self.mails)} mails, not {count}"
        return self.mails

    # Called by aiosmtpd on the server's thread.

    def opened(self, connection: _Connection) -> int:
        """Count a new connection; return its number."""
        self._connections.add(connection)
        self.connections += 1
        return self.connections

    def closed(self, connection: _Connection) -> None:
        """Forget a connection."""
        self._connections.discard(connection)

    def authenticate(self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> AuthResult:
        """Check a login."""
        known = isinstance(data, LoginPassword) and (data.login.decode(), data.password.decode()) == self._login
        return AuthResult(success=known, handled=False)

    async def handle_MAIL(
        self, connection: _Connection, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Answer to MAIL."""
        if self._login and not session.authenticated:
            return "530 5.7.0 Authentication required"
        if self.max_mails_per_connection is not None and connection.accepted >= self.max_mails_per_connection:
            return "421 4.7.0 Too many mails on this connection"
        if self.answers["MAIL"]:
            return self.answers["MAIL"].popleft()
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(
        self, _connection: _Connection, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Answer to RCPT."""
        if address in self.refused:
            return self.refused[address]
        if self.answers["RCPT"]:
            return self.answers["RCPT"].popleft()
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, connection: _Connection, _session: Session, envelope: Envelope) -> str:
        """Answer to the content."""
        await asyncio.sleep(self.delay_s)
        if not self.open.is_set():
            await asyncio.to_thread(self.open.wait, LIMIT_S)
        if self.answers["DATA"]:
            return self.answers["DATA"].popleft()
        if self.messages_to_cut:
            self.messages_to_cut -= 1
            connection.abort()
            return "250 OK"  # does not reach the client
        connection.accepted += 1
        connection.closing = self.closes_after_each
        assert isinstance(envelope.content, bytes)
        with self._arrived:
            self.mails.append(Mail(envelope.mail_from or "", envelope.rcpt_tos, envelope.content, connection.number))
            self._arrived.notify_all()
        return "250 OK"


class _Connection(SMTP):
    """One connection."""

    number = 0
    accepted = 0
    closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._original_transport is None:  # otherwise the same connection, after STARTTLS
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
        """Cut the connection."""
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
        return _Connection(self.handler, loop=self.loop, **self._options)
