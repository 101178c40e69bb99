"""Failed log-ins in the audit. A record says for which account and from which address, never what was typed."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from models.identity.token import ADDRESS_CHARS
from models.log import event
from models.store.database import execute, rows

ACTION = "login.failed"
FAILED = "failed"  # outcome
DESCRIPTION = "failed log-ins within a minute"
# Raw: on SQLite the write lock is taken meanwhile. An account that was deleted meanwhile is left out.
INSERT = """
INSERT INTO audits (user_id, action, description, metadata, triggered_by, site, at_ms, outcome, address, request_id)
VALUES ((SELECT id FROM users WHERE id=?), ?, ?, ?, NULL, (SELECT site FROM users WHERE id=?), ?, ?, ?, '') RETURNING id
"""


class FailedLogins(msgspec.Struct):
    """The attempts for one account from one address within a minute; None and "" stand for all others of that minute."""

    account: int | None
    address: str
    at_ms: int
    attempts: int = 0
    written: int = 0  # the number of attempts that the record has
    id: int = 0  # of the record


def write(failed: Sequence[FailedLogins]) -> None:
    """Insert or update the records, in a transaction of their own without the log's lock."""
    counts = [record.attempts for record in failed]
    with event.transaction(appends=False, durable=False):
        ids = [_write(record, attempts) for record, attempts in zip(failed, counts, strict=True)]
    for record, attempts, number in zip(failed, counts, ids, strict=True):
        record.id, record.written = number, attempts


def _write(record: FailedLogins, attempts: int) -> int:
    metadata = msgspec.json.encode({"attempts": attempts}).decode()
    if record.id:
        execute("UPDATE audits SET metadata=? WHERE id=? AND at_ms=?", (metadata, record.id, record.at_ms))
        return record.id
    values = (record.account, ACTION, DESCRIPTION, metadata, record.account, record.at_ms, FAILED, record.address[:ADDRESS_CHARS])
    return int(rows(INSERT, values)[0][0])
