"""A server that speaks S3 (moto's) on a free port, and servers that fail as one may."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.waiting import LIMIT_S

KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "a-secret-of-tests"}
SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/s3/aws4_request"}  # as much as moto reads
HEAD_END = b"\r\n\r\n"


class S3Server:
    """moto's server, in a thread of the tests' process: other processes use it, too."""

    def __init__(self) -> None:
        self._server = _moto()
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.endpoint = f"http://{host}:{port}"
        self._numbers = itertools.count()
        os.environ.update(KEYS)  # processes that tests start have them from here

    def new_bucket(self) -> str:
        """Create an empty bucket. Return the setting that names a prefix in it."""
        name = f"files-{next(self._numbers)}"
        httpx.put(f"{self.endpoint}/{name}", headers=SIGNED, trust_env=False, timeout=LIMIT_S).raise_for_status()
        return url_of(self.endpoint, name)

    def stop(self) -> None:
        """End it."""
        self._server.stop()


def _moto() -> Any:
    """moto's server. If it is missing, skip the test; under CI=true, fail it."""
    try:
        from moto.server import ThreadedMotoServer
    except ImportError:
        if os.environ.get("CI") == "true":
            pytest.fail("moto is not installed", pytrace=False)
        pytest.skip("moto is not installed")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    return ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)


def url_of(endpoint: str, name: str = "files-bucket") -> str:
    """The setting that names a bucket of a server."""
    return f"s3://{name}/some/prefix?endpoint={endpoint}&region=us-east-1"


@contextmanager
def failing_server(answer: bytes | None) -> Iterator[str]:
    """A server that reads each request and sends `answer`, after which it closes the connection; None: it stays silent. Yields its
    endpoint."""
    listener = socket.create_server(("127.0.0.1", 0))
    accepted: list[socket.socket] = []

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                accepted.append(connection)
                if answer is not None:
                    threading.Thread(target=_answer, args=(connection, answer), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        for each in (listener, *accepted):
            each.close()


def _answer(connection: socket.socket, answer: bytes) -> None:
    with contextlib.suppress(OSError), connection:
        received = b""
        while HEAD_END not in received:
            received += connection.recv(65536)
        head, _, body = received.partition(HEAD_END)
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        left = int(fields.get(b"content-length", b"0")) - len(body)
        while left > 0:
            left -= len(connection.recv(65536)) or left
        connection.sendall(answer)


def refusal(status: str, code: str) -> bytes:
    """An answer of S3 with an error."""
    body = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
    return f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
