"""Activity records: the actions of users, which admins can list."""

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
MAX_ACTION_CHARS = 64
MAX_DESCRIPTION_CHARS = 500
MAX_METADATA_BYTES = 4_096
MAX_SITE_CHARS = 64
HOUR_MS = 3_600_000
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
    """The number of records of an action in an hour on a site (empty: on none). It stays when the records are archived."""

    hour_ms = peewee.BigIntegerField()
    action = peewee.CharField(max_length=64)
    site = peewee.CharField(max_length=MAX_SITE_CHARS)
    count = peewee.IntegerField()

    class Meta:
        table_name = "activity_hourly"
        primary_key = peewee.CompositeKey("hour_ms", "action", "site")


class Report(NamedTuple):
    """An action of a user in the application that embeds Bellwire, and the admin (`by`) who reported it."""

    by: int
    action: str
    description: str
    metadata: dict[str, Any]
    user: int | None
    site: str | None


def invalid_fields(report: Report) -> list[tuple[str, str]]:
    """(field, message) of each invalid field."""
    errors = []
    if not ACTION.fullmatch(report.action):
        errors.append(
            (
                "action",
                f"must have 1 to {MAX_ACTION_CHARS} letters, digits, dots, dashes, colons or underscores, such as invoice.paid",
            )
        )
    if len(report.description) > MAX_DESCRIPTION_CHARS or not (report.description == "" or is_displayable(report.description)):
        errors.append(("description", f"must have at most {MAX_DESCRIPTION_CHARS} printable characters"))
    if len(msgspec.json.encode(report.metadata)) > MAX_METADATA_BYTES:
        errors.append(("metadata", f"must have at most {MAX_METADATA_BYTES} bytes as JSON"))
    if report.user is not None and not 0 < report.user < ID_MAX:
        errors.append(("user", "must be the id of a user"))
    if report.site is not None and not (len(report.site) <= MAX_SITE_CHARS and is_displayable(report.site)):
        errors.append(("site", f"must have 1 to {MAX_SITE_CHARS} printable characters"))
    return errors


def report(tx: Transaction, activity_report: Report) -> None:
    """Append the report to the log, from which a drain inserts the record.

    Raises InvalidError when the user does not exist, or has not verified their address and may soon be deleted.
    """
    if activity_report.user is not None and not _is_verified(activity_report.user):
        raise InvalidError(("user", "must be the id of a user"))
    tx.append(ACTIVITY, "user.activity", msgspec.json.encode(activity_report._asdict()))


def _is_verified(user: int) -> bool:
    return User.select().where(User.id == user, User.status != "pending").exists()


def record(values: Sequence[tuple[Any, ...]]) -> None:
    """Insert records in bulk, from rows of COLUMNS."""
    insert_rows(Activity, COLUMNS, values)


def add_hourly_counts(tx: Transaction, hours: Mapping[tuple[int, str, str], int]) -> None:
    """Add counts by (hour_ms, action, site). The rows are sorted, so that parallel drains on PostgreSQL cannot deadlock."""
    # Raw: a bulk upsert whose new values depend on the old ones.
    insert_rows(
        ActivityHour,
        ("hour_ms", "action", "site", "count"),
        [(*key, count) for key, count in sorted(hours.items())],
        " ON CONFLICT (hour_ms, action, site) DO UPDATE SET count=activity_hourly.count+excluded.count",
    )
