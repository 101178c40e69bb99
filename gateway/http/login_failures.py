"""Failed log-ins as audit records: one for an account, an address and a minute, with the number of attempts.

A record is written within a second, and updated while its minute lasts. A million attempts make at most
MAX_RECORDS_PER_MINUTE records: the rest of a minute's accounts and addresses are counted in one.
"""

from __future__ import annotations

from gateway.commit.recorder import Recorder
from models.records import failed_logins
from models.records.failed_logins import FailedLogins
from models.store.clock import now_ms

MAX_RECORDS_PER_MINUTE = 100  # of a gateway
MINUTE_MS = 60_000


class LoginFailures:
    """The failed log-ins of the current minute. All methods run on the loop's thread."""

    def __init__(self, recorder: Recorder, max_records: int = MAX_RECORDS_PER_MINUTE) -> None:
        self._recorder = recorder
        self._max_records = max_records
        self._minute = 0
        self._current: dict[tuple[int | None, str], FailedLogins] = {}
        self._ended: list[FailedLogins] = []  # of the minutes before

    def add(self, account: int | None, address: str) -> None:
        """Count one, to an account if there is one by this name."""
        now = now_ms()
        if now // MINUTE_MS != self._minute:
            self._ended += self._current.values()
            self._minute, self._current = now // MINUTE_MS, {}
        key = (account, address) if len(self._current) < self._max_records else (None, "")
        if (account, address) in self._current:
            key = (account, address)
        self._current.setdefault(key, FailedLogins(*key, now)).attempts += 1

    def write(self) -> None:
        """Write the records that are new or have changed."""
        changed = [record for record in (*self._ended, *self._current.values()) if record.attempts != record.written]
        self._ended = []
        self._recorder.record(failed_logins.write, changed)
