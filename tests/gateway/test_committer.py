"""The committer against bad operations, a store that fails, and its own end."""

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conf import Settings
from gateway import committer as committer_module
from gateway.committer import OperationFailedError, StoreDownError
from models import conversation, event, message, token
from models.database import db, execute, insert_rows, rows
from models.errors import DeadTokenError, ForbiddenError, InvalidError, NotFoundError
from models.event import Log
from models.message import Draft, MessageCopy
from tests.journeys.core import Core, opened, token_of
from tests.models.people import group, people, scalar, send


@pytest.fixture(autouse=True)
def store(tmp_path: Path) -> Iterator[Settings]:
    with opened(tmp_path, durability="normal") as settings:
        yield settings


async def together(core: Core, *waiting: "asyncio.Future[Any]") -> list[Any]:
    """Waits for operations handed over in one go; returns results and errors."""
    return await asyncio.gather(*waiting, return_exceptions=True)


def test_a_bad_operation_fails_alone_and_the_rest_of_its_batch_commits() -> None:
    ana, ben = people("ana", "ben")
    crew = group(ana, ben)
    first = send(ana, at=crew)

    def defect(log: Log) -> None:
        conversation.rename(log, ana, crew, "undone")
        raise ZeroDivisionError

    def bad_sql(log: Log) -> None:
        message.edit(log, ana, first, "undone")
        execute("SELECT * FROM no_such_table")

    async def scenario() -> None:
        async with Core() as core:
            call, post = core.committer.call, core.committer.post
            hold = call(None, lambda log: execute("SELECT 1"))
            results = await together(
                core,
                post(Draft(ana, token_of(ana), "one", conversation=crew)).future,
                call(None, defect),
                post(Draft(ana, token_of(ana), "", conversation=crew)).future,
                post(Draft(ana, token_of(ana), "two", conversation=crew)).future,
                call(None, bad_sql),
                call(None, lambda log: message.edit(log, ben, first, "not his")),
                post(Draft(ben, token_of(ben), "three", conversation=crew)).future,
            )
            await hold
            assert max(core.batches) > 1
        kinds = [type(result) for result in results]
        assert kinds[1:3] == [OperationFailedError, InvalidError]
        assert kinds[4:6] == [OperationFailedError, ForbiddenError]
        assert all(results[n].created for n in (0, 3, 6))

    token_of(ana), token_of(ben)
    asyncio.run(scenario())
    assert rows("SELECT body FROM messages ORDER BY id") == [("words",), ("one",), ("two",), ("three",)]
    assert scalar("SELECT title FROM conversations") == "Crew"
    assert rows("SELECT type FROM events WHERE stream LIKE 'conversation:%'") == [("message.created",)] * 4


def test_a_message_with_more_copies_than_a_statement_takes_is_deleted() -> None:
    ana, ben = people("ana", "ben")
    first = send(ana, "secret", to=ben)
    db.connection().setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 2_000)  # some builds take 250,000, which would need as many rows
    with event.transaction() as log:
        copies = [log.append("conversation:1", "message.updated", b'{"id":1,"body":"secret"}') for _ in range(2_100)]
        insert_rows(MessageCopy, ("message_id", "event"), [(first, number) for number in copies])
    with event.transaction() as log:
        message.delete(log, ana, "user", first)
    assert scalar("SELECT count(*) FROM events WHERE data LIKE '%secret%'") == 0


def test_a_user_with_more_tokens_than_a_statement_takes_loses_them_all() -> None:
    (ana,) = people("ana")
    db.connection().setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 2_000)
    with event.transaction() as log:
        for _ in range(2_100):
            token.create(log, ana)
    with event.transaction() as log:
        token.revoke(log, ana)
    assert scalar("SELECT count(*) FROM tokens") == 0


def test_an_id_of_a_token_never_comes_to_mean_anothers() -> None:
    ana, ben = people("ana", "ben")
    old = token_of(ana)

    async def scenario() -> None:
        async with Core() as core:
            await core.do(lambda log: token.revoke(log, ana))
            await core.do(lambda log: token.create(log, ben))
            with pytest.raises(DeadTokenError):
                await core.committer.post(Draft(ana, old, "from the grave", to=ben)).future

    asyncio.run(scenario())
    assert scalar("SELECT count(*) FROM messages") == 0


def test_what_is_handed_over_after_the_end_is_refused() -> None:
    ana, ben = people("ana", "ben")

    async def scenario() -> None:
        async with Core() as core:
            before = core.committer.post(Draft(ana, token_of(ana), "in time", to=ben))
            ending = asyncio.ensure_future(core.committer.stop())
            await asyncio.sleep(0)
            with pytest.raises(StoreDownError):
                core.committer.post(Draft(ana, token_of(ana), "too late", to=ben))
            await ending
            assert (await before.future).created

    asyncio.run(scenario())
    assert rows("SELECT body FROM messages") == [("in time",)]
