"""The check of a JSON Web Token by RFC 7519 and RFC 8725: its signature by a key of the issuer, and its claims.

Nothing here waits, reads the store or logs. A refusal names the claim that is wrong, never its value.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from jwt import PyJWS, get_unverified_header
from jwt.exceptions import PyJWTError

from conf import Settings
from gateway.jwt.keys import MAX_KID_CHARS, Key
from models.identity import external_id
from models.store.database import ID_MAX
from models.store.errors import DeadTokenError

MAX_TOKEN_CHARS = 8 * 1024
MAX_KEYS_TRIED = 8
MAX_CLAIMS_CHARS = 256  # of a claim that fills the profile


class UnknownKeyError(DeadTokenError):
    """No key that is known fits, and none has the name that the token says, if it says one: the issuer may have a new one."""


class RefusedTokenError(DeadTokenError):
    """The token is wrong now and will stay so, unless the keys change."""


class Rules(NamedTuple):
    """The requirements of tokens."""

    issuer: str
    audience: str
    algorithms: Sequence[str]
    leeway_s: int

    @classmethod
    def of(cls, settings: Settings) -> Rules:
        """Return the rules of these settings."""
        return cls(settings.jwt_issuer or "", settings.jwt_audience, settings.jwt_algorithms, settings.jwt_leeway_s)


class Claims(NamedTuple):
    """The claims of a token that was checked, times in Unix ms. `issued_ms` is 0 without an `iat`."""

    subject: str
    issued_ms: int
    expires_ms: int
    profile: dict[str, str]  # texts, by the names of their claims: nothing is known about their values


PROFILE = ("name", "preferred_username", "email", "locale", "zoneinfo", "bellwire_role")


def has_form(credential: str) -> bool:
    """Return whether a credential may be a JSON Web Token: three parts between dots. Bellwire's own tokens have no dot."""
    return credential.count(".") == 2 and len(credential) <= MAX_TOKEN_CHARS


def verify(token: str, keys: Sequence[Key], rules: Rules, now_s: float) -> Claims:
    """Check a token and return its claims. Raises UnknownKeyError, RefusedTokenError, or DeadTokenError for a time to come."""
    algorithm, kid = _header(token, rules)
    payload = _signed_payload(token, algorithm, kid, keys)
    try:
        claims = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        claims = None
    if not isinstance(claims, dict):
        raise RefusedTokenError("payload: must be a JSON object")
    return _checked(claims, rules, now_s)


def _header(token: str, rules: Rules) -> tuple[str, str | None]:
    """Return the algorithm and the key's name that a token says."""
    try:
        header = get_unverified_header(token)
    except (PyJWTError, ValueError, RecursionError):
        raise RefusedTokenError("token: is not a JSON Web Token") from None
    if "crit" in header or "b64" in header:
        raise RefusedTokenError("crit: no extension is known")
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in rules.algorithms:
        raise RefusedTokenError("alg: must be " + " or ".join(rules.algorithms))
    if kid is not None and not (isinstance(kid, str) and len(kid) <= MAX_KID_CHARS):
        raise RefusedTokenError(f"kid: must be a text of at most {MAX_KID_CHARS} characters")
    return algorithm, kid


def _signed_payload(token: str, algorithm: str, kid: str | None, keys: Sequence[Key]) -> bytes:
    """Return what a key has signed: one of the name that the token says, or without a name, as those of a PEM are."""
    named = [key for key in keys if key.kid == kid]
    candidates = keys if kid is None else named or [key for key in keys if key.kid is None]
    usable = [key for key in candidates if algorithm in key.algorithms][:MAX_KEYS_TRIED]
    for key in usable:
        try:
            return bytes(PyJWS().decode(token, key.material, algorithms=[algorithm]))
        except (PyJWTError, ValueError, TypeError):
            continue
    detail = "signature: is not by a key of the issuer"
    if not usable:
        detail = "alg: the issuer has no key for it" if named or kid is None else "kid: the issuer has no key of this name"
    raise RefusedTokenError(detail) if named and kid is not None else UnknownKeyError(detail)


def _checked(claims: dict[str, Any], rules: Rules, now_s: float) -> Claims:
    """Check the registered claims (RFC 7519, 4.1)."""
    if claims.get("iss") != rules.issuer:
        raise RefusedTokenError("iss: is not the issuer that is trusted here")
    audience = claims.get("aud")
    if rules.audience not in (audience if isinstance(audience, list) else [audience]):
        raise RefusedTokenError("aud: the token is not for this audience")
    expires, issued, begins = (_time(claims, name) for name in ("exp", "iat", "nbf"))
    if expires is None:
        raise RefusedTokenError("exp: is required")
    if expires + rules.leeway_s <= now_s:
        raise RefusedTokenError("exp: the token has expired")
    for name, since in (("nbf", begins), ("iat", issued)):
        if since is not None and since - rules.leeway_s > now_s:
            raise DeadTokenError(f"{name}: the token is not valid yet")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not external_id.is_valid(subject):
        raise RefusedTokenError(f"sub: {external_id.EXPECTED}")
    # A token that is first seen after its end, within the leeway, ends with the leeway: the issuer's clock may be behind.
    ends = expires if expires > now_s else expires + rules.leeway_s
    profile = {name: text for name in PROFILE if isinstance(text := claims.get(name), str) and 0 < len(text) <= MAX_CLAIMS_CHARS}
    return Claims(subject, int((issued or 0) * 1000), min(int(ends * 1000), ID_MAX), profile)


def _time(claims: dict[str, Any], name: str) -> float | None:
    """Return a NumericDate (RFC 7519, 2), None if there is none."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or not 0 <= value < 10**12:
        raise RefusedTokenError(f"{name}: must be seconds since 1970")
    return float(value)
