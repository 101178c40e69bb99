"""Signed links to unsubscribe from a kind of mail without logging in (RFC 8058).

A link names a user and a kind of mail. It is valid as long as the secret is: a mail may be read years later.
"""

from __future__ import annotations

import hashlib

from itsdangerous import BadData, URLSafeSerializer

SALT = "bellwire.unsubscribe"  # a value signed for another use is not accepted here


def link(base_url: str, secret: str, user: int, kind: str) -> str:
    """Return the URL that unsubscribes the user from mails of `kind`, one type or several joined by commas."""
    return f"{base_url}/api/v1/unsubscribe?t={_signer(secret).dumps([user, kind])}"


def read(secret: str, signed: str) -> tuple[int, str] | None:
    """Return user id and kind of a link's `t`; None when it was not signed with this secret for this use."""
    try:
        match _signer(secret).loads(signed):
            case [int(user), str(kind)]:
                return user, kind
    except (BadData, UnicodeError):  # UnicodeError: a lone surrogate
        pass
    return None


def _signer(secret: str) -> URLSafeSerializer:
    return URLSafeSerializer(secret, SALT, signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"})
