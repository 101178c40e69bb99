"""The audit log: one record of each call of an admin, and of each account that a call about many has changed, inserted by the
transaction that performs the call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import peewee
from peewee import Value

from models.identity.user import User
from models.log.event import Transaction
from models.records import records
from models.records.records import RecordType
from models.store.database import Base, NeverReusedIdField, chunks, execute, values_cte

RECORD_TYPE = RecordType("audit", "audits", ("outcome", "address", "request_id"))
DONE, READ = "done", "read"  # outcomes
MAX_IDS_PER_QUERY = 500


class Audit(Base):
    """One call: `action` is its method and route, `description` its path, `metadata` its JSON body without secrets."""

    id = NeverReusedIdField()
    user = peewee.ForeignKeyField(User, null=True, index=False)
    action = peewee.CharField(max_length=120)
    description = peewee.TextField()
    metadata = peewee.TextField()
    triggered_by = peewee.BigIntegerField(null=True)
    site = peewee.CharField(max_length=64, null=True)
    at_ms = peewee.BigIntegerField()
    outcome = peewee.CharField(max_length=8)
    address = peewee.CharField(max_length=45)
    request_id = peewee.CharField(max_length=64)

    class Meta:
        table_name = "audits"
        indexes = ((("at_ms", "id"), False), (("user", "at_ms", "id"), False), (("action", "at_ms", "id"), False))


Audit.add_index(records.site_index(Audit, "audit_site"))


class AdminCall(NamedTuple):
    """One call of an admin."""

    user: int
    action: str
    path: str
    body: bytes
    outcome: str
    address: str
    request_id: str


def record(tx: Transaction, call: AdminCall) -> None:
    """Insert the record of a call, with the site of its user."""
    _insert(tx, call, [call.user])


def record_changes(tx: Transaction, call: AdminCall, changed: Sequence[int]) -> None:
    """Insert a record for each account that a call has changed. It is found by the account. The admin is its `triggered_by`;
    `request_id` stays with the one record of the call."""
    for users in chunks(changed, MAX_IDS_PER_QUERY):
        _insert(tx, call, users)


def record_acting(tx: Transaction, calls: Sequence[tuple[AdminCall, int]]) -> None:
    """Insert the records of calls that admins, `triggered_by`, have done as another user. Raw SQL: sends run it under
    the log's lock."""
    if not calls:
        return
    columns = ("action", "description", "metadata", "triggered_by", "at_ms", "outcome", "address", "request_id")
    names, values = ", ".join(columns), ", ".join(f"input.{name}" for name in columns)
    execute(
        values_cte(f"member, {names}", len(calls)) + f"INSERT INTO audits (user_id, site, {names}) SELECT u.id, u.site, {values} "
        "FROM input CROSS JOIN users u WHERE u.id=input.member",
        [value for call, user in calls for value in _acting_row(tx, call, user)],
    )


def _acting_row(tx: Transaction, call: AdminCall, user: int) -> tuple[object, ...]:
    return user, call.action, call.path, call.body.decode(), call.user, tx.now_ms, call.outcome, call.address, call.request_id


def _insert(tx: Transaction, call: AdminCall, users: Sequence[int]) -> None:
    request = (Value(call.action), Value(call.path), Value(call.body.decode()))
    result = (Value(tx.now_ms), Value(call.outcome), Value(call.address), Value(call.request_id))
    values = User.select(User.id, *request, Value(call.user), User.site, *result).where(User.id.in_(users)).order_by(User.id)
    columns = [Audit.user, Audit.action, Audit.description, Audit.metadata, Audit.triggered_by, Audit.site, Audit.at_ms]
    Audit.insert_from(values, [*columns, Audit.outcome, Audit.address, Audit.request_id]).as_rowcount().execute()
