"""The tail finds events that other processes commit, also after a time without any."""

import asyncio
from pathlib import Path

import pytest

from gateway.delivery import tail
from models.log import event
from tests.journeys.core import Core, opened
from tests.models.people import people, send
from tests.stores import Database
from tests.waiting import until_async


def test_events_of_others_arrive_while_there_are_events_and_after_a_quiet_time(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with Core(with_tail=True) as core:
            ana, ben = people("ana", "ben")
            for quiet_after_s in (60.0, 0.0):
                monkeypatch.setattr(tail, "QUIET_AFTER_S", quiet_after_s)
                send(ana, to=ben)
                await until_async(lambda: core.hub.head == event.head())

    with database.fresh() as options, opened(tmp_path, **options):
        asyncio.run(scenario())
