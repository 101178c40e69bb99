"""The hub against the races between a reader and the log."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from conf import Settings
from gateway import ring as ring_module
from gateway.committer import StoreDownError
from gateway.pool import Pool
from gateway.ring import Ring
from models import catchup
from models.database import execute
from models.event import Event
from tests.journeys.core import opened


@pytest.fixture(autouse=True)
def store(tmp_path: Path) -> Iterator[Settings]:
    with opened(tmp_path, durability="normal") as settings:
        yield settings


def created(number: int, body: str = "") -> Event:
    return Event(number, "conversation:1", "message.created", 0, b'{"id":%d,"body":"%s"}' % (number, body.encode()))


def test_texts_that_were_deleted_take_no_room_in_the_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring_module, "RING_BYTES", 10_000)
    ring = Ring(0)
    for number in range(1, 200, 2):
        ring.append(created(number, "x" * 1_000))
        deleted = Event(number + 1, "conversation:1", "message.deleted", 0, b'{"id":%d,"body":""}' % number)
        ring.append(deleted)
        ring.forget_text(deleted)
    assert len(ring.after(ring.low)) > 20, "the ring shrank as if the texts were still there"


def test_a_reader_thread_whose_read_failed_reads_again() -> None:
    """A statement that fails inside a read's transaction may leave the connection in it: each later read there would fail."""

    def falls_over() -> None:
        execute("BEGIN")
        execute("SELECT * FROM nothing")

    async def scenario() -> None:
        pool = Pool("reader", 3, 100)
        for _ in range(6):
            results = await asyncio.gather(*(pool(falls_over) for _ in range(3)), return_exceptions=True)
            assert [type(result) for result in results] == [StoreDownError] * 3
            heads = await asyncio.gather(*(pool(catchup.place, 1, 0) for _ in range(30)))
            assert {place.head for place in heads} == {0}
        pool.close()

    asyncio.run(scenario())
