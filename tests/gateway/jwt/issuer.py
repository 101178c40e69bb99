"""A host that signs tokens: its keys, and the address of its JWKS, which can hang, lie or be huge."""

from __future__ import annotations

import json
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import get_default_algorithms

NAME = "https://shop.example.org"


@cache
def _made(kind: str, number: int) -> Any:
    if kind == "RSA":
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(ec.SECP256R1()) if kind == "EC" else Ed25519PrivateKey.generate()


def rsa_key(number: int = 0) -> Any:
    """Return the RSA key of this number. Making one takes a tenth of a second."""
    return _made("RSA", number)


def ec_key(number: int = 0) -> Any:
    """Return the key of this number, on P-256."""
    return _made("EC", number)


def ed_key(number: int = 0) -> Any:
    """Return the Ed25519 key of this number."""
    return _made("OKP", number)


def pem(key: Any) -> bytes:
    """Return the public key as PEM."""
    return bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def jwk(key: Any, algorithm: str, kid: str | None = None, **members: Any) -> dict[str, Any]:
    """Return the public key as a JWK."""
    named = {} if kid is None else {"kid": kid}
    return {**json.loads(get_default_algorithms()[algorithm].to_jwk(key.public_key())), **named, **members}


def jwks(*keys: dict[str, Any]) -> bytes:
    """Return a JWKS."""
    return json.dumps({"keys": keys}).encode()


def claims(subject: str = "42", **more: Any) -> dict[str, Any]:
    """Return the claims of a token of an hour. One that is None is left out."""
    now = int(time.time())
    all_claims = {"iss": NAME, "aud": "bellwire", "sub": subject, "iat": now, "exp": now + 3600, **more}
    return {name: value for name, value in all_claims.items() if value is not None}


def signed(said: dict[str, Any], key: Any = None, algorithm: str = "ES256", **header: Any) -> str:
    """Return a token."""
    return jwt.encode(said, key or ec_key(), algorithm, headers=header)


def assembled(header: dict[str, Any], payload: bytes, signature: bytes = b"") -> str:
    """Return a token of any parts."""
    parts = (json.dumps(header).encode(), payload, signature)
    return ".".join(urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


class Jwks(ThreadingHTTPServer):
    """The address of a JWKS. `behaviour` is what it does: answer, hang, fail, redirect, or send without an end."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.body = jwks(jwk(ec_key(), "ES256", "first"))
        self.behaviour = "answer"
        self.requests = 0
        self.released = threading.Event()

    @property
    def url(self) -> str:
        """The address."""
        return f"http://127.0.0.1:{self.server_address[1]}/jwks"


@contextmanager
def serving() -> Iterator[Jwks]:
    """Serve a JWKS on a free port."""
    server = Jwks()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Jwks

    def do_GET(self) -> None:
        """Answer as the server behaves."""
        self.server.requests += 1
        behaviour = self.server.behaviour
        if behaviour == "hang":
            self.server.released.wait(60)
            return
        status = {"answer": 200, "endless": 200, "fail": 500, "redirect": 302}[behaviour]
        self.send_response(status)
        if behaviour == "redirect" and self.path == "/jwks":
            self.send_header("Location", "/elsewhere")
        if behaviour != "endless":
            self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        if behaviour != "endless":
            self.wfile.write(self.server.body)
            return
        try:
            while not self.server.released.is_set():
                self.wfile.write(b" " * 65536)
        except OSError:
            pass

    def log_message(self, *_: Any) -> None:
        """Nothing is logged."""
