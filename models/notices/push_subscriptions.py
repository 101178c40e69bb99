"""Push subscriptions: addresses of push services by which the browsers of a user are reached (RFC 8030), each with its keys
(RFC 8291).

A subscription ends with the session that made it. One that was made with a token of the host's outlives the end of that, since the
host's tokens last for minutes; it ends when such a token is revoked, and with all tokens of the user.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Collection
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
import peewee

from models.identity.token import LABEL_CHARS, Token
from models.identity.user import User
from models.log.event import Transaction
from models.store.clock import rfc3339
from models.store.database import Base, NeverReusedIdField, chunks, execute, fetch_column, fetch_rows, listed, rows
from models.store.errors import DeadTokenError, InvalidError

MAX_SUBSCRIPTIONS = 20  # of a user; one more ends the one that was renewed least recently
MAX_ENDPOINT_CHARS = 2_000
MAX_KEY_CHARS = 100
MAX_HOST_CHARS = 264
MAX_IDS_PER_QUERY = 500
AUTH_BYTES, POINT_BYTES = 16, 65
# The curve P-256 (FIPS 186-5): y² = x³ - 3x + B modulo P
P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
ENDPOINT_EXPECTED = f"must be an https address of up to {MAX_ENDPOINT_CHARS} characters, without a name and password in it"
POINT_EXPECTED = f"must be a point of the curve P-256, {POINT_BYTES} bytes in base64url"
AUTH_EXPECTED = f"must be {AUTH_BYTES} bytes in base64url"


class PushSubscription(Base):
    """A subscription. `hash` is the endpoint's, `host` its name and port. `token` is the session that made it, `host_token` the
    token of the host's. `failures` counts the pushes that were given up in a row."""

    id = NeverReusedIdField()
    user = peewee.ForeignKeyField(User, on_delete="CASCADE")
    token = peewee.ForeignKeyField(Token, null=True, on_delete="CASCADE")
    host_token = peewee.BigIntegerField(null=True, index=True)
    hash = peewee.CharField(max_length=64, unique=True)
    endpoint = peewee.TextField()
    host = peewee.CharField(max_length=MAX_HOST_CHARS)
    p256dh = peewee.CharField(max_length=88)
    auth = peewee.CharField(max_length=24)
    label = peewee.CharField(max_length=LABEL_CHARS)
    failures = peewee.IntegerField()
    created_ms = peewee.BigIntegerField()
    updated_ms = peewee.BigIntegerField()

    class Meta:
        table_name = "push_subscriptions"


class Endpoint(NamedTuple):
    """An address of a push service, and the keys of the browser: `p256dh` and `auth` in base64url without padding."""

    address: str
    p256dh: str
    auth: str


class PushSubscriptionView(msgspec.Struct):
    """A subscription, without its keys. `service` is the host of its push service, `endpoint` what ends it, and by which a browser
    knows its own."""

    id: int
    label: str
    service: str
    endpoint: str
    created_at: str
    renewed_at: str


def endpoint_of(address: str, p256dh: str, auth: str) -> Endpoint:
    """Check the values of a browser's PushSubscription. Raises InvalidError."""
    point, secret = _bytes_of(p256dh), _bytes_of(auth)
    wrong = []
    if not _is_callable(address):
        wrong.append(("endpoint", ENDPOINT_EXPECTED))
    if not _is_point(point):
        wrong.append(("keys.p256dh", POINT_EXPECTED))
    if len(secret) != AUTH_BYTES:
        wrong.append(("keys.auth", AUTH_EXPECTED))
    if wrong:
        raise InvalidError(*wrong)
    return Endpoint(address, _base64url(point), _base64url(secret))


def _is_callable(address: str) -> bool:
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018 - raises ValueError
    except ValueError:
        return False
    has_host = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
    is_short = len(address) <= MAX_ENDPOINT_CHARS and len(parts.netloc) < MAX_HOST_CHARS
    return has_host and is_short and address.isascii() and address.isprintable() and " " not in address


def _is_point(encoded: bytes) -> bool:
    """Whether bytes are an uncompressed point of P-256. Its library is not loaded for that: 10 MB in each gateway."""
    x, y = int.from_bytes(encoded[1:33], "big"), int.from_bytes(encoded[33:], "big")
    return len(encoded) == POINT_BYTES and encoded[0] == 4 and max(x, y) < P and (y * y - x * x * x + 3 * x - B) % P == 0


def _bytes_of(text: str) -> bytes:
    """Decode base64url, with or without padding; empty if it is something else."""
    try:
        return base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def host_of(address: str) -> str:
    """Return the name and port of an endpoint."""
    return urlsplit(address).netloc.lower()


def put(tx: Transaction, user: int, token: int, endpoint: Endpoint, label: str) -> None:
    """Create a subscription of a session, or renew it. One of another user moves to this one, without what waits for it."""
    found = rows("SELECT issued_ms FROM tokens WHERE id=?", (token,))
    if not found:
        raise DeadTokenError
    is_of_host = found[0][0] is not None
    values: dict[str, Any] = {"user": user, "token": None if is_of_host else token, "host_token": token if is_of_host else None}
    values |= {"endpoint": endpoint.address, "host": host_of(endpoint.address), "p256dh": endpoint.p256dh, "auth": endpoint.auth}
    values |= {"label": label[:LABEL_CHARS], "failures": 0, "updated_ms": tx.now_ms}
    hashed = hash_of(endpoint.address)
    earlier = fetch_rows(PushSubscription.select(PushSubscription.id, PushSubscription.user).where(PushSubscription.hash == hashed))
    for number, owner in earlier:
        if owner != user:
            execute("DELETE FROM pushes WHERE subscription_id=?", (number,))  # raw: that module imports this one
        PushSubscription.update(**values).where(PushSubscription.id == number).execute()
    if not earlier:
        PushSubscription.insert(**values, hash=hashed, created_ms=tx.now_ms).as_rowcount().execute()
    _end_surplus(user)


def _end_surplus(user: int) -> None:
    newest = (PushSubscription.updated_ms.desc(), PushSubscription.id.desc())
    mine = PushSubscription.select(PushSubscription.id).where(PushSubscription.user == user).order_by(*newest)
    surplus = fetch_column(mine)[MAX_SUBSCRIPTIONS:]
    if surplus:
        PushSubscription.delete().where(PushSubscription.id.in_(surplus)).execute()


def hash_of(address: str) -> str:
    """Return the hash by which a subscription is found."""
    return hashlib.sha256(address.encode()).hexdigest()


def delete(_tx: Transaction, user: int, address: str) -> None:
    """End the user's subscription with this endpoint, if there is one."""
    PushSubscription.delete().where(PushSubscription.user == user, PushSubscription.hash == hash_of(address)).execute()


def page(user: int, after: int, limit: int) -> list[PushSubscriptionView]:
    """Return a page of the user's subscriptions, by id."""
    columns = (PushSubscription.id, PushSubscription.label, PushSubscription.host, PushSubscription.endpoint)
    query = PushSubscription.select(*columns, PushSubscription.created_ms, PushSubscription.updated_ms)
    found = fetch_rows(
        query.where(PushSubscription.user == user, PushSubscription.id > after).order_by(PushSubscription.id).limit(limit)
    )
    return [
        PushSubscriptionView(number, label, host, endpoint, rfc3339(created_ms), rfc3339(updated_ms))
        for number, label, host, endpoint, created_ms, updated_ms in found
    ]


def subscribed(users: Collection[int]) -> set[int]:
    """Return those of the users who have a subscription."""
    found: set[int] = set()
    for part in chunks(sorted(users), MAX_IDS_PER_QUERY):
        found.update(
            fetch_column(PushSubscription.select(PushSubscription.user).where(PushSubscription.user.in_(listed(part))).distinct())
        )
    return found
