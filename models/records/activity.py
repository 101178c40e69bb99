"""Activity records: what users did, for admins to read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import peewee

from models.identity.user import User
from models.log.event import ACTIVITY, Transaction
from models.records import records
from models.records.records import COLUMNS, RecordType
from models.store.database import ID_MAX, Base, insert_rows
from models.store.errors import InvalidError
from models.store.text_rules import is_displayable

ACTION = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
ACTION_CHARS = 64
DESCRIPTION_CHARS = 500
METADATA_BYTES = 4_096
SITE_CHARS = 64
RECORD_TYPE = RecordType("activity", "activities")


class Activity(Base):
    """One record. `metadata` is JSON."""

    id = peewee.BigAutoField()
    user = peewee.ForeignKeyField(User, null=True, index=False)
    action = peewee.CharField(max_length=64)
    description = peewee.TextField()
    metadata = peewee.TextField()
    triggered_by = peewee.BigIntegerField(null=True)
    site = peewee.CharField(max_length=64, null=True)
    at_ms = peewee.BigIntegerField()

    class Meta:
        table_name = "activities"
        indexes = ((("at_ms", "id"), False), (("user", "at_ms", "id"), False), (("action", "at_ms", "id"), False))


Activity.add_index(records.site_index(Activity, "activity_site"))


class ActivityHour(Base):
    """How many acts of a kind were recorded in an hour, on a site (empty: on none). It stays when the records are archived."""

    hour_ms = peewee.BigIntegerField()
    action = peewee.CharField(max_length=64)
    site = peewee.CharField(max_length=SITE_CHARS)
    count = peewee.IntegerField()

    class Meta:
        table_name = "activity_hourly"
        primary_key = peewee.CompositeKey("hour_ms", "action", "site")


class Report(NamedTuple):
    """An act of a user in the application around Bellwire, and the admin (`by`) who reported it."""

    by: int
    action: str
    description: str
    metadata: dict[str, Any]
    user: int | None
    site: str | None


def invalid_fields(report: Report) -> list[tuple[str, str]]:
    """(field, message) of each field that can't be."""
    errors = []
    if not ACTION.fullmatch(report.action):
        errors.append(("action", f"1 to {ACTION_CHARS} letters, digits, dots, dashes, colons or underscores, such as invoice.paid"))
    if len(report.description) > DESCRIPTION_CHARS or not (report.description == "" or is_displayable(report.description)):
        errors.append(("description", f"at most {DESCRIPTION_CHARS} printable characters"))
    if len(msgspec.json.encode(report.metadata)) > METADATA_BYTES:
        errors.append(("metadata", f"at most {METADATA_BYTES} bytes as JSON"))
    if report.user is not None and not 0 < report.user < ID_MAX:
        errors.append(("user", "the id of a user"))
    if report.site is not None and not (len(report.site) <= SITE_CHARS and is_displayable(report.site)):
        errors.append(("site", f"1 to {SITE_CHARS} printable characters"))
    return errors


def report(tx: Transaction, activity_report: Report) -> None:
    """Append the report to the log, from which a drain makes the record. Raises InvalidError when there is no such user, or one who
    has not verified their address and may soon be deleted."""
    if activity_report.user is not None and not _is_verified(activity_report.user):
        raise InvalidError(("user", "no such user"))
    tx.append(ACTIVITY, "user.activity", msgspec.json.encode(activity_report._asdict()))


def _is_verified(user: int) -> bool:
    return User.select().where(User.id == user, User.status != "pending").exists()


def record(values: Sequence[tuple[Any, ...]]) -> None:
    """Inserts records, rows of COLUMNS, in bulk."""
    insert_rows(Activity, COLUMNS, values)


def add_hourly_counts(tx: Transaction, hours: Mapping[tuple[int, str, str], int]) -> None:
    """Counts acts by (hour, action, site), always in the same order: on PostgreSQL several do so at once, no two of whom may wait
    for each other."""
    insert_rows(
        ActivityHour,
        ("hour_ms", "action", "site", "count"),
        [(*key, count) for key, count in sorted(hours.items())],
        " ON CONFLICT (hour_ms, action, site) DO UPDATE SET count=activity_hourly.count+excluded.count",
    )
