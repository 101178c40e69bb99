"""The limit of joining: a membership is an interval of the log, and those who read the log compare each event with all of them."""

from __future__ import annotations

from models.log.event import Transaction
from models.store.database import rows
from models.store.due import is_due
from models.store.errors import LimitedError

MAX_JOINS_PER_DAY = 100  # of one user to one conversation or group
DAY_MS = 24 * 60 * 60 * 1000


def require_few(tx: Transaction, table: str, column: str, subject: int, user: int, act: str = "join") -> None:
    """Raise LimitedError when the user has joined the subject MAX_JOINS_PER_DAY times within a day.

    `table` has the memberships, `column` their subject; `act` is the word for it. Blocks of a person are intervals, too.
    """
    # Raw: written once for three tables. An event that was trimmed is older than a day.
    earlier = rows(
        f"SELECT e.at_ms FROM {table} m JOIN events e ON e.id=m.from_event WHERE m.user_id=? AND m.{column}=? "
        f"ORDER BY m.from_event DESC LIMIT 1 OFFSET {MAX_JOINS_PER_DAY - 1}",
        (user, subject),
    )
    if earlier and not is_due(until_ms := earlier[0][0] + DAY_MS, tx.now_ms, DAY_MS):
        raise LimitedError(f"a user may {act} at most {MAX_JOINS_PER_DAY} times a day", until_ms - tx.now_ms)
