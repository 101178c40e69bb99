"""Blocks and sends that the committer has at once, or that another process committed: the place in the log decides."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conf import Settings
from models.chat import blocks, conversation
from models.chat.message import Draft
from models.log import event
from models.log.event import Transaction
from models.store.database import rows
from models.store.errors import BlockedError
from tests.gateway.commit.test_committer import busy, together
from tests.journeys.core import Core, opened, token_of
from tests.models.people import people, send
from tests.stores import Database


@pytest.fixture(autouse=True)
def store(tmp_path: Path, database: Database) -> Iterator[Settings]:
    with database.fresh() as options, opened(tmp_path, durability="normal", **options) as settings:
        yield settings


def test_in_one_batch_the_order_decides() -> None:
    ana, ben = people("ana", "ben")
    send(ben, "before", to=ana)
    ((_, direct, _, _),) = conversation.membership_intervals([ana], 0, 1)

    def block(tx: Transaction) -> bool:
        return blocks.block(tx, ana, ben)

    def unblock(tx: Transaction) -> bool:
        return blocks.unblock(tx, ana, ben)

    def block_and_fail(tx: Transaction) -> None:
        blocks.block(tx, ana, ben)
        raise ZeroDivisionError

    async def scenario() -> None:
        async with Core() as core:

            def sends(body: str) -> "list[asyncio.Future[object]]":
                token = token_of(ben)
                drafts = Draft(ben, token, body, to=ana), Draft(ben, token, body, conversation=direct)
                return [core.committer.post(draft).future for draft in drafts]

            gate, busy_operation = await busy(core.committer)
            waiting = together(
                core,
                *sends("one"),
                core.committer.call(None, block),
                *sends("no"),
                core.committer.call(None, unblock),
                *sends("two"),
                core.committer.call(None, block_and_fail),
                *sends("three"),
            )
            gate.set()
            results = await waiting
            await busy_operation
            assert core.batches == [1, 11]
            assert [type(result) is BlockedError for result in results].count(True) == 2
            assert [type(result) for result in results[3:5]] == [BlockedError] * 2

    token_of(ben)
    asyncio.run(scenario())
    assert [body for (body,) in rows("SELECT body FROM messages ORDER BY id")] == ["before"] + ["one"] * 2 + ["two"] * 2 + [
        "three"
    ] * 2


@pytest.mark.parametrize("by_another_process", [False, True])
def test_a_block_of_another_gateway_is_known_to_the_next_send(by_another_process: bool) -> None:
    ana, ben = people("ana", "ben")
    token_of(ben)

    async def scenario() -> None:
        async with Core() as core:

            async def change(verb: Callable[[Transaction, int, int], bool]) -> None:
                if by_another_process:
                    with event.transaction() as tx:
                        verb(tx, ana, ben)
                else:
                    await core.do(lambda tx: verb(tx, ana, ben))

            for _ in range(3):
                assert (await core.send(ben, "in", to=ana)).created
                await change(blocks.block)
                with pytest.raises(BlockedError):
                    await core.send(ben, "out", to=ana)
                await change(blocks.unblock)

    asyncio.run(scenario())
    assert rows("SELECT body FROM messages") == [("in",)] * 3
