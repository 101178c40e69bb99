"""The loads against the floors, as real processes: everything that was sent is accounted for."""

import asyncio
from collections.abc import Iterator

import pytest

from bench.load.loops import Readers, closed_loop, open_loop, percentile
from bench.load.targets import EchoFloor, HubFloor, numbers
from bench.servers.floors import Floor, floor


@pytest.fixture(scope="module")
def running() -> Iterator[Floor]:
    """A floor's process."""
    with floor() as process:
        yield process


def test_a_closed_loop_sends_as_many_as_it_was_asked_to(running: Floor) -> None:
    tally = asyncio.run(closed_loop(EchoFloor(running.port), 4, numbers(), count=50))
    assert (len(tally.latencies_s), tally.failed) == (50, 0)


def test_an_unexpected_status_is_a_failure(running: Floor) -> None:
    target = EchoFloor(running.port)
    target.created = 201
    tally = asyncio.run(closed_loop(target, 1, numbers(), count=3))
    assert (len(tally.latencies_s), tally.failed) == (0, 3)
    assert tally.first_failure.startswith("200 ")


def test_every_message_of_an_open_loop_reaches_its_reader_once(running: Floor) -> None:
    async def deliver() -> tuple[int, int, int]:
        target = HubFloor(running.port, users=10)
        readers = Readers(target)
        await readers.start(settle_s=0.1)
        stream = await open_loop(target, rate=100, seconds=0.5, numbers=numbers())
        delays, lost = await stream.delivered(readers)
        await readers.stop()
        return len(delays), lost, readers.doubled

    assert asyncio.run(deliver()) == (50, 0, 0)


def test_polls_that_time_out_come_again(running: Floor) -> None:
    async def read() -> tuple[int, int]:
        readers = Readers(HubFloor(running.port, users=2), each=3, timeout_s=0.05)
        await readers.start(settle_s=0)
        for _ in range(6000):
            if readers.answered > 6:  # more than one for each
                break
            await asyncio.sleep(0.01)
        await readers.stop()
        return readers.answered, readers.failed

    answered, failed = asyncio.run(read())
    assert (answered > 6, failed) == (True, 0)


def test_percentiles_are_by_nearest_rank() -> None:
    assert [percentile(range(1, 101), share) for share in (0, 0.5, 0.99, 1)] == [1, 50, 99, 100]
