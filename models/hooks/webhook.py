"""Webhooks: addresses of a host's backend that events of the log are pushed to, each with its own place in the log.

No secret is stored: that of a hook follows from Bellwire's secret key and a random salt. `rewinds` counts how often an admin has
moved the place or reset the failures, so that a delivery that is under way begins anew and can't undo it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
import peewee
from peewee import fn

from models.log import type_patterns
from models.log.event import Transaction
from models.log.type_patterns import TypePatterns
from models.notices import announcement
from models.notices.announcement import AnnouncementContent
from models.store import facts
from models.store.clock import rfc3339, rfc3339_or_none
from models.store.database import Base, NeverReusedIdField, engine, fetch_rows, rows
from models.store.errors import ConflictError, InvalidError, NotFoundError, RefusedError
from models.sync import whole_log
from models.sync.catchup import BEGINNING, MAX_SCANNED_EVENTS

ACTIVE, PAUSED, DISABLED = STATES = ("active", "paused", "disabled")
MAX_WEBHOOKS = 100
MAX_URL_CHARS, MAX_DESCRIPTION_CHARS, MAX_ERROR_CHARS = 2_000, 200, 300
ROTATION_MS = 24 * 3600 * 1000  # for so long the secret of before signs, too
URL_EXPECTED = f"must be an http or https address of up to {MAX_URL_CHARS} characters, without a name and password in it"
SECRET_PREFIX = "whsec_"  # noqa: S105 - of the Standard Webhooks specification


class NotKeptError(RefusedError):
    """The events after a position are not kept any more, or the position is past the log's head."""

    slug = "cursor-expired"


class Webhook(Base):
    """A webhook. `types` is JSON: a list of patterns. All events up to `position` are delivered, or are of other types."""

    id = NeverReusedIdField()
    url = peewee.TextField()
    types = peewee.TextField()
    description = peewee.TextField()
    state = peewee.CharField(max_length=8)
    salt = peewee.CharField(max_length=64)
    old_salt = peewee.CharField(max_length=64, null=True)
    rotated_ms = peewee.BigIntegerField(null=True)
    position = peewee.BigIntegerField()
    rewinds = peewee.IntegerField()
    failures = peewee.IntegerField()
    failing_since_ms = peewee.BigIntegerField(null=True)
    next_attempt_ms = peewee.BigIntegerField(null=True)
    last_status = peewee.IntegerField(null=True)
    last_error = peewee.TextField(null=True)
    test_ms = peewee.BigIntegerField(null=True)
    created_by = peewee.BigIntegerField()
    created_ms = peewee.BigIntegerField()

    class Meta:
        table_name = "webhooks"


class WebhookView(msgspec.Struct):
    """WEBHOOK. `position` is a cursor; `lag_s` the age of the oldest event that is still to be delivered."""

    id: int
    url: str
    types: list[str]
    description: str
    state: str
    position: str
    lag_s: float
    last_status: int | None
    last_error: str | None
    failures: int
    next_attempt_at: str | None
    created_by: int
    created_at: str


class Hook(NamedTuple):
    """The part of a webhook that a delivery needs."""

    id: int
    url: str
    description: str
    types: str
    state: str
    salt: str
    old_salt: str | None
    rotated_ms: int | None
    rewinds: int
    position: int
    failures: int
    failing_since_ms: int | None
    next_attempt_ms: int | None
    test_ms: int | None
    created_by: int

    @property
    def name(self) -> str:
        """The hook as everybody may know it. An address may have a secret in its path or its query."""
        about = f" ({self.description})" if self.description else ""
        return f"Webhook {self.id}{about}, to {urlsplit(self.url).hostname},"

    @property
    def patterns(self) -> TypePatterns:
        """The types of events that are delivered."""
        return type_patterns.parse(msgspec.json.decode(self.types))

    @property
    def settings(self) -> tuple[object, ...]:
        """The part that admins change: its delivery begins anew with another."""
        return self.url, self.types, self.state, self.salt, self.old_salt, self.rewinds

    def secrets(self, key: str, now_ms: int) -> list[str]:
        """The secrets that sign: the present one, and within a day after a rotation the one of before."""
        rotates = self.old_salt is not None and self.rotated_ms is not None and now_ms - self.rotated_ms < ROTATION_MS
        return [secret_of(key, salt) for salt in (self.salt, self.old_salt if rotates else None) if salt is not None]


class Progress(NamedTuple):
    """The part of a webhook that a delivery writes. `last` is the status and the error of an attempt since, if any."""

    id: int
    rewinds: int
    position: int
    failures: int
    failing_since_ms: int | None
    next_attempt_ms: int | None
    last: tuple[int | None, str | None] | None


def secret_of(key: str, salt: str) -> str:
    """The secret that belongs to a salt, as the Standard Webhooks specification writes it."""
    made = hmac.new(key.encode(), f"webhook {salt}".encode(), hashlib.sha256).digest()
    return SECRET_PREFIX + base64.b64encode(made).decode()


def _check(url: str | None, types: Sequence[str] | None) -> None:
    errors = []
    if url is not None and not _is_callable(url):
        errors.append(("url", URL_EXPECTED))
    try:
        type_patterns.parse(types or [])
    except ValueError as error:
        errors.append(("types", str(error)))
    if errors:
        raise InvalidError(*errors)


def _is_callable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises ValueError
    except ValueError:
        return False
    has_host = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
    return has_host and url.isascii() and url.isprintable() and " " not in url and len(url) <= MAX_URL_CHARS


def create(
    tx: Transaction, key: str, by: int, url: str, types: Sequence[str], description: str, position: int | None
) -> tuple[WebhookView, str]:
    """Create a webhook that begins after a position (None: now), and return it with its secret.

    Raises InvalidError, NotKeptError, ConflictError when there are MAX_WEBHOOKS.
    """
    _check(url, types)
    if Webhook.select(fn.COUNT(Webhook.id)).scalar() >= MAX_WEBHOOKS:
        raise ConflictError(f"there are {MAX_WEBHOOKS} webhooks already")
    made, salt = tx.next_id("webhooks"), secrets.token_hex(24)
    values = {"id": made, "url": url, "types": msgspec.json.encode(list(types)).decode(), "description": description}
    values |= {"state": ACTIVE, "salt": salt, "position": _kept(tx, position), "rewinds": 0, "failures": 0}
    Webhook.insert(**values, created_by=by, created_ms=tx.now_ms).as_rowcount().execute()
    return find(made), secret_of(key, salt)


def _kept(tx: Transaction, position: int | None) -> int:
    """The position, if what follows it is kept. Raises NotKeptError."""
    mark = facts.trimmed()
    if position is None:
        return tx.head
    if position == BEGINNING:
        return mark
    if not mark <= position <= tx.head:
        raise NotKeptError
    return position


def change(tx: Transaction, webhook: int, changes: dict[str, Any]) -> None:
    """Change `url`, `types`, `description` or `state`; an active one is then tried at once. Raises InvalidError, NotFoundError."""
    _check(changes.get("url"), changes.get("types"))
    if "types" in changes:
        changes = {**changes, "types": msgspec.json.encode(list(changes["types"] or [])).decode()}
    if changes.get("state") == ACTIVE or "url" in changes:
        changes = {**changes, **_AT_ONCE, "rewinds": Webhook.rewinds + 1}
    if changes:
        _update(webhook, **changes)
    elif not Webhook.select().where(Webhook.id == webhook).exists():
        raise NotFoundError


_AT_ONCE = {"failures": 0, "failing_since_ms": None, "next_attempt_ms": None}


def _update(webhook: int, **values: Any) -> None:
    if not Webhook.update(**values).where(Webhook.id == webhook).execute():
        raise NotFoundError


def rotate(tx: Transaction, key: str, webhook: int) -> str:
    """Return a new secret. The one of before signs, too, for a day. Raises NotFoundError."""
    salt = secrets.token_hex(24)
    _update(webhook, old_salt=Webhook.salt, salt=salt, rotated_ms=tx.now_ms)
    return secret_of(key, salt)


def rewind(tx: Transaction, webhook: int, position: int) -> None:
    """Deliver all after a position, again if need be. Raises NotKeptError, NotFoundError."""
    _update(webhook, position=_kept(tx, position), rewinds=Webhook.rewinds + 1, **_AT_ONCE)


def rewind_to_time(tx: Transaction, webhook: int, at_ms: int) -> None:
    """Deliver all of a time and later, as far as it is kept. Raises NotFoundError."""
    rewind(tx, webhook, whole_log.position_at(at_ms))


def request_test(tx: Transaction, webhook: int) -> None:
    """Request the delivery of an event that is not in the log. Raises NotFoundError."""
    _update(webhook, test_ms=tx.now_ms)


def delete(_tx: Transaction, webhook: int) -> None:
    """Delete a webhook. Raises NotFoundError."""
    if not Webhook.delete().where(Webhook.id == webhook).execute():
        raise NotFoundError


# Delivery


def all_hooks() -> list[Hook]:
    """Return all webhooks, at most MAX_WEBHOOKS."""
    return [Hook(*row) for row in fetch_rows(_hooks().order_by(Webhook.id))]


def find_hook(webhook: int) -> Hook | None:
    """Return one webhook; None if it was deleted."""
    return next((Hook(*row) for row in fetch_rows(_hooks().where(Webhook.id == webhook))), None)


def _hooks() -> Any:
    return Webhook.select(*(getattr(Webhook, name) for name in Hook._fields))


def record(tx: Transaction, progress: Sequence[Progress]) -> None:
    """Record how far deliveries have come, of webhooks that were not rewound or reset meanwhile."""
    for id_, rewinds, position, *status, last in progress:
        names = ("position", "failures", "failing_since_ms", "next_attempt_ms", *(("last_status", "last_error") if last else ()))
        values = dict(zip(names, (position, *status, *(last or ())), strict=True))
        Webhook.update(**values).where(Webhook.id == id_, Webhook.rewinds == rewinds, Webhook.position <= position).execute()


def end(tx: Transaction, hook: Hook, state: str, why: str) -> None:
    """Pause or disable an active webhook, and tell all admins."""
    if Webhook.update(state=state, next_attempt_ms=None).where(Webhook.id == hook.id, Webhook.state == ACTIVE).execute():
        title = f"Webhook {hook.id} is {state}"
        content = AnnouncementContent(hook.created_by, "admin", None, "admin", title, why, b'{"webhook":%d}' % hook.id)
        announcement.create(tx, content)


def record_test(_tx: Transaction, hook: Hook, status: int | None, error: str | None) -> None:
    """Record the result of a test."""
    Webhook.update(test_ms=None, last_status=status, last_error=error).where(
        Webhook.id == hook.id, Webhook.test_ms == hook.test_ms
    ).execute()


def slowest_position() -> int | None:
    """Return the position of the active webhook that is the furthest behind; None when there is none."""
    position: int | None = Webhook.select(fn.MIN(Webhook.position)).where(Webhook.state == ACTIVE).scalar()
    return position


def has_failing() -> bool:
    """Return whether the latest attempt of an active webhook failed."""
    return bool(Webhook.select().where(Webhook.state == ACTIVE, Webhook.failures > 0).exists())


# Views


def find(webhook: int) -> WebhookView:
    """Return one webhook. Raises NotFoundError."""
    found = _views(Webhook.id == webhook, 1)
    if not found:
        raise NotFoundError
    return found[0]


def page(after: int | None, limit: int) -> list[WebhookView]:
    """Return the webhooks with a larger id, oldest first."""
    return _views(Webhook.id > (after or 0), limit)


def _views(condition: Any, limit: int) -> list[WebhookView]:
    status = (Webhook.last_status, Webhook.last_error, Webhook.failures, Webhook.next_attempt_ms)
    own = (Webhook.id, Webhook.url, Webhook.types, Webhook.description, Webhook.state, Webhook.position)
    query = Webhook.select(*own, *status, Webhook.created_by, Webhook.created_ms).where(condition)
    epoch, now = facts.epoch(), engine().now_ms()
    views = []
    for number, url, types, description, state, position, *rest, by, created_ms in fetch_rows(
        query.order_by(Webhook.id).limit(limit)
    ):
        patterns: list[str] = msgspec.json.decode(types)
        last_status, last_error, failures, next_ms = rest
        lag_s = _lag_s(position, type_patterns.parse(patterns), now)
        next_at = rfc3339_or_none(next_ms) if state == ACTIVE else None
        about = (number, url, patterns, description, state, f"{epoch}-{position}", lag_s)
        views.append(WebhookView(*about, last_status, last_error, failures, next_at, by, rfc3339(created_ms)))
    return views


def _lag_s(position: int, patterns: TypePatterns, now_ms: int) -> float:
    """The age of the first event after a position that is chosen. One that is far behind is not searched for: any event counts."""
    condition, params = patterns.condition()
    oldest = "SELECT at_ms FROM events WHERE id>? AND {} ORDER BY id LIMIT 1"
    near = rows(oldest.format(f"id<=? AND ({condition})"), (position, position + MAX_SCANNED_EVENTS, *params))
    found = near or rows(oldest.format("1=1"), (position + MAX_SCANNED_EVENTS,))
    return max(0, now_ms - found[0][0]) / 1000 if found else 0.0
