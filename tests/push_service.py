"""A push service and its browsers, for tests: it answers as it is told to, and the browsers decrypt what they get.

The receiving side of RFC 8291 is written here with primitives, not with the library that encrypts.
"""

from __future__ import annotations

import base64
import json
import struct
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import jwt
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

MAX_BODY_BYTES = 4_096  # RFC 8030, section 7.2


def base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def bytes_of(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def point_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _mac(key: bytes, data: bytes) -> bytes:
    made = hmac.HMAC(key, hashes.SHA256())
    made.update(data)
    return made.finalize()


class Received(NamedTuple):
    """A push: the path of its subscription, its headers with lower-case names, and the encrypted body."""

    path: str
    headers: dict[str, str]
    body: bytes


class Browser:
    """A browser with one subscription."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.auth = b"0123456789abcdef"

    @property
    def keys(self) -> dict[str, str]:
        """The keys as the browser's PushSubscription has them."""
        return {"p256dh": base64url(point_of(self.key)), "auth": base64url(self.auth)}

    def read(self, body: bytes) -> dict[str, Any]:
        """Decrypt a push of one record (RFC 8291, section 3.4; RFC 8188, section 2)."""
        salt, size, id_length = body[:16], *struct.unpack("!LB", body[16:21])
        sender, sealed = body[21 : 21 + id_length], body[21 + id_length :]
        assert len(body) <= MAX_BODY_BYTES
        assert len(sealed) <= size
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender)
        secret = _mac(self.auth, self.key.exchange(ec.ECDH(), public))
        seed = _mac(salt, _mac(secret, b"WebPush: info\0" + point_of(self.key) + sender + b"\x01"))
        key = _mac(seed, b"Content-Encoding: aes128gcm\0\x01")[:16]
        nonce = _mac(seed, b"Content-Encoding: nonce\0\x01")[:12]
        record = AESGCM(key).decrypt(nonce, sealed, None).rstrip(b"\0")
        assert record.endswith(b"\x02")  # the last record
        return dict(json.loads(record[:-1]))


class PushServer:
    """An HTTP server on a free port. `answer(push)` returns the status, perhaps with headers, or None to leave it without one."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answer: Callable[[Received], int | tuple[int, dict[str, str]] | None] = lambda push: 201
        self.released = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def origin(self) -> str:
        """The `aud` of tokens for this service."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def browser(self, name: str = "1") -> Browser:
        """A browser that has subscribed. The address is as that of a UnifiedPush distributor."""
        return Browser(f"{self.origin}/up{name}?up=1&of=%2F")

    def of(self, browser: Browser) -> list[dict[str, Any]]:
        """The payloads that a browser has received, in order."""
        return [browser.read(push.body) for push in list(self.received) if browser.endpoint == self.origin + push.path]

    def stop(self) -> None:
        """Stop the server."""
        self.released.set()
        self._server.shutdown()
        self._server.server_close()


def claims_of(push: Received, origin: str, public_key: str) -> dict[str, Any]:
    """The claims of a push's token, which is verified (RFC 8292)."""
    scheme, _, fields = push.headers["authorization"].partition(" ")
    values = dict(field.strip().split("=", 1) for field in fields.split(","))
    assert (scheme, values["k"]) == ("vapid", public_key)
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), bytes_of(public_key))
    return dict(jwt.decode(values["t"], key, algorithms=["ES256"], audience=origin))


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # of a sender that was killed
            super().handle_error(request, client_address)


def _handler_of(server: PushServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            push = Received(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            server.received.append(push)
            answer = server.answer(push)
            if answer is None:
                server.released.wait()
                return
            status, headers = answer if isinstance(answer, tuple) else (answer, {})
            self.send_response(status)
            for name, value in {"Content-Length": "0", **headers}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler
