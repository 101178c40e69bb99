"""The keys of the issuer: a JWKS (RFC 7517), PEM texts (RFC 7468), or a secret of which both sides know the characters.

A key checks only signatures of its own kind (RFC 8725, 3.1): a secret is a file that is neither JSON nor PEM nor any other form of
a public key, and only a secret checks HS256. So a public key is never the secret of a signature.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate
from jwt import PyJWK
from jwt.exceptions import PyJWTError

SECRET_MIN_BYTES = 32  # RFC 7518, 3.2
RSA_MIN_BITS = 2048  # RFC 7518, 3.3
MAX_KEYS = 100
MAX_KID_CHARS = 256
RSA_ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
EC_ALGORITHMS = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_PEM = re.compile(r"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----", re.DOTALL)
_OTHER_FORMS = ("ssh-", "ecdsa-", "sk-", "---- BEGIN")  # of public keys, RFC 4253 and 4716


class KeyFormError(ValueError):
    """There is no key that can be used. The text says what is expected."""


class Key(NamedTuple):
    """A key, its name (None: it has none), and the algorithms of the signatures that it checks."""

    kid: str | None
    algorithms: frozenset[str]
    material: Any


def from_jwks(data: bytes) -> list[Key]:
    """Return the keys of a JWKS, or of one JWK. Those that can't be used are left out. Raises KeyFormError when none is left."""
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise KeyFormError("is not JSON") from None
    listed = document.get("keys", [document]) if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise KeyFormError("is not a JWKS")
    keys = list(_usable(listed[:MAX_KEYS]))
    if not keys:
        raise KeyFormError("has no key for signatures")
    return keys


def _usable(listed: list[Any]) -> Iterator[Key]:
    for jwk in listed:
        if isinstance(jwk, dict) and _is_for_signatures(jwk):
            try:
                yield _of_jwk(jwk)
            except (PyJWTError, UnsupportedAlgorithm, ValueError, TypeError, KeyError, OverflowError):
                continue


def _is_for_signatures(jwk: Mapping[str, Any]) -> bool:
    """Return whether a JWK is a public key that may check signatures (RFC 7517, 4.2 and 4.3)."""
    operations = jwk.get("key_ops", ["verify"])
    return jwk.get("kty") != "oct" and jwk.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations


def _of_jwk(jwk: Mapping[str, Any]) -> Key:
    kid = jwk.get("kid")
    if kid is not None and not (isinstance(kid, str) and len(kid) <= MAX_KID_CHARS):
        raise KeyFormError("has a kid that is no text")
    public = {name: value for name, value in jwk.items() if name not in PRIVATE_MEMBERS and name != "alg"}
    key = _of_material(kid, PyJWK.from_dict(public).key)
    algorithm = jwk.get("alg")
    return key if algorithm is None else key._replace(algorithms=key.algorithms & {algorithm})


def _of_material(kid: str | None, material: Any) -> Key:
    """Return a public key. Raises KeyFormError for one of another kind, or too short."""
    if isinstance(material, RSAPublicKey) and material.key_size >= RSA_MIN_BITS:
        return Key(kid, RSA_ALGORITHMS, material)
    if isinstance(material, EllipticCurvePublicKey) and material.curve.name in EC_ALGORITHMS:
        return Key(kid, frozenset({EC_ALGORITHMS[material.curve.name]}), material)
    if isinstance(material, Ed25519PublicKey | Ed448PublicKey):
        return Key(kid, frozenset({"EdDSA"}), material)
    raise KeyFormError(f"must be an RSA key of {RSA_MIN_BITS} bits or more, or an elliptic one: P-256, P-384, P-521 or Ed25519")


def from_file(data: bytes) -> list[Key]:
    """Return the keys of a file: a JWKS, public keys or certificates as PEM, or a secret. Raises KeyFormError."""
    text = data.decode("utf-8", "replace").strip()
    if text.startswith(("{", "[")):
        return from_jwks(data)
    if "-----BEGIN" in text:
        return _from_pem(text)
    if "\ufffd" in text or text.startswith(_OTHER_FORMS) or _is_public_key(data):
        raise KeyFormError("must be a JWKS, a PEM (a public key or a certificate), or a secret of printable characters")
    if len(text.encode()) < SECRET_MIN_BYTES:
        raise KeyFormError(f"has a secret that is too short: {SECRET_MIN_BYTES} bytes or more")
    return [Key(None, frozenset({"HS256"}), text.encode())]


def _from_pem(text: str) -> list[Key]:
    keys = []
    for block in list(_PEM.finditer(text))[:MAX_KEYS]:
        kind, pem = block[1], block[0].encode()
        try:
            is_certificate = kind == "CERTIFICATE"
            material = load_pem_x509_certificate(pem).public_key() if is_certificate else load_pem_public_key(pem)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise KeyFormError(f"has a PEM of {kind}: a public key or a certificate is expected") from None
        keys.append(_of_material(None, material))
    if not keys:
        raise KeyFormError("has a PEM without an end")
    return keys


def _is_public_key(data: bytes) -> bool:
    """Return whether data is a public key in DER, in base64 or not: everybody knows it, so it is no secret."""
    forms = [data]
    with suppress(binascii.Error):
        forms += [base64.b64decode(data), base64.urlsafe_b64decode(data)]
    for form in forms:
        with suppress(ValueError, TypeError, UnsupportedAlgorithm):
            load_der_public_key(form)
            return True
    return False
