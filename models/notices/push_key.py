"""The key that identifies this installation to push services (VAPID, RFC 8292).

It is a fact of the store, so all gateways and workers have the same, and a backup has it: browsers accept pushes only by the key
with which they subscribed.
"""

from __future__ import annotations

import base64

from models.store import facts

PUSH_KEY = "push_key"  # the fact: the private scalar and the public point in base64url, with a space between them


def make() -> None:
    """Make the key, once for each store."""
    from cryptography.hazmat.primitives.asymmetric import ec  # 10 MB that no other process needs
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = ec.generate_private_key(ec.SECP256R1())
    scalar = key.private_numbers().private_value.to_bytes(32, "big")
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    facts.write(PUSH_KEY, f"{_base64url(scalar)} {_base64url(point)}")


def public() -> str:
    """Return the public key, an uncompressed point of P-256, in base64url."""
    return _read()[1]


def private() -> str:
    """Return the private key, a scalar of 32 bytes, in base64url."""
    return _read()[0]


def _read() -> tuple[str, str]:
    scalar, _, point = (facts.read(PUSH_KEY) or "").partition(" ")
    return scalar, point


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
