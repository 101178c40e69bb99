"""Signed links by which whoever got a mail ends such mails, without logging in (RFC 8058). They name a user and a kind, and are
good for as long as the secret is: a mail may be read years later."""

from __future__ import annotations

import hashlib

from itsdangerous import BadData, URLSafeSerializer

SALT = "bellwire.unsubscribe"  # so that nothing that is signed for another use is taken here


def link(base_url: str, secret: str, user: int, kind: str) -> str:
    """The URL that ends mails of `kind`, a type or several joined by commas, to the user with this id."""
    return f"{base_url}/api/v1/unsubscribe?t={_signer(secret).dumps([user, kind])}"


def read(secret: str, signed: str) -> tuple[int, str] | None:
    """User id and kind of a link's `t`; None for anything that was not signed here for this use."""
    try:
        match _signer(secret).loads(signed):
            case [int(user), str(kind)]:
                return user, kind
    except (BadData, UnicodeError):  # UnicodeError: halves of characters
        pass
    return None


def _signer(secret: str) -> URLSafeSerializer:
    return URLSafeSerializer(secret, SALT, signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"})
