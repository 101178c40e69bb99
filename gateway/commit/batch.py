"""A batch of the committer: the operations that share a transaction, and how they run in it.

Each operation runs under a savepoint of its own, so that only the one that fails is undone. Consecutive sends are posted
together, by a fixed number of statements; a batch of nothing but sends needs no savepoint unless one of them fails.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

import structlog

from models.chat import message
from models.chat.drafts import Draft
from models.chat.message import Posted
from models.identity import acting, token
from models.log.event import Transaction, TransactionLostError
from models.records import audit
from models.records.audit import AdminCall
from models.store.database import is_store_error
from models.store.errors import ForbiddenError, RefusedError

logger = structlog.get_logger()

MAX_BATCH_OPERATIONS = 100  # in one transaction; more only makes the first of them wait longer
MAX_WEIGHT_OF_A_CALLER = 8  # in one transaction, but for the first operation: what takes longer makes others' sends wait
CALL_WEIGHT = 4  # of a function, which takes as long as so many short messages
CHARS_OF_A_WEIGHT = 2_000  # of a message
R = TypeVar("R")


class Operation(Generic[R]):
    """A function to run in the next transaction, for a caller's token (None: the gateway itself), and the future of its result.

    With `acting_for`, a user, the token must be an admin's, and the transaction's room is shared out by users, not by the token.
    `submitted`, `started` and `committed` are times of time.perf_counter(); `started` is when its transaction began.
    """

    __slots__ = ("admin", "caller", "committed", "future", "result", "run", "started", "submitted", "token", "weight")

    def __init__(
        self,
        run: Callable[[Transaction], R] | None,
        actor_token: int | None,
        future: asyncio.Future[R],
        *,
        admin: bool = False,
        acting_for: int | None = None,
    ) -> None:
        self.run = run
        self.admin = admin or acting_for is not None  # whether only an admin's token may run it
        self.token = actor_token
        self.caller = actor_token if acting_for is None else ("user", acting_for)
        self.weight = CALL_WEIGHT
        self.future = future
        self.result: Any = None
        self.submitted = time.perf_counter()
        self.started = self.committed = 0.0

    @property
    def verb(self) -> str:
        """The name of the function that the operation runs, for the log."""
        function: Any = inspect.unwrap(self.run) if self.run is not None else None
        while isinstance(function, partial):
            function = inspect.unwrap(function.args[0] if function.args and callable(function.args[0]) else function.func)
        return f"{function.__module__}.{function.__qualname__}".removesuffix(".<locals>.<lambda>")

    def stages(self, arrived: float, authorize_s: float) -> dict[str, float]:
        """The durations of its stages until it was on disk, in seconds. `arrived` is a time.perf_counter()."""
        return {
            "authorize": authorize_s,
            "parse": self.submitted - arrived,
            "wait": self.started - self.submitted,
            "commit": self.committed - self.started,
        }


class SendOperation(Operation[Posted]):
    """A message to be posted together with the other messages of its batch. With `acting`, the call of an admin who does it as the
    sender, it is recorded, too."""

    __slots__ = ("acting", "draft")

    def __init__(self, draft: Draft, future: asyncio.Future[Posted], acting: AdminCall | None = None) -> None:
        super().__init__(None, draft.token, future, acting_for=None if acting is None else draft.sender)
        self.draft = draft
        self.acting = acting
        self.weight = 1 + len(draft.body) // CHARS_OF_A_WEIGHT

    @property
    def verb(self) -> str:
        """The name of the verb, for the log: sends run together."""
        return "models.chat.message.post"


def share_out(waiting: Sequence[Operation[Any]]) -> tuple[list[Operation[Any]], list[Operation[Any]]]:
    """Return the operations of the next transaction, and those that are left for later ones, each in their order.

    Of a caller with many or large operations it has a few only, so that others do not wait for all of them.
    """
    weights: Counter[object] = Counter()  # by caller
    chosen: list[Operation[Any]] = []
    left: list[Operation[Any]] = []
    for position, operation in enumerate(waiting):
        if len(chosen) == MAX_BATCH_OPERATIONS:
            return chosen, [*left, *waiting[position:]]
        caller = operation.caller
        if caller is not None and weights[caller] >= MAX_WEIGHT_OF_A_CALLER:
            left.append(operation)
            continue
        chosen.append(operation)
        if caller is not None:
            weights[caller] += operation.weight
    return chosen, left


def groups_of(batch: Sequence[Operation[Any]]) -> list[list[Operation[Any]]]:
    """The batch in its order, consecutive sends in one group, every other operation in a group of its own."""
    groups: list[list[Operation[Any]]] = []
    for operation in batch:
        if groups and isinstance(operation, SendOperation) and isinstance(groups[-1][0], SendOperation):
            groups[-1].append(operation)
        else:
            groups.append([operation])
    return groups


class FailedTogetherError(Exception):
    """Sends that ran without savepoints failed: it is not known which of them caused it."""


def post_together(tx: Transaction, group: list[Operation[Any]]) -> None:
    """Post sends without a savepoint. Raises FailedTogetherError if any of them fails for a reason that is not the store's."""
    try:
        _post(tx, group)
    except TransactionLostError:
        raise
    except Exception as error:
        if is_store_error(error):
            raise
        raise FailedTogetherError from error


def run_group(tx: Transaction, group: list[Operation[Any]]) -> None:
    """Run a group under one savepoint. If a group of several sends fails, run each of them alone."""
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
    """An unexpected error in one operation: it was undone, the rest of its batch was committed."""

    slug = "internal"


def _call(tx: Transaction, operation: Operation[Any]) -> None:
    assert operation.run is not None
    if operation.token is not None:
        _, role = token.check_actor(tx, operation.token)
        if operation.admin and role != "admin":
            raise ForbiddenError("for admins")
    operation.result = operation.run(tx)


def _post(tx: Transaction, group: Sequence[Operation[Any]]) -> None:
    """Post the drafts of senders whose token is valid, or as whom an admin may act, and refuse the others."""
    accepted: list[SendOperation] = []
    acted_for = [o.draft.sender for o in group if isinstance(o, SendOperation) and o.acting is not None]
    active = acting.active_users(acted_for) if acted_for else frozenset()
    for operation in group:
        assert isinstance(operation, SendOperation)
        try:
            _check_sender(tx, operation, active)
        except RefusedError as refusal:
            operation.result = refusal
        else:
            accepted.append(operation)
    drafts = [operation.draft for operation in accepted]
    for operation, result in zip(accepted, message.post(tx, drafts) if drafts else [], strict=True):
        operation.result = result
    if acted_for:
        done = [operation for operation in accepted if not isinstance(operation.result, RefusedError)]
        audit.record_acting(tx, [(o.acting, o.draft.sender) for o in done if o.acting is not None])


def _check_sender(tx: Transaction, operation: SendOperation, active: Collection[int]) -> None:
    """Raise RefusedError unless the token is valid and, for an admin's call as another user, an admin's and that user active."""
    _, role = token.check_actor(tx, operation.draft.token)
    if operation.acting is not None:
        if role != "admin":
            raise ForbiddenError("for admins")
        if operation.draft.sender not in active:
            acting.require_active(operation.draft.sender)


def log_failures(batch: Sequence[Operation[Any]]) -> None:
    """Log unexpected errors. Called after the transaction ends: formatting a traceback inside it would delay every other send."""
    for operation in batch:
        if isinstance(operation.result, OperationFailedError):
            logger.error("operation_failed", exc_info=operation.result.__cause__)
