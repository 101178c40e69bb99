"""A batch of the committer: the operations that share a transaction, and how they are run in it.

Each runs under a savepoint of its own, so that one that fails is undone alone. Sends that follow one another are posted together,
by a fixed few statements; a batch of nothing but sends needs no savepoint unless one of them fails.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import structlog

from models.chat import message
from models.chat.message import Draft, Posted
from models.identity import token
from models.log.event import Transaction, TransactionLostError
from models.store.database import is_store_error
from models.store.errors import ForbiddenError, RefusedError

logger = structlog.get_logger()

R = TypeVar("R")


class Operation(Generic[R]):
    """A verb to run in the next transaction, by whom, and the future that hears of it."""

    __slots__ = ("admin", "committed", "future", "result", "run", "submitted", "taken", "token")

    def __init__(
        self, run: Callable[[Transaction], R] | None, actor_token: int | None, future: asyncio.Future[R], admin: bool = False
    ) -> None:
        self.run = run
        self.admin = admin
        self.token = actor_token
        self.future = future
        self.result: Any = None
        self.submitted = time.perf_counter()
        self.taken = self.committed = 0.0


class SendOperation(Operation[Posted]):
    """A message to be posted with all others of its batch."""

    __slots__ = ("draft",)

    def __init__(self, draft: Draft, future: asyncio.Future[Posted]) -> None:
        super().__init__(None, draft.token, future)
        self.draft = draft

    def stages(self, arrived: float, authorize_s: float) -> dict[str, float]:
        """Where its time went until it was on disk, in seconds to the microsecond; it arrived at a time.perf_counter()."""
        return {
            "authorize": round(authorize_s, 6),
            "parse": round(self.submitted - arrived, 6),
            "wait": round(self.taken - self.submitted, 6),
            "commit": round(self.committed - self.taken, 6),
        }


def groups_of(batch: Sequence[Operation[Any]]) -> list[list[Operation[Any]]]:
    """The batch in its order, sends that follow one another together."""
    groups: list[list[Operation[Any]]] = []
    for operation in batch:
        if groups and isinstance(operation, SendOperation) and isinstance(groups[-1][0], SendOperation):
            groups[-1].append(operation)
        else:
            groups.append([operation])
    return groups


class FailedTogetherError(Exception):
    """Sends without savepoints of their own failed: which of them is to blame is not known yet."""


def post_together(tx: Transaction, group: list[Operation[Any]]) -> None:
    try:
        _post(tx, group)
    except TransactionLostError:
        raise
    except Exception as error:
        if is_store_error(error):
            raise
        raise FailedTogetherError from error


def run_group(tx: Transaction, group: list[Operation[Any]]) -> None:
    """Runs a group under one savepoint; when a send of several fails for no reason of its own, each is run alone."""
    try:
        with tx.savepoint():
            if isinstance(group[0], SendOperation):
                _post(tx, group)
            else:
                _call(tx, group[0])
    except TransactionLostError:
        raise
    except Exception as error:
        if is_store_error(error):
            raise
        if len(group) > 1:
            for operation in group:
                run_group(tx, [operation])
        elif isinstance(error, RefusedError):
            group[0].result = error
        else:
            group[0].result = OperationFailedError(str(error))
            group[0].result.__cause__ = error


class OperationFailedError(RefusedError):
    """A defect of ours: this operation alone was undone, the rest of its batch went on."""

    slug = "internal"


def _call(tx: Transaction, operation: Operation[Any]) -> None:
    assert operation.run is not None
    if operation.token is not None:
        _, role = token.check_actor(tx, operation.token)
        if operation.admin and role != "admin":
            raise ForbiddenError("for admins")
    operation.result = operation.run(tx)


def _post(tx: Transaction, group: Sequence[Operation[Any]]) -> None:
    """Posts the drafts of those who may speak; the others are refused."""
    drafts: list[Draft] = []
    asking: list[Operation[Any]] = []
    for operation in group:
        assert isinstance(operation, SendOperation)
        try:
            token.check_actor(tx, operation.draft.token)
        except RefusedError as refusal:
            operation.result = refusal
        else:
            drafts.append(operation.draft)
            asking.append(operation)
    for operation, result in zip(asking, message.post(tx, drafts) if drafts else [], strict=True):
        operation.result = result


def tell_defects(batch: list[Operation[Any]]) -> None:
    """Not before the lock is given back: a trace takes its time to write, and everybody's sends would wait for it."""
    for operation in batch:
        if isinstance(operation.result, OperationFailedError):
            logger.error("an operation failed", exc_info=operation.result.__cause__)
