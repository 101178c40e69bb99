"""Gateways on a log whose oldest events were deleted: they need none of them, and a gateway that missed events notices."""

import asyncio
from pathlib import Path

import pytest

from gateway.delivery.tail import Tail
from models.chat import conversation
from models.chat.message import Draft
from models.identity import token
from models.log import event, trimming
from models.store import facts
from models.store.errors import DeadTokenError, ExpiredError, NotFoundError
from models.sync.catchup import BEGINNING
from tests.gateway.client import Client, problem
from tests.gateway.running import Gateway
from tests.journeys.core import Core, opened, token_of
from tests.models.people import group, people, send
from tests.stores import Database


def trim() -> int:
    """Delete all events of the log; return the id of the last deleted event."""
    with event.transaction(appends=False) as tx:
        trimming.trim(tx, tx.now_ms + 1, event.head(), 10_000)
    return facts.trimmed()


def test_memberships_need_no_deleted_event(tmp_path: Path, database: Database) -> None:
    async def scenario() -> None:
        async with Core() as core:
            ana, ben, cy = people("ana", "ben", "cy")
            crew = group(ana, ben)
            send(ben, at=crew)
            core.hub.publish(core.hub.head, event.read_after(core.hub.head, 500), 0.0)
            await core.send(ben, conversation=crew)
            mark = trim()
            await core.send(ben, "remembered", conversation=crew)
            await core.do(lambda tx: conversation.add_member(tx, ana, crew, cy))
            await core.send(cy, "from cy", conversation=crew)
            await core.do(lambda tx: conversation.remove_member(tx, ana, crew, ben))
            with pytest.raises(NotFoundError):
                await core.send(ben, "after leaving", conversation=crew)
            for user, kinds in (
                (ana, ["message.created", "member.joined", "message.created", "member.left"]),
                (ben, ["message.created", "member.joined", "message.created", "member.left"]),
                (cy, ["conversation.created", "member.joined", "message.created", "member.left"]),
            ):
                for position in (mark, BEGINNING):
                    events, _ = await core.all_after(user, position)
                    assert [e.type for e in events] == kinds
            assert core.missing == 0

    with database.fresh() as options, opened(tmp_path, **options):
        asyncio.run(scenario())


def test_a_gateway_that_missed_deleted_events_drops_all_that_it_cached(tmp_path: Path, database: Database) -> None:
    """A machine was suspended for weeks. Meanwhile a token was revoked, in an event that is deleted now."""

    async def scenario() -> None:
        async with Core() as core:
            ana, ben = people("ana", "ben")
            core.hub.publish(core.hub.head, event.read_after(core.hub.head, 500), 0.0)
            await core.send(ben, to=ana)
            old = token_of(ben)
            position = core.hub.head
            subscription = await core.subscription(ana, position)
            assert (await core.hub.next(subscription, 0)).events == []
            polling = asyncio.create_task(core.hub.next(subscription, 30))
            with event.transaction() as tx:
                token.revoke(tx, ben)
            mark = trim()
            with pytest.raises(DeadTokenError):
                await core.committer.post(Draft(ben, old, "words", to=ana)).future
            await asyncio.to_thread(Tail(core.hub)._read_on)
            answer = await polling
            assert (answer.events, answer.position, subscription.end_reason) == ([], position, "missed")
            assert (core.missing, core.hub.head, core.hub.loaded_subscriber(ana)) == (1, mark, None)
            with pytest.raises(ExpiredError):
                await core.all_after(ana, position)
            await core.send(ben, "words", to=ana)
            await asyncio.to_thread(Tail(core.hub)._read_on)
            assert [e.type for e in (await core.all_after(ana, mark))[0]] == ["message.created"]

    with database.fresh() as options, opened(tmp_path, **options):
        asyncio.run(scenario())


@pytest.mark.only("sqlite")
def test_a_cursor_older_than_the_kept_events_is_answered_410(gateway: Gateway, ana: Client, ben: Client) -> None:
    ana.send("gone", to=ben)
    before = ben.now()
    ana.send("gone, too", to=ben)
    with gateway.store():
        trim()
    gateway.restart()
    ana.send("kept", to=ben)
    now = problem(ben.get("/events", cursor=before), 410, "cursor-expired")["cursor"]
    assert ben.event_types("begin") == ["message.created"]
    assert ben.events(now) == []
    assert ben.get("/state").status_code == 200
