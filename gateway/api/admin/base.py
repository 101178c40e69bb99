"""The base of all handlers for admins: only admins may call them, and every call that is not refused is recorded in the audit.

A call that changes something is recorded by the transaction that does it. A call that only reads is recorded after its answer: the
answer neither waits for the record nor fails with it. A refused call changed nothing and showed nothing, and is not recorded.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import TYPE_CHECKING, TypeVar

import structlog

from gateway.api.admin import auditing
from gateway.http.base import ADMIN_BODY_BYTES, Handler
from models.log.event import Transaction
from models.records import audit
from models.records.audit import DONE, READ
from models.store.errors import StoreDownError

if TYPE_CHECKING:
    import asyncio

logger = structlog.get_logger()

T = TypeVar("T")


class AdminHandler(Handler):
    """A route for admins. `is_audited` is true once the call is recorded in the audit, or is about to be."""

    access = "admin"
    body_limit = ADMIN_BODY_BYTES
    is_audited = False

    def commit(self, run: Callable[[Transaction], T]) -> Awaitable[T]:
        """Run a verb in the next transaction, where the caller's token and role are checked again, and record the call there. Of
        a call that needs several transactions, the first one records it."""
        verb = run if self.is_audited else self._audited(run)
        return self.services.committer.call(self.actor.token, verb, admin=True)

    def _audited(self, run: Callable[[Transaction], T]) -> Callable[[Transaction], T]:
        self.is_audited = True
        call = auditing.call_of(self, DONE)

        @wraps(run)
        def run_and_record(tx: Transaction) -> T:
            result = run(tx)
            audit.record(tx, call)
            return result

        return run_and_record

    def audit_read(self) -> None:
        """Record, beside the answer, that an admin reads."""
        self.is_audited = True
        call = auditing.call_of(self, READ)
        try:
            self.services.committer.call(None, lambda tx: audit.record(tx, call)).add_done_callback(_log_failure)
        except StoreDownError as error:
            _log_error(error)

    def on_finish(self) -> None:
        """Count the request, and record a call that no transaction has recorded."""
        super().on_finish()
        if not self.is_audited and self.get_status() < 400 and self.request.method != "OPTIONS":
            self.audit_read()


def _log_failure(future: asyncio.Future[None]) -> None:
    if not future.cancelled() and (error := future.exception()) is not None:
        _log_error(error)


def _log_error(error: BaseException) -> None:
    logger.warning("audit_record_failed", error=str(error))
